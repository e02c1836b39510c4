"""Compiled loops give the results of plain Python."""

import sys
from types import ModuleType

import numba
import numpy as np
import pytest
import torch

from get3d.core import compiled, jit
from get3d.core.jit import has_triton


@compiled
def running_total(values: np.ndarray) -> np.ndarray:
    """Return cumulative sums."""
    totals = np.empty_like(values)
    total = 0.0
    for i in range(len(values)):
        total += values[i]
        totals[i] = total
    return totals


def test_same_result_as_plain():
    values = np.arange(5.0)
    assert np.array_equal(running_total(values), values.cumsum())


def test_works_without_a_writable_cache_folder():
    space: dict[str, object] = {}
    exec("def double(x):\n    return 2 * x", space)  # no source file, so no cache
    assert compiled(space["double"])(4) == 8


@pytest.mark.parametrize(("error", "expected"), [(None, True), (OSError("no compiler"), False)])
def test_triton_that_cannot_compile_is_not_used(
    error: Exception | None,
    expected: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def run_kernel() -> None:
        if error is not None:
            raise error

    probe = ModuleType("get3d.core.triton_probe")
    probe.run_kernel = run_kernel  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "get3d.core.triton_probe", probe)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert has_triton.__wrapped__() == expected
    assert ("no compiler" in caplog.text) != expected


def test_without_a_gpu_triton_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert not has_triton.__wrapped__()


def test_the_first_compilation_of_a_process_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(jit._NOTE, "_is_done", False)

    @numba.njit
    def add(a, b):
        return a + b

    with caplog.at_level("INFO", logger="get3d.core.jit"):
        assert add(1, 2) == 3
        assert add(1.0, 2) == 3.0  # another compilation
    assert [record.message for record in caplog.records].count(
        "compiling loops for this machine: up to a minute, this once; the code is cached"
    ) == 1
