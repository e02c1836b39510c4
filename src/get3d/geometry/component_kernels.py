"""The loops behind `pieces.py`, compiled on first use: what lies in a surface or meets it."""

from typing import no_type_check

import numpy as np

from get3d.core import compiled

_ENTRIES_A_TRIANGLE = 8
# Distances below this share of the sizes at hand may be rounding: what is so near touches.
_SLACK = 1e-12


@compiled
@no_type_check
def bin_triangles(triangles, low, high):
    """Sort triangles into the columns of a square grid in x and y.

    The grid is as fine as it can be with no more than eight entries a triangle on average.

    Args:
        triangles: [faces, 3, 3], at least one.
        low: [3] lower corner of their box.
        high: [3] upper corner of their box.

    Returns:
        The number of columns along each side; [columns + 1] where the entries of each start;
        [entries] triangles whose boxes reach into the column.
    """
    num = len(triangles)
    num_side = int(np.sqrt(num)) + 1
    while num_side > 1:
        total = 0
        for face in range(num):
            left, right, top, bottom = _columns(triangles[face], low, high, num_side)
            total += (right - left + 1) * (bottom - top + 1)
        if total <= _ENTRIES_A_TRIANGLE * num:
            break
        num_side //= 2
    counts = np.zeros(num_side * num_side + 1, np.int64)
    for face in range(num):
        left, right, top, bottom = _columns(triangles[face], low, high, num_side)
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                counts[row * num_side + column + 1] += 1
    starts = np.cumsum(counts)
    filled = starts.copy()
    entries = np.empty(starts[-1], np.int64)
    for face in range(num):
        left, right, top, bottom = _columns(triangles[face], low, high, num_side)
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                place = row * num_side + column
                entries[filled[place]] = face
                filled[place] += 1
    return num_side, starts, entries


@compiled
@no_type_check
def lies_inside(inner, outer, low, high, num_side, starts, entries):
    """Tell whether a piece lies inside a closed surface and neither meets nor touches it.

    A ray upward from one of its corners goes through the surface an odd number of times; what hangs
    together and does not meet the surface is on the same side everywhere.

    Args:
        inner: [faces, 3, 3] triangles of the piece, within the box of the surface.
        outer: [faces, 3, 3] triangles of the surface.
        low: As for `bin_triangles` of `outer`, like the arguments that follow.
        high: As there.
        num_side: From there.
        starts: From there.
        entries: From there.
    """
    x, y, z = inner[0, 0]
    column, _, row, _ = _columns(inner[0, :1], low, high, num_side)
    is_inside = False
    for i in range(starts[row * num_side + column], starts[row * num_side + column + 1]):
        is_inside ^= _is_above(outer[entries[i]], x, y, z)
    if not is_inside:
        return False
    for face in range(len(inner)):
        left, right, top, bottom = _columns(inner[face], low, high, num_side)
        for row in range(top, bottom + 1):
            for i in range(starts[row * num_side + left], starts[row * num_side + right + 1]):
                if _triangles_meet(inner[face], outer[entries[i]]):
                    return False
    return True


@compiled
@no_type_check
def _columns(points, low, high, num_side):
    """Find the first and last columns of the grid, in x and in y, that a box reaches into."""
    ends = np.empty(4, np.int64)
    for c in range(2):
        least, most = points[0, c], points[0, c]
        for i in range(1, len(points)):
            least, most = min(least, points[i, c]), max(most, points[i, c])
        scale = num_side / (high[c] - low[c])
        ends[2 * c] = min(max(int((least - low[c]) * scale), 0), num_side - 1)
        ends[2 * c + 1] = min(max(int((most - low[c]) * scale), 0), num_side - 1)
    return ends[0], ends[1], ends[2], ends[3]


@compiled
@no_type_check
def _is_above(triangle, x, y, z):
    """Tell whether a ray upward from a point goes through a triangle."""
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
    """Tell whether an edge of one triangle meets the other."""
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
    """Tell whether an edge goes through a triangle or touches it; in doubt it does."""
    dx, dy, dz = end[0] - start[0], end[1] - start[1], end[2] - start[2]
    ax, ay, az = triangle[0, 0] - start[0], triangle[0, 1] - start[1], triangle[0, 2] - start[2]
    bx, by, bz = triangle[1, 0] - start[0], triangle[1, 1] - start[1], triangle[1, 2] - start[2]
    cx, cy, cz = triangle[2, 0] - start[0], triangle[2, 1] - start[1], triangle[2, 2] - start[2]
    reach = max(
        abs(ax) + abs(ay) + abs(az), abs(bx) + abs(by) + abs(bz), abs(cx) + abs(cy) + abs(cz)
    )
    # Volumes that the edge spans with the triangle's sides: of one sign if its line goes through.
    first = dx * (ay * bz - az * by) + dy * (az * bx - ax * bz) + dz * (ax * by - ay * bx)
    second = dx * (by * cz - bz * cy) + dy * (bz * cx - bx * cz) + dz * (bx * cy - by * cx)
    third = dx * (cy * az - cz * ay) + dy * (cz * ax - cx * az) + dz * (cx * ay - cy * ax)
    slack = _SLACK * (abs(dx) + abs(dy) + abs(dz)) * reach * reach
    if min(first, second, third) < -slack and max(first, second, third) > slack:
        return False
    # Heights of the two ends over the triangle's plane: of one sign if the edge stays on one side.
    nx = (by - ay) * (cz - az) - (bz - az) * (cy - ay)
    ny = (bz - az) * (cx - ax) - (bx - ax) * (cz - az)
    nz = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    begins = -(nx * ax + ny * ay + nz * az)
    stops = begins + nx * dx + ny * dy + nz * dz
    slack = _SLACK * (abs(nx) + abs(ny) + abs(nz)) * reach
    return min(begins, stops) <= slack and max(begins, stops) >= -slack
