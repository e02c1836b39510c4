"""Threads for compiled loops that let others run meanwhile (`get3d.core.compiled`)."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

Job = TypeVar("Job")


def for_each(task: Callable[[Job], None], jobs: Iterable[Job], *, threads: int) -> None:
    """Do `task(job)` for all jobs, on up to `threads` threads; one does it here and now.

    Args:
        task: Must be safe to run for several jobs at once.
        jobs: Any number of them.
        threads: At least 1.
    """
    if threads == 1:
        for job in jobs:
            task(job)
        return
    for _ in _pool(os.getpid(), threads).map(task, jobs):
        pass


@lru_cache(maxsize=4)
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Threads of this process; a forked child makes its own."""
    return ThreadPoolExecutor(threads, thread_name_prefix=f"get3d-{process}")
