"""Undistorted images are those of a pinhole camera."""

import numpy as np
import pytest
import torch
from PIL import Image

from get3d.data.undistort import Distortion, undistort

LENS = (0.6, 0.7, 0.45, 0.55)


def make(*, radial=(0.0, 0.0, 0.0), tangential=(0.0, 0.0)) -> Distortion:
    return Distortion(intrinsics=LENS, radial=radial, tangential=tangential)


def disc(points: torch.Tensor, size: int) -> np.ndarray:
    """RGBA of a red disc about (0.7, 0.35) in the undistorted image, seen at the given points."""
    inside = (points - torch.tensor([0.7, 0.35])).norm(dim=-1) < 0.2
    image = np.zeros((size, size, 4), np.uint8)
    image[..., 2] = 255  # hidden blue, which must not show
    image[inside.numpy()] = (255, 0, 0, 255)
    return image


def grid(size: int) -> torch.Tensor:
    axis = (torch.arange(size, dtype=torch.float64) + 0.5) / size
    return torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1)


def inverse(distortion: Distortion, points: torch.Tensor) -> torch.Tensor:
    """Undistorted points, by fixed-point iteration."""
    result = points.clone()
    for _ in range(100):
        result -= 0.5 * (distortion.distort(result) - points)
    assert (distortion.distort(result) - points).abs().max() < 1e-6
    return result


@pytest.mark.parametrize(
    "distortion",
    [
        make(radial=(0.15, 0.0, 0.0)),
        make(radial=(-0.2, 0.05, 0.0)),
        make(radial=(0.0, 0.0, 0.2)),
        make(tangential=(0.03, -0.02)),
        make(radial=(-0.1, 0.02, 0.01), tangential=(0.01, 0.02)),
    ],
)
def test_a_distorted_disc_becomes_the_disc(distortion: Distortion) -> None:
    size = 128
    distorted = disc(inverse(distortion, grid(size)), size)
    expected = disc(grid(size), size)
    assert (distorted[..., 3] != expected[..., 3]).sum() > 100
    found = np.asarray(undistort(Image.fromarray(distorted), distortion))
    wrong = np.abs(found[..., 3].astype(int) - expected[..., 3]) > 128
    assert wrong.sum() < 40  # of the border's 200 pixels, by rounding
    covered = found[..., 3] > 0
    assert (found[covered][:, 2] == 0).all()
    assert (found[covered][:, 0] == 255).all()


def test_known_points_of_the_model() -> None:
    """OpenCV's formulas by hand, at (x, y) = (0.2, -0.1), r^2 = 0.05."""
    distortion = make(radial=(0.5, 0.4, 0.3), tangential=(0.01, 0.02))
    factor = 1 + 0.5 * 0.05 + 0.4 * 0.05**2 + 0.3 * 0.05**3
    x = 0.2 * factor + 2 * 0.01 * 0.2 * -0.1 + 0.02 * (0.05 + 2 * 0.04)
    y = -0.1 * factor + 0.01 * (0.05 + 2 * 0.01) + 2 * 0.02 * 0.2 * -0.1
    point = torch.tensor([[0.45 + 0.6 * 0.2, 0.55 - 0.7 * 0.1]], dtype=torch.float64)
    expected = torch.tensor([[0.45 + 0.6 * x, 0.55 + 0.7 * y]], dtype=torch.float64)
    assert torch.allclose(distortion.distort(point), expected, atol=1e-7)


def test_transparent_beyond_the_distorted_image() -> None:
    """Points are moved outward, so that the corners lie outside."""
    distortion = make(radial=(0.5, 0.0, 0.0))
    alpha = np.asarray(undistort(Image.new("RGBA", (32, 32), (9, 9, 9, 255)), distortion))[..., 3]
    assert alpha[0, 0] == alpha[-1, -1] == 0
    assert alpha[16, 16] == 255


@pytest.mark.parametrize(
    ("radial", "expected"),
    [((0.2, 0.0, 0.0), True), ((-0.2, 0.0, 0.0), True), ((-2.0, 0.0, 0.0), False)],
)
def test_folded_images(radial: tuple[float, float, float], expected: bool) -> None:
    assert make(radial=radial).is_invertible() is expected
