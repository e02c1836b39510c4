"""Contours of silhouettes: tracing, bridges, descriptors."""

import numpy as np
import pytest

from get3d.metrics.light_field_contours import circularity, fourier_descriptors, trace_contours


def disc(size: int, inner: float = 0.0) -> np.ndarray:
    """A disc, or a ring."""
    at = np.arange(size) + 0.5 - size / 2
    r = np.hypot(at, at[:, None])
    return ((r < size / 2 - 2) & (r >= inner))[None]


def boxes(*bounds: tuple[int, int, int, int]) -> np.ndarray:
    """Rectangles (first row, last row, first column, last column) in one image."""
    image = np.zeros((1, 64, 64), bool)
    for top, bottom, left, right in bounds:
        image[0, top:bottom, left:right] = True
    return image


def test_contour_of_a_disc_is_its_circle() -> None:
    contour = trace_contours(disc(256))[0]
    np.testing.assert_allclose(np.linalg.norm(contour - 128, axis=1), 126, atol=0.7)
    steps = np.linalg.norm(contour - np.roll(contour, -1, axis=0), axis=1)
    np.testing.assert_allclose(steps, 2 * np.pi * 126 / 256, rtol=0.03)


def test_holes_do_not_matter() -> None:
    np.testing.assert_array_equal(trace_contours(disc(64, 20)), trace_contours(disc(64)))


def test_the_border_of_the_image_may_be_covered() -> None:
    contour = trace_contours(np.ones((1, 40, 40), bool))[0]
    np.testing.assert_allclose(contour.min(0), 0, atol=1e-9)
    np.testing.assert_allclose(contour.max(0), 40)


@pytest.mark.parametrize("gap", [0, 1, 6])
def test_parts_are_bridged(gap: int) -> None:
    """Side by side, corner to corner, or apart: the contour runs round all three."""
    parts = boxes((10, 20, 5, 15), (20 + gap, 30, 15 + gap, 30), (40, 50, 36, 50))
    contour = trace_contours(parts)[0]
    np.testing.assert_allclose(contour.min(0), [5, 10], atol=0.5)
    np.testing.assert_allclose(contour.max(0), [50, 50], atol=0.5)
    assert parts.sum() == boxes((10, 20, 5, 15)).sum() + (10 - gap) * (15 - gap) + 140


def test_a_bridge_is_the_shortest() -> None:
    contour = trace_contours(boxes((10, 50, 5, 20), (28, 32, 26, 60)))[0]
    on_bridge = contour[(contour[:, 0] > 22) & (contour[:, 0] < 24)]
    assert len(on_bridge) > 0
    assert np.abs(on_bridge[:, 1] - 30).max() < 3
    assert np.ptp(on_bridge[:, 1]) < 1.1  # one pixel wide


@pytest.mark.parametrize("bounds", [(30, 31, 30, 31), (30, 31, 4, 60)])
def test_thinnest_silhouettes_have_finite_descriptors(bounds: tuple[int, int, int, int]) -> None:
    contours = trace_contours(boxes(bounds))
    assert np.isfinite(fourier_descriptors(contours)).all()
    assert 0 <= circularity(contours)[0] <= 1


def test_bar_has_the_spectrum_of_a_zigzag() -> None:
    """Distance from the middle rises and falls twice, linearly: (2 / pi^2) / (1 / 2) at k = 2."""
    found = fourier_descriptors(trace_contours(boxes((30, 31, 2, 62))))[0]
    assert found[1] == pytest.approx(4 / np.pi**2, abs=0.02)
    assert found[[0, 2, 4]].max() < 0.01


def test_fourier_descriptors_are_magnitudes_of_a_plain_transform() -> None:
    contours = np.random.default_rng(0).random((3, 256, 2))
    found = fourier_descriptors(contours)
    for contour, row in zip(contours, found, strict=True):
        r = np.linalg.norm(contour - contour.mean(0), axis=1)
        for k in range(1, 11):
            wave = np.exp(-2j * np.pi * k * np.arange(256) / 256)
            assert row[k - 1] == pytest.approx(abs((r * wave).sum()) / r.sum())


def test_fourier_descriptors_of_a_flower() -> None:
    angle = np.arange(256) * (2 * np.pi / 256)
    r = 1 + 0.3 * np.cos(3 * angle)
    flower = np.stack([r * np.cos(angle), r * np.sin(angle)], axis=1)[None]
    expected = np.zeros(10)
    expected[2] = 0.15
    np.testing.assert_allclose(fourier_descriptors(flower)[0], expected, atol=1e-12)


def test_turning_mirroring_and_scale_hardly_matter() -> None:
    shape = boxes((10, 40, 5, 20), (30, 38, 20, 55))[0]
    variants = [np.rot90(shape, k) for k in range(4)] + [shape[::-1], shape.T]
    contours = trace_contours(np.ascontiguousarray(variants))
    found = fourier_descriptors(contours)
    # Steps begin elsewhere: a fraction of a pixel. The whole range is 0.4.
    np.testing.assert_allclose(found, found[:1].repeat(6, 0), atol=0.002)
    np.testing.assert_allclose(circularity(contours), circularity(contours)[0], atol=0.005)
    large = fourier_descriptors(trace_contours(shape[None].repeat(4, 1).repeat(4, 2)))
    np.testing.assert_allclose(large, found[:1], atol=0.015)  # corners are rounded by pixels


def test_circularity_of_known_shapes() -> None:
    square = circularity(trace_contours(np.ones((1, 200, 200), bool)))
    assert circularity(trace_contours(disc(256)))[0] == pytest.approx(1, abs=0.01)
    assert square[0] == pytest.approx(np.pi / 4, rel=0.02)
    bar = circularity(trace_contours(np.ones((1, 10, 200), bool)))
    assert bar[0] == pytest.approx(4 * np.pi * 10 * 200 / 420**2, rel=0.05)


def test_tilted_square_is_as_circular_as_an_upright_one() -> None:
    """A staircase of pixels is longer than the edge that it approximates."""
    at = np.arange(256) + 0.5 - 128
    for angle in np.radians([10, 22.5, 45]):
        x = at * np.cos(angle) + at[:, None] * np.sin(angle)
        y = at[:, None] * np.cos(angle) - at * np.sin(angle)
        tilted = (np.maximum(np.abs(x), np.abs(y)) < 80)[None]
        assert circularity(trace_contours(tilted))[0] == pytest.approx(np.pi / 4, rel=0.03)
