"""Colours antialiased where a surface ends in front of another, with the gradient of that edge.

`antialias_mask` antialiases the outer silhouette. Inside it, between two covered pixels, a contour
edge may pass too: the rim of a cup before its inside, a handle before the body. The two pixels then
see different surfaces, and the occluder is found without a threshold on depth: from the face seen
at each pixel a walk through the mesh follows the segment between the two centres. If it arrives at
the face seen at the other centre, both are one surface. If it turns back before, the edge where it
turns is a contour edge of that surface: one face of the edge faces the camera, the other does not.
The walk is discrete and has no gradient; where the edge crosses the segment is a differentiable
function of its two vertices, and pairs are weighted as in `antialias_mask`, so that across and down
together integrate the exact derivative of the area that the nearer surface covers.
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
from get3d.render.views import Views

LAYERS = 3
"""How many surfaces behind one another a coarse pixel may show."""


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
        fraction: Of the base's layer in their colours; differentiable in the vertices.
        extra: Which of the pixels show other layers.
        extra_of: To which coarse pixels these belong.
        extra_fraction: What fraction of them they make up; differentiable in the vertices.
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
    views: Views, face_id: Int[Tensor, "n h w"], base: Pixels, side: int
) -> LayeredPixels:
    """Add pixels of the other layers to every coarse pixel that an occlusion contour crosses.

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
        rows = torch.full((face_id.numel() // side**2,), -1, device=face_id.device)
        base_pixel = _flat_index(base, face_id)
        rows[_to_blocks(base_pixel, face_id, side)] = torch.arange(len(base), device=rows.device)
        mixed = rows[blocks]
        fine = _fine_pixels(blocks, face_id, side)
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
        # Each layer's fine pixel nearest to the centre; if it has none, that of a pair.
        order = from_centre(side, rows.device)
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
    """Depths between the layers of each coarse pixel, infinite where there are fewer layers.

    As few as lie between the two depths of every pair: the first one before the nearest of all far
    depths, the next one the same for those pairs that it does not separate.
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
    return (depth[..., None] > thresholds[:, None]).sum(2)


def _depths(
    views: Views, face_id: Int[Tensor, "n h w"], pixel: Int[Tensor, " p"]
) -> Float[Tensor, " p"]:
    """Distance of what is seen along the viewing axis, as `surface_points` computes it."""
    spans = views.device_spans[pixel // face_id[0].numel()]
    face = face_id.flatten()[pixel] + spans[:, 1]
    is_across = torch.ones_like(pixel, dtype=torch.bool)
    return _depth(*_relative(views, face_id, pixel, face, spans[:, 0], is_across))


def _depth(u: Tensor, v: Tensor, w: Tensor) -> Float[Tensor, " k"]:
    weights = u.roll(-1, 1) * v.roll(1, 1) - u.roll(1, 1) * v.roll(-1, 1)
    return (weights * w).sum(1) / weights.sum(1)


def find_occlusions(
    views: Views, face_id: Int[Tensor, "n h w"], *, backend: Backend | None = None
) -> Occlusions:
    """Search for contour edges between covered neighbours; no gradient.

    Args:
        views: The packed views.
        face_id: What `rasterize_views` returned for them.
        backend: "numba" (CPU) or "torch" (any device); None picks the fastest.

    Raises:
        ValueError: If the backend is unknown or cannot work on the device.
    """
    is_compiled = choose_backend(views.clip.device, backend) is numba_backend
    with torch.no_grad():
        search = _search_compiled if is_compiled else _search
        low, is_across, edge, is_high_near, distance, near_depth, far_depth = search(views, face_id)
        high = low + torch.where(is_across, 1, face_id.shape[2])
        near = torch.where(is_high_near, high, low)
        face, side = edge // 3, edge % 3
        first = views.device_spans[near // face_id[0].numel(), :1]
        corner = torch.stack([side, (side + 1) % 3], 1)
        ends = views.faces[face].gather(1, corner) + first
        crossings = Crossings(near, low + high - near, ends, distance, is_across)
        return Occlusions(crossings, near_depth, far_depth)


def _search(views: Views, face_id: Int[Tensor, "n h w"]) -> tuple[Tensor, ...]:
    """Search by tensor code; see `_search_compiled` for what is returned."""
    opposite = opposite_half_edges(views)
    low, high, is_across = _candidates(views, face_id, opposite)
    start, goal = torch.cat([low, high]), torch.cat([high, low])
    walks = _walk(views, face_id, opposite, start, goal, is_across.repeat(2))
    outcome, edge, distance, depth = (each.view(2, -1) for each in walks)
    # The nearer of two surfaces that end; a farther one if the other is known to go on.
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


def _search_compiled(views: Views, face_id: Int[Tensor, "n h w"]) -> tuple[Tensor, ...]:
    """Search by compiled loops.

    Returns:
        The lower pixel; whether the pair lies across; the half-edge (3 face + corner, faces counted
        over all meshes); whether the higher pixel sees the nearer surface; the distance of the edge
        from the nearer one's pixel; near depth, far depth.
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
    views: Views, face_id: Int[Tensor, "n h w"], opposite: Int[Tensor, " half_edges"]
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
    a, b = rows.flatten()[place], rows.flatten()[other]
    sides = 3 * a[:, None] + torch.arange(3, device=a.device)
    is_shared = (opposite[sides].div(3, rounding_mode="floor") == b[:, None]).any(1)
    kept = (~is_shared).nonzero()[:, 0]
    return place[kept], other[kept], is_across[kept]


def _walk(
    views: Views,
    face_id: Int[Tensor, "n h w"],
    opposite: Int[Tensor, " half_edges"],
    start: Int[Tensor, " c"],
    goal: Int[Tensor, " c"],
    is_across: Bool[Tensor, " c"],
) -> tuple[Int[Tensor, " c"], Int[Tensor, " c"], Float[Tensor, " c"], Float[Tensor, " c"]]:
    """Follow the surface seen at one pixel towards the centre of its neighbour.

    Returns:
        How it turns out; the half-edge (3 face + corner, faces counted over all meshes) at which
        the surface ends, -1 for none; its distance from the start, in pixels; the depth there.
    """
    rows = _face_rows(views, face_id).flatten()
    face, target = rows[start], rows[goal]
    spans = views.device_spans[start // face_id[0].numel(), 0]
    sign = (goal > start).to(views.clip.dtype) * 2 - 1
    best_edge = torch.full_like(start, -1)
    best = torch.zeros_like(sign)
    outcome = torch.zeros_like(start)

    def corners(walk: Int[Tensor, " k"], face: Int[Tensor, " k"]) -> tuple[Tensor, Tensor, Tensor]:
        u, v, w = _relative(views, face_id, start[walk], face, spans[walk], is_across[walk])
        return u * sign[walk, None], v, w

    walk = torch.arange(len(start), device=start.device)
    u, v, w = corners(walk, face)
    depth = _depth(u, v, w)
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
        outcome[walk[goes_on]] = PASSES
        edge = 3 * face + side
        twin = opposite[edge]
        entered = twin // 3
        is_open = is_forward & (twin == BOUNDARY)
        arrives = (twin >= 0) & (entered == target[walk]) & ~goes_on
        outcome[walk[arrives]] = ARRIVES
        is_inside = (twin >= 0) & ~arrives & ~goes_on
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
    outcome = torch.where(best_edge >= 0, ENDS, outcome)
    return outcome, best_edge, best.clamp(0, 1), depth


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
    twin = torch.where(next_same, following, torch.where(last_same, previous, BOUNDARY))
    # In a row of three or more each but the first and last is like both its neighbours.
    is_middle = next_same & last_same
    is_many = is_middle | (next_same & is_middle.roll(-1)) | (last_same & is_middle.roll(1))
    twin = torch.where(is_many, UNCLEAR, twin)
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


def from_centre(side: int, device: torch.device) -> Int[Tensor, " fine"]:
    """Order the fine pixels of a coarse one, the nearest to its centre first.

    Args:
        side: Fine pixels along each side of the coarse one.
        device: Of the result.

    Returns:
        Flat indices, row by row.
    """
    offset = torch.arange(side, device=device) - (side - 1) / 2
    return (offset.square()[:, None] + offset.square()).flatten().argsort(stable=True)


def _flat_index(pixels: Pixels, face_id: Int[Tensor, "n h w"]) -> Int[Tensor, " p"]:
    return (pixels.image * face_id.shape[1] + pixels.row) * face_id.shape[2] + pixels.column


def _fine_pixels(
    blocks: Int[Tensor, " k"], face_id: Int[Tensor, "n h w"], side: int
) -> Int[Tensor, "k fine"]:
    """Flat indices of the fine pixels in coarse ones."""
    width = face_id.shape[2]
    columns = width // side
    corner = blocks // columns * (side * width) + blocks % columns * side
    inside = torch.arange(side, device=blocks.device)
    return corner[:, None] + (inside[:, None] * width + inside).flatten()
