"""Polygons of any number of corners, also concave ones, as triangles."""

import numpy as np
from jaxtyping import Float, Int

# Ear clipping takes quadratic time: the sum of squared sizes of polygons, some seconds.
_CLIP_BUDGET = 1 << 24


def triangulate(
    corners: Float[np.ndarray, "corners 3"], sizes: Int[np.ndarray, " polygons"]
) -> tuple[Int[np.ndarray, "triangles 3"], Int[np.ndarray, " triangles"]]:
    """Split polygons into triangles that cover the same area, in the same winding.

    Polygons that cross themselves, and large ones beyond some millions of corners squared, become
    fans from their first corner.

    Args:
        corners: Positions of the corners of all polygons, behind one another.
        sizes: Number of corners of each polygon, at least 3.

    Returns:
        Indices into `corners`, and the polygon of each triangle, in the order of the polygons.
    """
    starts = np.cumsum(sizes) - sizes
    budget = _CLIP_BUDGET
    triangles, polygons = [np.zeros((0, 3), np.int64)], [np.zeros(0, np.int64)]
    for size in np.unique(sizes):
        which = np.flatnonzero(sizes == size)
        order = np.tile(np.arange(size), (len(which), 1))
        fan_starts = np.zeros(len(which), np.int64)
        if size > 3:
            places = corners[starts[which, None] + order]
            fan_starts = _fan_starts(places)
        order = (order + fan_starts.clip(0)[:, None]) % size
        steps = np.arange(1, size - 1)
        fan = np.stack(np.broadcast_arrays(order[:, :1], order[:, steps], order[:, steps + 1]), -1)
        for row in np.flatnonzero(fan_starts < 0):
            budget -= int(size) ** 2
            if size > 4 and budget >= 0:  # four corners without a fan are far from flat
                fan[row] = _clip_ears(_flatten(places[row]))
        triangles.append((fan + starts[which, None, None]).reshape(-1, 3))
        polygons.append(np.repeat(which, size - 2))
    polygon = np.concatenate(polygons)
    in_order = np.argsort(polygon, kind="stable")
    return np.concatenate(triangles)[in_order], polygon[in_order]


def _fan_starts(places: Float[np.ndarray, "n k 3"]) -> Int[np.ndarray, " n"]:
    """Find a corner from which all triangles of a fan wind the same way; -1 if there is none."""
    places = places - places[:, :1]
    normal = np.cross(places, np.roll(places, -1, axis=1)).sum(1)
    size = places.shape[1]
    result = np.full(len(places), -1)
    pending = np.arange(len(places))
    for start in range(min(size, 8)):
        if not len(pending):
            break
        edges = np.roll(places[pending], -start, axis=1)
        edges = edges[:, 1:] - edges[:, :1]
        areas = (np.cross(edges[:, :-1], edges[:, 1:]) * normal[pending, None]).sum(-1)
        # Positions that are not finite are found later.
        slack = 1e-9 * np.nan_to_num((normal[pending] ** 2).sum(-1, keepdims=True))
        is_good = ~(areas < -slack).any(1)
        result[pending[is_good]] = start
        pending = pending[~is_good]
    return result


def _flatten(places: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k 2"]:
    """Project a polygon along its normal, so that it winds counter-clockwise."""
    places = places - places[0]
    normal = np.cross(places, np.roll(places, -1, axis=0)).sum(0)
    axis = int(np.abs(normal).argmax())
    first, second = (axis + 1) % 3, (axis + 2) % 3
    flat = places[:, [first, second]]
    return flat if normal[axis] > 0 else flat * (1.0, -1.0)


def _clip_ears(flat: Float[np.ndarray, "k 2"]) -> Int[np.ndarray, "triangles 3"]:
    """Cut ears off a simple polygon; what is left of one that crosses itself becomes a fan."""
    left = list(range(len(flat)))
    triangles = []
    at = 0
    failures = 0
    while len(left) > 3 and failures < len(left):
        before, ear, after = left[at - 1], left[at], left[(at + 1) % len(left)]
        if _is_ear(flat, before, ear, after, left):
            triangles.append((before, ear, after))
            left.pop(at)
            failures = 0
        else:
            at += 1
            failures += 1
        at %= len(left)
    triangles += [(left[0], left[i], left[i + 1]) for i in range(1, len(left) - 1)]
    return np.array(triangles)


def _is_ear(
    flat: Float[np.ndarray, "k 2"], before: int, ear: int, after: int, left: list[int]
) -> bool:
    """Say whether a corner sticks out and no other corner lies in its triangle."""
    corners = flat[[before, ear, after]]
    edges = np.roll(corners, -1, axis=0) - corners
    if edges[0, 0] * edges[1, 1] - edges[0, 1] * edges[1, 0] <= 0:
        return False
    # Corners at the same places (bridges to holes) do not count.
    others = flat[left]
    others = others[~(others[:, None] == corners).all(-1).any(1)]
    to_others = others[:, None] - corners
    sides = edges[:, 0] * to_others[..., 1] - edges[:, 1] * to_others[..., 0]
    return not (sides >= 0).all(1).any()
