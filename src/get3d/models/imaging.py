"""Pictures of meshes in the colours of their fields (paper, section 3.1.2)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor

from get3d.core import Cameras, Images, Mesh
from get3d.models.config import ImagingConfig
from get3d.models.fields import Fields
from get3d.render import (
    Pixels,
    coverage,
    covered_pixels,
    layer_pixels,
    project_meshes,
    rasterize_views,
    surface_points,
)

BACKGROUND = -1.0


def render_images(
    fields: Fields,
    meshes: Sequence[Mesh],
    cameras: Cameras,
    image_size: int,
    *,
    config: ImagingConfig,
) -> Images:
    """Draw meshes, asking the colour field only where something is seen.

    Args:
        fields: Of the same shapes.
        meshes: One a shape.
        cameras: One a mesh, or k a mesh, those of a mesh following each other.
        image_size: Pixels on a side.
        config: How to composite.

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
    mask = F.avg_pool2d(coverage(views, fine_id)[:, None], side)

    is_published = config.composite == "published"
    if not is_published:
        pixels, size = nearest_covered(fine_id, side), image_size * side
    else:
        face_id = fine_id if side == 1 else rasterize_views(views, image_size)
        pixels, size = covered_pixels(face_id), image_size
    layers = layer_pixels(views, fine_id, pixels, side) if config.antialias_occlusions else None
    seen = layers.pixels if layers else pixels
    with torch.set_grad_enabled(torch.is_grad_enabled() and not config.detach_positions):
        points = surface_points(views, verts, seen, size).position
    colors = fields.color_packed(points, seen.image // views_per_mesh)
    colors = layers.blend(colors) if layers else colors

    bias = fields.texture.heads.color.bias
    image = bias if is_published else torch.full_like(bias, BACKGROUND)
    image = image.expand(len(cameras), image_size, image_size, 3)
    scale = size // image_size
    where = (pixels.image, pixels.row // scale, pixels.column // scale)
    rgb = image.index_put(where, colors).permute(0, 3, 1, 2)
    return Images(rgb=rgb if is_published else (rgb - BACKGROUND) * mask + BACKGROUND, mask=mask)


def nearest_covered(face_id: Int[Tensor, "n fine_h fine_w"], side: int) -> Pixels:
    """Choose in every block of pixels the covered one nearest to the block's centre.

    Args:
        face_id: Face seen by each pixel, -1 for none.
        side: Pixels along each side of a block.

    Returns:
        Pixels of the finer image, at most one a block, in the order of images, rows and columns.
    """
    blocks = (face_id >= 0).unflatten(2, (-1, side)).unflatten(1, (-1, side))
    offset = torch.arange(side, device=face_id.device) - (side - 1) / 2
    order = (offset.square()[:, None] + offset.square()).flatten().argsort(stable=True)
    is_seen, first = blocks.transpose(2, 3).flatten(3)[..., order].max(dim=3)
    image, row, column = is_seen.nonzero(as_tuple=True)
    chosen = order[first[image, row, column]]
    row, column = row * side + chosen // side, column * side + chosen % side
    return Pixels(image, row, column, face_id[image, row, column])
