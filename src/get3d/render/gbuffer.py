"""What is seen at each pixel, from face indices by plain tensor code that autograd goes through."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from get3d.core.types import Cameras, GBuffer, Mesh
from get3d.render.antialiasing import antialias_mask
from get3d.render.rasterizer import Backend, rasterize_views
from get3d.render.views import Views, parse_image_size, project_meshes


@dataclass(frozen=True)
class Pixels:
    """A list of pixels that see a surface.

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
        """Count the pixels."""
        return self.image.shape[0]

    def __getitem__(self, index: slice | Int[Tensor, " picked"]) -> "Pixels":
        """Pick some of them."""
        return Pixels(self.image[index], self.row[index], self.column[index], self.face[index])


@dataclass(frozen=True)
class SurfacePoints:
    """Where the rays through a list of pixel centres meet the surface.

    Attributes:
        position: In object space.
        depth: Distance along the viewing axis, in scene units.
        barycentric: Perspective-correct weights of the face's corners; they sum to 1.
    """

    position: Float[Tensor, "p 3"]
    depth: Float[Tensor, " p"]
    barycentric: Float[Tensor, "p 3"]


def covered_pixels(face_id: Int[Tensor, "n h w"]) -> Pixels:
    """List the pixels that see a face, in the order of images, rows and columns."""
    image, row, column = (face_id >= 0).nonzero(as_tuple=True)
    return Pixels(image, row, column, face_id[image, row, column])


def surface_points(
    views: Views,
    verts: Float[Tensor, "verts 3"],
    pixels: Pixels,
    image_size: int | tuple[int, int],
) -> SurfacePoints:
    """Intersect rays through pixel centres with the planes of the faces seen there.

    The weights come from homogeneous edge functions (Olano and Greer 1997), without dividing by
    the depth of any corner, so faces that reach behind the camera are as good as others.

    Args:
        views: The packed views.
        verts: Object-space vertices of all meshes behind one another, as `project_meshes` returns.
        pixels: Where to look.
        image_size: In pixels, square or (height, width).
    """
    height, width = parse_image_size(image_size)
    spans = views.device_spans[pixels.image]
    corners = views.faces[spans[:, 1] + pixels.face]
    clip = _look_up(views.clip, corners + spans[:, :1])
    x, y, w = clip[..., 0], clip[..., 1], clip[..., 3]
    # Relative to the ray through the pixel centre: less cancellation than in absolute terms.
    x = x - ((pixels.column.to(x.dtype) + 0.5) * (2.0 / width) - 1.0)[:, None] * w
    y = y - ((pixels.row.to(y.dtype) + 0.5) * (2.0 / height) - 1.0)[:, None] * w
    # From the following corner's x and the previous one's y, and the other way round.
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
    """Render a batch of meshes in one go; differentiable in their vertices.

    Args:
        meshes: One or more meshes; those without faces give empty images.
        cameras: Image i shows `meshes[i // views_per_mesh]` through `cameras[i]`.
        image_size: In pixels, square or (height, width).
        views_per_mesh: How many images show the same mesh.
        supersample: The mask is drawn this many times larger each way, then averaged.
        backend: See `rasterize`.

    Raises:
        ValueError: If the number of cameras, a size, an index or the backend does not fit.
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
    views: Views,
    image_size: int | tuple[int, int],
    *,
    supersample: int = 1,
    backend: Backend | None = None,
) -> Float[Tensor, "n h w"]:
    """Draw only the antialiased mask, whose gradient moves the silhouette.

    Args:
        views: The packed views.
        image_size: In pixels, square or (height, width).
        supersample: Drawn this many times larger each way, then averaged.
        backend: See `rasterize`.

    Raises:
        ValueError: If `supersample` is not positive, or a size or the backend does not fit.
    """
    if supersample < 1:
        raise ValueError(f"supersample must be at least 1, got {supersample}")
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
    """Spread a vertex attribute over the pixels; differentiable in it and in the weights.

    Args:
        gbuffer: What `render_meshes` returned.
        attribute: One row a vertex, for all meshes behind one another.
        meshes: The meshes that were rendered.
        views_per_mesh: As for `render_meshes`.

    Returns:
        The attribute at each pixel centre, zero on background.
    """
    device = gbuffer.face_id.device
    first_vert, first_face = 0, []
    packed: list[Tensor] = []
    for mesh in meshes:
        first_face.append(sum(each.shape[0] for each in packed))
        packed.append(mesh.faces + first_vert)
        first_vert += mesh.verts.shape[0]
    if attribute.shape[0] != first_vert:
        raise ValueError(f"attribute must have {first_vert} rows, one a vertex of all meshes, got "
                         f"{attribute.shape[0]}")  # fmt: skip
    pixels = covered_pixels(gbuffer.face_id)
    offset = torch.tensor(first_face, device=device)[pixels.image // views_per_mesh]
    corners = torch.cat(packed)[offset + pixels.face]
    where = (pixels.image, pixels.row, pixels.column)
    values = (gbuffer.barycentric[where][..., None] * _look_up(attribute, corners)).sum(1)
    image = values.new_zeros(*gbuffer.face_id.shape, attribute.shape[1])
    return image.index_put(where, values)


def _look_up(table: Float[Tensor, "rows c"], index: Int[Tensor, "p 3"]) -> Float[Tensor, "p 3 c"]:
    """Index rows; unlike `table[index]`, the backward pass is a plain `index_add`."""
    return table.index_select(0, index.reshape(-1)).view(*index.shape, table.shape[1])


def _away_from_zero(value: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Replace a sum that vanished by rounding, so that the weights stay finite."""
    smallest = torch.finfo(value.dtype).tiny
    return torch.where(value.abs() < smallest, smallest, value)
