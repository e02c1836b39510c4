"""Overlays of boxes and axes on images, to inspect whether cameras agree with them."""

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageDraw
from torch import Tensor

from get3d.core.types import Cameras
from get3d.geometry.cameras import clip_matrices, to_clip

_IMAGE_SIZE = 256
_BOX_COLOR = (255, 140, 0)
_AXIS_COLORS = ((230, 40, 40), (40, 170, 40), (60, 90, 255))
_MIN_W = 1e-3
_BACKGROUND = (96, 100, 110, 255)


def draw_overlay(
    image: Image.Image, camera: Cameras, low: Float[Tensor, "3"], high: Float[Tensor, "3"]
) -> np.ndarray:
    """Draw a box and the axes (x red, y green, z blue) on an image.

    Args:
        image: The image, RGBA.
        camera: Camera of the image.
        low: Smallest coordinates of the box, in scene units.
        high: Largest coordinates of the box.

    Returns:
        RGB bytes, resized to 256 pixels.
    """
    canvas = Image.new("RGBA", image.size, _BACKGROUND)
    canvas.alpha_composite(image)
    canvas = canvas.convert("RGB").resize((_IMAGE_SIZE, _IMAGE_SIZE), Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(canvas)
    corners = torch.cartesian_prod(*torch.stack([low, high], dim=1))
    # Corner 4 i + 2 j + k: the ends of an edge differ in one of the three.
    edges = [(a, a + step) for step in (1, 2, 4) for a in range(8) if not a & step]
    _draw_lines(draw, camera, corners, edges, [_BOX_COLOR] * 12)
    length = float((high - low).max()) / 2
    axes = torch.cat([torch.zeros(1, 3), torch.eye(3) * length])
    _draw_lines(draw, camera, axes, [(0, 1), (0, 2), (0, 3)], list(_AXIS_COLORS))
    return np.asarray(canvas)


def _draw_lines(
    draw: ImageDraw.ImageDraw,
    camera: Cameras,
    points: Float[Tensor, "points 3"],
    lines: list[tuple[int, int]],
    colors: list[tuple[int, int, int]],
) -> None:
    """Draw lines between points in space, except those that reach behind the camera."""
    clip = to_clip(points, clip_matrices(camera))[0]
    pixels = (clip[:, :2] / clip[:, 3:].clamp(min=_MIN_W) + 1) / 2 * _IMAGE_SIZE
    for (start, end), color in zip(lines, colors, strict=True):
        if min(float(clip[start, 3]), float(clip[end, 3])) > _MIN_W:
            draw.line([*pixels[start].tolist(), *pixels[end].tolist()], fill=color, width=1)
