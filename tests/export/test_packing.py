import numpy as np
import pytest

from get3d.export.packing import pack_charts
from get3d.export.packing_kernels import chart_mask, lowest_place, mask_runs, take

L_SHAPE = np.array([[[0, 0], [2, 0], [2, 1]], [[0, 0], [2, 1], [0, 1]],
                    [[0, 1], [1, 1], [1, 3]], [[0, 1], [1, 3], [0, 3]]], dtype=float)  # fmt: skip


def charts(num: int, *, turned: bool = True):
    """L-shaped charts of many sizes."""
    rng = np.random.default_rng(1)
    corners = []
    for _ in range(num):
        angle = rng.uniform(0, 2 * np.pi) if turned else 0.0
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        corners.append(L_SHAPE @ turn * rng.uniform(0.2, 1) + rng.uniform(-5, 5, 2))
    return np.concatenate(corners), np.repeat(np.arange(num), len(L_SHAPE))


def areas(corners):
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / 2


def touched(corners, first, last, size):
    return chart_mask(corners, first, last, 1.0, 0.0, 0.0, size, size)


@pytest.mark.parametrize("size", [64, 100, 512, 1024, 1100])
def test_two_texels_lie_between_the_texels_that_two_charts_touch(size):
    corners, chart_of = charts(30)
    texels = pack_charts(corners, chart_of, size)
    assert texels.min() >= 0
    assert texels.max() <= size
    owner = np.full((size, size), -1)
    for chart in range(30):
        mask = touched(texels, 4 * chart, 4 * chart + 4, size)
        ring = np.pad(mask, 2)
        near = np.zeros_like(mask)
        for down in range(5):
            for right in range(5):
                near |= ring[down : down + size, right : right + size]
        assert (owner[near] == -1).all()
        owner[mask] = chart


@pytest.mark.parametrize(("size", "least"), [(256, 0.64), (1024, 0.73)])
def test_charts_are_alike_in_scale_and_fill_the_texture(size, least):
    corners, chart_of = charts(60)
    texels = pack_charts(corners, chart_of, size)
    scale = areas(texels) / areas(corners)
    np.testing.assert_allclose(scale, scale[0], rtol=1e-9)
    assert areas(texels).sum() > least * size**2


def test_the_same_charts_are_packed_the_same():
    corners, chart_of = charts(20)
    first, again = (pack_charts(corners, chart_of, 256) for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_shapes_are_turned_and_mirrored_not_bent():
    corners, chart_of = charts(10)
    texels = pack_charts(corners, chart_of, 256)
    edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
    packed = np.linalg.norm(texels - np.roll(texels, 1, axis=1), axis=2)
    np.testing.assert_allclose(packed / edges, packed[0, 0] / edges[0, 0], rtol=1e-9)


def test_more_charts_than_texels_allow():
    corners, chart_of = charts(300)
    assert pack_charts(corners, chart_of, 32) is None
    assert pack_charts(corners, chart_of, 128) is not None


def test_one_chart_and_one_texel():
    corners, chart_of = charts(1)
    assert pack_charts(corners, chart_of, 1) is None
    texels = pack_charts(corners, chart_of, 8)
    assert np.ptp(texels[..., 0]) > 1


def test_lowest_place_is_that_of_a_plain_search():
    rng = np.random.default_rng(0)
    columns, rows = 150, 60
    for _ in range(30):
        mask = rng.random((rng.integers(1, 9), rng.integers(1, 90))) < 0.5
        mask[0, 0] = mask[-1, -1] = True
        height, width = mask.shape
        grid = np.zeros((rows, columns), dtype=bool)
        taken = np.zeros((8, rows, 8), np.uint64)
        for _ in range(25):
            flips = rng.random(2) < 0.5
            flipped = mask[:: -1 if flips[0] else 1, :: -1 if flips[1] else 1]
            runs = mask_runs(mask)
            found = lowest_place(taken, runs, height, width, flips, columns, 0, rows - height)
            expected = next(
                ((y, x) for y in range(rows - height + 1) for x in range(columns - width + 1)
                 if not (grid[y : y + height, x : x + width] & flipped).any()), (-1, -1),
            )  # fmt: skip
            assert found == expected
            if found[0] < 0:
                break
            y, x = found
            grid[y : y + height, x : x + width] |= flipped
            take(taken, runs, height, width, flips, y, x)
