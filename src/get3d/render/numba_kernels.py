"""The loops of the CPU backend, compiled on first use.

They repeat the arithmetic of `torch_backend.py` operation by operation; a test holds them to it.
Each kernel works on one image and a band of its scan lines, and lets other threads run meanwhile.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from get3d.render.snapping import GUARD_BAND_PX, MIN_W, SUBPIXELS

HALF = SUBPIXELS // 2
SHIFT = SUBPIXELS.bit_length() - 1
DEPTH_SCALE = float(2**30 - 1)
CROSSING_SCALE = float(2**28)
LAST_FACE = 2**31 - 1
MAX_KEY = 2**63 - 1
IS_OUTSIDE = 63
NEEDS_CUT = 64
IS_BROKEN = 128


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile on first call, and keep the result on disk where there is a place for it."""
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "boundscheck": False}
    with contextlib.suppress(RuntimeError):  # numba found no folder that it may write to
        return numba.njit(cache=True, **options)(function)
    return numba.njit(**options)(function)


@_compiled
def _project(clip, height, width):  # type: ignore[no-untyped-def]
    """Snap the vertices of one image and say which planes each is beyond."""
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
            flags |= IS_BROKEN
        code[i] = flags
    return x, y, z, code


@_compiled
def _cross(u0, v0, u1, v1, line):  # type: ignore[no-untyped-def]
    """Start walking along a side: numerator at this line, its step, and the denominator."""
    dv = v1 - v0
    du = u1 - u0
    top = (u0 - HALF) * dv + (line * SUBPIXELS + HALF - v0) * du
    return top, du * SUBPIXELS, dv * SUBPIXELS


@_compiled
def _ceil_divide(top, bottom, inverse):  # type: ignore[no-untyped-def]
    """Exact ceiling of a quotient; the estimate is never off by more than one."""
    quotient = np.int64(np.floor(np.float64(top) * inverse))
    rest = top - quotient * bottom
    return quotient + (rest > 0) + (rest > bottom) - (rest <= -bottom)


@_compiled
def _draw_one(keys, x, y, z, face, band_begin, band_end, height, width):  # type: ignore[no-untyped-def]
    """Merge one triangle into the depth keys of a band of rows."""
    u0, u1, u2 = np.int64(x[0]), np.int64(x[1]), np.int64(x[2])
    v0, v1, v2 = np.int64(y[0]), np.int64(y[1]), np.int64(y[2])
    z0, z1, z2 = z
    if v1 < v0 or (v1 == v0 and u1 < u0):
        u0, u1, v0, v1, z0, z1 = u1, u0, v1, v0, z1, z0
    if v2 < v1 or (v2 == v1 and u2 < u1):
        u1, u2, v1, v2, z1, z2 = u2, u1, v2, v1, z2, z1
        if v1 < v0 or (v1 == v0 and u1 < u0):
            u0, u1, v0, v1, z0, z1 = u1, u0, v1, v0, z1, z0
    area_int = (u1 - u0) * (v2 - v0) - (u2 - u0) * (v1 - v0)
    if area_int == 0:
        return
    first = max((v0 + HALF - 1) >> SHIFT, band_begin)
    last = min((v2 + HALF - 1) >> SHIFT, band_end)
    middle = min(max((v1 + HALF - 1) >> SHIFT, first), last)
    area = np.float64(area_int)
    du1, du2 = np.float64(u1) - np.float64(u0), np.float64(u2) - np.float64(u0)
    dv1, dv2 = np.float64(v1) - np.float64(v0), np.float64(v2) - np.float64(v0)
    slope_u = ((z1 - z0) * dv2 - (z2 - z0) * dv1) / area
    slope_v = ((z2 - z0) * du1 - (z1 - z0) * du2) / area
    low, high = min(z0, min(z1, z2)), max(z0, max(z1, z2))
    long_top, long_step, long_bottom = _cross(u0, v0, u2, v2, first)
    long_inverse = 1.0 / np.float64(long_bottom)
    for part in range(2):
        if part == 0:
            row_begin, row_end = first, middle
            top, step, bottom = _cross(u0, v0, u1, v1, row_begin)
        else:
            row_begin, row_end = middle, last
            top, step, bottom = _cross(u1, v1, u2, v2, row_begin)
        if row_begin >= row_end:
            continue
        inverse = 1.0 / np.float64(bottom)
        for row in range(row_begin, row_end):
            begin = _ceil_divide(long_top, long_bottom, long_inverse)
            end = _ceil_divide(top, bottom, inverse)
            long_top += long_step
            top += step
            if area_int < 0:
                begin, end = end, begin
            begin, end = max(begin, 0), min(end, width)
            row_z = z0 + slope_v * (np.float64(row * SUBPIXELS + HALF) - np.float64(v0))
            line = row * width
            for column in range(begin, end):
                depth = row_z + slope_u * (np.float64(column * SUBPIXELS + HALF) - np.float64(u0))
                depth = min(max(depth, low), high)
                key = np.int64((depth + 1.0) * DEPTH_SCALE) << 32 | face
                if key < keys[line + column] and depth >= -1.0 and depth <= 1.0:
                    keys[line + column] = key


@_compiled
def draw_faces(keys, clip, faces, band_begin, band_end, height, width):  # type: ignore[no-untyped-def]
    """Draw a mesh into `keys` [h * w]; return which faces must be cut first (a bool a face)."""
    x, y, z, code = _project(clip, height, width)
    needs_cut = np.zeros(0, np.bool_)
    for face in range(faces.shape[0]):
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        codes = code[a] | code[b] | code[c]
        if codes != 0:
            if (code[a] & code[b] & code[c] & IS_OUTSIDE) != 0 or codes >= IS_BROKEN:
                continue
            if codes >= NEEDS_CUT:
                if needs_cut.shape[0] == 0:
                    needs_cut = np.zeros(faces.shape[0], np.bool_)
                needs_cut[face] = True
                continue
        y0, y1, y2 = y[a], y[b], y[c]
        first = max((min(y0, min(y1, y2)) + HALF - 1) >> SHIFT, band_begin)
        last = min((max(y0, max(y1, y2)) + HALF - 1) >> SHIFT, band_end)
        if first >= last:
            continue
        x0, x1, x2 = x[a], x[b], x[c]
        first = max((min(x0, min(x1, x2)) + HALF - 1) >> SHIFT, 0)
        last = min((max(x0, max(x1, x2)) + HALF - 1) >> SHIFT, width)
        if first >= last:
            continue
        _draw_one(
            keys, (x0, x1, x2), (y0, y1, y2), (z[a], z[b], z[c]),
            face, band_begin, band_end, height, width,
        )  # fmt: skip
    return needs_cut


@_compiled
def draw_triangles(keys, x, y, z, face, height, width):  # type: ignore[no-untyped-def]
    """Draw triangles that are already on the screen."""
    for i in range(face.shape[0]):
        _draw_one(
            keys, (x[i, 0], x[i, 1], x[i, 2]), (y[i, 0], y[i, 1], y[i, 2]),
            (z[i, 0], z[i, 1], z[i, 2]), face[i], 0, height, height, width,
        )  # fmt: skip


@_compiled
def keys_to_faces(keys):  # type: ignore[no-untyped-def]
    """Turn depth keys into face indices, in place."""
    for i in range(keys.shape[0]):
        key = keys[i]
        keys[i] = -1 if key == MAX_KEY else key & 0xFFFFFFFF


@_compiled
def _offer(keys, face_id, inside, outside, gap, face, side):  # type: ignore[no-untyped-def]
    """Let a side compete for the pair of pixels it crosses between."""
    if face_id[inside] >= 0 and face_id[outside] < 0:
        key = np.int64(gap * CROSSING_SCALE) << 34 | (LAST_FACE - face) << 2 | side
        pair = min(inside, outside)
        keys[pair] = max(keys[pair], key)


@_compiled
def _search_one(keys, face_id, u, v, sides, face, first, last, length, line_step, step_):  # type: ignore[no-untyped-def]
    """Offer the two ends of a triangle's interval on each scan line of a band."""
    (u0, u1, u2), (v0, v1, v2), (s0, s1, s2) = u, v, sides
    if v1 < v0 or (v1 == v0 and u1 < u0):
        u0, u1, v0, v1, s0, s1 = u1, u0, v1, v0, s1, s0
    if v2 < v1 or (v2 == v1 and u2 < u1):
        u1, u2, v1, v2, s1, s2 = u2, u1, v2, v1, s2, s1
        if v1 < v0 or (v1 == v0 and u1 < u0):
            u0, u1, v0, v1, s0, s1 = u1, u0, v1, v0, s1, s0
    area = (u1 - u0) * (v2 - v0) - (u2 - u0) * (v1 - v0)
    if area == 0:
        return
    for line in range(first, last):
        for which in range(2):
            if which == 0:
                top, _, bottom = _cross(u0, v0, u2, v2, line)
                side, is_begin = s1, area > 0
            elif line * SUBPIXELS + HALF < v1:
                top, _, bottom = _cross(u0, v0, u1, v1, line)
                side, is_begin = s2, area < 0
            else:
                top, _, bottom = _cross(u1, v1, u2, v2, line)
                side, is_begin = s0, area < 0
            at = _ceil_divide(top, bottom, 1.0 / np.float64(bottom))
            if at >= 1 and at < length:
                rest = top - (at - 1) * bottom
                gap = 1.0 if rest == bottom else np.float64(rest) / np.float64(bottom)
                pixel = line * line_step + at * step_
                if is_begin:
                    _offer(keys, face_id, pixel, pixel - step_, 1.0 - gap, face, side)
                else:
                    _offer(keys, face_id, pixel - step_, pixel, gap, face, side)


@_compiled
def search_faces(across, down, face_id, clip, faces, rows, columns, height, width):  # type: ignore[no-untyped-def]
    """Fill the crossing keys of a band of rows (`across`) and a band of columns (`down`)."""
    x, y, _, code = _project(clip, height, width)
    needs_cut = np.zeros(0, np.bool_)
    sides = (1, 2, 0)
    for face in range(faces.shape[0]):
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        codes = code[a] | code[b] | code[c]
        if codes != 0:
            if (code[a] & code[b] & code[c] & IS_OUTSIDE) != 0 or codes >= IS_BROKEN:
                continue
            if codes >= NEEDS_CUT:
                if needs_cut.shape[0] == 0:
                    needs_cut = np.zeros(faces.shape[0], np.bool_)
                needs_cut[face] = True
                continue
        u = (np.int64(x[a]), np.int64(x[b]), np.int64(x[c]))
        v = (np.int64(y[a]), np.int64(y[b]), np.int64(y[c]))
        first = max((min(v[0], min(v[1], v[2])) + HALF - 1) >> SHIFT, rows[0])
        last = min((max(v[0], max(v[1], v[2])) + HALF - 1) >> SHIFT, rows[1])
        if first < last:
            _search_one(across, face_id, u, v, sides, face, first, last, width, width, 1)
        first = max((min(u[0], min(u[1], u[2])) + HALF - 1) >> SHIFT, columns[0])
        last = min((max(u[0], max(u[1], u[2])) + HALF - 1) >> SHIFT, columns[1])
        if first < last:
            _search_one(down, face_id, v, u, sides, face, first, last, height, 1, width)
    return needs_cut


@_compiled
def search_triangles(across, down, face_id, x, y, sides, face, height, width):  # type: ignore[no-untyped-def]
    """The same for triangles that are already on the screen."""
    for i in range(face.shape[0]):
        u, v = (x[i, 0], x[i, 1], x[i, 2]), (y[i, 0], y[i, 1], y[i, 2])
        labels = (sides[i, 0], sides[i, 1], sides[i, 2])
        first = max((min(v[0], min(v[1], v[2])) + HALF - 1) >> SHIFT, 0)
        last = min((max(v[0], max(v[1], v[2])) + HALF - 1) >> SHIFT, height)
        _search_one(across, face_id, u, v, labels, face[i], first, last, width, width, 1)
        first = max((min(u[0], min(u[1], u[2])) + HALF - 1) >> SHIFT, 0)
        last = min((max(u[0], max(u[1], u[2])) + HALF - 1) >> SHIFT, width)
        _search_one(down, face_id, v, u, labels, face[i], first, last, height, 1, width)
