"""Images of meshes in the colours of their fields (paper, section 3.1.2)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from get3d.core import Cameras, Images, Mesh
from get3d.core.colors import linear_to_srgb, srgb_to_linear
from get3d.geometry import camera_origins, vertex_normals
from get3d.models.config import TrainingRenderConfig
from get3d.models.fields import Fields
from get3d.render import (
    LearnedLight,
    Light,
    Pixels,
    SurfacePoints,
    Views,
    antialias_mask,
    covered_pixels,
    from_centre,
    layer_pixels,
    project_meshes,
    rasterize_views,
    surface_points,
)

BACKGROUND = -1.0
_DARKEST = 0.004  # half a grey level above black, in [-1, 1]; 1/26 of it in linear light


def render_images(
    fields: Fields,
    meshes: Sequence[Mesh],
    cameras: Cameras,
    image_size: int,
    *,
    config: TrainingRenderConfig,
    light: Light | LearnedLight | None = None,
) -> Images:
    """Draw meshes, asking the colour field only where something is seen.

    Args:
        fields: Of the same shapes.
        meshes: One a shape.
        cameras: One a mesh, or k a mesh, those of a mesh following each other.
        image_size: Pixels on a side.
        config: How to composite.
        light: On the surface; None shows the colour field as it is.

    Raises:
        ValueError: If the number of cameras is not a multiple of the number of meshes.
    """
    views_per_mesh = len(cameras) // len(fields)
    if len(meshes) != len(fields) or views_per_mesh == 0 or len(cameras) % len(meshes):
        raise ValueError(
            f"there must be a mesh for each of {len(fields)} shapes and a multiple of cameras, "
            f"got {len(meshes)} meshes and {len(cameras)} cameras"
        )
    views, verts = project_meshes(meshes, cameras, views_per_mesh=views_per_mesh)
    side = config.mask_supersample
    fine_id = rasterize_views(views, image_size * side)
    mask = F.avg_pool2d(antialias_mask(views, fine_id)[:, None], side)

    is_published = config.composite == "published"
    if not is_published:
        pixels, size = nearest_covered(fine_id, side), image_size * side
    else:
        face_id = fine_id if side == 1 else rasterize_views(views, image_size)
        pixels, size = covered_pixels(face_id), image_size
    layers = layer_pixels(views, fine_id, pixels, side) if config.antialias_occlusions else None
    seen = layers.pixels if layers else pixels
    with torch.set_grad_enabled(torch.is_grad_enabled() and not config.detach_positions):
        points = surface_points(views, verts, seen, size)
    colors = fields.packed(fields.color, points.position, seen.image // views_per_mesh)
    if light is not None:
        steps = config.normal_smoothing
        at_verts = torch.cat([vertex_normals(mesh, smoothing_steps=steps) for mesh in meshes])
        normals = interpolated_normals(at_verts, views, seen, points)
        to_camera = camera_origins(cameras)[seen.image] - points.position.detach()
        colors = lit_colors(colors, light.brightness(normals, F.normalize(to_camera, dim=1)))
    colors = layers.blend(colors) if layers else colors

    bias = fields.texture.heads.color.bias
    image = bias if is_published else torch.full_like(bias, BACKGROUND)
    image = image.expand(len(cameras), image_size, image_size, 3)
    scale = size // image_size
    where = (pixels.image, pixels.row // scale, pixels.column // scale)
    rgb = image.index_put(where, colors).permute(0, 3, 1, 2)
    return Images(rgb=rgb if is_published else (rgb - BACKGROUND) * mask + BACKGROUND, mask=mask)


def interpolated_normals(
    normals: Float[Tensor, "verts 3"], views: Views, pixels: Pixels, points: SurfacePoints
) -> Float[Tensor, "p 3"]:
    """Interpolate the vertex normals of the faces seen at pixels; differentiable in the vertices.

    Args:
        normals: Of the vertices of all meshes behind one another.
        views: The packed views.
        pixels: Where to look.
        points: The surface there.

    Returns:
        Unit vectors.
    """
    spans = views.device_spans[pixels.image]
    corners = views.faces[spans[:, 1] + pixels.face] + spans[:, 3:]
    # Rounding may put a pixel centre on an edge slightly outside of the face.
    weights = points.barycentric.clamp(0.0, 1.0)
    at_corners = normals.index_select(0, corners.flatten()).view(-1, 3, 3)
    return F.normalize((weights[..., None] * at_corners).sum(1), dim=1, eps=1e-6)


def lit_colors(base: Float[Tensor, "p 3"], brightness: Float[Tensor, " p"]) -> Float[Tensor, "p 3"]:
    """Light sRGB base colours in [-1, 1], in linear light as the data are.

    What a base colour exceeds [-1, 1] by is added unlit, so that its gradient does not vanish.

    Args:
        base: As the colour field gives them, not clipped.
        brightness: Factor on linear light.
    """
    clipped = base.clamp(-1.0 + _DARKEST, 1.0)
    linear = srgb_to_linear((clipped + 1) / 2) * brightness[:, None]
    # A negative learned brightness, or one that overexposes, is cut off as a camera does.
    return linear_to_srgb(linear.clamp(_DARKEST / 26, 1.0)) * 2 - 1 + (base - clipped)


def nearest_covered(face_id: Int[Tensor, "n fine_h fine_w"], side: int) -> Pixels:
    """Choose in every block of pixels the covered one nearest to the block's centre.

    Args:
        face_id: Face seen by each pixel, -1 for none.
        side: Pixels along each side of a block.

    Returns:
        Pixels of the finer image, at most one a block, in the order of images, rows and columns.
    """
    blocks = (face_id >= 0).unflatten(2, (-1, side)).unflatten(1, (-1, side))
    order = from_centre(side, face_id.device)
    is_seen, first = blocks.transpose(2, 3).flatten(3)[..., order].max(dim=3)
    image, row, column = is_seen.nonzero(as_tuple=True)
    chosen = order[first[image, row, column]]
    row, column = row * side + chosen // side, column * side + chosen % side
    return Pixels(image, row, column, face_id[image, row, column])
