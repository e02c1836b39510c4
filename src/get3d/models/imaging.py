"""Pictures of meshes in the colours of their fields (paper, section 3.1.2)."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from get3d.core import Cameras, Images, Mesh
from get3d.models.config import ImagingConfig
from get3d.models.fields import Fields
from get3d.render import render_meshes

BACKGROUND = -1.0


def render_images(
    fields: Fields,
    meshes: list[Mesh],
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
    views = len(cameras) // max(len(meshes), 1)
    if views == 0 or views * len(meshes) != len(cameras):
        raise ValueError(
            f"the cameras must be a multiple of the {len(meshes)} meshes, got {len(cameras)}"
        )
    match config.composite:
        case "published":
            return _published(fields, meshes, cameras, image_size, config)
        case "antialiased":
            return _antialiased(fields, meshes, cameras, image_size, config)


def _published(
    fields: Fields, meshes: list[Mesh], cameras: Cameras, image_size: int, config: ImagingConfig
) -> Images:
    """Colour where a pixel's centre is covered, the colour layer's bias elsewhere."""
    views = len(cameras) // len(meshes)
    buffer = render_meshes(meshes, cameras, image_size, views_per_mesh=views)
    bias = fields.texture.heads.color.bias
    rgb = _paint(fields, buffer.face_id >= 0, buffer.position, bias, config)
    return Images(rgb=rgb, mask=buffer.mask[:, None])


def _antialiased(
    fields: Fields, meshes: list[Mesh], cameras: Cameras, image_size: int, config: ImagingConfig
) -> Images:
    """Colour wherever anything is seen, blended with the background by the mask."""
    views, side = len(cameras) // len(meshes), config.mask_supersample
    buffer = render_meshes(meshes, cameras, image_size * side, views_per_mesh=views)
    mask = F.avg_pool2d(buffer.mask[:, None], side)
    is_seen, chosen = nearest_covered(buffer.face_id >= 0, side)
    position = buffer.position.flatten(1, 2)[
        torch.arange(len(chosen), device=chosen.device)[:, None, None], chosen
    ]
    background = torch.full_like(fields.texture.heads.color.bias, BACKGROUND)
    color = _paint(fields, is_seen, position, background, config)
    mask = torch.where(is_seen[:, None], mask, mask.detach())
    return Images(rgb=color * mask + BACKGROUND * (1 - mask), mask=mask)


def nearest_covered(
    covered: Bool[Tensor, "n h*side w*side"], side: int
) -> tuple[Bool[Tensor, "n h w"], Int[Tensor, "n h w"]]:
    """Choose for every pixel the covered sub-pixel nearest to its centre.

    Args:
        covered: Which sub-pixels are covered.
        side: Sub-pixels along each side of a pixel.

    Returns:
        Whether there is one, and its index in the flattened finer image (any, if there is none).
    """
    blocks = covered.unflatten(2, (-1, side)).unflatten(1, (-1, side)).transpose(2, 3).flatten(3)
    offset = torch.arange(side, device=covered.device) - (side - 1) / 2
    order = (offset.square()[:, None] + offset.square()).flatten().argsort(stable=True)
    is_seen, first = blocks[..., order].max(dim=-1)
    sub = order[first]
    height, width = is_seen.shape[1:]
    row = torch.arange(height, device=covered.device)[:, None] * side + sub // side
    column = torch.arange(width, device=covered.device) * side + sub % side
    return is_seen, row * (width * side) + column


def _paint(
    fields: Fields,
    is_seen: Bool[Tensor, "n h w"],
    position: Float[Tensor, "n h w 3"],
    background: Float[Tensor, "3"],
    config: ImagingConfig,
) -> Float[Tensor, "n 3 h w"]:
    """Ask the colour field at the seen pixels of every shape and fill in the rest."""
    num_shapes = len(fields)
    seen = is_seen.reshape(num_shapes, -1)
    shape, pixel = seen.nonzero(as_tuple=True)
    points = position.reshape(num_shapes, -1, 3)[shape, pixel]
    if config.detach_positions:
        points = points.detach()
    image = background.expand(*seen.shape, 3)
    if len(points):
        color = fields.color_packed(points, shape)
        image = image.index_put((shape, pixel), color)
    return image.view(*is_seen.shape, 3).permute(0, 3, 1, 2)
