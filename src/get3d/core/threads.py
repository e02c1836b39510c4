"""Threads for compiled loops that let others run meanwhile (`get3d.core.jit`)."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

import torch

Job = TypeVar("Job")
Result = TypeVar("Result")


def run_jobs(task: Callable[[Job], Result], jobs: Sequence[Job], *, threads: int) -> list[Result]:
    """Do `task(job)` for all jobs, on this thread and helpers.

    No gradients are recorded: whether they are is a setting of each thread, so the helpers would
    not know what the caller decided.

    Args:
        task: Must be safe to run for several jobs at once.
        jobs: Any number of them.
        threads: At least 1; no more are used than there are jobs.

    Returns:
        The results in the order of the jobs.
    """
    results: dict[int, Result] = {}
    waiting = list(enumerate(jobs))[::-1]

    def work() -> None:
        with torch.no_grad():
            while True:
                try:
                    index, job = waiting.pop()
                except IndexError:  # another thread took the last one
                    return
                try:
                    results[index] = task(job)
                except BaseException:
                    waiting.clear()  # a failed job ends the others' work
                    raise

    helpers = min(threads, len(jobs)) - 1
    futures = [_pool(os.getpid(), helpers).submit(work) for _ in range(helpers)]
    try:
        work()
    finally:
        for future in futures:
            if not future.cancel():  # else the work was done before this helper woke up
                future.result()
    return [results[index] for index in range(len(jobs))]


@lru_cache(maxsize=4)
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Threads of this process; a forked child makes its own."""
    return ThreadPoolExecutor(threads, thread_name_prefix=f"get3d-{process}")
