"""G-buffers: position, depth and barycentrics per pixel, differentiable in the vertices."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from get3d.core.errors import ConfigError
from get3d.core.types import Cameras, GBuffer, Mesh
from get3d.render.antialiasing import antialias_mask
from get3d.render.rasterizer import Backend, rasterize_views
from get3d.render.views import PackedViews, parse_image_size, project_meshes


@dataclass(frozen=True)
class Pixels:
    """A list of covered pixels.

    Attributes:
        image: Index of the image.
        row: Row, from the top.
        column: Column, from the left.
        face: Index of the face, within the image's mesh.
    """

    image: Int[Tensor, " p"]
    row: Int[Tensor, " p"]
    column: Int[Tensor, " p"]
    face: Int[Tensor, " p"]

    def __len__(self) -> int:
        """Return the number of pixels."""
        return self.image.shape[0]

    def __getitem__(self, index: slice | Int[Tensor, " picked"]) -> "Pixels":
        """Select pixels by a slice or an index tensor."""
        return Pixels(self.image[index], self.row[index], self.column[index], self.face[index])


@dataclass(frozen=True)
class SurfacePoints:
    """Intersections of rays through pixel centres with the surface.

    Attributes:
        position: Object-space positions, in scene units.
        depth: Distance along the viewing axis, in scene units.
        barycentric: Perspective-correct weights of the face's corners; they sum to 1.
    """

    position: Float[Tensor, "p 3"]
    depth: Float[Tensor, " p"]
    barycentric: Float[Tensor, "p 3"]


def covered_pixels(face_id: Int[Tensor, "n h w"]) -> Pixels:
    """List the covered pixels, in the order of images, rows and columns."""
    image, row, column = (face_id >= 0).nonzero(as_tuple=True)
    return Pixels(image, row, column, face_id[image, row, column])


def surface_points(
    views: PackedViews,
    verts: Float[Tensor, "verts 3"],
    pixels: Pixels,
    image_size: int | tuple[int, int],
) -> SurfacePoints:
    """Intersect rays through pixel centres with the planes of the visible faces.

    The weights are homogeneous edge functions (Olano and Greer 1997), without division by the depth
    of a corner, so faces that extend behind the camera need no special case.

    Args:
        views: The packed views.
        verts: Object-space vertices of all meshes, concatenated, as `project_meshes` returns them.
        pixels: The pixels.
        image_size: In pixels, square or (height, width).
    """
    height, width = parse_image_size(image_size)
    spans = views.device_spans[pixels.image]
    corners = views.faces[spans[:, 1] + pixels.face]
    clip = _look_up(views.clip, corners + spans[:, :1])
    x, y, w = clip[..., 0], clip[..., 1], clip[..., 3]
    # Relative to the ray through the pixel centre, to reduce cancellation.
    x = x - ((pixels.column.to(x.dtype) + 0.5) * (2.0 / width) - 1.0)[:, None] * w
    y = y - ((pixels.row.to(y.dtype) + 0.5) * (2.0 / height) - 1.0)[:, None] * w
    # Cross products of the next and the previous corner.
    weights = x.roll(-1, 1) * y.roll(1, 1) - x.roll(1, 1) * y.roll(-1, 1)
    weights = weights / _away_from_zero(weights.sum(1, keepdim=True))
    points = _look_up(verts, corners + spans[:, 3:])
    return SurfacePoints(
        position=(weights[..., None] * points).sum(1),
        depth=(weights * w).sum(1),
        barycentric=weights,
    )


def render_mesh(
    mesh: Mesh,
    cameras: Cameras,
    image_size: int | tuple[int, int],
    *,
    supersample: int = 1,
    backend: Backend | None = None,
) -> GBuffer:
    """Render views of one mesh; see `render_meshes`."""
    return render_meshes(
        [mesh],
        cameras,
        image_size,
        views_per_mesh=len(cameras),
        supersample=supersample,
        backend=backend,
    )


def render_meshes(
    meshes: Sequence[Mesh],
    cameras: Cameras,
    image_size: int | tuple[int, int],
    *,
    views_per_mesh: int = 1,
    supersample: int = 1,
    backend: Backend | None = None,
) -> GBuffer:
    """Render a batch of meshes in one call; differentiable in their vertices.

    Args:
        meshes: One or more meshes; a mesh without faces gives empty images.
        cameras: Image i shows `meshes[i // views_per_mesh]` through `cameras[i]`.
        image_size: In pixels, square or (height, width).
        views_per_mesh: Number of images of each mesh.
        supersample: Samples along each axis of a pixel, for the mask only.
        backend: See `rasterize`.

    Raises:
        ConfigError: If a size, `supersample` or the backend is not supported.
        ValueError: If the number of cameras does not match, or a vertex index is out of range
            (checked on the CPU only).
    """
    height, width = parse_image_size(image_size)
    views, verts = project_meshes(meshes, cameras, views_per_mesh=views_per_mesh)
    face_id = rasterize_views(views, (height, width), backend=backend)
    pixels = covered_pixels(face_id)
    points = surface_points(views, verts, pixels, (height, width))
    mask = render_mask(views, (height, width), supersample=supersample, backend=backend)

    def fill(values: Float[Tensor, "p *channels"]) -> Float[Tensor, "n h w *channels"]:
        image = values.new_zeros(*face_id.shape, *values.shape[1:])
        return image.index_put((pixels.image, pixels.row, pixels.column), values)

    return GBuffer(
        face_id=face_id,
        mask=mask,
        position=fill(points.position),
        depth=fill(points.depth),
        barycentric=fill(points.barycentric),
    )


def render_mask(
    views: PackedViews,
    image_size: int | tuple[int, int],
    *,
    supersample: int = 1,
    backend: Backend | None = None,
) -> Float[Tensor, "n h w"]:
    """Render only the antialiased mask, whose gradient moves the silhouette.

    Args:
        views: The packed views.
        image_size: In pixels, square or (height, width).
        supersample: Samples along each axis of a pixel, averaged.
        backend: See `rasterize`.

    Raises:
        ConfigError: If `supersample` is not positive, or a size or the backend is not supported.
    """
    if supersample < 1:
        raise ConfigError(f"supersample must be at least 1, got {supersample}")
    height, width = parse_image_size(image_size)
    face_id = rasterize_views(views, (height * supersample, width * supersample), backend=backend)
    mask = antialias_mask(views, face_id, backend=backend)
    return mask if supersample == 1 else torch.nn.functional.avg_pool2d(mask, supersample)


def interpolate(
    gbuffer: GBuffer,
    attribute: Float[Tensor, "verts c"],
    meshes: Sequence[Mesh],
    *,
    views_per_mesh: int = 1,
) -> Float[Tensor, "n h w c"]:
    """Interpolate a vertex attribute; differentiable in the attribute and the barycentrics.

    Args:
        gbuffer: Result of `render_meshes`.
        attribute: One row per vertex, for all meshes concatenated.
        meshes: The rendered meshes.
        views_per_mesh: As in `render_meshes`.

    Returns:
        The attribute at each pixel centre, zero on background.

    Raises:
        ValueError: If the number of rows differs from that of vertices.
    """
    device = gbuffer.face_id.device
    first_vert, first_face = 0, []
    packed: list[Tensor] = []
    for mesh in meshes:
        first_face.append(sum(each.shape[0] for each in packed))
        packed.append(mesh.faces + first_vert)
        first_vert += mesh.verts.shape[0]
    if attribute.shape[0] != first_vert:
        raise ValueError(
            f"attribute must have {first_vert} rows, one per vertex, got {attribute.shape[0]}"
        )
    pixels = covered_pixels(gbuffer.face_id)
    offset = torch.tensor(first_face, device=device)[pixels.image // views_per_mesh]
    corners = torch.cat(packed)[offset + pixels.face]
    where = (pixels.image, pixels.row, pixels.column)
    values = (gbuffer.barycentric[where][..., None] * _look_up(attribute, corners)).sum(1)
    image = values.new_zeros(*gbuffer.face_id.shape, attribute.shape[1])
    return image.index_put(where, values)


def _look_up(table: Float[Tensor, "rows c"], index: Int[Tensor, "p 3"]) -> Float[Tensor, "p 3 c"]:
    """Gather rows; unlike `table[index]`, the backward pass is a plain `index_add`."""
    return table.index_select(0, index.reshape(-1)).view(*index.shape, table.shape[1])


def _away_from_zero(value: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Replace values that vanish by rounding, so that the weights stay finite."""
    smallest = torch.finfo(value.dtype).tiny
    return torch.where(value.abs() < smallest, smallest, value)
