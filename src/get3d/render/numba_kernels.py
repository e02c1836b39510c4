"""Compiled loops of the CPU backend.

They repeat the arithmetic of `torch_backend.py` operation by operation; tests require equal
results. Each kernel processes one image and releases the GIL. Types are inferred by numba, which is
incompatible with wrappers that check types at run time.
"""

from typing import no_type_check

import numpy as np

from get3d.core import compiled
from get3d.render.fixed_point import (
    CROSSING_SCALE,
    DEPTH_SCALE,
    GUARD_BAND_PX,
    HALF,
    LAST_FACE,
    MAX_KEY,
    MIN_W,
    SUBPIXELS,
)

SHIFT = SUBPIXELS.bit_length() - 1
IS_OUTSIDE = 63
NEEDS_CUT = 64
IS_INVALID = 128
SMALL = 16
"""Number of pixels up to which testing each is faster than finding the ends of each row."""


@compiled
@no_type_check
def _project(clip, height, width):
    """Convert vertices of one image to fixed point; flag the frustum planes they are outside of."""
    num = clip.shape[0]
    x, y = np.empty(num, np.int32), np.empty(num, np.int32)
    z, code = np.empty(num, np.float64), np.empty(num, np.uint8)
    half_width, half_height = width * 0.5, height * 0.5
    guard_x, guard_y = GUARD_BAND_PX / half_width, GUARD_BAND_PX / half_height
    scale_x, scale_y = half_width * SUBPIXELS, half_height * SUBPIXELS
    for i in range(num):
        cx, cy = np.float64(clip[i, 0]), np.float64(clip[i, 1])
        cz, cw = np.float64(clip[i, 2]), np.float64(clip[i, 3])
        fits = (cw >= MIN_W) & (cw < np.inf) & (abs(cz) <= cw)
        fits = fits & (abs(cx) <= guard_x * cw) & (abs(cy) <= guard_y * cw)
        flags = (cz < -cw) | ((cz > cw) << 1) | ((cx < -cw) << 2) | ((cx > cw) << 3)
        flags |= ((cy < -cw) << 4) | ((cy > cw) << 5)
        if fits:
            inverse = 1.0 / cw
            x[i] = np.int32(np.rint((cx * inverse + 1.0) * scale_x))
            y[i] = np.int32(np.rint((cy * inverse + 1.0) * scale_y))
            z[i] = cz * inverse
        elif np.isfinite(cx) and np.isfinite(cy) and np.isfinite(cz) and np.isfinite(cw):
            flags |= NEEDS_CUT
        else:
            flags |= IS_INVALID
        code[i] = flags
    return x, y, z, code


@compiled
@no_type_check
def _cross(u0, v0, u1, v1, line):
    """Return the crossing of an edge and a scan line: numerator, its step per line, denominator."""
    dv = v1 - v0
    du = u1 - u0
    top = (u0 - HALF) * dv + (line * SUBPIXELS + HALF - v0) * du
    return top, du * SUBPIXELS, dv * SUBPIXELS


@compiled
@no_type_check
def _ceil_divide(top, bottom, inverse):
    """Return the exact ceiling of a quotient; the estimate is off by at most one."""
    quotient = np.int64(np.floor(np.float64(top) * inverse))
    rest = top - quotient * bottom
    return quotient + (rest > 0) + (rest > bottom) - (rest <= -bottom)


@compiled
@no_type_check
def _sort_corners(u, v, values):
    """Order corners along v, then u, so that the arithmetic does not depend on their order."""
    (u0, u1, u2), (v0, v1, v2), (a0, a1, a2) = u, v, values
    for first in (True, False, True):
        if first:
            swap = (v1 < v0) | ((v1 == v0) & (u1 < u0))
            u0, u1 = (u1, u0) if swap else (u0, u1)
            v0, v1 = (v1, v0) if swap else (v0, v1)
            a0, a1 = (a1, a0) if swap else (a0, a1)
        else:
            swap = (v2 < v1) | ((v2 == v1) & (u2 < u1))
            u1, u2 = (u2, u1) if swap else (u1, u2)
            v1, v2 = (v2, v1) if swap else (v1, v2)
            a1, a2 = (a2, a1) if swap else (a1, a2)
    return (u0, u1, u2), (v0, v1, v2), (a0, a1, a2)


@compiled
@no_type_check
def _depth_plane(u, v, z, area):
    """Return the slopes of z/w over the screen, for sorted corners."""
    du1, du2 = np.float64(u[1] - u[0]), np.float64(u[2] - u[0])
    dv1, dv2 = np.float64(v[1] - v[0]), np.float64(v[2] - v[0])
    dz1, dz2 = z[1] - z[0], z[2] - z[0]
    inverse = 1.0 / np.float64(area)
    return (dz1 * dv2 - dz2 * dv1) * inverse, (dz2 * du1 - dz1 * du2) * inverse


@compiled
@no_type_check
def _merge(keys, pixel, depth, low, high, face):
    """Write a fragment to a pixel if it is nearer than the stored one."""
    depth = min(max(depth, low), high)
    key = np.int64((depth + 1.0) * DEPTH_SCALE) << 32 | face
    if key < keys[pixel]:
        keys[pixel] = key


@compiled
@no_type_check
def _draw_small(keys, u, v, z, face, first, last, begin, end, width):
    """Rasterise a small triangle by testing each pixel of its bounding box."""
    du1, dv1, du2, dv2 = u[1] - u[0], v[1] - v[0], u[2] - u[0], v[2] - v[0]
    area = du1 * dv2 - du2 * dv1
    if area == 0:
        return
    sign = 1 if area > 0 else -1
    du1, dv1, du2, dv2 = du1 * sign, dv1 * sign, du2 * sign, dv2 * sign
    du3, dv3 = du2 - du1, dv2 - dv1
    # Top-left rule: a centre on an edge is inside if it is a left or top edge.
    out1 = 1 - ((dv1 < 0) | ((dv1 == 0) & (du1 > 0)))
    out2 = 1 - ((dv2 > 0) | ((dv2 == 0) & (du2 < 0)))
    out3 = 1 - ((dv3 < 0) | ((dv3 == 0) & (du3 > 0)))
    low, high = min(z[0], min(z[1], z[2])), max(z[0], max(z[1], z[2]))
    low_key = np.int64((low + 1.0) * DEPTH_SCALE) << 32
    for row in range(first, last):
        pv = row * SUBPIXELS + HALF - v[0]
        for column in range(begin, end):
            pu = column * SUBPIXELS + HALF - u[0]
            in1, in2 = du1 * pv - dv1 * pu, dv2 * pu - du2 * pv
            in3 = area * sign - in1 - in2
            if ((in1 - out1) | (in2 - out2) | (in3 - out3)) >= 0:
                pixel = row * width + column
                if low_key > keys[pixel]:
                    continue
                su, sv, sz = _sort_corners(u, v, z)
                slope_u, slope_v = _depth_plane(
                    su,
                    sv,
                    sz,
                    (su[1] - su[0]) * (sv[2] - sv[0]) - (su[2] - su[0]) * (sv[1] - sv[0]),
                )
                depth = sz[0] + slope_v * np.float64(pv + v[0] - sv[0])
                depth = depth + slope_u * np.float64(pu + u[0] - su[0])
                _merge(keys, pixel, depth, low, high, face)


@compiled
@no_type_check
def _draw_large(keys, u, v, z, face, first, last, width):
    """Rasterise a triangle row by row; exact integer division gives the ends of each row."""
    u, v, z = _sort_corners(u, v, z)
    area = (u[1] - u[0]) * (v[2] - v[0]) - (u[2] - u[0]) * (v[1] - v[0])
    if area == 0:
        return
    middle = min(max((v[1] + HALF - 1) >> SHIFT, first), last)
    slope_u, slope_v = _depth_plane(u, v, z, area)
    low, high = min(z[0], min(z[1], z[2])), max(z[0], max(z[1], z[2]))
    long_top, long_step, long_bottom = _cross(u[0], v[0], u[2], v[2], first)
    long_inverse = 1.0 / np.float64(long_bottom)
    for part in range(2):
        if part == 0:
            row_begin, row_end = first, middle
            top, step, bottom = _cross(u[0], v[0], u[1], v[1], row_begin)
        else:
            row_begin, row_end = middle, last
            top, step, bottom = _cross(u[1], v[1], u[2], v[2], row_begin)
        if row_begin >= row_end:
            continue
        inverse = 1.0 / np.float64(bottom)
        for row in range(row_begin, row_end):
            begin = _ceil_divide(long_top, long_bottom, long_inverse)
            end = _ceil_divide(top, bottom, inverse)
            long_top += long_step
            top += step
            if area < 0:
                begin, end = end, begin
            row_z = z[0] + slope_v * (np.float64(row * SUBPIXELS + HALF - v[0]))
            for column in range(max(begin, 0), min(end, width)):
                depth = row_z + slope_u * np.float64(column * SUBPIXELS + HALF - u[0])
                _merge(keys, row * width + column, depth, low, high, face)


@compiled
@no_type_check
def draw_faces(keys, clip, faces, band_begin, band_end, height, width):
    """Rasterise a mesh into `keys` [h * w]; return the number of faces that must be clipped."""
    x, y, z, code = _project(clip, height, width)
    num_to_cut = 0
    for face in range(faces.shape[0]):
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        codes = code[a] | code[b] | code[c]
        if codes != 0:
            if (code[a] & code[b] & code[c] & IS_OUTSIDE) != 0 or codes >= IS_INVALID:
                continue
            if codes >= NEEDS_CUT:
                num_to_cut += 1
                continue
        # Not shared with `draw_triangles`: inline code is twice as fast on small triangles.
        u0, u1, u2 = np.int64(x[a]), np.int64(x[b]), np.int64(x[c])
        v0, v1, v2 = np.int64(y[a]), np.int64(y[b]), np.int64(y[c])
        first = max((min(v0, min(v1, v2)) + HALF - 1) >> SHIFT, band_begin)
        last = min((max(v0, max(v1, v2)) + HALF - 1) >> SHIFT, band_end)
        begin = max((min(u0, min(u1, u2)) + HALF - 1) >> SHIFT, 0)
        end = min((max(u0, max(u1, u2)) + HALF - 1) >> SHIFT, width)
        if (first < last) & (begin < end):
            u, v, depths = (u0, u1, u2), (v0, v1, v2), (z[a], z[b], z[c])
            if (last - first) * (end - begin) <= SMALL:
                _draw_small(keys, u, v, depths, face, first, last, begin, end, width)
            else:
                _draw_large(keys, u, v, depths, face, first, last, width)
    return num_to_cut


@compiled
@no_type_check
def draw_triangles(keys, x, y, z, face, height, width):
    """Rasterise screen-space triangles."""
    for i in range(face.shape[0]):
        u, v = (x[i, 0], x[i, 1], x[i, 2]), (y[i, 0], y[i, 1], y[i, 2])
        first = max((min(v[0], min(v[1], v[2])) + HALF - 1) >> SHIFT, 0)
        last = min((max(v[0], max(v[1], v[2])) + HALF - 1) >> SHIFT, height)
        if first < last:
            _draw_large(keys, u, v, (z[i, 0], z[i, 1], z[i, 2]), face[i], first, last, width)


@compiled
@no_type_check
def keys_to_faces(keys):
    """Convert depth keys to face indices, in place."""
    for i in range(keys.shape[0]):
        key = keys[i]
        keys[i] = -1 if key == MAX_KEY else key & 0xFFFFFFFF


@compiled
@no_type_check
def _search_one(keys, face_id, u, v, edges, face, first, last, length, line_step, step):
    """Write crossing keys at both ends of a triangle's interval on each scan line."""
    (u0, u1, u2), (v0, v1, v2), (e0, e1, e2) = _sort_corners(u, v, edges)
    area = (u1 - u0) * (v2 - v0) - (u2 - u0) * (v1 - v0)
    if area == 0:
        return
    for line in range(first, last):
        for which in range(2):
            if which == 0:
                top, _, bottom = _cross(u0, v0, u2, v2, line)
                edge, is_begin = e1, area > 0
            elif line * SUBPIXELS + HALF < v1:
                top, _, bottom = _cross(u0, v0, u1, v1, line)
                edge, is_begin = e2, area < 0
            else:
                top, _, bottom = _cross(u1, v1, u2, v2, line)
                edge, is_begin = e0, area < 0
            at = _ceil_divide(top, bottom, 1.0 / np.float64(bottom))
            if at >= 1 and at < length:
                pixel = line * line_step + at * step
                if ((face_id[pixel] >= 0) == is_begin) & ((face_id[pixel - step] < 0) == is_begin):
                    gap = np.float64(top - (at - 1) * bottom) / np.float64(bottom)
                    gap = 1.0 - gap if is_begin else gap
                    key = np.int64(gap * CROSSING_SCALE) << 34 | (LAST_FACE - face) << 2 | edge
                    keys[pixel - step] = max(keys[pixel - step], key)


@compiled
@no_type_check
def find_border(face_id, across, down, height, width, shift):
    """List the pairs of neighbouring pixels of which one is covered, and clear their keys.

    Returns:
        Horizontal pairs and vertical pairs (each by its first pixel), and the summed-area table of
        the tiles of 2^shift pixels that contain such pixels.
    """
    sums = np.zeros(((height - 1 >> shift) + 2, (width - 1 >> shift) + 2), np.int64)
    count = np.zeros(2, np.int64)
    pairs = np.empty(
        (2, height * width), np.int64
    )  # the operating system allocates only the part in use
    for row in range(height):
        for column in range(width):
            pixel = row * width + column
            is_covered = face_id[pixel] >= 0
            if column + 1 < width and is_covered != (face_id[pixel + 1] >= 0):
                sums[(row >> shift) + 1, (column >> shift) + 1] = 1
                sums[(row >> shift) + 1, (column + 1 >> shift) + 1] = 1
                across[pixel] = -1
                pairs[0, count[0]] = pixel
                count[0] += 1
            if row + 1 < height and is_covered != (face_id[pixel + width] >= 0):
                sums[(row >> shift) + 1, (column >> shift) + 1] = 1
                sums[(row + 1 >> shift) + 1, (column >> shift) + 1] = 1
                down[pixel] = -1
                pairs[1, count[1]] = pixel
                count[1] += 1
    for i in range(1, sums.shape[0]):
        for j in range(1, sums.shape[1]):
            sums[i, j] += sums[i - 1, j] + sums[i, j - 1] - sums[i - 1, j - 1]
    return pairs[0, : count[0]].copy(), pairs[1, : count[1]].copy(), sums


@compiled
@no_type_check
def search_faces(across, down, face_id, clip, faces, tiles, shift, height, width):
    """Write crossing keys of horizontal and vertical pairs; return the number of faces to clip."""
    x, y, _, code = _project(clip, height, width)
    num_to_cut = 0
    for face in range(faces.shape[0]):
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        codes = code[a] | code[b] | code[c]
        if codes != 0:
            if (code[a] & code[b] & code[c] & IS_OUTSIDE) != 0 or codes >= IS_INVALID:
                continue
            if codes >= NEEDS_CUT:
                num_to_cut += 1
                continue
        u0, u1, u2 = np.int64(x[a]), np.int64(x[b]), np.int64(x[c])
        v0, v1, v2 = np.int64(y[a]), np.int64(y[b]), np.int64(y[c])
        first = (min(v0, min(v1, v2)) + HALF - 1) >> SHIFT
        last = (max(v0, max(v1, v2)) + HALF - 1) >> SHIFT
        begin = (min(u0, min(u1, u2)) + HALF - 1) >> SHIFT
        end = (max(u0, max(u1, u2)) + HALF - 1) >> SHIFT
        # Tiles around the face, one pixel beyond its covered centres.
        top, bottom = max(first - 1, 0) >> shift, (min(last, height - 1) >> shift) + 1
        left, right = max(begin - 1, 0) >> shift, (min(end, width - 1) >> shift) + 1
        if (top >= bottom) | (left >= right) | ((first >= last) & (begin >= end)):
            continue
        if tiles[bottom, right] - tiles[top, right] - tiles[bottom, left] + tiles[top, left] > 0:
            u, v, edges = (u0, u1, u2), (v0, v1, v2), (1, 2, 0)
            first, last = max(first, 0), min(last, height)
            begin, end = max(begin, 0), min(end, width)
            _search_one(across, face_id, u, v, edges, face, first, last, width, width, 1)
            _search_one(down, face_id, v, u, edges, face, begin, end, height, 1, width)
    return num_to_cut


@compiled
@no_type_check
def search_triangles(across, down, face_id, x, y, edges, face, height, width):
    """Write the crossing keys of screen-space triangles; see `search_faces`."""
    for i in range(face.shape[0]):
        u, v = (x[i, 0], x[i, 1], x[i, 2]), (y[i, 0], y[i, 1], y[i, 2])
        labels = (edges[i, 0], edges[i, 1], edges[i, 2])
        first = max((min(v[0], min(v[1], v[2])) + HALF - 1) >> SHIFT, 0)
        last = min((max(v[0], max(v[1], v[2])) + HALF - 1) >> SHIFT, height)
        _search_one(across, face_id, u, v, labels, face[i], first, last, width, width, 1)
        first = max((min(u[0], min(u[1], u[2])) + HALF - 1) >> SHIFT, 0)
        last = min((max(u[0], max(u[1], u[2])) + HALF - 1) >> SHIFT, width)
        _search_one(down, face_id, v, u, labels, face[i], first, last, height, 1, width)
