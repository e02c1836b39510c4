"""Outlines in the plane and curves in space, from which solids are made."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

Outline = Float[np.ndarray, "_ 2"]
Number = float | int  # the tests check types at run time


def rectangle(width: Number, depth: Number, radius: Number = 0.0, steps: int = 3) -> Outline:
    """Outline a rectangle about the origin, counter-clockwise.

    Its corners have `steps` segments, and a radius that is cut to what fits.
    """
    radius = min(radius, 0.499 * width, 0.499 * depth)
    if radius <= 0:
        x, y = width / 2, depth / 2
        return np.array([[x, -y], [x, y], [-x, y], [-x, -y]])
    angle = np.linspace(0, np.pi / 2, steps + 1)
    corner = np.stack([np.cos(angle), np.sin(angle)], 1) * radius
    x, y = width / 2 - radius, depth / 2 - radius
    arcs = []
    for turn, middle in enumerate([(x, y), (-x, y), (-x, -y), (x, -y)]):
        cos, sin = np.cos(turn * np.pi / 2), np.sin(turn * np.pi / 2)
        arcs.append(corner @ np.array([[cos, sin], [-sin, cos]]) + middle)
    return np.concatenate(arcs)


def ellipse(width: Number, depth: Number, segments: int = 20, power: Number = 2.0) -> Outline:
    """Outline an ellipse about the origin, counter-clockwise.

    A power above 2 makes it grow towards the rectangle (Lame's curve).
    """
    angle = np.arange(segments) * 2 * np.pi / segments
    unit = np.stack([np.cos(angle), np.sin(angle)], 1)
    return np.sign(unit) * np.abs(unit) ** (2 / power) * np.array([width / 2, depth / 2])


def counter_clockwise(outline: Outline) -> Outline:
    """Reverse an outline if it runs clockwise."""
    x, y = outline.T
    area = (x * np.roll(y, -1) - y * np.roll(x, -1)).sum()
    return outline if area > 0 else outline[::-1]


def inset(outline: Outline, distance: Number) -> Outline:
    """Move the corners of a counter-clockwise outline inwards; negative: outwards."""
    edge = np.roll(outline, -1, 0) - outline
    normal = np.stack([-edge[:, 1], edge[:, 0]], 1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
    corner = normal + np.roll(normal, 1, 0)
    corner /= np.maximum((corner * normal).sum(1, keepdims=True), 0.3)
    return outline + corner * distance


def subdivided(outline: Outline, longest: Number) -> Outline:
    """Subdivide the edges of an outline that are longer than `longest`, so that it can bend."""
    pieces = []
    for start, end in zip(outline, np.roll(outline, -1, 0), strict=True):
        count = max(1, int(np.ceil(np.linalg.norm(end - start) / longest)))
        pieces.append(start + (end - start) * np.arange(count)[:, None] / count)
    return np.concatenate(pieces)


def middle(outline: Outline) -> Float[np.ndarray, "2"]:
    """Return the centre of the bounding box of an outline."""
    return (outline.max(0) + outline.min(0)) / 2


def smooth(
    points: Sequence[Sequence[Number]] | Float[np.ndarray, "n d"], steps: int = 6
) -> Float[np.ndarray, "m d"]:
    """Compute a Catmull-Rom curve through 2D or 3D points, with `steps` segments between two."""
    given = np.asarray(points, float)
    padded = np.concatenate([[2 * given[0] - given[1]], given, [2 * given[-1] - given[-2]]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    pieces = []
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        square, cube = 2 * a - 5 * b + 4 * c - d, 3 * b - a - 3 * c + d
        pieces.append(0.5 * (2 * b + (c - a) * t + square * t**2 + cube * t**3))
    return np.concatenate([*pieces, given[-1:]])


def rounded(
    points: Sequence[Sequence[Number]] | Float[np.ndarray, "n d"], radius: Number, steps: int = 5
) -> Float[np.ndarray, "m d"]:
    """Round the inner corners of a polyline, as a bent tube has them.

    Each bend has `steps` segments and begins at a distance `radius`, cut to what fits.
    """
    given = np.asarray(points, float)
    t = np.linspace(0, 1, steps + 1)[:, None]
    pieces = [given[:1]]
    for before, corner, after in zip(given, given[1:], given[2:], strict=False):
        back, on = before - corner, after - corner
        reach = min(radius, 0.49 * np.linalg.norm(back), 0.49 * np.linalg.norm(on))
        start = corner + back / np.linalg.norm(back) * reach
        end = corner + on / np.linalg.norm(on) * reach
        pieces.append((1 - t) ** 2 * start + 2 * t * (1 - t) * corner + t**2 * end)
    return np.concatenate([*pieces, given[-1:]])


def lengths(points: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
    """Compute the length of a polyline up to each of its points."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    return np.concatenate([[0.0], np.cumsum(steps)])
