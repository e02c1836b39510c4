"""Kernels of the CUDA backend, compiled by Triton on first use.

They repeat the arithmetic of `torch_backend.py` operation by operation; tests require equal
results. In the first round each lane processes one face of one image if it is small, else it
appends the face to a list, as it does for faces that must be clipped. In the second round each
program processes one face from the list, with its pixels distributed over the lanes. Results are
combined by atomic minima and maxima, so they do not depend on the order of execution.

Products and sums must not be fused: every launch sets `enable_fp_fusion=False`.
"""

import inspect
from collections.abc import Callable
from typing import Any, no_type_check

import triton
import triton.language as tl

from get3d.render import fixed_point

SUBPIXELS: tl.constexpr = tl.constexpr(fixed_point.SUBPIXELS)
HALF: tl.constexpr = tl.constexpr(fixed_point.HALF)
SHIFT: tl.constexpr = tl.constexpr(fixed_point.SUBPIXELS.bit_length() - 1)
GUARD_BAND_PX: tl.constexpr = tl.constexpr(fixed_point.GUARD_BAND_PX)
LIMIT: tl.constexpr = tl.constexpr(int(2 * fixed_point.GUARD_BAND_PX) * fixed_point.SUBPIXELS)
MIN_W: tl.constexpr = tl.constexpr(fixed_point.MIN_W)
NO_EDGE: tl.constexpr = tl.constexpr(fixed_point.NO_EDGE)
DEPTH_SCALE: tl.constexpr = tl.constexpr(fixed_point.DEPTH_SCALE)
CROSSING_SCALE: tl.constexpr = tl.constexpr(fixed_point.CROSSING_SCALE)
LAST_FACE: tl.constexpr = tl.constexpr(fixed_point.LAST_FACE)
SMALL: tl.constexpr = tl.constexpr(64)
"""Number of pixels (or scan lines) of a bounding box up to which one lane processes a face."""
SLOTS: tl.constexpr = tl.constexpr(16)
"""Capacity for the corners of a clipped face: 3, and one more for each of six planes."""


def _compiled(function: Callable[..., Any]) -> Any:
    """Compile a function with Triton, without specialisation on sizes."""
    function = inspect.unwrap(function)  # the tests' type checker wraps annotated functions
    sizes = [name for name in inspect.signature(function).parameters if name.startswith("num_")]
    return triton.jit(function, do_not_specialize=[*sizes, "height", "width"])


# -- from clip space to the screen -----------------------------------------------------------------


@_compiled
@no_type_check
def _read_corner(clip, faces, at, first_row, num_rows, is_read):
    """Load one corner per lane; NaN for an index out of range."""
    row = tl.load(faces + at, mask=is_read, other=0) + first_row
    is_read = is_read & (row >= 0) & (row < num_rows)
    x = tl.load(clip + row * 4, mask=is_read, other=float("nan")).to(tl.float64)
    y = tl.load(clip + row * 4 + 1, mask=is_read, other=float("nan")).to(tl.float64)
    z = tl.load(clip + row * 4 + 2, mask=is_read, other=float("nan")).to(tl.float64)
    w = tl.load(clip + row * 4 + 3, mask=is_read, other=float("nan")).to(tl.float64)
    return x, y, z, w


@_compiled
@no_type_check
def _guard(size):
    """Return half the size of the guard band, as x/w or y/w."""
    return tl.full((), GUARD_BAND_PX, tl.float64) / (size.to(tl.float64) * 0.5)


@_compiled
@no_type_check
def _classify(x, y, z, w, height, width):
    """Return if corners are in the guard band, bits of planes they are outside of, if finite."""
    fits = (w >= MIN_W) & (w < float("inf")) & (z >= -w) & (z <= w)
    fits = fits & (tl.abs(x) <= _guard(width) * w) & (tl.abs(y) <= _guard(height) * w)
    beyond = (z < -w).to(tl.int32) | (z > w).to(tl.int32) << 1
    beyond = beyond | (x < -w).to(tl.int32) << 2 | (x > w).to(tl.int32) << 3
    beyond = beyond | (y < -w).to(tl.int32) << 4 | (y > w).to(tl.int32) << 5
    infinite = float("inf")
    is_finite = (tl.abs(x) < infinite) & (tl.abs(y) < infinite)
    is_finite = is_finite & (tl.abs(z) < infinite) & (tl.abs(w) < infinite)
    return fits, beyond, is_finite


@_compiled
@no_type_check
def _round(value):
    """Round to even, as doubles beyond 2^52 are integers."""
    magic = tl.full((), 6755399441055744.0, tl.float64)  # 1.5 * 2^52
    return ((value + magic) - magic).to(tl.int64)


@_compiled
@no_type_check
def _to_fixed_point(x, y, z, w, height, width):
    """Divide by w and round: return columns and rows in 1/4096 pixel, and depth."""
    inverse = tl.full((), 1.0, tl.float64) / w
    column = _round((x * inverse + 1.0) * (width.to(tl.float64) * 0.5 * SUBPIXELS))
    row = _round((y * inverse + 1.0) * (height.to(tl.float64) * 0.5 * SUBPIXELS))
    return column, row, z * inverse


@_compiled
@no_type_check
def _read_faces(clip, faces, first_row, first_face, num_rows, face, is_face, height, width):
    """Convert corners of faces to fixed point; flag the visible faces and those to clip."""
    at = (first_face + face) * 3
    xa, ya, za, wa = _read_corner(clip, faces, at, first_row, num_rows, is_face)
    xb, yb, zb, wb = _read_corner(clip, faces, at + 1, first_row, num_rows, is_face)
    xc, yc, zc, wc = _read_corner(clip, faces, at + 2, first_row, num_rows, is_face)
    fits_a, beyond_a, is_finite_a = _classify(xa, ya, za, wa, height, width)
    fits_b, beyond_b, is_finite_b = _classify(xb, yb, zb, wb, height, width)
    fits_c, beyond_c, is_finite_c = _classify(xc, yc, zc, wc, height, width)
    is_visible = is_face & is_finite_a & is_finite_b & is_finite_c
    is_visible = is_visible & ((beyond_a & beyond_b & beyond_c) == 0)
    is_easy = is_visible & fits_a & fits_b & fits_c
    xa, ya, za, wa = _or_one(xa, ya, za, wa, is_easy)
    xb, yb, zb, wb = _or_one(xb, yb, zb, wb, is_easy)
    xc, yc, zc, wc = _or_one(xc, yc, zc, wc, is_easy)
    xa, ya, za = _to_fixed_point(xa, ya, za, wa, height, width)
    xb, yb, zb = _to_fixed_point(xb, yb, zb, wb, height, width)
    xc, yc, zc = _to_fixed_point(xc, yc, zc, wc, height, width)
    return xa, ya, za, xb, yb, zb, xc, yc, zc, is_easy, is_visible & ~is_easy


@_compiled
@no_type_check
def _or_one(x, y, z, w, is_used):
    """Replace unused corners by ones."""
    return (
        tl.where(is_used, x, 1.0),
        tl.where(is_used, y, 1.0),
        tl.where(is_used, z, 1.0),
        tl.where(is_used, w, 1.0),
    )


@_compiled
@no_type_check
def _swap(is_swapped, a, b):
    """Swap two values where requested."""
    return tl.where(is_swapped, b, a), tl.where(is_swapped, a, b)


@_compiled
@no_type_check
def _swap_corners(ua, va, a, ub, vb, b):
    """Sort two corners by v, then u."""
    is_swapped = (vb < va) | ((vb == va) & (ub < ua))
    ua, ub = _swap(is_swapped, ua, ub)
    va, vb = _swap(is_swapped, va, vb)
    a, b = _swap(is_swapped, a, b)
    return ua, va, a, ub, vb, b


@_compiled
@no_type_check
def _sort(ua, va, a, ub, vb, b, uc, vc, c):
    """Sort corners by v, then u, so that the arithmetic does not depend on their order."""
    ua, va, a, ub, vb, b = _swap_corners(ua, va, a, ub, vb, b)
    ub, vb, b, uc, vc, c = _swap_corners(ub, vb, b, uc, vc, c)
    ua, va, a, ub, vb, b = _swap_corners(ua, va, a, ub, vb, b)
    return ua, va, a, ub, vb, b, uc, vc, c


@_compiled
@no_type_check
def _centres(a, b, c, num):
    """Return the range [first, last) of rows or columns whose centres lie between three corners."""
    low, high = tl.minimum(a, tl.minimum(b, c)), tl.maximum(a, tl.maximum(b, c))
    first = tl.maximum((low + (HALF - 1)) >> SHIFT, 0)
    last = tl.minimum((high + (HALF - 1)) >> SHIFT, num)
    return first.to(tl.int32), last.to(tl.int32)


@_compiled
@no_type_check
def _queue(todo, counter, image, face, is_queued):
    """Append faces to the list for the second round."""
    place = tl.atomic_add(counter + face * 0, 1, mask=is_queued, sem="relaxed")
    tl.store(todo + place, (image << 32) | face, mask=is_queued)


# -- clipping, one face per program ----------------------------------------------------------------


@_compiled
@no_type_check
def _pick(values, index):
    """Return `values[index]` for as many indices as values."""
    is_it = index[:, None] == tl.arange(0, SLOTS)[None, :]
    return tl.sum(tl.where(is_it, values[None, :], 0), 1)


@_compiled
@no_type_check
def _move(kept, added, place_kept, place_added, keeps, crosses):
    """Scatter kept and new corners to their slots."""
    slot = tl.arange(0, SLOTS)[:, None]
    stays = keeps[None, :] & (place_kept[None, :] == slot)
    comes = crosses[None, :] & (place_added[None, :] == slot)
    moved = tl.where(stays, kept[None, :], 0) + tl.where(comes, added[None, :], 0)
    return tl.sum(moved, 1)


@_compiled
@no_type_check
def _cut(x, y, z, w, edge, count, distance):
    """Clip a convex polygon to where `distance` is not negative."""
    slot = tl.arange(0, SLOTS)
    following = tl.where(slot + 1 >= count, 0, slot + 1)
    next_distance = _pick(distance, following)
    is_in, is_next_in = distance >= 0, next_distance >= 0
    is_used = slot < count
    keeps, crosses = is_used & is_in, is_used & (is_in != is_next_in)
    # Computed from the inside corner outwards, so that adjacent faces get the same point.
    gap = tl.where(crosses, tl.abs(distance - next_distance), 1.0)
    fraction = tl.where(is_in, distance, next_distance) / gap
    emitted = keeps.to(tl.int32) + crosses.to(tl.int32)
    place = tl.cumsum(emitted, 0) - emitted
    beside = place + keeps.to(tl.int32)
    x = _move(x, _cut_axis(x, following, is_in, fraction), place, beside, keeps, crosses)
    y = _move(y, _cut_axis(y, following, is_in, fraction), place, beside, keeps, crosses)
    z = _move(z, _cut_axis(z, following, is_in, fraction), place, beside, keeps, crosses)
    w = _move(w, _cut_axis(w, following, is_in, fraction), place, beside, keeps, crosses)
    edge = _move(edge, tl.where(is_in, NO_EDGE, edge), place, beside, keeps, crosses)
    return x, y, z, w, edge, tl.sum(emitted, 0)


@_compiled
@no_type_check
def _cut_axis(values, following, is_in, fraction):
    """Interpolate one coordinate of the new corners."""
    next_values = _pick(values, following)
    start, end = tl.where(is_in, values, next_values), tl.where(is_in, next_values, values)
    return start + fraction * (end - start)


@_compiled
@no_type_check
def _read_polygon(clip, faces, first_row, first_face, num_rows, face, height, width):
    """Load one face, clip it if necessary, and convert its corners to fixed point.

    Returns:
        Columns, rows, depths, labels of the edges after each corner, and the number of corners, 0
        if nothing is left.
    """
    slot = tl.arange(0, SLOTS)
    edge = tl.minimum(slot, 2)
    at = (first_face + face) * 3 + edge
    x, y, z, w = _read_corner(clip, faces, at, first_row, num_rows, slot < SLOTS)
    fits, _, _ = _classify(x, y, z, w, height, width)
    count = tl.sum(tl.where(slot < 3, 1, 0), 0)
    is_easy = tl.sum(fits.to(tl.int32), 0) == SLOTS
    if not is_easy:
        guard_x, guard_y = _guard(width), _guard(height)
        x, y, z, w, edge, count = _cut(x, y, z, w, edge, count, w + z)
        x, y, z, w, edge, count = _cut(x, y, z, w, edge, count, w - z)
        x, y, z, w, edge, count = _cut(x, y, z, w, edge, count, guard_x * w + x)
        x, y, z, w, edge, count = _cut(x, y, z, w, edge, count, guard_x * w - x)
        x, y, z, w, edge, count = _cut(x, y, z, w, edge, count, guard_y * w + y)
        x, y, z, w, edge, count = _cut(x, y, z, w, edge, count, guard_y * w - y)
    is_near_eye = (slot < count) & ~(w >= MIN_W)
    count = tl.where(tl.sum(is_near_eye.to(tl.int32), 0) > 0, 0, count)
    x, y, z = _to_fixed_point(x, y, z, tl.where(w >= MIN_W, w, 1.0), height, width)
    x = tl.minimum(tl.maximum(x, -LIMIT), LIMIT)
    y = tl.minimum(tl.maximum(y, -LIMIT), LIMIT)
    z = tl.where(is_easy, z, tl.minimum(tl.maximum(z, -1.0), 1.0))
    return x, y, z, edge, count


@_compiled
@no_type_check
def _at(values, index):
    """Return the value of one slot."""
    return tl.sum(tl.where(tl.arange(0, SLOTS) == index, values, 0), 0)


# -- rasterisation ---------------------------------------------------------------------------------


@_compiled
@no_type_check
def _set_up(ua, va, za, ub, vb, zb, uc, vc, zc):
    """Compute edge vectors and depth slopes of triangles with sorted corners."""
    du1, dv1, du2, dv2 = ub - ua, vb - va, uc - ua, vc - va
    area = du1 * dv2 - du2 * dv1
    inverse = tl.full((), 1.0, tl.float64) / tl.where(area == 0, 1, area).to(tl.float64)
    fu1, fv1, fu2, fv2 = (
        du1.to(tl.float64),
        dv1.to(tl.float64),
        du2.to(tl.float64),
        dv2.to(tl.float64),
    )
    slope_u = ((zb - za) * fv2 - (zc - za) * fv1) * inverse
    slope_v = ((zc - za) * fu1 - (zb - za) * fu2) * inverse
    low, high = tl.minimum(za, tl.minimum(zb, zc)), tl.maximum(za, tl.maximum(zb, zc))
    sign = tl.where(area < 0, -1, 1)
    return (
        du1 * sign,
        dv1 * sign,
        du2 * sign,
        dv2 * sign,
        area * sign,
        slope_u,
        slope_v,
        low,
        high,
    )


@_compiled
@no_type_check
def _merge(
    keys, pixel, row, column, face, is_tried, ua, va, za, du1, dv1, du2, dv2, area, slope_u,
    slope_v, low, high,
):  # fmt: skip
    """Write triangles to pixels whose centre is inside, unless a nearer one is stored."""
    pu = column.to(tl.int64) * SUBPIXELS + HALF - ua
    pv = row.to(tl.int64) * SUBPIXELS + HALF - va
    du3, dv3 = du2 - du1, dv2 - dv1
    # Top-left rule: a centre on an edge is inside if it is a left or top edge.
    out1 = 1 - ((dv1 < 0) | ((dv1 == 0) & (du1 > 0))).to(tl.int64)
    out2 = 1 - ((dv2 > 0) | ((dv2 == 0) & (du2 < 0))).to(tl.int64)
    out3 = 1 - ((dv3 < 0) | ((dv3 == 0) & (du3 > 0))).to(tl.int64)
    in1, in2 = du1 * pv - dv1 * pu, dv2 * pu - du2 * pv
    in3 = area - in1 - in2
    is_inside = is_tried & (((in1 - out1) | (in2 - out2) | (in3 - out3)) >= 0)
    depth = (za + slope_v * pv.to(tl.float64)) + slope_u * pu.to(tl.float64)
    depth = tl.minimum(tl.maximum(depth, low), high)
    key = ((depth + 1.0) * DEPTH_SCALE).to(tl.int64) << 32 | face
    tl.atomic_min(keys + pixel, key, mask=is_inside, sem="relaxed")


@_compiled
@no_type_check
def draw_faces(
    keys, todo, counter, clip, faces, spans, num_rows, num_blocks, height, width,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """First round: each lane rasterises one small face, or appends it to the list."""
    image = (tl.program_id(0) // num_blocks).to(tl.int64)
    face = (tl.program_id(0) % num_blocks).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    first_row, first_face = tl.load(spans + image * 4), tl.load(spans + image * 4 + 1)
    is_face = face < tl.load(spans + image * 4 + 2)
    xa, ya, za, xb, yb, zb, xc, yc, zc, is_easy, is_hard = _read_faces(
        clip, faces, first_row, first_face, num_rows, face, is_face, height, width
    )
    top, bottom = _centres(ya, yb, yc, height)
    left, right = _centres(xa, xb, xc, width)
    is_easy = is_easy & (top < bottom) & (left < right)
    num_pixels = (bottom - top) * (right - left)
    is_small = is_easy & (num_pixels <= SMALL)
    _queue(todo, counter, image, face, is_hard | (is_easy & (num_pixels > SMALL)))
    xa, ya, za, xb, yb, zb, xc, yc, zc = _sort(xa, ya, za, xb, yb, zb, xc, yc, zc)
    du1, dv1, du2, dv2, area, slope_u, slope_v, low, high = _set_up(
        xa, ya, za, xb, yb, zb, xc, yc, zc
    )
    num_pixels = tl.where(is_small & (area != 0), num_pixels, 0)
    row, column = top, left
    start = image * height * width
    num_rounds = tl.max(num_pixels, 0)
    i = 0
    while i < num_rounds:
        pixel = start + row.to(tl.int64) * width + column
        _merge(
            keys, pixel, row, column, face, i < num_pixels, xa, ya, za, du1, dv1, du2, dv2, area,
            slope_u, slope_v, low, high,
        )  # fmt: skip
        is_row_end = column + 1 == right
        row = tl.where(is_row_end, row + 1, row)
        column = tl.where(is_row_end, left, column + 1)
        i += 1


@_compiled
@no_type_check
def draw_listed(
    keys, todo, counter, clip, faces, spans, num_rows, height, width, BLOCK: tl.constexpr
):
    """Second round: each program rasterises faces from the list, many pixels at a time."""
    part, num_parts = tl.program_id(1), tl.num_programs(1)
    num_listed = tl.load(counter)
    i = tl.program_id(0)
    while i < num_listed:
        entry = tl.load(todo + i)
        image, face = entry >> 32, entry & 0xFFFFFFFF
        first_row, first_face = tl.load(spans + image * 4), tl.load(spans + image * 4 + 1)
        x, y, z, _, count = _read_polygon(
            clip, faces, first_row, first_face, num_rows, face, height, width
        )
        middle = 1
        while middle < count - 1:
            xa, ya, za, xb, yb, zb, xc, yc, zc = _sort(
                _at(x, 0), _at(y, 0), _at(z, 0),
                _at(x, middle), _at(y, middle), _at(z, middle),
                _at(x, middle + 1), _at(y, middle + 1), _at(z, middle + 1),
            )  # fmt: skip
            du1, dv1, du2, dv2, area, slope_u, slope_v, low, high = _set_up(
                xa, ya, za, xb, yb, zb, xc, yc, zc
            )
            top, bottom = _centres(ya, yb, yc, height)
            left, right = _centres(xa, xb, xc, width)
            columns = tl.maximum(right - left, 1)
            num_pixels = tl.maximum(bottom - top, 0) * tl.maximum(right - left, 0)
            num_pixels = tl.where(area != 0, num_pixels, 0)
            first = part * BLOCK
            while first < num_pixels:
                lane = first + tl.arange(0, BLOCK)
                row, column = top + lane // columns, left + lane % columns
                pixel = (image * height + row) * width + column
                _merge(
                    keys, pixel, row, column, face, lane < num_pixels, xa, ya, za, du1, dv1, du2,
                    dv2, area, slope_u, slope_v, low, high,
                )  # fmt: skip
                first += num_parts * BLOCK
            middle += 1
        i += tl.num_programs(0)


# -- silhouette ------------------------------------------------------------------------------------


@_compiled
@no_type_check
def _cross(
    keys,
    face_id,
    u0,
    v0,
    u1,
    v1,
    edge,
    is_begin,
    face,
    line,
    is_line,
    start,
    length,
    line_step,
    step,
):
    """Write the crossing of an edge and a scan line to the pair of pixels around it."""
    du, dv = u1 - u0, v1 - v0
    top = (u0 - HALF) * dv + (line.to(tl.int64) * SUBPIXELS + HALF - v0) * du
    bottom = tl.where(is_line, dv * SUBPIXELS, 1)
    # Exact ceiling of the quotient; the estimate is off by at most one.
    inverse = tl.full((), 1.0, tl.float64) / bottom.to(tl.float64)
    at = tl.floor(tl.where(is_line, top, 0).to(tl.float64) * inverse).to(tl.int64)
    rest = top - at * bottom
    at += (rest > 0).to(tl.int64) + (rest > bottom).to(tl.int64) - (rest <= -bottom).to(tl.int64)
    pixel = start + line.to(tl.int64) * line_step + at * step
    is_pair = is_line & (at >= 1) & (at < length)
    is_here = tl.load(face_id + pixel, mask=is_pair, other=-1) >= 0
    is_before = tl.load(face_id + pixel - step, mask=is_pair, other=-1) >= 0
    is_border = is_pair & (is_here == is_begin) & (is_before != is_begin)
    gap = (top - (at - 1) * bottom).to(tl.float64) / bottom.to(tl.float64)
    gap = tl.where(is_begin, 1.0 - gap, gap)
    key = (gap * CROSSING_SCALE).to(tl.int64) << 34 | (LAST_FACE - face) << 2 | edge
    tl.atomic_max(keys + pixel - step, key, mask=is_border, sem="relaxed")


@_compiled
@no_type_check
def _cross_both(
    keys, face_id, ua, va, a, ub, vb, b, uc, vc, c, area, face, line, is_line, start, length,
    line_step, step,
):  # fmt: skip
    """Write both ends of triangles' intervals on scan lines; a, b, c label the opposite edges."""
    is_upper = line.to(tl.int64) * SUBPIXELS + HALF < vb
    _cross(
        keys, face_id, ua, va, uc, vc, b, area > 0, face, line, is_line, start, length, line_step,
        step,
    )  # fmt: skip
    u0, v0 = tl.where(is_upper, ua, ub), tl.where(is_upper, va, vb)
    u1, v1 = tl.where(is_upper, ub, uc), tl.where(is_upper, vb, vc)
    edge = tl.where(is_upper, c, a)
    _cross(
        keys, face_id, u0, v0, u1, v1, edge, area < 0, face, line, is_line, start, length,
        line_step, step,
    )  # fmt: skip


@_compiled
@no_type_check
def _search_small(
    keys, face_id, ua, va, ub, vb, uc, vc, first, last, is_small, face, start, length, line_step,
    step,
):  # fmt: skip
    """Search all scan lines of small triangles, one lane per triangle."""
    zero = face * 0
    ua, va, a, ub, vb, b, uc, vc, c = _sort(ua, va, zero + 1, ub, vb, zero + 2, uc, vc, zero)
    area = (ub - ua) * (vc - va) - (uc - ua) * (vb - va)
    num_lines = tl.where(is_small & (area != 0), last - first, 0)
    num_rounds = tl.max(num_lines, 0)
    i = 0
    while i < num_rounds:
        _cross_both(
            keys, face_id, ua, va, a, ub, vb, b, uc, vc, c, area, face, first + i, i < num_lines,
            start, length, line_step, step,
        )  # fmt: skip
        i += 1


@_compiled
@no_type_check
def _search_large(
    keys, face_id, ua, va, a, ub, vb, b, uc, vc, c, face, start, lines, length, line_step, step,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Search all scan lines of one triangle, one lane per line."""
    first, last = _centres(va, vb, vc, lines)
    ua, va, a, ub, vb, b, uc, vc, c = _sort(ua, va, a, ub, vb, b, uc, vc, c)
    area = (ub - ua) * (vc - va) - (uc - ua) * (vb - va)
    last = tl.where(area != 0, last, first)
    begin = first
    while begin < last:
        line = begin + tl.arange(0, BLOCK)
        _cross_both(
            keys, face_id, ua, va, a, ub, vb, b, uc, vc, c, area, face, line, line < last, start,
            length, line_step, step,
        )  # fmt: skip
        begin += BLOCK


@_compiled
@no_type_check
def search_faces(
    across, down, face_id, todo, counter, clip, faces, spans, num_rows, num_blocks, height, width,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """First round: each lane searches one small face, or appends it to the list."""
    image = (tl.program_id(0) // num_blocks).to(tl.int64)
    face = (tl.program_id(0) % num_blocks).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    first_row, first_face = tl.load(spans + image * 4), tl.load(spans + image * 4 + 1)
    is_face = face < tl.load(spans + image * 4 + 2)
    xa, ya, _, xb, yb, _, xc, yc, _, is_easy, is_hard = _read_faces(
        clip, faces, first_row, first_face, num_rows, face, is_face, height, width
    )
    top, bottom = _centres(ya, yb, yc, height)
    left, right = _centres(xa, xb, xc, width)
    is_small = is_easy & (bottom - top <= SMALL) & (right - left <= SMALL)
    _queue(todo, counter, image, face, is_hard | (is_easy & ~is_small))
    start = image * height * width
    _search_small(
        across, face_id, xa, ya, xb, yb, xc, yc, top, bottom, is_small, face, start, width, width, 1
    )
    _search_small(
        down, face_id, ya, xa, yb, xb, yc, xc, left, right, is_small, face, start, height, 1, width
    )


@_compiled
@no_type_check
def search_listed(
    across, down, face_id, todo, counter, clip, faces, spans, num_rows, height, width,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Second round: each program searches faces from the list, many lines at a time."""
    num_listed = tl.load(counter)
    i = tl.program_id(0)
    while i < num_listed:
        entry = tl.load(todo + i)
        image, face = entry >> 32, entry & 0xFFFFFFFF
        first_row, first_face = tl.load(spans + image * 4), tl.load(spans + image * 4 + 1)
        x, y, _, edge, count = _read_polygon(
            clip, faces, first_row, first_face, num_rows, face, height, width
        )
        start = image * height * width
        middle = 1
        while middle < count - 1:
            # An edge is labelled at the corner before it; diagonals of the fan have no label.
            a = _at(edge, middle)
            b = tl.where(middle + 2 == count, _at(edge, count - 1), NO_EDGE)
            c = tl.where(middle == 1, _at(edge, 0), NO_EDGE)
            xa, ya, xb, yb = _at(x, 0), _at(y, 0), _at(x, middle), _at(y, middle)
            xc, yc = _at(x, middle + 1), _at(y, middle + 1)
            _search_large(
                across, face_id, xa, ya, a, xb, yb, b, xc, yc, c, face, start, height, width, width,
                1, BLOCK,
            )  # fmt: skip
            _search_large(
                down, face_id, ya, xa, a, yb, xb, b, yc, xc, c, face, start, width, height, 1,
                width, BLOCK,
            )  # fmt: skip
            middle += 1
        i += tl.num_programs(0)
