import threading

import pytest
import torch

from get3d.core.threads import run_jobs


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("num", [0, 1, 7])
def test_results_are_in_the_order_of_the_jobs(threads, num):
    assert run_jobs(lambda job: job * job, range(num), threads=threads) == [
        job * job for job in range(num)
    ]


def test_helpers_work_too_and_record_no_gradients():
    barrier = threading.Barrier(2, timeout=10)

    def task(job):
        barrier.wait()  # passes only when two threads are in a task at once
        return torch.is_grad_enabled()

    assert run_jobs(task, range(2), threads=2) == [False, False]
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("error", [IndexError, ValueError])
def test_errors_of_jobs_are_raised(threads, error):
    def task(job):
        raise error("broken")

    with pytest.raises(error, match="broken"):
        run_jobs(task, range(4), threads=threads)


def test_a_failing_job_stops_the_others():
    done = []

    def task(job):
        if job == 0:
            raise ValueError("broken")
        done.append(job)

    with pytest.raises(ValueError, match="broken"):
        run_jobs(task, range(100), threads=1)
    assert done == []
