"""Moments of silhouettes against the formulas of the definition, and against known shapes."""

import math

import numpy as np
import pytest

from get3d.metrics.light_field_moments import (
    eccentricity,
    measure_regions,
    zernike_indices,
    zernike_moments,
)


def blob(size: int = 24, seed: int = 0) -> np.ndarray:
    """Random pixels with holes and islands."""
    return np.random.default_rng(seed).random((1, size, size)) < 0.4


def disc(size: int) -> np.ndarray:
    at = np.arange(size) + 0.5 - size / 2
    return (at**2 + at[:, None] ** 2 < (size / 2 - 2) ** 2)[None]


def radial(n: int, m: int, r: np.ndarray) -> np.ndarray:
    """Zernike's radial polynomial, term by term."""
    result = np.zeros_like(r)
    for s in range((n - m) // 2 + 1):
        bottom = math.factorial(s) * math.factorial((n + m) // 2 - s)
        bottom *= math.factorial((n - m) // 2 - s)
        result += (-1) ** s * math.factorial(n - s) / bottom * r ** (n - 2 * s)
    return result


def direct_moments(silhouette: np.ndarray) -> np.ndarray:
    """|A_nm| / A_00 by quadrature that is exact for such polynomials, from the definition."""
    nodes, weights = np.polynomial.legendre.leggauss(6)
    rows, columns = silhouette.nonzero()
    x = (columns[:, None, None] + 0.5 + nodes / 2) + 0 * nodes[:, None]
    y = (rows[:, None, None] + 0.5 + nodes[:, None] / 2) + 0 * nodes
    weight = np.broadcast_to(weights * weights[:, None] / 4, x.shape)
    x0, y0 = (x * weight).sum() / weight.sum(), (y * weight).sum() / weight.sum()
    corners = [np.hypot(columns + i - x0, rows + j - y0) for i in (0, 1) for j in (0, 1)]
    r, angle = np.hypot(x - x0, y - y0) / np.max(corners), np.arctan2(y - y0, x - x0)

    def moment(n: int, m: int) -> float:
        values = radial(n, m, r) * np.exp(-1j * m * angle)
        return (n + 1) / np.pi * abs((values * weight).sum())

    return np.array([moment(n, m) for n, m in zernike_indices()]) / moment(0, 0)


def test_there_are_35_moments_to_order_10() -> None:
    indices = zernike_indices()
    assert len(indices) == len(set(indices)) == 35
    assert (0, 0) not in indices
    assert all(0 <= m <= n <= 10 and (n - m) % 2 == 0 for n, m in indices)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_zernike_moments_follow_the_definition(seed: int) -> None:
    silhouette = blob(seed=seed)
    found = zernike_moments(measure_regions(silhouette))[0]
    np.testing.assert_allclose(found, direct_moments(silhouette[0]), atol=1e-9)
    assert found.max() > 0.1


def test_turning_and_mirroring_do_not_matter() -> None:
    (silhouette,) = blob()
    variants = [np.rot90(silhouette, k) for k in range(4)] + [silhouette[::-1], silhouette.T]
    regions = measure_regions(np.ascontiguousarray(variants))
    moments = zernike_moments(regions)
    np.testing.assert_allclose(moments, moments[:1].repeat(6, 0), atol=1e-9)
    np.testing.assert_allclose(eccentricity(regions), eccentricity(regions)[:1].repeat(6))


def test_place_and_scale_do_not_matter() -> None:
    silhouette = blob()
    moved = np.pad(silhouette, ((0, 0), (3, 8), (9, 2)))
    large = silhouette.repeat(3, 1).repeat(3, 2)
    expected = zernike_moments(measure_regions(silhouette))
    for other in (moved, large):
        np.testing.assert_allclose(zernike_moments(measure_regions(other)), expected, atol=1e-9)


def test_disc_has_no_moments() -> None:
    regions = measure_regions(disc(256))
    assert regions.area[0] == pytest.approx(np.pi, rel=0.015)
    assert regions.radius[0] == pytest.approx(126, rel=0.01)
    np.testing.assert_allclose(regions.centroid, [[128, 128]])
    assert zernike_moments(regions).max() < 0.1  # of up to 11, from the pixels on the rim
    assert eccentricity(regions)[0] < 1e-9


def test_square_has_fourfold_moments_only() -> None:
    moments = zernike_moments(measure_regions(np.ones((1, 20, 20), bool)))[0]
    by_index = dict(zip(zernike_indices(), moments, strict=True))
    # The mean of 2 r^2 - 1 where the unit disc's diameter is the diagonal: r^2 averages to 1/3.
    assert by_index[2, 0] == pytest.approx(3 / 3)
    assert by_index[4, 4] > 0.1
    assert max(value for (_, m), value in by_index.items() if m % 4) < 1e-9


def test_eccentricity_of_rectangles() -> None:
    rectangles = np.zeros((2, 30, 40), bool)
    rectangles[0, 4:10, 2:38] = True
    rectangles[1, 2:22, 5:25] = True
    expected = [(36**2 - 6**2) / (36**2 + 6**2), 0]
    np.testing.assert_allclose(eccentricity(measure_regions(rectangles)), expected, atol=1e-12)


@pytest.mark.parametrize("angle_deg", [30, 45, 70])
def test_eccentricity_does_not_depend_on_the_direction(angle_deg) -> None:
    """An oblique bar: the mixed moment counts twice."""
    at = np.arange(200) + 0.5 - 100
    angle = np.deg2rad(angle_deg)
    along = np.cos(angle) * at + np.sin(angle) * at[:, None]
    across = -np.sin(angle) * at + np.cos(angle) * at[:, None]
    bar = ((np.abs(along) < 80) & (np.abs(across) < 20))[None]
    expected = (80**2 - 20**2) / (80**2 + 20**2)
    assert eccentricity(measure_regions(bar))[0] == pytest.approx(expected, rel=0.005)
