"""Compiled loops of `components.py`: tests whether a component lies inside a closed surface."""

from typing import no_type_check

import numpy as np

from get3d.core import compiled

_ENTRIES_A_TRIANGLE = 8
# Relative distance below which triangles count as touching, because of rounding.
_SLACK = 1e-12


@compiled
@no_type_check
def bin_triangles(triangles, low, high):
    """Sort triangles into the columns of a square grid in x and y.

    The grid is the finest with at most eight entries per triangle on average.

    Args:
        triangles: [faces, 3, 3] corners of at least one triangle.
        low: [3] lower corner of their bounding box.
        high: [3] upper corner of their bounding box.

    Returns:
        The number of columns along each axis; [columns + 1] offsets of their entries; [entries]
        triangles whose bounding boxes overlap the column.
    """
    num = len(triangles)
    num_columns = int(np.sqrt(num)) + 1
    while num_columns > 1:
        total = 0
        for face in range(num):
            left, right, top, bottom = _columns(triangles[face], low, high, num_columns)
            total += (right - left + 1) * (bottom - top + 1)
        if total <= _ENTRIES_A_TRIANGLE * num:
            break
        num_columns //= 2
    counts = np.zeros(num_columns * num_columns + 1, np.int64)
    for face in range(num):
        left, right, top, bottom = _columns(triangles[face], low, high, num_columns)
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                counts[row * num_columns + column + 1] += 1
    starts = np.cumsum(counts)
    filled = starts.copy()
    entries = np.empty(starts[-1], np.int64)
    for face in range(num):
        left, right, top, bottom = _columns(triangles[face], low, high, num_columns)
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                place = row * num_columns + column
                entries[filled[place]] = face
                filled[place] += 1
    return num_columns, starts, entries


@compiled
@no_type_check
def lies_inside(inner, outer, low, high, num_columns, starts, entries):
    """Return whether a component lies inside a closed surface without intersecting or touching it.

    A ray upward from one of its corners must cross the surface an odd number of times; a connected
    component that does not intersect the surface lies entirely on one side of it.

    Args:
        inner: [faces, 3, 3] triangles of the component, within the bounding box of the surface.
        outer: [faces, 3, 3] triangles of the surface.
        low: Argument of `bin_triangles` for `outer`.
        high: Argument of `bin_triangles` for `outer`.
        num_columns: Result of `bin_triangles` for `outer`.
        starts: Result of `bin_triangles` for `outer`.
        entries: Result of `bin_triangles` for `outer`.
    """
    x, y, z = inner[0, 0]
    column, _, row, _ = _columns(inner[0, :1], low, high, num_columns)
    is_inside = False
    for i in range(starts[row * num_columns + column], starts[row * num_columns + column + 1]):
        is_inside ^= _is_above(outer[entries[i]], x, y, z)
    if not is_inside:
        return False
    for face in range(len(inner)):
        left, right, top, bottom = _columns(inner[face], low, high, num_columns)
        for row in range(top, bottom + 1):
            for i in range(starts[row * num_columns + left], starts[row * num_columns + right + 1]):
                if _triangles_meet(inner[face], outer[entries[i]]):
                    return False
    return True


@compiled
@no_type_check
def _columns(points, low, high, num_columns):
    """Find the first and last columns of the grid, in x and in y, that a bounding box overlaps."""
    ends = np.empty(4, np.int64)
    for c in range(2):
        least, most = points[0, c], points[0, c]
        for i in range(1, len(points)):
            least, most = min(least, points[i, c]), max(most, points[i, c])
        scale = num_columns / (high[c] - low[c])
        ends[2 * c] = min(max(int((least - low[c]) * scale), 0), num_columns - 1)
        ends[2 * c + 1] = min(max(int((most - low[c]) * scale), 0), num_columns - 1)
    return ends[0], ends[1], ends[2], ends[3]


@compiled
@no_type_check
def _is_above(triangle, x, y, z):
    """Return whether a ray upward from a point intersects a triangle."""
    ax, ay, az = triangle[0]
    bx, by, bz = triangle[1]
    cx, cy, cz = triangle[2]
    if max(ax, bx, cx) < x or min(ax, bx, cx) > x:
        return False
    if max(ay, by, cy) < y or min(ay, by, cy) > y or max(az, bz, cz) < z:
        return False
    a = (bx - x) * (cy - y) - (by - y) * (cx - x)
    b = (cx - x) * (ay - y) - (cy - y) * (ax - x)
    c = (ax - x) * (by - y) - (ay - y) * (bx - x)
    total = a + b + c
    if (a > 0) != (b > 0) or (b > 0) != (c > 0) or total == 0:
        return False
    return (a * az + b * bz + c * cz) / total > z


@compiled
@no_type_check
def _triangles_meet(first, second):
    """Return whether an edge of one triangle intersects the other triangle."""
    for c in range(3):
        if max(first[0, c], first[1, c], first[2, c]) < min(
            second[0, c], second[1, c], second[2, c]
        ):
            return False
        if max(second[0, c], second[1, c], second[2, c]) < min(
            first[0, c], first[1, c], first[2, c]
        ):
            return False
    for c in range(3):
        if _edge_meets(first[c], first[(c + 1) % 3], second):
            return True
        if _edge_meets(second[c], second[(c + 1) % 3], first):
            return True
    return False


@compiled
@no_type_check
def _edge_meets(start, end, triangle):
    """Return whether an edge intersects or touches a triangle; true within rounding."""
    dx, dy, dz = end[0] - start[0], end[1] - start[1], end[2] - start[2]
    ax, ay, az = triangle[0, 0] - start[0], triangle[0, 1] - start[1], triangle[0, 2] - start[2]
    bx, by, bz = triangle[1, 0] - start[0], triangle[1, 1] - start[1], triangle[1, 2] - start[2]
    cx, cy, cz = triangle[2, 0] - start[0], triangle[2, 1] - start[1], triangle[2, 2] - start[2]
    reach = max(
        abs(ax) + abs(ay) + abs(az), abs(bx) + abs(by) + abs(bz), abs(cx) + abs(cy) + abs(cz)
    )
    # Volumes spanned by the edge and the triangle's edges: of one sign if its line intersects.
    first = dx * (ay * bz - az * by) + dy * (az * bx - ax * bz) + dz * (ax * by - ay * bx)
    second = dx * (by * cz - bz * cy) + dy * (bz * cx - bx * cz) + dz * (bx * cy - by * cx)
    third = dx * (cy * az - cz * ay) + dy * (cz * ax - cx * az) + dz * (cx * ay - cy * ax)
    slack = _SLACK * (abs(dx) + abs(dy) + abs(dz)) * reach * reach
    if min(first, second, third) < -slack and max(first, second, third) > slack:
        return False
    # Heights of both ends over the triangle's plane: of one sign if the edge is on one side.
    nx = (by - ay) * (cz - az) - (bz - az) * (cy - ay)
    ny = (bz - az) * (cx - ax) - (bx - ax) * (cz - az)
    nz = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    begins = -(nx * ax + ny * ay + nz * az)
    stops = begins + nx * dx + ny * dy + nz * dz
    slack = _SLACK * (abs(nx) + abs(ny) + abs(nz)) * reach
    return min(begins, stops) <= slack and max(begins, stops) >= -slack
