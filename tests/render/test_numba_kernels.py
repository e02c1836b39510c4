import numpy as np
import pytest

from get3d.render import numba_kernels as kernels


@pytest.mark.parametrize("bottom", [1, 3, 4096, 2**41])
def test_division_rounds_up_exactly(bottom: int) -> None:
    generator = np.random.default_rng(0)
    near = [k * bottom + d for k in range(-3, 4) for d in (-1, 0, 1)]
    for top in [*near, *generator.integers(-(2**57), 2**57, 50).tolist()]:
        if abs(top // bottom) < 2**20:  # pixels: larger values do not occur
            assert kernels._ceil_divide(top, bottom, 1.0 / bottom) == -(-top // bottom)


def test_border_lists_every_pair_once() -> None:
    face_id = np.array([[-1, 4, 4], [-1, -1, 4], [7, -1, -1]])
    across, down = np.full(9, 5), np.full(9, 5)
    horizontal, vertical, tiles = kernels.find_border(face_id.ravel(), across, down, 3, 3, 0)
    assert horizontal.tolist() == [0, 4, 6]
    assert vertical.tolist() == [1, 3, 5]
    assert (across[horizontal] == -1).all()
    assert (down[vertical] == -1).all()
    assert tiles[-1, -1] == 8  # pixels that belong to some pair; the corner at (1, 2) included
