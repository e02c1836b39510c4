"""Thread pool for compiled loops, which release the GIL (`get3d.core.jit`)."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

import torch

Job = TypeVar("Job")
Result = TypeVar("Result")


def run_jobs(task: Callable[[Job], Result], jobs: Sequence[Job], *, threads: int) -> list[Result]:
    """Run `task(job)` for all jobs on this thread and helper threads.

    No gradients are recorded: grad mode is a setting of each thread, so helper threads would not
    inherit the caller's.

    Args:
        task: Thread-safe function of one job.
        jobs: Arguments of `task`.
        threads: Number of threads, at least 1; no more are used than there are jobs.

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
                    waiting.clear()  # a failed job stops the other threads
                    raise

    helpers = min(threads, len(jobs)) - 1
    futures = [_pool(os.getpid(), helpers).submit(work) for _ in range(helpers)]
    try:
        work()
    finally:
        for future in futures:
            if not future.cancel():  # cancelled: all jobs were done before this helper started
                future.result()
    return [results[index] for index in range(len(jobs))]


@lru_cache(maxsize=4)
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Return the thread pool of a process; a forked child creates its own."""
    return ThreadPoolExecutor(threads, thread_name_prefix=f"get3d-{process}")
