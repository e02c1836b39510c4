"""Compiled loops give what the plain ones give."""

import numpy as np

from get3d.core import compiled


@compiled
def running_total(values: np.ndarray) -> np.ndarray:
    """Sum up to each place."""
    totals = np.empty_like(values)
    total = 0.0
    for i in range(len(values)):
        total += values[i]
        totals[i] = total
    return totals


def test_same_result_as_plain():
    values = np.arange(5.0)
    assert np.array_equal(running_total(values), values.cumsum())


def test_works_where_numba_finds_no_place_for_its_cache():
    space: dict[str, object] = {}
    exec("def double(x):\n    return 2 * x", space)  # no source file, so no cache
    assert compiled(space["double"])(4) == 8
