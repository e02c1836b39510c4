"""Compiled loops of `occlusion.py` for CPUs; the tensor code there is the reference.

Each kernel processes one mesh or one image and releases the GIL.
"""

from typing import no_type_check

import numpy as np

from get3d.core import compiled

MAX_STEPS = 12
"""Faces that a traversal may enter; a pair whose traversal is longer gets no contour edge."""

BOUNDARY, UNCLEAR = -1, -2
ENDS, PASSES, ARRIVES = 1, 2, 3
"""Outcome of a traversal: at a contour edge, beyond the goal, at the goal's face; 0: undecided."""


@compiled
@no_type_check
def find_opposite(faces, num_verts):
    """Find the opposite half-edges of one mesh by bucketing them by their lower vertex."""
    num = 3 * faces.shape[0]
    low, high = np.empty(num, np.int64), np.empty(num, np.int64)
    first = np.zeros(num_verts + 2, np.int64)
    for edge in range(num):
        a, b = faces[edge // 3, edge % 3], faces[edge // 3, (edge + 1) % 3]
        low[edge], high[edge] = min(a, b), max(a, b)
        first[low[edge] + 2] += 1
    for vert in range(num_verts):
        first[vert + 2] += first[vert + 1]
    bucket = np.empty(num, np.int64)
    for edge in range(num):
        bucket[first[low[edge] + 1]] = edge
        first[low[edge] + 1] += 1
    opposite = np.full(num, BOUNDARY)
    for vert in range(num_verts):
        for i in range(first[vert], first[vert + 1]):
            for j in range(i + 1, first[vert + 1]):
                one, two = bucket[i], bucket[j]
                if high[one] == high[two]:
                    is_first = opposite[one] == BOUNDARY and opposite[two] == BOUNDARY
                    if is_first:
                        opposite[one], opposite[two] = two, one
                    else:  # a third face: none of them has a unique opposite
                        for edge in (one, two):
                            if opposite[edge] >= 0:
                                opposite[opposite[edge]] = UNCLEAR
                            opposite[edge] = UNCLEAR
    return opposite


@compiled
@no_type_check
def _project_face(clip, faces, face, u_axis, column, row, half_width, half_height, corners):
    """Write the corners of a face, in pixels from a pixel's centre times w; return if all w > 0."""
    is_clear = True
    for c in range(3):
        vert = faces[face, c]
        w = np.float64(clip[vert, 3])
        x = np.float64(clip[vert, 0]) * half_width - (column + 0.5 - half_width) * w
        y = np.float64(clip[vert, 1]) * half_height - (row + 0.5 - half_height) * w
        corners[u_axis, c], corners[1 - u_axis, c], corners[2, c] = x, y, w
        is_clear &= w > 0
    return is_clear


@compiled
@no_type_check
def _find_exit(corners, sign):
    """Find the farther one of the edges that cross the axis, by its first corner; -1 for none."""
    corner, farthest = -1, -np.inf
    for c in range(3):
        n = (c + 1) % 3
        v0, v1 = corners[1, c], corners[1, n]
        if (v0 >= 0) != (v1 >= 0):
            u0, u1 = corners[0, c] * sign, corners[0, n] * sign
            at = (u0 * v1 - u1 * v0) / (corners[2, c] * v1 - corners[2, n] * v0)
            if at > farthest:
                corner, farthest = c, at
    return corner, farthest


@compiled
@no_type_check
def _get_depth(corners):
    """Return the depth at the pixel centre; infinite for an edge-on face."""
    total, depth = 0.0, 0.0
    for c in range(3):
        n, p = (c + 1) % 3, (c + 2) % 3
        weight = corners[0, n] * corners[1, p] - corners[0, p] * corners[1, n]
        total += weight
        depth += weight * corners[2, c]
    return depth / total if total != 0 else np.inf


@compiled
@no_type_check
def _traverse(
    clip, faces, opposite, face, target, axis, sign, column, row, half_w, half_h, corners
):
    """Traverse the mesh from a pixel; return the outcome, the contour edge and its distance.

    For faces after the first, only the corner opposite the entered edge is new.
    """
    best_edge, best, outcome = -1, 0.0, 0
    if not _project_face(clip, faces, face, axis, column, row, half_w, half_h, corners):
        return outcome, best_edge, best
    first, at = _find_exit(corners, sign)
    if first < 0:
        return outcome, best_edge, best
    end = first + 1 if first < 2 else 0
    vert0, u0, v0, w0 = (
        faces[face, first],
        corners[0, first] * sign,
        corners[1, first],
        corners[2, first],
    )
    u1, v1, w1 = corners[0, end] * sign, corners[1, end], corners[2, end]
    edge = 3 * face + first
    shift_x, shift_y = column + 0.5 - half_w, row + 0.5 - half_h
    is_forward = True
    for _ in range(MAX_STEPS):
        if is_forward and at > 1:
            outcome = PASSES
            break
        other = opposite[edge]
        if other < 0:
            if other == BOUNDARY and is_forward and (best_edge < 0 or at > best):
                best_edge, best = edge, at
            break
        face = other // 3
        if face == target:
            outcome = ARRIVES
            break
        corner = other - 3 * face
        after = corner + 1 if corner < 2 else 0
        beyond = after + 1 if after < 2 else 0
        if faces[face, corner] != vert0:  # consistent winding: the opposite half-edge is reversed
            u0, v0, w0, u1, v1, w1 = u1, v1, w1, u0, v0, w0
        vert2 = faces[face, beyond]
        w2 = np.float64(clip[vert2, 3])
        if not w2 > 0:
            break
        x = np.float64(clip[vert2, 0]) * half_w - shift_x * w2
        y = np.float64(clip[vert2, 1]) * half_h - shift_y * w2
        u2, v2 = (x * sign, y) if axis == 0 else (y * sign, x)
        last = edge
        if (v2 >= 0) != (v1 >= 0):  # exit between the second corner and the one beyond
            edge, vert0 = 3 * face + after, faces[face, after]
            u0, v0, w0, u1, v1, w1 = u1, v1, w1, u2, v2, w2
        else:
            edge, vert0 = 3 * face + beyond, vert2
            u0, v0, w0, u1, v1, w1 = u2, v2, w2, u0, v0, w0
        leaving_at = (u0 * v1 - u1 * v0) / (w0 * v1 - w1 * v0)
        turns_forward = leaving_at > at
        if is_forward and not turns_forward and (best_edge < 0 or at > best):
            best_edge, best = last, at
        if not leaving_at > -0.5:
            break
        is_forward, at = turns_forward, leaving_at
    return ENDS if best_edge >= 0 else outcome, best_edge, min(max(best, 0.0), 1.0)


@compiled
@no_type_check
def find_pairs(seen, clip, faces, opposite, axis, height, width):
    """Find the neighbours along an axis (0 horizontal, 1 vertical) separated by a contour edge.

    Returns:
        Lower pixel, half-edge and whether the higher pixel shows the nearer surface; distance, near
        depth and far depth.
    """
    capacity = 1024
    found, values = np.empty((3, capacity), np.int64), np.empty((3, capacity), np.float64)
    num = 0
    half_w, half_h = width * 0.5, height * 0.5
    step = 1 if axis == 0 else width
    corners = np.empty((3, 3), np.float64)
    for row in range(height - axis):
        for column in range(width - 1 + axis):
            low = row * width + column
            f, g = seen[low], seen[low + step]
            if f < 0 or g < 0 or f == g:
                continue
            shared = False
            for c in range(3):
                shared |= opposite[3 * f + c] // 3 == g and opposite[3 * f + c] >= 0
            if shared:
                continue
            next_column, next_row = column + 1 - axis, row + axis
            low_outcome, low_edge, low_at = _traverse(
                clip, faces, opposite, f, g, axis, 1.0, column, row, half_w, half_h, corners
            )
            if low_outcome == ARRIVES:
                continue
            high_outcome, high_edge, high_at = _traverse(
                clip, faces, opposite, g, f, axis, -1.0, next_column, next_row,
                half_w, half_h, corners,
            )  # fmt: skip
            if high_outcome == ARRIVES or (low_outcome != ENDS and high_outcome != ENDS):
                continue
            _project_face(clip, faces, f, axis, column, row, half_w, half_h, corners)
            low_depth = _get_depth(corners)
            _project_face(clip, faces, g, axis, next_column, next_row, half_w, half_h, corners)
            high_depth = _get_depth(corners)
            is_high = not low_depth <= high_depth
            # The nearer of two surfaces that end; the farther one if the other continues.
            if (high_outcome if is_high else low_outcome) != ENDS:
                if (high_outcome if is_high else low_outcome) != PASSES:
                    continue
                is_high = not is_high
            if (high_outcome if is_high else low_outcome) != ENDS:
                continue
            edge, distance = (high_edge, high_at) if is_high else (low_edge, low_at)
            if num == capacity:
                capacity *= 2
                more_found, more_values = np.empty((3, capacity), np.int64), np.empty((3, capacity))
                more_found[:, :num], more_values[:, :num] = found, values
                found, values = more_found, more_values
            found[0, num], found[1, num], found[2, num] = low, edge, is_high
            values[0, num] = distance
            values[1, num] = high_depth if is_high else low_depth
            values[2, num] = low_depth if is_high else high_depth
            num += 1
    return found[:, :num].copy(), values[:, :num].copy()


@compiled
@no_type_check
def find_both(seen, clip, faces, opposite, height, width):
    """Do `find_pairs` along both axes."""
    across = find_pairs(seen, clip, faces, opposite, 0, height, width)
    return across, find_pairs(seen, clip, faces, opposite, 1, height, width)
