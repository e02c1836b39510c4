"""Antialiasing of colours at occlusion contours, where one surface ends in front of another.

`antialias_mask` antialiases the outer silhouette. A contour edge may also separate two covered
pixels: the rim of a cup in front of its inside, a handle in front of the body. The two pixels then
show different surfaces, and the occluder is found without a threshold on depth: from the visible
face at each pixel a traversal of the mesh follows the segment between the two centres. If it
reaches the visible face at the other centre, both pixels show one surface. If it turns back before,
the edge where it turns is a contour edge of that surface: one face at the edge faces the camera,
the other does not. The traversal is discrete and has no gradient; the crossing of the edge and the
segment is a differentiable function of the edge's two vertices, and pairs are weighted as in
`antialias_mask`, so that horizontal and vertical pairs together integrate the exact derivative of
the area that the nearer surface covers.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from get3d.core.threads import run_jobs
from get3d.render import numba_backend
from get3d.render import occlusion_kernels as kernels
from get3d.render.antialiasing import Crossings, crossing_distances
from get3d.render.gbuffer import Pixels
from get3d.render.numba_backend import split_views
from get3d.render.occlusion_kernels import ARRIVES, BOUNDARY, ENDS, MAX_STEPS, PASSES, UNCLEAR
from get3d.render.rasterizer import Backend, choose_backend
from get3d.render.views import PackedViews

LAYERS = 3
"""Maximum number of depth layers in a coarse pixel."""


@dataclass(frozen=True)
class Occlusions:
    """Pairs of neighbouring covered pixels that a contour edge of the nearer surface separates.

    Attributes:
        crossings: `covered` is the pixel of the nearer surface, `empty` that of the farther one.
        near_depth: Depth of the nearer surface along the viewing axis, in scene units.
        far_depth: Depth of the farther surface along the viewing axis, in scene units.
    """

    crossings: Crossings
    near_depth: Float[Tensor, " c"]
    far_depth: Float[Tensor, " c"]


@dataclass(frozen=True)
class LayeredPixels:
    """Fine pixels at which to evaluate colours, and weights that blend them into coarse pixels.

    Attributes:
        pixels: The fine pixels, ordered by image.
        base: Index in `pixels` of the one that represents each coarse pixel.
        mixed: Coarse pixels that an occlusion contour crosses.
        fraction: Fraction of the base layer in these; differentiable in the vertices.
        extra: Indices in `pixels` of those that show other layers.
        extra_of: Coarse pixel of each extra pixel.
        extra_fraction: Fraction of each extra pixel in it; differentiable in the vertices.
    """

    pixels: Pixels
    base: Int[Tensor, " coarse"]
    mixed: Int[Tensor, " k"]
    fraction: Float[Tensor, " k"]
    extra: Int[Tensor, " e"]
    extra_of: Int[Tensor, " e"]
    extra_fraction: Float[Tensor, " e"]

    def blend(self, colors: Float[Tensor, "p c"]) -> Float[Tensor, "coarse c"]:
        """Compute the colours of the coarse pixels from those of `pixels`."""
        first = colors.index_select(0, self.base)
        own = first.index_select(0, self.mixed) * self.fraction.to(colors.dtype)[:, None]
        others = colors.index_select(0, self.extra) * self.extra_fraction.to(colors.dtype)[:, None]
        return first.index_copy(0, self.mixed, own).index_add(0, self.extra_of, others)


def layer_pixels(
    views: PackedViews, face_id: Int[Tensor, "n h w"], base: Pixels, block_size: int
) -> LayeredPixels:
    """Add pixels of the other layers to every coarse pixel that an occlusion contour crosses.

    Args:
        views: The packed views.
        face_id: Result of `rasterize_views` for them, in fine pixels.
        base: One covered fine pixel of each coarse pixel that has any, in the order of images,
            rows and columns.
        block_size: Fine pixels along each axis of a coarse one; divides height and width.
    """
    found = find_occlusions(views, face_id)
    near, far = found.crossings.covered, found.crossings.empty
    distance, weight = crossing_distances(views, found.crossings, face_id)
    with torch.no_grad():
        changed = torch.where(distance < 0.5, near, far)
        blocks, block = _to_blocks(changed, face_id, block_size).unique(return_inverse=True)
        rows = torch.full((face_id.numel() // block_size**2,), -1, device=face_id.device)
        base_pixel = _flat_index(base, face_id)
        rows[_to_blocks(base_pixel, face_id, block_size)] = torch.arange(
            len(base), device=rows.device
        )
        mixed = rows[blocks]
        fine = _fine_pixels(blocks, face_id, block_size)
        is_covered = face_id.flatten()[fine] >= 0
        thresholds = _separate(found, block, len(blocks))
        depth = torch.full_like(fine, torch.inf, dtype=distance.dtype)
        depth[is_covered] = _depths(views, face_id, fine[is_covered])
        layer = _layer_of(depth, thresholds)
        near_layer, far_layer = (
            _layer_of(each[:, None], thresholds[block])[:, 0]
            for each in (found.near_depth, found.far_depth)
        )
        is_in = is_covered[..., None] & (
            layer[..., None] == torch.arange(LAYERS, device=rows.device)
        )
        num_in = is_in.sum(1).to(distance.dtype)
        # The fine pixel of each layer nearest to the centre; if there is none, that of a pair.
        order = from_centre(block_size, rows.device)
        has_pixel, first = is_in[:, order].max(dim=1)
        shown = fine.gather(1, order[first])
        outside = torch.full_like(shown, -1).flatten()
        for place, which in ((far, far_layer), (near, near_layer)):
            outside.scatter_reduce_(0, block * LAYERS + which, place, "amax")
        shown = torch.where(has_pixel, shown, outside.view(-1, LAYERS))
        base_layer = _layer_of(_depths(views, face_id, base_pixel[mixed])[:, None], thresholds)[
            :, 0
        ]
    change = weight * (distance - 0.5)
    soft = num_in.flatten().index_add(0, block * LAYERS + near_layer, change)
    soft = soft.index_add(0, block * LAYERS + far_layer, -change).view(-1, LAYERS)
    soft = soft / num_in.sum(1, keepdim=True)
    clamped = soft.clamp(min=0.0)
    soft = soft + (clamped / clamped.sum(1, keepdim=True) - soft).detach()
    with torch.no_grad():
        is_extra = shown >= 0
        is_extra.scatter_(1, base_layer[:, None], False)
        at, which = is_extra.nonzero(as_tuple=True)
        extra = _list_pixels(shown[at, which], face_id)
        order = torch.cat([base.image, extra.image]).argsort(stable=True)
        place = torch.empty_like(order).scatter_(
            0, order, torch.arange(len(order), device=order.device)
        )
        pixels = Pixels(
            torch.cat([base.image, extra.image])[order],
            torch.cat([base.row, extra.row])[order],
            torch.cat([base.column, extra.column])[order],
            torch.cat([base.face, extra.face])[order],
        )
    return LayeredPixels(
        pixels=pixels,
        base=place[: len(base)],
        mixed=mixed,
        fraction=soft.gather(1, base_layer[:, None])[:, 0],
        extra=place[len(base) :],
        extra_of=mixed[at],
        extra_fraction=soft[at, which],
    )


def _separate(
    found: Occlusions, block: Int[Tensor, " c"], num: int
) -> Float[Tensor, "k thresholds"]:
    """Find depth thresholds between the layers of each coarse pixel; infinite if there are fewer.

    Uses the fewest thresholds that separate the two depths of every pair: the first one is in front
    of the nearest far depth, the next likewise for the pairs that the first does not separate.
    """
    near, far = found.near_depth, found.far_depth
    is_left = near < far
    thresholds = []
    for _ in range(LAYERS - 1):
        ends = near.new_full((num,), torch.inf)
        ends.scatter_reduce_(0, block, torch.where(is_left, far, torch.inf), "amin")
        is_separated = is_left & (near < ends[block])
        starts = near.new_full((num,), -torch.inf)
        starts.scatter_reduce_(0, block, torch.where(is_separated, near, -torch.inf), "amax")
        thresholds.append(torch.where(starts > -torch.inf, (starts + ends) / 2, torch.inf))
        is_left &= ~is_separated
    return torch.stack(thresholds, 1)


def _layer_of(
    depth: Float[Tensor, "k fine"], thresholds: Float[Tensor, "k thresholds"]
) -> Int[Tensor, "k fine"]:
    """Return the layer of each depth."""
    return (depth[..., None] > thresholds[:, None]).sum(2)


def _depths(
    views: PackedViews, face_id: Int[Tensor, "n h w"], pixel: Int[Tensor, " p"]
) -> Float[Tensor, " p"]:
    """Return the depth of the visible surface, computed as in `surface_points`."""
    spans = views.device_spans[pixel // face_id[0].numel()]
    face = face_id.flatten()[pixel] + spans[:, 1]
    is_across = torch.ones_like(pixel, dtype=torch.bool)
    return _depth(*_relative(views, face_id, pixel, face, spans[:, 0], is_across))


def _depth(u: Tensor, v: Tensor, w: Tensor) -> Float[Tensor, " k"]:
    """Return the depth at the pixel centre from the results of `_relative`."""
    weights = u.roll(-1, 1) * v.roll(1, 1) - u.roll(1, 1) * v.roll(-1, 1)
    return (weights * w).sum(1) / weights.sum(1)


def find_occlusions(
    views: PackedViews, face_id: Int[Tensor, "n h w"], *, backend: Backend | None = None
) -> Occlusions:
    """Find the contour edges between covered neighbours; no gradient.

    Args:
        views: The packed views.
        face_id: Result of `rasterize_views` for them.
        backend: "numba" (CPU) or "torch" (any device); None picks the fastest.

    Raises:
        ConfigError: If the backend is unknown or does not support the device.
    """
    is_compiled = choose_backend(views.clip.device, backend) is numba_backend
    with torch.no_grad():
        search = _search_compiled if is_compiled else _search
        low, is_across, edge, is_high_near, distance, near_depth, far_depth = search(views, face_id)
        high = low + torch.where(is_across, 1, face_id.shape[2])
        near = torch.where(is_high_near, high, low)
        face, corner = edge // 3, edge % 3
        first = views.device_spans[near // face_id[0].numel(), :1]
        corners = torch.stack([corner, (corner + 1) % 3], 1)
        ends = views.faces[face].gather(1, corners) + first
        crossings = Crossings(near, low + high - near, ends, distance, is_across)
        return Occlusions(crossings, near_depth, far_depth)


def _search(views: PackedViews, face_id: Int[Tensor, "n h w"]) -> tuple[Tensor, ...]:
    """Search by tensor code; returns the same as `_search_compiled`."""
    opposite = pair_half_edges(views)
    low, high, is_across = _candidates(views, face_id, opposite)
    start, goal = torch.cat([low, high]), torch.cat([high, low])
    traversals = _traverse(views, face_id, opposite, start, goal, is_across.repeat(2))
    outcome, edge, distance, depth = (each.view(2, -1) for each in traversals)
    # The nearer of two surfaces that end; the farther one if the other is known to continue.
    is_nearer = torch.stack([depth[0] <= depth[1], ~(depth[0] <= depth[1])])
    occludes = (outcome == ENDS) & (is_nearer | (outcome.flip(0) == PASSES))
    occludes &= outcome.flip(0) != ARRIVES
    is_high_near = is_nearer[1] ^ ~occludes.gather(0, is_nearer[1:].long())[0]
    index = is_high_near.long()[None]
    kept = occludes.any(0).nonzero()[:, 0]
    chosen = edge, distance, depth
    edge, distance, near_depth = (each.gather(0, index)[0, kept] for each in chosen)
    far_depth = depth.gather(0, 1 - index)[0, kept]
    return low[kept], is_across[kept], edge, is_high_near[kept], distance, near_depth, far_depth


def _search_compiled(views: PackedViews, face_id: Int[Tensor, "n h w"]) -> tuple[Tensor, ...]:
    """Search by compiled loops.

    Returns:
        The lower pixel; whether the pair is horizontal; the half-edge (3 face + corner, faces
        counted over all meshes); whether the higher pixel shows the nearer surface; the distance of
        the edge from the nearer surface's pixel, in pixels; near depth, far depth.
    """
    num, height, width = face_id.shape
    seen = face_id.reshape(num, height * width).numpy()
    meshes = split_views(views)
    first_of = views.spans[:, 1].tolist()
    shown = dict(zip(first_of, meshes, strict=True))

    def pair_up(first: int) -> np.ndarray:
        clip, faces = shown[first]
        return kernels.find_opposite(faces, clip.shape[0])

    def search(image: int) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        around = opposite[first_of[image]]
        return kernels.find_both(seen[image], *meshes[image], around, height, width)

    threads = torch.get_num_threads()
    opposite = dict(zip(shown, run_jobs(pair_up, list(shown), threads=threads), strict=True))
    searched = run_jobs(search, range(num), threads=threads)
    found = np.concatenate([image[axis][0] for axis in (0, 1) for image in searched], 1)
    values = np.concatenate([image[axis][1] for axis in (0, 1) for image in searched], 1)
    counts = torch.tensor([image[axis][0].shape[1] for axis in (0, 1) for image in searched])
    image = torch.arange(num).repeat(2).repeat_interleave(counts)
    low, edge, is_high_near = torch.from_numpy(found)
    distance, near_depth, far_depth = torch.from_numpy(values).to(views.clip.dtype)
    is_across = torch.arange(len(low)) < counts[:num].sum()
    return (
        low + image * (height * width),
        is_across,
        edge + 3 * views.spans[image, 1],
        is_high_near.bool(),
        distance,
        near_depth,
        far_depth,
    )


def _candidates(
    views: PackedViews, face_id: Int[Tensor, "n h w"], opposite: Int[Tensor, " half_edges"]
) -> tuple[Int[Tensor, " c"], Int[Tensor, " c"], Bool[Tensor, " c"]]:
    """List pairs of pixels whose faces share no edge: flat indices, and which are horizontal."""
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
    a, b = rows.flatten()[place], rows.flatten()[other]
    edges = 3 * a[:, None] + torch.arange(3, device=a.device)
    is_shared = (opposite[edges].div(3, rounding_mode="floor") == b[:, None]).any(1)
    kept = (~is_shared).nonzero()[:, 0]
    return place[kept], other[kept], is_across[kept]


def _traverse(
    views: PackedViews,
    face_id: Int[Tensor, "n h w"],
    opposite: Int[Tensor, " half_edges"],
    start: Int[Tensor, " c"],
    goal: Int[Tensor, " c"],
    is_across: Bool[Tensor, " c"],
) -> tuple[Int[Tensor, " c"], Int[Tensor, " c"], Float[Tensor, " c"], Float[Tensor, " c"]]:
    """Traverse the mesh from the visible face at one pixel towards the centre of its neighbour.

    Returns:
        The outcome; the half-edge (3 face + corner, faces counted over all meshes) at which the
        surface ends, -1 for none; its distance from the start, in pixels; the depth at the start.
    """
    rows = _face_rows(views, face_id).flatten()
    face, target = rows[start], rows[goal]
    spans = views.device_spans[start // face_id[0].numel(), 0]
    sign = (goal > start).to(views.clip.dtype) * 2 - 1
    best_edge = torch.full_like(start, -1)
    best = torch.zeros_like(sign)
    outcome = torch.zeros_like(start)

    def corners(index: Int[Tensor, " k"], face: Int[Tensor, " k"]) -> tuple[Tensor, Tensor, Tensor]:
        u, v, w = _relative(views, face_id, start[index], face, spans[index], is_across[index])
        return u * sign[index, None], v, w

    index = torch.arange(len(start), device=start.device)
    u, v, w = corners(index, face)
    depth = _depth(u, v, w)
    at, crosses = _cross(u, v, w)
    exit_at, corner = torch.where(crosses, at, -torch.inf).max(1)
    is_clear = (w > 0).all(1) & crosses.any(1)
    is_forward = is_clear
    kept = is_clear.nonzero()[:, 0]
    index, face, corner, exit_at, is_forward = (
        each[kept] for each in (index, face, corner, exit_at, is_forward)
    )
    for _ in range(MAX_STEPS):
        passes = is_forward & (exit_at > 1)
        outcome[index[passes]] = PASSES
        edge = 3 * face + corner
        other = opposite[edge]
        entered = other // 3
        is_open = is_forward & (other == BOUNDARY)
        arrives = (other >= 0) & (entered == target[index]) & ~passes
        outcome[index[arrives]] = ARRIVES
        is_inside = (other >= 0) & ~arrives & ~passes
        u, v, w = corners(index, entered.clamp(min=0))
        at, crosses = _cross(u, v, w)
        crosses = crosses & (torch.arange(3, device=other.device) != (other % 3)[:, None])
        leaving_at, leaving = torch.where(crosses, at, -torch.inf).max(1)
        is_inside &= (w > 0).all(1)
        turns_forward = leaving_at > exit_at
        ends = (is_open | (is_inside & is_forward & ~turns_forward)) & ~passes
        ends &= (best_edge[index] < 0) | (exit_at > best[index])
        best[index[ends]] = exit_at[ends]
        best_edge[index[ends]] = edge[ends]
        kept = (is_inside & (leaving_at > -0.5)).nonzero()[:, 0]
        index, face, corner = index[kept], entered[kept], leaving[kept]
        exit_at, is_forward = leaving_at[kept], turns_forward[kept]
        if not len(index):
            break
    outcome = torch.where(best_edge >= 0, ENDS, outcome)
    return outcome, best_edge, best.clamp(0, 1), depth


def _cross(
    u: Float[Tensor, "k 3"], v: Float[Tensor, "k 3"], w: Float[Tensor, "k 3"]
) -> tuple[Float[Tensor, "k 3"], Bool[Tensor, "k 3"]]:
    """Return where the three edges of triangles cross the axis v = 0, and which of them do."""
    u1, v1, w1 = u.roll(-1, 1), v.roll(-1, 1), w.roll(-1, 1)
    return (u * v1 - u1 * v) / (w * v1 - w1 * v), (v >= 0) != (v1 >= 0)


def _relative(
    views: PackedViews,
    face_id: Int[Tensor, "n h w"],
    pixel: Int[Tensor, " k"],
    face: Int[Tensor, " k"],
    first: Int[Tensor, " k"],
    is_across: Bool[Tensor, " k"],
) -> tuple[Float[Tensor, "k 3"], Float[Tensor, "k 3"], Float[Tensor, "k 3"]]:
    """Return corners relative to a pixel's centre, in pixels times w: along the pair, across, w."""
    height, width = face_id.shape[1:]
    rows = views.faces.index_select(0, face) + first[:, None]
    clip = views.clip.index_select(0, rows.flatten()).view(-1, 3, 4)
    w = clip[..., 3]
    column, row = pixel % width, pixel // width % height
    x = clip[..., 0] * (width / 2) - (column.to(w.dtype) + 0.5 - width / 2)[:, None] * w
    y = clip[..., 1] * (height / 2) - (row.to(w.dtype) + 0.5 - height / 2)[:, None] * w
    return torch.where(is_across[:, None], x, y), torch.where(is_across[:, None], y, x), w


def _face_rows(views: PackedViews, face_id: Int[Tensor, "n h w"]) -> Int[Tensor, "n h w"]:
    """Return rows of `PackedViews.faces`, -1 for background."""
    return torch.where(face_id >= 0, face_id + views.device_spans[:, 1, None, None], -1)


def pair_half_edges(views: PackedViews) -> Int[Tensor, " half_edges"]:
    """Find the opposite of every half-edge, over all meshes and regardless of winding.

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
    opposite = torch.where(next_same, following, torch.where(last_same, previous, BOUNDARY))
    # In a run of three or more equal keys, all but the first and last equal both neighbours.
    is_middle = next_same & last_same
    is_many = is_middle | (next_same & is_middle.roll(-1)) | (last_same & is_middle.roll(1))
    opposite = torch.where(is_many, UNCLEAR, opposite)
    return torch.empty_like(opposite).scatter_(0, order, opposite)


def _to_blocks(pixel: Int[Tensor, " k"], face_id: Int[Tensor, "n h w"], block_size: int) -> Tensor:
    """Return flat indices of the coarse pixels that contain fine ones."""
    width = face_id.shape[2]
    return pixel // width // block_size * (width // block_size) + pixel % width // block_size


def _list_pixels(pixel: Int[Tensor, " k"], face_id: Int[Tensor, "n h w"]) -> Pixels:
    """Convert flat indices to `Pixels`."""
    height, width = face_id.shape[1:]
    return Pixels(
        pixel // (height * width),
        pixel // width % height,
        pixel % width,
        face_id.flatten()[pixel],
    )


def from_centre(block_size: int, device: torch.device) -> Int[Tensor, " fine"]:
    """Sort the fine pixels of a coarse one by distance from its centre.

    Args:
        block_size: Fine pixels along each axis of the coarse one.
        device: Device of the result.

    Returns:
        Flat indices, row by row, nearest first.
    """
    offset = torch.arange(block_size, device=device) - (block_size - 1) / 2
    return (offset.square()[:, None] + offset.square()).flatten().argsort(stable=True)


def _flat_index(pixels: Pixels, face_id: Int[Tensor, "n h w"]) -> Int[Tensor, " p"]:
    """Convert `Pixels` to flat indices."""
    return (pixels.image * face_id.shape[1] + pixels.row) * face_id.shape[2] + pixels.column


def _fine_pixels(
    blocks: Int[Tensor, " k"], face_id: Int[Tensor, "n h w"], block_size: int
) -> Int[Tensor, "k fine"]:
    """Return flat indices of the fine pixels in coarse ones."""
    width = face_id.shape[2]
    columns = width // block_size
    corner = blocks // columns * (block_size * width) + blocks % columns * block_size
    inside = torch.arange(block_size, device=blocks.device)
    return corner[:, None] + (inside[:, None] * width + inside).flatten()
