"""The reference backend: scan conversion with tensor operations, on any device.

A triangle covers, on each row of pixel centres, an interval [left, right) whose ends are ratios of
integers; expanding (triangle, row) and then (interval, pixel) gives every fragment exactly once.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from get3d.render.fixed_point import (
    CROSSING_SCALE,
    DEPTH_SCALE,
    HALF,
    LAST_FACE,
    MAX_KEY,
    NO_EDGE,
    SUBPIXELS,
    ScreenTriangles,
    screen_triangles,
)
from get3d.render.views import PackedViews

CHUNK = 1 << 22
"""Approximate number of elements processed at a time."""


@dataclass(frozen=True)
class _Sorted:
    """Triangles with corners ordered along the scan axis `v`; `u` runs along the scan lines."""

    u: Int[Tensor, "m 3"]
    v: Int[Tensor, "m 3"]
    z: Float[Tensor, "m 3"]
    opposite: Int[Tensor, "m 3"]
    area: Int[Tensor, " m"]


@dataclass(frozen=True)
class _Spans:
    """Intervals [begin, end) of triangles on scan lines, in pixels.

    The gaps are distances from the outermost covered centres to the edges at the interval's ends.
    """

    triangle: Int[Tensor, " s"]
    line: Int[Tensor, " s"]
    begin: Int[Tensor, " s"]
    end: Int[Tensor, " s"]
    begin_gap: Float[Tensor, " s"]
    end_gap: Float[Tensor, " s"]
    begin_edge: Int[Tensor, " s"]
    end_edge: Int[Tensor, " s"]


def rasterize(views: PackedViews, image_size: tuple[int, int]) -> Int[Tensor, "n h w"]:
    """Find the nearest face of every pixel; the contract is that of `get3d.render.rasterize`."""
    height, width = image_size
    keys = torch.full((len(views) * height * width,), MAX_KEY, device=views.clip.device)
    for pixel, key in fragments(views, image_size):
        keys.scatter_reduce_(0, pixel, key, "amin")
    faces = torch.where(keys == MAX_KEY, -1, keys & 0xFFFFFFFF)
    return faces.view(len(views), height, width)


def fragments(
    views: PackedViews, image_size: tuple[int, int]
) -> Iterator[tuple[Int[Tensor, " f"], Int[Tensor, " f"]]]:
    """List what every triangle covers, hidden or not, with bounded memory.

    Yields:
        Flat indices of pixels, and keys that sort fragments by depth, then by face; the last 32
        bits are the face.
    """
    height, width = image_size
    triangles = screen_triangles(views, image_size)
    device = triangles.x.device
    for part in _chunks(triangles.y, triangles.x, height):
        corners = _sort(triangles, part, triangles.x, triangles.y)
        spans = _scan(corners, height)
        begin, end = spans.begin.clamp(0, width), spans.end.clamp(0, width)
        for rows in _split_by_sum((end - begin).clamp(min=0)):
            lengths = (end - begin).clamp(min=0)[rows]
            owner = torch.arange(lengths.shape[0], device=device).repeat_interleave(lengths)
            offset = (
                torch.arange(owner.shape[0], device=device) - (lengths.cumsum(0) - lengths)[owner]
            )
            column = begin[rows][owner] + offset
            triangle, row = spans.triangle[rows][owner], spans.line[rows][owner]
            depth = _depth(corners, triangle, column, row)
            key = ((depth + 1.0) * DEPTH_SCALE).long() << 32 | triangles.face[part][triangle]
            pixel = (triangles.image[part][triangle] * height + row) * width + column
            yield pixel, key


def silhouette(views: PackedViews, face_id: Int[Tensor, "n h w"]) -> Int[Tensor, "2 c"]:
    """Find the outermost edge between covered and empty neighbours; see `antialiasing.py`.

    Returns:
        For every pair of neighbours its place and the key of the outermost edge, which encodes
        distance, face and edge. The place is the flat index of the pair's first pixel; places of
        vertical pairs follow those of all horizontal ones. Edges created by clipping are left out.
    """
    num, height, width = face_id.shape
    triangles = screen_triangles(views, (height, width))
    covered = (face_id >= 0).flatten()
    across = torch.full((num * height * width,), -1, device=covered.device)
    down = across.clone()
    for keys, u, v, lines, length, steps in (
        (across, triangles.x, triangles.y, height, width, (width, 1)),
        (down, triangles.y, triangles.x, width, height, (1, width)),
    ):
        for part in _chunks(v, u, lines):
            corners = _sort(triangles, part, u, v)
            spans = _scan(corners, lines)
            start = triangles.image[part][spans.triangle] * (height * width) + (
                spans.line * steps[0]
            )
            rank = (LAST_FACE - triangles.face[part][spans.triangle]) << 2
            for inside, outside, gap, edge in (
                (spans.end - 1, spans.end, spans.end_gap, spans.end_edge),
                (spans.begin, spans.begin - 1, spans.begin_gap, spans.begin_edge),
            ):
                low = torch.minimum(inside, outside)
                is_pair = (low >= 0) & (low < length - 1)
                pixel_in = (start + inside * steps[1])[is_pair]
                pixel_out = (start + outside * steps[1])[is_pair]
                is_border = covered[pixel_in] & ~covered[pixel_out]
                key = ((gap * CROSSING_SCALE).long() << 34 | rank | edge)[is_pair][is_border]
                pair = torch.minimum(pixel_in, pixel_out)[is_border]
                keys.scatter_reduce_(0, pair, key, "amax")
    keys = torch.cat([across, down])
    found = ((keys >= 0) & (keys & 3 != NO_EDGE)).nonzero().squeeze(1)
    return torch.stack([found, keys[found]])


def _chunks(v: Int[Tensor, "m 3"], u: Int[Tensor, "m 3"], lines: int) -> list[Int[Tensor, " c"]]:
    """Group the triangles that cross a scan line, with bounded memory per group."""
    first, last = _line_range(v.amin(1), v.amax(1), lines)
    alive = (last > first).nonzero().squeeze(1)
    return [alive[rows] for rows in _split_by_sum((last - first)[alive])]


def _split_by_sum(lengths: Int[Tensor, " m"]) -> list[slice]:
    """Split a list into slices whose lengths sum to about CHUNK."""
    if not lengths.numel():
        return []
    groups = (lengths.cumsum(0) - lengths) // CHUNK
    ends = groups.bincount().cumsum(0).unique().tolist()
    return [slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True)]


def _line_range(
    low: Int[Tensor, " m"], high: Int[Tensor, " m"], lines: int
) -> tuple[Int[Tensor, " m"], Int[Tensor, " m"]]:
    """Return the half-open range of scan lines whose centres lie in [low, high)."""
    first = (low + HALF - 1).div(SUBPIXELS, rounding_mode="floor").clamp(0, lines)
    last = (high + HALF - 1).div(SUBPIXELS, rounding_mode="floor").clamp(0, lines)
    return first, last


def _sort(
    triangles: ScreenTriangles,
    part: Int[Tensor, " c"],
    u: Int[Tensor, "m 3"],
    v: Int[Tensor, "m 3"],
) -> _Sorted:
    """Sort corners by v, then u, so that the arithmetic does not depend on their order."""
    u, v = u[part], v[part]
    order = (v << 32).add(u).argsort(1)
    u, v = u.gather(1, order), v.gather(1, order)
    area = (u[:, 1] - u[:, 0]) * (v[:, 2] - v[:, 0]) - (u[:, 2] - u[:, 0]) * (v[:, 1] - v[:, 0])
    z, opposite = triangles.z[part].gather(1, order), triangles.opposite[part].gather(1, order)
    return _Sorted(u, v, z, opposite, area)


def _scan(corners: _Sorted, lines: int) -> _Spans:
    """Intersect triangles with scan lines."""
    first, last = _line_range(corners.v[:, 0], corners.v[:, 2], lines)
    lengths = torch.where(corners.area == 0, 0, last - first)
    triangle = torch.arange(lengths.shape[0], device=lengths.device).repeat_interleave(lengths)
    line = (
        torch.arange(triangle.shape[0], device=lengths.device)
        - (lengths.cumsum(0) - lengths - first)[triangle]
    )
    u, v = corners.u[triangle], corners.v[triangle]
    centre = line * SUBPIXELS + HALF
    is_upper = centre < v[:, 1]
    start = torch.where(is_upper, 0, 1)[:, None]
    zero, two = torch.zeros_like(start), torch.full_like(start, 2)
    long_at, long_gap = _cross(u, v, zero, two, centre)
    short_at, short_gap = _cross(u, v, start, start + 1, centre)
    opposite = corners.opposite[triangle]
    long_edge, short_edge = opposite[:, 1], torch.where(is_upper, opposite[:, 2], opposite[:, 0])
    long_first = corners.area[triangle] > 0
    begin_gap = torch.where(long_first, long_gap, short_gap)
    return _Spans(
        triangle=triangle,
        line=line,
        begin=torch.where(long_first, long_at, short_at),
        end=torch.where(long_first, short_at, long_at),
        begin_gap=1.0 - begin_gap,
        end_gap=torch.where(long_first, short_gap, long_gap),
        begin_edge=torch.where(long_first, long_edge, short_edge),
        end_edge=torch.where(long_first, short_edge, long_edge),
    )


def _cross(
    u: Int[Tensor, "s 3"],
    v: Int[Tensor, "s 3"],
    start: Int[Tensor, "s 1"],
    end: Int[Tensor, "s 1"],
    centre: Int[Tensor, " s"],
) -> tuple[Int[Tensor, " s"], Float[Tensor, " s"]]:
    """Find where edges cross scan lines.

    Returns:
        The first pixel whose centre is not before the crossing, and the distance from the centre of
        the previous pixel to the crossing, in (0, 1].
    """
    u0, v0 = u.gather(1, start)[:, 0], v.gather(1, start)[:, 0]
    du, dv = u.gather(1, end)[:, 0] - u0, v.gather(1, end)[:, 0] - v0
    top = (u0 - HALF) * dv + (centre - v0) * du
    bottom = dv * SUBPIXELS
    before = top.div(bottom, rounding_mode="floor")
    rest = top - before * bottom
    gap = torch.where(rest > 0, rest.double() / bottom.double(), 1.0)
    return before + (rest > 0).long(), gap


def _depth(
    corners: _Sorted,
    triangle: Int[Tensor, " p"],
    column: Int[Tensor, " p"],
    row: Int[Tensor, " p"],
) -> Float[Tensor, " p"]:
    """Interpolate z/w linearly over the screen, in a fixed order of operations."""
    (u0, u1, u2), (v0, v1, v2) = corners.u.double().unbind(1), corners.v.double().unbind(1)
    z0, z1, z2 = corners.z.unbind(1)
    inverse = 1.0 / corners.area.double()
    slope_u = ((z1 - z0) * (v2 - v0) - (z2 - z0) * (v1 - v0)) * inverse
    slope_v = ((z2 - z0) * (u1 - u0) - (z1 - z0) * (u2 - u0)) * inverse
    du = (column * SUBPIXELS + HALF).double() - u0[triangle]
    dv = (row * SUBPIXELS + HALF).double() - v0[triangle]
    depth = (z0[triangle] + slope_v[triangle] * dv) + slope_u[triangle] * du
    low, high = corners.z.amin(1), corners.z.amax(1)
    return torch.minimum(torch.maximum(depth, low[triangle]), high[triangle])
