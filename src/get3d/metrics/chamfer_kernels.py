"""Nearest-neighbour search in compiled loops: leaves of a k-d tree against leaves of another.

The points of each shape are sorted into leaves that fill a vector register. The search runs for all
points of a leaf at once, so that a step of the inner loop is one vector instruction, and most
leaves of the other shape are excluded by their bounding boxes.
"""

import numpy as np

from get3d.core import compiled

LEAF = 16
"""Points in a leaf: one register of 512 bits, or two of 256."""


@compiled
def arrange(points: np.ndarray, leaves: np.ndarray, boxes: np.ndarray) -> None:
    """Sort points into the leaves of a balanced k-d tree, split across the longest extent.

    Args:
        points: [n, 3].
        leaves: [ceil(n / LEAF), 3, LEAF], overwritten; the last leaf is filled up with copies.
        boxes: [6, ceil(n / LEAF)], overwritten: least x, y, z, then greatest x, y, z of each leaf.
    """
    num_points, num_leaves = len(points), len(leaves)
    order = np.arange(num_points)
    parts = [(0, num_leaves)]
    while len(parts):
        first, last = parts.pop()
        if last - first < 2:
            continue
        begin, end = first * LEAF, min(last * LEAF, num_points)
        ids = order[begin:end].copy()
        longest, axis = -1.0, 0
        for k in range(3):
            values = points[ids, k]
            extent = float(values.max() - values.min())
            if extent > longest:
                longest, axis = extent, k
        order[begin:end] = ids[np.argsort(points[ids, axis])]
        middle = (first + last) // 2
        parts.append((first, middle))
        parts.append((middle, last))
    for leaf in range(num_leaves):
        for k in range(3):
            for i in range(LEAF):
                leaves[leaf, k, i] = points[order[min(leaf * LEAF + i, num_points - 1)], k]
            boxes[k, leaf] = leaves[leaf, k].min()
            boxes[3 + k, leaf] = leaves[leaf, k].max()


@compiled(reassociates=True)
def chamfer(
    leaves: np.ndarray,
    boxes: np.ndarray,
    num: int,
    other_leaves: np.ndarray,
    other_boxes: np.ndarray,
    other_num: int,
    out: np.ndarray,
) -> None:
    """Compute the Chamfer distances of one shape to several.

    Args:
        leaves: [leaves, 3, LEAF] of the one shape, from `arrange`.
        boxes: [6, leaves].
        num: Number of its points.
        other_leaves: [shapes, other leaves, 3, LEAF] of the others.
        other_boxes: [shapes, 6, other leaves].
        other_num: Number of points of each of the others.
        out: [shapes], overwritten.
    """
    bounds = np.empty(max(len(leaves), other_leaves.shape[1]), leaves.dtype)
    nearest = np.empty(LEAF, leaves.dtype)
    for i in range(len(out)):
        there, there_boxes = other_leaves[i], other_boxes[i]
        forward = _one_way(leaves, boxes, num, there, there_boxes, bounds, nearest)
        backward = _one_way(there, there_boxes, other_num, leaves, boxes, bounds, nearest)
        out[i] = forward / num + backward / other_num


@compiled(reassociates=True)
def _one_way(
    leaves: np.ndarray,
    boxes: np.ndarray,
    num: int,
    targets: np.ndarray,
    target_boxes: np.ndarray,
    bounds: np.ndarray,
    nearest: np.ndarray,
) -> float:
    """Sum the squared distances of all points to their nearest target."""
    never = leaves.dtype.type(np.inf)
    total = 0.0
    for leaf in range(len(leaves)):
        points = leaves[leaf]
        first = _bound(boxes[:, leaf], target_boxes, bounds[: len(targets)])
        nearest[:] = never
        _search(points, targets[first], nearest)
        bounds[first] = never
        farthest = _largest(nearest)
        for target in range(len(targets)):
            if bounds[target] < farthest and _may_be_nearer(
                points, target_boxes[:, target], nearest
            ):
                _search(points, targets[target], nearest)
                farthest = _largest(nearest)
        for i in range(min(LEAF, num - leaf * LEAF)):
            total += nearest[i]
    return total


@compiled(reassociates=True)
def _bound(box: np.ndarray, boxes: np.ndarray, bounds: np.ndarray) -> int:
    """Compute the squared gaps between a box and many; returns the index of the least."""
    zero = bounds.dtype.type(0)
    low_x, low_y, low_z, high_x, high_y, high_z = box
    for i in range(len(bounds)):
        x = max(max(boxes[0, i] - high_x, low_x - boxes[3, i]), zero)
        y = max(max(boxes[1, i] - high_y, low_y - boxes[4, i]), zero)
        z = max(max(boxes[2, i] - high_z, low_z - boxes[5, i]), zero)
        bounds[i] = x * x + y * y + z * z
    least = 0
    for i in range(1, len(bounds)):
        if bounds[i] < bounds[least]:
            least = i
    return least


@compiled(reassociates=True)
def _may_be_nearer(points: np.ndarray, box: np.ndarray, nearest: np.ndarray) -> bool:
    """Return whether a box is nearer to any of the points than its nearest target so far."""
    zero = nearest.dtype.type(0)
    low_x, low_y, low_z, high_x, high_y, high_z = box
    count = np.int32(0)
    for i in range(LEAF):
        x = max(max(low_x - points[0, i], points[0, i] - high_x), zero)
        y = max(max(low_y - points[1, i], points[1, i] - high_y), zero)
        z = max(max(low_z - points[2, i], points[2, i] - high_z), zero)
        count += np.int32(x * x + y * y + z * z < nearest[i])
    return bool(count > 0)


@compiled(reassociates=True)
def _search(points: np.ndarray, targets: np.ndarray, nearest: np.ndarray) -> None:
    """Update the nearest distances of a leaf's points by another leaf; the loop is unrolled."""
    for i in range(LEAF):
        x, y, z = points[0, i], points[1, i], points[2, i]
        least = nearest[i]
        for j in range(LEAF):
            dx, dy, dz = x - targets[0, j], y - targets[1, j], z - targets[2, j]
            squared = dx * dx + dy * dy + dz * dz
            least = squared if squared < least else least
        nearest[i] = least


@compiled
def _largest(values: np.ndarray) -> float:
    """Return the largest of the values of a leaf."""
    largest = values[0]
    for i in range(1, LEAF):
        largest = max(largest, values[i])
    return largest
