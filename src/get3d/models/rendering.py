"""Images of meshes in the colours of their fields (paper, section 3.1.2)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from get3d.core import Cameras, Images, Mesh, split_channels
from get3d.core.colors import linear_to_srgb, srgb_to_linear
from get3d.geometry import camera_origins, join_meshes, vertex_normals
from get3d.models.config import TrainingRenderConfig
from get3d.models.fields import Fields
from get3d.render import (
    Channels,
    LearnedLight,
    Light,
    PackedViews,
    Pixels,
    Shading,
    SurfacePoints,
    antialias_mask,
    covered_pixels,
    from_centre,
    layer_pixels,
    project_meshes,
    rasterize_views,
    surface_points,
)

_BACKGROUND = -1.0
_DARKEST = 0.004  # half a grey level above black, in [-1, 1]; 1/26 of it in linear light


def diffuse_srgb(
    position: Float[Tensor, "p 3"],
    normal: Float[Tensor, "p 3"],
    to_camera: Float[Tensor, "p 3"],
    channels: Channels,
    light: Light | LearnedLight | None,
) -> Float[Tensor, "p 3"]:
    """Shade the channel `color`, sRGB in [-1, 1], with Lambert's law in linear light.

    The `get3d.render.Shading` of channels as the fields give them: neither clipped nor linear.

    Returns:
        sRGB, nominally in [-1, 1].
    """
    del position  # the lights are far away
    base = channels["color"]
    if light is None:
        return base
    return lit_colors(base, light.brightness(normal, to_camera))


def render_images(
    fields: Fields,
    meshes: Sequence[Mesh],
    cameras: Cameras,
    image_size: int,
    *,
    config: TrainingRenderConfig,
    light: Light | LearnedLight | None = None,
    shading: Shading = diffuse_srgb,
) -> Images:
    """Render meshes, evaluating the colour field only at covered pixels.

    Args:
        fields: Fields of the shapes.
        meshes: One mesh per shape.
        cameras: k cameras per mesh; those of a mesh follow each other.
        image_size: Width and height of the images, in pixels.
        config: Rendering options.
        light: Light on the surface; None renders the channel `color` unlit.
        shading: From the channels of the fields to sRGB in [-1, 1].

    Returns:
        RGB in [-1, 1], nominally, and masks in [0, 1], in the order of the cameras.

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
    factor = config.mask_supersample
    fine_id = rasterize_views(views, image_size * factor)
    mask = F.avg_pool2d(antialias_mask(views, fine_id)[:, None], factor)

    is_published = config.composite == "published"
    if not is_published:
        pixels, size = nearest_covered(fine_id, factor), image_size * factor
    else:
        face_id = fine_id if factor == 1 else rasterize_views(views, image_size)
        pixels, size = covered_pixels(face_id), image_size
    layers = layer_pixels(views, fine_id, pixels, factor) if config.antialias_occlusions else None
    visible = layers.pixels if layers else pixels
    with torch.set_grad_enabled(torch.is_grad_enabled() and not config.detach_positions):
        points = surface_points(views, verts, visible, size)
    values = fields.packed(fields.channels, points.position, visible.image // views_per_mesh)
    channels = split_channels(values, fields.channel_sizes)
    if light is None and shading is diffuse_srgb:
        colors = channels["color"]  # needs no normals
    else:
        at_verts = vertex_normals(join_meshes(meshes), smoothing_steps=config.normal_smoothing)
        normals = interpolated_normals(at_verts, views, visible, points)
        to_camera = camera_origins(cameras)[visible.image] - points.position.detach()
        to_camera = F.normalize(to_camera, dim=1)
        colors = shading(points.position, normals, to_camera, channels, light)
    colors = layers.blend(colors) if layers else colors

    image = colors.new_full((3,), _BACKGROUND)
    if is_published and "color" in fields.channel_sizes:
        image = split_channels(fields.texture.background, fields.channel_sizes)["color"]
    image = image.expand(len(cameras), image_size, image_size, 3)
    scale = size // image_size
    where = (pixels.image, pixels.row // scale, pixels.column // scale)
    rgb = image.index_put(where, colors).permute(0, 3, 1, 2)
    return Images(rgb=rgb if is_published else (rgb - _BACKGROUND) * mask + _BACKGROUND, mask=mask)


def interpolated_normals(
    normals: Float[Tensor, "verts 3"], views: PackedViews, pixels: Pixels, points: SurfacePoints
) -> Float[Tensor, "p 3"]:
    """Interpolate vertex normals over the faces visible at pixels; differentiable in the vertices.

    Args:
        normals: Vertex normals of all meshes, one mesh after the other.
        views: The packed views.
        pixels: Covered pixels.
        points: Surface points at these pixels.

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
    """Shade sRGB base colours in [-1, 1], in linear light as the data are.

    The excess of a base colour over [-1, 1] is added unlit, so that its gradient does not vanish.

    Args:
        base: Base colours from the colour field, not clipped.
        brightness: Factors on linear light.
    """
    clipped = base.clamp(-1.0 + _DARKEST, 1.0)
    linear = srgb_to_linear((clipped + 1) / 2) * brightness[:, None]
    # Negative or overexposed learned brightness is clipped, as in a camera.
    return linear_to_srgb(linear.clamp(_DARKEST / 26, 1.0)) * 2 - 1 + (base - clipped)


def nearest_covered(face_id: Int[Tensor, "n fine_h fine_w"], factor: int) -> Pixels:
    """Find in every block of pixels the covered one nearest to the block's centre.

    Args:
        face_id: Face index of every pixel, -1 for none.
        factor: Width and height of a block, in pixels.

    Returns:
        Pixels of the finer image, at most one per block, in the order of images, rows, columns.
    """
    blocks = (face_id >= 0).unflatten(2, (-1, factor)).unflatten(1, (-1, factor))
    order = from_centre(factor, face_id.device)
    is_seen, first = blocks.transpose(2, 3).flatten(3)[..., order].max(dim=3)
    image, row, column = is_seen.nonzero(as_tuple=True)
    chosen = order[first[image, row, column]]
    row, column = row * factor + chosen // factor, column * factor + chosen % factor
    return Pixels(image, row, column, face_id[image, row, column])
