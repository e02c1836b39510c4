"""Parallel execution of Python jobs in several processes."""

import functools
import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

import torch

Job = TypeVar("Job")
Result = TypeVar("Result")
_JOBS_A_WORKER = 4  # starting a process takes about as long as a few jobs


def run_in_processes(
    task: Callable[[Job], Result], jobs: Sequence[Job], *, workers: int | None
) -> Iterator[Result]:
    """Run `task(job)` for all jobs, in this process or in several worker processes.

    Args:
        task: A module-level function, or a `functools.partial` of one.
        jobs: Arguments, which must be picklable, as must the results.
        workers: Number of processes; None uses one per core. For few jobs fewer are started.

    Yields:
        The results, in any order. If the caller stops early or is interrupted, the processes are
        terminated at once, so jobs must write files atomically.

    Raises:
        ChildProcessError: If a worker process died.
    """
    num = min(workers or num_cores(), math.ceil(len(jobs) / _JOBS_A_WORKER))
    if num <= 1:
        yield from map(task, jobs)
        return
    # Spawned, because forking a process that has threads of torch or numba can hang.
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(num, mp_context=context, initializer=_start_worker) as pool:
        try:
            for future in as_completed([pool.submit(task, job) for job in jobs]):
                yield future.result()
        except BrokenProcessPool as error:
            raise ChildProcessError(
                "a worker process died, probably for lack of memory; run the same command again "
                "with fewer workers (finished work is kept)"
            ) from error
        except BaseException:  # mainly Ctrl-C, which must not wait for running jobs
            for worker in set(multiprocessing.active_children()) - others:
                worker.terminate()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@functools.cache
def num_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _start_worker() -> None:
    """Set up a worker process: one thread, Ctrl-C ignored, exit when the parent process ends."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    """Wait for the parent process to end, even by kill -9, then exit."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
