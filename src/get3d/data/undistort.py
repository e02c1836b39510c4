"""Undistortion of images that were taken through a lens of the Brown-Conrady model."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.nn.functional import grid_sample

_RADII = 64  # at which the radial polynomial is checked


@dataclass(frozen=True, kw_only=True)
class Distortion:
    """Distortion as OpenCV and COLMAP define it.

    Attributes:
        intrinsics: Focal lengths and principal point (x, y) relative to the image size, as in
            `Cameras`; the undistorted image has the same.
        radial: Coefficients k1, k2, k3 of the radial polynomial.
        tangential: Coefficients p1, p2.
    """

    intrinsics: tuple[float, float, float, float]
    radial: tuple[float, float, float]
    tangential: tuple[float, float]

    def is_invertible(self) -> bool:
        """Whether the radius of distorted points grows up to the farthest corner of the image.

        Beyond the radius where it shrinks, the polynomial shows the image a second time.
        """
        focal_x, focal_y, centre_x, centre_y = self.intrinsics
        farthest = math.hypot(
            max(abs(centre_x), abs(1 - centre_x)) / focal_x,
            max(abs(centre_y), abs(1 - centre_y)) / focal_y,
        )
        squares = np.linspace(0, farthest, _RADII) ** 2
        k1, k2, k3 = self.radial
        slope = 1 + squares * (3 * k1 + squares * (5 * k2 + squares * 7 * k3))
        return bool((slope > 0).all())

    def distort(self, points: Float[Tensor, "*n 2"]) -> Float[Tensor, "*n 2"]:
        """Map points of the undistorted image to the distorted one, relative to the image size."""
        focal, centre = torch.tensor(self.intrinsics, dtype=points.dtype).split(2)
        x, y = ((points - centre) / focal).unbind(-1)
        square = x * x + y * y
        (k1, k2, k3), (p1, p2) = self.radial, self.tangential
        factor = 1 + square * (k1 + square * (k2 + square * k3))
        distorted = torch.stack(
            [
                x * factor + 2 * p1 * x * y + p2 * (square + 2 * x * x),
                y * factor + p1 * (square + 2 * y * y) + 2 * p2 * x * y,
            ],
            dim=-1,
        )
        return distorted * focal + centre


def undistort(image: Image.Image, distortion: Distortion) -> Image.Image:
    """Resample an image to that of a pinhole camera with the same intrinsics.

    Args:
        image: RGBA with straight alpha.
        distortion: Distortion of the lens.

    Returns:
        RGBA of the same size; alpha is 0 where the distorted image ends.
    """
    # Weighted by alpha, as hidden colours of transparent pixels must not show.
    pixels = torch.from_numpy(np.array(image.convert("RGBa"))).float().permute(2, 0, 1)
    rows, columns = (
        (torch.arange(size, dtype=torch.float64) + 0.5) / size for size in pixels.shape[1:]
    )
    points = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)
    grid = (distortion.distort(points) * 2 - 1).float()
    sampled = grid_sample(pixels[None], grid[None], align_corners=False)[0]
    result_u8 = sampled.round().clamp(0, 255).byte().permute(1, 2, 0).contiguous().numpy()
    return Image.frombytes("RGBa", image.size, result_u8.tobytes()).convert("RGBA")
