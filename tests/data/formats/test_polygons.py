"""Polygons become triangles that cover what they enclose."""

import time

import numpy as np
import pytest

from get3d.data.formats.polygons import triangulate


def areas(corners: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    a, b, c = (corners[triangles[:, i]] for i in range(3))
    return np.cross(b - a, c - a)[:, 2] / 2


def star(rng: np.random.Generator, size: int) -> np.ndarray:
    angle, radius = np.sort(rng.uniform(0, 2 * np.pi, size)), rng.uniform(0.2, 1, size)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), 0 * angle], axis=1)


@pytest.mark.parametrize("seed", range(5))
def test_stars_of_all_sizes_at_once(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.permutation([3, 4, 4, 5, 9, 40, 4, 3, 5])
    polygons = [
        star(rng, int(size)) + np.array([3.0 * index, 0, 0]) for index, size in enumerate(sizes)
    ]
    corners = np.concatenate(polygons)
    triangles, owner = triangulate(corners, sizes)
    assert np.bincount(owner).tolist() == (sizes - 2).tolist()
    assert (np.diff(owner) >= 0).all()
    for index, polygon in enumerate(polygons):
        x, y = (polygon - polygon[0])[:, :2].T
        exact = (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2
        found = areas(corners, triangles[owner == index])
        assert found.sum() == pytest.approx(exact)
        assert np.abs(found).sum() == pytest.approx(abs(exact))


def test_no_polygons() -> None:
    triangles, owner = triangulate(np.zeros((0, 3)), np.zeros(0, np.int64))
    assert (triangles.shape, owner.shape) == ((0, 3), (0,))


def test_polygons_that_cross_themselves_end() -> None:
    rng = np.random.default_rng(0)
    start = time.process_time()
    triangles, _ = triangulate(rng.normal(size=(60_000, 3)), np.array([30_000, 30_000]))
    assert len(triangles) == 59_996
    assert time.process_time() - start < 5
