"""Colours antialiased where a surface ends in front of another, with the gradient of that edge.

`coverage` antialiases the outer silhouette. Inside it, between two covered pixels, a contour edge
may pass too: the rim of a cup before its inside, a handle before the body. The two pixels then see
different surfaces, and the occluder is found without a threshold on depth: from the face seen at
each pixel a walk through the mesh follows the segment between the two centres. If it arrives at the
face seen at the other centre, both are one surface. If it turns back before, the edge where it
turns is a contour edge of that surface: one face of the edge faces the camera, the other does not.
The walk is discrete and has no gradient; where the edge crosses the segment is a differentiable
function of its two vertices, and pairs are weighted as in `coverage`, so that across and down
together integrate the exact derivative of the area that the nearer surface covers.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from get3d.render.antialiasing import Crossings, crossing_distances
from get3d.render.gbuffer import Pixels
from get3d.render.views import Views

MAX_STEPS = 12
"""Faces a walk may enter. A pair whose walk takes longer has no contour edge as far as known."""

_BOUNDARY, _UNCLEAR = -1, -2


@dataclass(frozen=True)
class Occlusions:
    """Pairs of neighbouring covered pixels that a contour edge of the nearer surface separates.

    Attributes:
        crossings: `covered` sees the nearer surface, `empty` the farther one.
        near_depth: Distance of the nearer surface along the viewing axis, at the covered pixel.
        far_depth: That of the farther surface, at the other pixel.
    """

    crossings: Crossings
    near_depth: Float[Tensor, " c"]
    far_depth: Float[Tensor, " c"]


@dataclass(frozen=True)
class LayeredPixels:
    """Fine pixels at which to evaluate colours, and how to blend these in coarse pixels.

    Attributes:
        pixels: In the order of their images.
        base: Which of them stand for the coarse pixels, one each, in the order given.
        mixed: Coarse pixels that an occlusion contour crosses.
        other: Which of the pixels is their second layer.
        fraction: Of the first layer in their colour; differentiable in the vertices.
    """

    pixels: Pixels
    base: Int[Tensor, " coarse"]
    mixed: Int[Tensor, " k"]
    other: Int[Tensor, " k"]
    fraction: Float[Tensor, " k"]

    def blend(self, colors: Float[Tensor, "p c"]) -> Float[Tensor, "coarse c"]:
        """Compute the colours of the coarse pixels from those of `pixels`."""
        first = colors.index_select(0, self.base)
        fraction = self.fraction.to(colors.dtype)[:, None]
        mixture = fraction * first.index_select(0, self.mixed)
        mixture = mixture + (1 - fraction) * colors.index_select(0, self.other)
        return first.index_copy(0, self.mixed, mixture)


def layer_pixels(
    views: Views, face_id: Int[Tensor, "n h w"], base: Pixels, side: int
) -> LayeredPixels:
    """Add a second pixel to every coarse pixel that an occlusion contour crosses.

    A coarse pixel's covered fine pixels are split into a near and a far layer at the depth halfway
    between both sides of its contour. The near layer's fraction of them is corrected by the
    distances of the contour from the fine pixels' centres, and so becomes differentiable.

    Args:
        views: The packed views.
        face_id: What `rasterize_views` returned for them, in fine pixels.
        base: One covered fine pixel of each coarse pixel that has any, in the order of images,
            rows and columns.
        side: Fine pixels along each side of a coarse one; divides height and width.
    """
    found = find_occlusions(views, face_id)
    near, far = found.crossings.covered, found.crossings.empty
    distance, weight = crossing_distances(views, found.crossings, face_id)
    with torch.no_grad():
        changed = torch.where(distance < 0.5, near, far)
        blocks, block = _to_blocks(changed, face_id, side).unique(return_inverse=True)
        columns = face_id.shape[2] // side
        rows = torch.full((face_id.numel() // side**2,), -1, device=face_id.device)
        rows[(base.image * (face_id.shape[1] // side) + base.row // side) * columns
             + base.column // side] = torch.arange(len(base), device=face_id.device)  # fmt: skip
        mixed = rows[blocks]
        is_covered, is_near, fine = _split_layers(views, face_id, blocks, block, found, side)
        picked = (base.row[mixed] % side) * side + base.column[mixed] % side
        is_base_near = is_near.gather(1, picked[:, None])[:, 0]
        # The second layer: its fine pixel nearest to the centre; if none, that of a pair.
        order = _from_centre(side, face_id.device)
        is_other = is_covered & (is_near != is_base_near[:, None])
        has_other, first = is_other[:, order].max(dim=1)
        pair = torch.full_like(blocks, len(near)).scatter_reduce_(
            0, block, torch.arange(len(near), device=near.device), "amin"
        )
        outside = torch.where(is_base_near, far[pair], near[pair])
        other = fine.gather(1, order[first][:, None])[:, 0]
        extra = _list_pixels(torch.where(has_other, other, outside), face_id)
        num_covered = is_covered.sum(1).to(distance.dtype)
        hard = is_near.sum(1).to(distance.dtype)
    soft = hard.index_add(0, block, weight * (distance - 0.5)) / num_covered
    soft = soft + (soft.clamp(0.0, 1.0) - soft).detach()
    image = torch.cat([base.image, extra.image])
    order = image.argsort(stable=True)
    place = torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=base.row.device))
    every = [torch.cat([getattr(base, name), getattr(extra, name)])[order]
             for name in ("image", "row", "column", "face")]  # fmt: skip
    return LayeredPixels(
        pixels=Pixels(*every),
        base=place[: len(base)],
        mixed=mixed,
        other=place[len(base) :],
        fraction=torch.where(is_base_near, soft, 1 - soft),
    )


def find_occlusions(views: Views, face_id: Int[Tensor, "n h w"]) -> Occlusions:
    """Search for contour edges between covered neighbours; no gradient.

    Args:
        views: The packed views.
        face_id: What `rasterize_views` returned for them.
    """
    with torch.no_grad():
        low, high, is_across = _candidates(views, face_id)
        start, goal = torch.cat([low, high]), torch.cat([high, low])
        walks = _walk(views, face_id, start, goal, is_across.repeat(2))
        edge, distance, passes, depth = (each.view(2, -1) for each in walks)
        # The nearer of two surfaces that end; a farther one only if the other is known to go on.
        is_nearer = torch.stack([depth[0] <= depth[1], depth[0] > depth[1]])
        occludes = (edge >= 0) & (is_nearer | passes.flip(0))
        occludes[1] &= ~occludes[0]
        index = occludes[1].long()
        kept = occludes.any(0).nonzero()[:, 0]
        index, low, high = index[kept], low[kept], high[kept]
        edge, distance = edge[index, kept], distance[index, kept]
        near, far = torch.where(index == 0, low, high), torch.where(index == 0, high, low)
        face, side = edge // 3, edge % 3
        spans = views.device_spans[near // face_id[0].numel()]
        corner = torch.stack([side, (side + 1) % 3], 1)
        return Occlusions(
            Crossings(
                covered=near,
                empty=far,
                ends=views.faces[face].gather(1, corner) + spans[:, :1],
                distance=distance,
                is_across=is_across[kept],
            ),
            near_depth=depth[index, kept],
            far_depth=depth[1 - index, kept],
        )


def _candidates(
    views: Views, face_id: Int[Tensor, "n h w"]
) -> tuple[Int[Tensor, " c"], Int[Tensor, " c"], Bool[Tensor, " c"]]:
    """List neighbours that see faces without a common edge: flat indices, and which lie across."""
    width = face_id.shape[2]
    rows = _face_rows(views, face_id)
    low, high = [], []
    for axis, step in ((2, 1), (1, width)):
        first = rows.narrow(axis, 0, rows.shape[axis] - 1)
        second = rows.narrow(axis, 1, rows.shape[axis] - 1)
        is_pair = (first != second) & (first >= 0) & (second >= 0)
        is_pair = torch.nn.functional.pad(is_pair, (0, 1) if axis == 2 else (0, 0, 0, 1))
        low.append(is_pair.flatten().nonzero()[:, 0])
        high.append(low[-1] + step)
    is_across = torch.arange(len(low[0]) + len(low[1]), device=rows.device) < len(low[0])
    place, other = torch.cat(low), torch.cat(high)
    a = views.faces.index_select(0, rows.flatten()[place])
    b = views.faces.index_select(0, rows.flatten()[other])
    num_shared = sum((a == b.roll(turn, 1)).sum(1) for turn in range(3))
    kept = (num_shared < 2).nonzero()[:, 0]
    return place[kept], other[kept], is_across[kept]


def _walk(
    views: Views,
    face_id: Int[Tensor, "n h w"],
    start: Int[Tensor, " c"],
    goal: Int[Tensor, " c"],
    is_across: Bool[Tensor, " c"],
) -> tuple[Int[Tensor, " c"], Float[Tensor, " c"], Bool[Tensor, " c"], Float[Tensor, " c"]]:
    """Follow the surface seen at one pixel towards the centre of its neighbour.

    Returns:
        The half-edge (3 face + corner, faces counted over all meshes) at which the surface ends,
        -1 for none; its distance from the start, in pixels; whether the surface goes on beyond the
        goal; the depth at the start.
    """
    opposite = opposite_half_edges(views)
    rows = _face_rows(views, face_id).flatten()
    face, target = rows[start], rows[goal]
    spans = views.device_spans[start // face_id[0].numel(), 0]
    sign = (goal > start).to(views.clip.dtype) * 2 - 1
    best_edge = torch.full_like(start, -1)
    best = torch.zeros_like(sign)
    passes = torch.zeros_like(is_across)

    def corners(walk: Int[Tensor, " k"], face: Int[Tensor, " k"]) -> tuple[Tensor, Tensor, Tensor]:
        u, v, w = _relative(views, face_id, start[walk], face, spans[walk], is_across[walk])
        return u * sign[walk, None], v, w

    walk = torch.arange(len(start), device=start.device)
    u, v, w = corners(walk, face)
    area = u.roll(-1, 1) * v.roll(1, 1) - u.roll(1, 1) * v.roll(-1, 1)
    depth = (area * w).sum(1) / area.sum(1)
    at, crosses = _cross(u, v, w)
    exit_at, side = torch.where(crosses, at, -torch.inf).max(1)
    is_clear = (w > 0).all(1) & crosses.any(1)
    is_forward = is_clear
    kept = is_clear.nonzero()[:, 0]
    walk, face, side, exit_at, is_forward = (
        each[kept] for each in (walk, face, side, exit_at, is_forward)
    )
    for _ in range(MAX_STEPS):
        goes_on = is_forward & (exit_at > 1)
        passes[walk[goes_on & (best_edge[walk] < 0)]] = True
        edge = 3 * face + side
        twin = opposite[edge]
        entered = twin // 3
        is_open = is_forward & (twin == _BOUNDARY)
        is_inside = (twin >= 0) & (entered != target[walk]) & ~goes_on
        u, v, w = corners(walk, entered.clamp(min=0))
        at, crosses = _cross(u, v, w)
        crosses = crosses & (torch.arange(3, device=twin.device) != (twin % 3)[:, None])
        leaving_at, leaving = torch.where(crosses, at, -torch.inf).max(1)
        is_inside &= (w > 0).all(1)
        turns_forward = leaving_at > exit_at
        ends = (is_open | (is_inside & is_forward & ~turns_forward)) & ~goes_on
        ends &= (best_edge[walk] < 0) | (exit_at > best[walk])
        best[walk[ends]] = exit_at[ends]
        best_edge[walk[ends]] = edge[ends]
        kept = (is_inside & (leaving_at > -0.5)).nonzero()[:, 0]
        walk, face, side = walk[kept], entered[kept], leaving[kept]
        exit_at, is_forward = leaving_at[kept], turns_forward[kept]
        if not len(walk):
            break
    return best_edge, best.clamp(0, 1), passes, depth


def _cross(
    u: Float[Tensor, "k 3"], v: Float[Tensor, "k 3"], w: Float[Tensor, "k 3"]
) -> tuple[Float[Tensor, "k 3"], Bool[Tensor, "k 3"]]:
    """Where the three edges of triangles cross the axis v = 0, and which of them do."""
    u1, v1, w1 = u.roll(-1, 1), v.roll(-1, 1), w.roll(-1, 1)
    return (u * v1 - u1 * v) / (w * v1 - w1 * v), (v >= 0) != (v1 >= 0)


def _relative(
    views: Views,
    face_id: Int[Tensor, "n h w"],
    pixel: Int[Tensor, " k"],
    face: Int[Tensor, " k"],
    first: Int[Tensor, " k"],
    is_across: Bool[Tensor, " k"],
) -> tuple[Float[Tensor, "k 3"], Float[Tensor, "k 3"], Float[Tensor, "k 3"]]:
    """Corners of faces in pixels from a pixel's centre, times w, along the pair and beside it."""
    height, width = face_id.shape[1:]
    rows = views.faces.index_select(0, face) + first[:, None]
    clip = views.clip.index_select(0, rows.flatten()).view(-1, 3, 4)
    w = clip[..., 3]
    column, row = pixel % width, pixel // width % height
    x = clip[..., 0] * (width / 2) - (column.to(w.dtype) + 0.5 - width / 2)[:, None] * w
    y = clip[..., 1] * (height / 2) - (row.to(w.dtype) + 0.5 - height / 2)[:, None] * w
    return torch.where(is_across[:, None], x, y), torch.where(is_across[:, None], y, x), w


def _face_rows(views: Views, face_id: Int[Tensor, "n h w"]) -> Int[Tensor, "n h w"]:
    """Rows of `Views.faces`, -1 for none."""
    return torch.where(face_id >= 0, face_id + views.device_spans[:, 1, None, None], -1)


def opposite_half_edges(views: Views) -> Int[Tensor, " half_edges"]:
    """Find the other half-edge of every edge, over all meshes; the winding does not matter.

    Returns:
        Its index, 3 face + corner; -1 at a boundary, -2 where an edge has more than two faces.
    """
    meshes = views.spans[:, 1:].unique_consecutive(dim=0)
    faces = views.faces
    counts, firsts = meshes[:, 1], meshes[:, 2]
    offset = firsts.to(faces.device).repeat_interleave(
        counts.to(faces.device), output_size=len(faces)
    )
    faces = faces + offset[:, None]
    start, end = faces.flatten(), faces.roll(-1, 1).flatten()
    key = (torch.minimum(start, end) << 32) | torch.maximum(start, end)
    key, order = key.sort()
    is_same = key[1:] == key[:-1]
    none = is_same.new_zeros(1)
    next_same, last_same = torch.cat([is_same, none]), torch.cat([none, is_same])
    following, previous = order.roll(-1), order.roll(1)
    twin = torch.where(next_same, following, torch.where(last_same, previous, _BOUNDARY))
    # In a row of three or more each but the first and last is like both its neighbours.
    is_middle = next_same & last_same
    is_many = is_middle | (next_same & is_middle.roll(-1)) | (last_same & is_middle.roll(1))
    twin = torch.where(is_many, _UNCLEAR, twin)
    return torch.empty_like(twin).scatter_(0, order, twin)


def _to_blocks(pixel: Int[Tensor, " k"], face_id: Int[Tensor, "n h w"], side: int) -> Tensor:
    """Flat indices of the coarse pixels that fine ones lie in."""
    width = face_id.shape[2]
    return pixel // width // side * (width // side) + pixel % width // side


def _list_pixels(pixel: Int[Tensor, " k"], face_id: Int[Tensor, "n h w"]) -> Pixels:
    height, width = face_id.shape[1:]
    return Pixels(
        pixel // (height * width),
        pixel // width % height,
        pixel % width,
        face_id.flatten()[pixel],
    )


def _from_centre(side: int, device: torch.device) -> Int[Tensor, " fine"]:
    """Fine pixels of a coarse one, the nearest to its centre first."""
    offset = torch.arange(side, device=device) - (side - 1) / 2
    return (offset.square()[:, None] + offset.square()).flatten().argsort(stable=True)


def _split_layers(
    views: Views,
    face_id: Int[Tensor, "n h w"],
    blocks: Int[Tensor, " k"],
    block: Int[Tensor, " c"],
    found: Occlusions,
    side: int,
) -> tuple[Bool[Tensor, "k fine"], Bool[Tensor, "k fine"], Int[Tensor, "k fine"]]:
    """Which fine pixels of some coarse ones are covered, which see the near layer; their indices."""
    width = face_id.shape[2]
    columns = width // side
    corner = blocks // columns * (side * width) + blocks % columns * side
    inside = torch.arange(side, device=blocks.device)
    fine = corner[:, None] + (inside[:, None] * width + inside).flatten()
    rows = _face_rows(views, face_id).flatten()[fine]
    is_covered = rows >= 0
    pixel = fine[is_covered]
    first = views.device_spans[pixel // face_id[0].numel(), 0]
    u, v, w = _relative(
        views, face_id, pixel, rows[is_covered], first, torch.ones_like(pixel, dtype=torch.bool)
    )
    area = u.roll(-1, 1) * v.roll(1, 1) - u.roll(1, 1) * v.roll(-1, 1)
    depth = torch.zeros_like(fine, dtype=w.dtype)
    depth[is_covered] = (area * w).sum(1) / area.sum(1)
    sums = w.new_zeros(2, len(blocks)).index_add_(
        1, block, torch.stack([found.near_depth, found.far_depth])
    )
    num = w.new_zeros(len(blocks)).index_add_(0, block, torch.ones_like(found.near_depth))
    middle, step = sums.mean(0) / num, sums[1] - sums[0]
    is_near = is_covered & ((depth - middle[:, None]) * step[:, None] < 0)
    return is_covered, is_near, fine
