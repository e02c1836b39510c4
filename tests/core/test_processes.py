import multiprocessing
import os
import time

import pytest

from get3d.core.processes import run_in_processes


def _square(job: int) -> int:
    return job * job


def _sleep_but_for_the_first(job: int) -> int:
    if job:
        time.sleep(600)
    return job


def _die(job: int) -> int:
    os._exit(1)


@pytest.mark.parametrize("workers", [1, 2])
def test_all_jobs_are_done_once(workers: int) -> None:
    assert sorted(run_in_processes(_square, range(9), workers=workers)) == [n * n for n in range(9)]


@pytest.mark.slow
def test_stopping_early_terminates_the_processes() -> None:
    """As on Ctrl-C, without waiting for running jobs."""
    before = set(multiprocessing.active_children())
    results = run_in_processes(_sleep_but_for_the_first, range(9), workers=2)
    assert next(results) == 0
    results.close()
    assert set(multiprocessing.active_children()) <= before


@pytest.mark.slow
def test_a_process_that_dies_is_reported() -> None:
    with pytest.raises(ChildProcessError, match="a worker process died"):
        list(run_in_processes(_die, range(9), workers=2))
