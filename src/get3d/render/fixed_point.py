"""Clipping, and conversion from clip space to fixed-point screen coordinates.

Screen positions are rounded to a grid of 1/4096 pixel; everything after that is exact integer
arithmetic, so adjacent faces share their edges exactly and all backends agree bit for bit. Faces
that cross the near or far plane, or extend beyond a guard band around the image, are first clipped
in homogeneous coordinates (Blinn and Newell 1978; Sutherland and Hodgman 1974).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from get3d.render.views import PackedViews

SUBPIXELS = 4096
HALF = SUBPIXELS // 2
GUARD_BAND_PX = 32768.0
MIN_W = 1e-300
"""Smaller w counts as zero, because its reciprocal overflows."""
NO_EDGE = 3
"""Label of an edge created by clipping; edges 0, 1, 2 run from corner i to corner i + 1."""
DEPTH_SCALE = float(2**30 - 1)
"""Scale of z/w + 1 in the upper half of a pixel's key; the lower half is the face index, so the
lower index wins ties."""
CROSSING_SCALE = float(2**28)
"""Scale of the distance, in pixels, in the upper bits of a crossing's key; below: face and edge."""
LAST_FACE = 2**31 - 1
MAX_KEY = 2**63 - 1


@dataclass(frozen=True)
class ScreenTriangles:
    """Triangles of all images in screen space, ready to rasterise.

    Attributes:
        image: Index of the image.
        face: Index of the face within the image's mesh.
        x: Columns of the corners, in 1/4096 pixel from the left border.
        y: Rows of the corners, in 1/4096 pixel from the top border.
        z: Depths z/w of the corners, in [-1, 1].
        opposite: Label of the edge opposite each corner.
    """

    image: Int[Tensor, " m"]
    face: Int[Tensor, " m"]
    x: Int[Tensor, "m 3"]
    y: Int[Tensor, "m 3"]
    z: Float[Tensor, "m 3"]
    opposite: Int[Tensor, "m 3"]


def guard_band(image_size: tuple[int, int]) -> tuple[float, float]:
    """Return half the size of the guard band, in clip space as (x/w, y/w)."""
    return GUARD_BAND_PX / (image_size[1] * 0.5), GUARD_BAND_PX / (image_size[0] * 0.5)


def to_fixed_point(
    clip: Float[Tensor, "*corners 4"], image_size: tuple[int, int]
) -> tuple[Int[Tensor, "*corners"], Int[Tensor, "*corners"], Float[Tensor, "*corners"]]:
    """Divide by w and round: return columns and rows in 1/4096 pixel, and depths."""
    x, y, z, w = clip.double().unbind(-1)
    inverse = 1.0 / w
    columns = torch.round((x * inverse + 1.0) * (image_size[1] * 0.5 * SUBPIXELS)).long()
    rows = torch.round((y * inverse + 1.0) * (image_size[0] * 0.5 * SUBPIXELS)).long()
    return columns, rows, z * inverse


def screen_triangles(views: PackedViews, image_size: tuple[int, int]) -> ScreenTriangles:
    """Convert all faces of all images to screen space, clipping those that need it."""
    spans = views.device_spans
    image = torch.arange(len(views), device=spans.device).repeat_interleave(spans[:, 2])
    first = (spans[:, 2].cumsum(0) - spans[:, 2])[image]
    face = torch.arange(image.shape[0], device=spans.device) - first
    clip = gather_corners(views, image, face)
    is_easy, is_hard = classify(clip, image_size)
    x, y, z = to_fixed_point(torch.where(is_easy[:, None, None], clip, 1.0), image_size)
    labels = torch.tensor([1, 2, 0], device=spans.device).expand(x.shape)
    easy = ScreenTriangles(image, face, x, y, z, labels)
    hard = cut_faces(clip[is_hard], image[is_hard], face[is_hard], image_size)
    return ScreenTriangles(
        **{
            name: torch.cat([getattr(easy, name)[is_easy], getattr(hard, name)])
            for name in ("image", "face", "x", "y", "z", "opposite")
        }
    )


def gather_corners(
    views: PackedViews, image: Int[Tensor, " m"], face: Int[Tensor, " m"]
) -> Float[Tensor, "m 3 4"]:
    """Gather the clip-space corners of faces, in double precision, without gradient."""
    spans = views.device_spans[image]
    corners = views.faces[spans[:, 1] + face] + spans[:, :1]
    return views.clip.detach()[corners].double()


def classify(
    clip: Float[Tensor, "m 3 4"], image_size: tuple[int, int]
) -> tuple[Bool[Tensor, " m"], Bool[Tensor, " m"]]:
    """Find the faces that can be rasterised directly, and those that must be clipped first.

    The others are invisible: outside a plane of the view frustum, or with non-finite corners.
    """
    x, y, z, w = clip.unbind(-1)
    guard_x, guard_y = guard_band(image_size)
    inside = (w >= MIN_W) & (w < torch.inf) & (z >= -w) & (z <= w)
    inside = inside & (x.abs() <= guard_x * w) & (y.abs() <= guard_y * w)
    outside = torch.stack([z < -w, z > w, x < -w, x > w, y < -w, y > w])
    is_visible = ~outside.all(-1).any(0) & torch.isfinite(clip).flatten(1).all(1)
    is_easy = inside.all(1) & is_visible
    return is_easy, is_visible & ~is_easy


def cut_faces(
    clip: Float[Tensor, "m 3 4"],
    image: Int[Tensor, " m"],
    face: Int[Tensor, " m"],
    image_size: tuple[int, int],
) -> ScreenTriangles:
    """Clip faces at the near and far planes and the guard band, and triangulate the polygons."""
    guard_x, guard_y = guard_band(image_size)
    count = torch.full((clip.shape[0],), 3, device=clip.device)
    edge = torch.arange(3, device=clip.device).expand(clip.shape[0], 3)
    polygon = clip.double()
    scale = (1.0, 1.0, guard_x, guard_x, guard_y, guard_y)
    for axis, sign, reach in zip((2, 2, 0, 0, 1, 1), (1, -1) * 3, scale, strict=True):
        distance = reach * polygon[..., 3] + sign * polygon[..., axis]
        polygon, edge, count = _cut(polygon, edge, count, distance)
    return _fan(polygon, edge, count, image, face, image_size)


def _cut(
    polygon: Float[Tensor, "m p 4"],
    edge: Int[Tensor, "m p"],
    count: Int[Tensor, " m"],
    distance: Float[Tensor, "m p"],
) -> tuple[Float[Tensor, "m q 4"], Int[Tensor, "m q"], Int[Tensor, " m"]]:
    """Clip convex polygons to where `distance` is not negative (up to one more corner each)."""
    num, size = edge.shape
    slot = torch.arange(size, device=edge.device).expand(num, size)
    following = torch.where(slot + 1 >= count[:, None], 0, slot + 1)
    is_used = slot < count[:, None]
    next_distance = distance.gather(1, following)
    is_in, is_next_in = distance >= 0, next_distance >= 0
    keeps, crosses = is_used & is_in, is_used & (is_in != is_next_in)
    # Computed from the inside corner outwards, so that adjacent faces get the same point.
    next_corner = polygon.gather(1, following[..., None].expand(-1, -1, 4))
    start = torch.where(is_in[..., None], polygon, next_corner)
    end = torch.where(is_in[..., None], next_corner, polygon)
    gap = torch.where(crosses, (distance - next_distance).abs(), 1.0)
    inner = torch.where(is_in, distance, next_distance)
    new_corner = start + (inner / gap)[..., None] * (end - start)
    emitted = torch.stack([keeps, crosses], 2).flatten(1)
    place = torch.where(emitted, emitted.cumsum(1) - 1, size + 1)
    corners = torch.stack([polygon, new_corner], 2).flatten(1, 2)
    labels = torch.stack([edge, torch.where(is_in, NO_EDGE, edge)], 2).flatten(1)
    out = corners.new_zeros(num, size + 2, 4)
    out.scatter_(1, place[..., None].expand(-1, -1, 4), corners)
    out_edge = labels.new_full((num, size + 2), NO_EDGE).scatter_(1, place, labels)
    return out[:, : size + 1], out_edge[:, : size + 1], emitted.sum(1)


def _fan(
    polygon: Float[Tensor, "m p 4"],
    edge: Int[Tensor, "m p"],
    count: Int[Tensor, " m"],
    image: Int[Tensor, " m"],
    face: Int[Tensor, " m"],
    image_size: tuple[int, int],
) -> ScreenTriangles:
    """Triangulate convex polygons as fans around their first corner."""
    num, size = edge.shape
    middle = torch.arange(1, size - 1, device=edge.device)
    is_far_from_eye = (polygon[..., 3] >= MIN_W) | (
        torch.arange(size, device=edge.device) >= count[:, None]
    )
    is_used = (middle + 1 < count[:, None]) & is_far_from_eye.all(1, keepdim=True)
    x, y, z = to_fixed_point(_with_safe_w(polygon), image_size)
    limit = int(2 * GUARD_BAND_PX) * SUBPIXELS
    x, y, z = x.clamp(-limit, limit), y.clamp(-limit, limit), z.clamp(-1.0, 1.0)
    corners = torch.stack([torch.zeros_like(middle), middle, middle + 1], 1)
    outer = torch.full_like(middle, NO_EDGE).expand(num, -1)
    first = torch.where(middle == 1, edge[:, :1], outer)
    last_edge = edge.gather(1, (count - 1).clamp(min=0)[:, None])
    last = torch.where(middle + 2 == count[:, None], last_edge, outer)
    opposite = torch.stack([edge[:, 1:-1], last, first], -1)
    which, _ = is_used.nonzero(as_tuple=True)
    return ScreenTriangles(
        image[which],
        face[which],
        x[:, corners][is_used],
        y[:, corners][is_used],
        z[:, corners][is_used],
        opposite[is_used],
    )


def _with_safe_w(polygon: Float[Tensor, "m p 4"]) -> Float[Tensor, "m p 4"]:
    """Replace w of corners at the eye by 1."""
    x, y, z, w = polygon.unbind(-1)
    return torch.stack([x, y, z, torch.where(w >= MIN_W, w, 1.0)], -1)
