"""Antialiased masks with exact silhouette gradients, for triangles of any size.

For every pair of neighbouring pixel centres, one covered and one not, a search over all triangles
(no gradient) finds the edge that crosses the segment between them farthest out. The rest is plain
tensor code: the position of the crossing determines how much of the covered pixel to remove or of
the empty one to fill, and its derivative is the velocity of the silhouette.

Horizontal pairs alone integrate `n_x^2 (v . n)` along the silhouette, vertical pairs
`n_y^2 (v . n)`, where n is its normal and v its velocity, if each pair is weighted by the square of
the normal's component along it. As the two weights sum to one, together they integrate `v . n`: the
exact derivative of the area. Unlike antialiasing that looks only at the edges of the triangle seen
in the covered pixel (Laine et al. 2020), no crossing is missed when triangles are smaller than
pixels.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from get3d.render.fixed_point import CROSSING_SCALE, LAST_FACE
from get3d.render.rasterizer import Backend, choose_backend
from get3d.render.views import PackedViews


@dataclass(frozen=True)
class Crossings:
    """Pairs of neighbouring pixels that the silhouette separates; horizontal ones first.

    Attributes:
        covered: Flat index of the covered pixel.
        empty: Flat index of its neighbour.
        ends: Rows of `PackedViews.clip` at the ends of the edge.
        distance: Distance from the covered centre to the edge, in pixels, as found by the search.
        is_across: Whether the pair is horizontal, else vertical.
    """

    covered: Int[Tensor, " c"]
    empty: Int[Tensor, " c"]
    ends: Int[Tensor, "c 2"]
    distance: Float[Tensor, " c"]
    is_across: Bool[Tensor, " c"]


def antialias_mask(
    views: PackedViews, face_id: Int[Tensor, "n h w"], *, backend: Backend | None = None
) -> Float[Tensor, "n h w"]:
    """Antialias the silhouette of a binary mask; differentiable in the vertices.

    Args:
        views: The packed views.
        face_id: Result of `rasterize_views` for them.
        backend: See `rasterize`.

    Returns:
        Coverage in [0, 1]. Clamping does not change the gradient.

    Raises:
        ConfigError: If the backend is unknown or does not support the device.
    """
    hard = (face_id >= 0).to(views.clip.dtype).flatten()
    crossings = find_crossings(views, face_id, backend=backend)
    distance, weight = crossing_distances(views, crossings, face_id)
    change = weight * (distance - 0.5)
    pixel = torch.where(distance.detach() < 0.5, crossings.covered, crossings.empty)
    soft = hard.index_add(0, pixel, change)
    soft = soft + (soft.clamp(0.0, 1.0) - soft).detach()
    return soft.view(face_id.shape)


def find_crossings(
    views: PackedViews, face_id: Int[Tensor, "n h w"], *, backend: Backend | None = None
) -> Crossings:
    """Find the silhouette edges between covered and empty pixels; no gradient.

    Args:
        views: The packed views.
        face_id: Result of `rasterize_views` for them.
        backend: See `rasterize`.

    Raises:
        ConfigError: If the backend is unknown or does not support the device.
    """
    height, width = face_id.shape[1:]
    with torch.no_grad():
        place, key = choose_backend(views.clip.device, backend).silhouette(views, face_id)
        is_across, low = place < face_id.numel(), place % max(face_id.numel(), 1)
        high = low + torch.where(is_across, 1, width)
        is_low_covered = face_id.flatten()[low] >= 0
        edge, face = key & 3, LAST_FACE - ((key >> 2) & 0xFFFFFFFF)
        image = low // (height * width)
        spans = views.device_spans[image]
        corner = torch.stack([edge, (edge + 1) % 3], 1)
        ends = views.faces[spans[:, 1] + face].gather(1, corner) + spans[:, :1]
        return Crossings(
            covered=torch.where(is_low_covered, low, high),
            empty=torch.where(is_low_covered, high, low),
            ends=ends,
            distance=(key >> 34).to(views.clip.dtype) / CROSSING_SCALE,
            is_across=is_across,
        )


def crossing_distances(
    views: PackedViews, crossings: Crossings, face_id: Int[Tensor, "n h w"]
) -> tuple[Float[Tensor, " c"], Float[Tensor, " c"]]:
    """Return the distances from covered centres to edges, in pixels, and the weight of each pair.

    Differentiable in the vertices, unlike the distances found by the search.
    """
    height, width = face_id.shape[1:]
    clip = views.clip.index_select(0, crossings.ends.flatten()).view(-1, 2, 4)
    column = (crossings.covered % width).to(clip.dtype)
    row = (crossings.covered // width % height).to(clip.dtype)
    w = clip[..., 3]
    # In pixels from the covered centre, times w, so that the segment lies on one axis.
    x = clip[..., 0] * (width / 2) - (column + 0.5 - width / 2)[:, None] * w
    y = clip[..., 1] * (height / 2) - (row + 0.5 - height / 2)[:, None] * w
    is_across = crossings.is_across[:, None]
    u, v = torch.where(is_across, x, y), torch.where(is_across, y, x)
    u0, v0, w0 = u[:, 0], v[:, 0], w[:, 0]
    du, dv, dw = u[:, 1] - u0, v[:, 1] - v0, w[:, 1] - w0
    # The line through the edge, in homogeneous coordinates: normal (line_u, line_v), offset.
    line_u, line_v, offset = v0 * dw - w0 * dv, w0 * du - u0 * dw, u0 * dv - v0 * du
    outward = (crossings.empty > crossings.covered).to(clip.dtype) * 2.0 - 1.0
    is_safe = line_u.detach().abs() > 1e-12
    distance = -outward * offset / torch.where(is_safe, line_u, 1.0)
    agrees = is_safe & ((distance.detach() - crossings.distance).abs() < 0.25)
    distance = torch.where(agrees, distance, crossings.distance)
    squares = line_u.detach() ** 2, line_v.detach() ** 2
    weight = squares[0] / (squares[0] + squares[1]).clamp(min=1e-30)
    return distance, weight
