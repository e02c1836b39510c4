"""Texture baking: an appearance is evaluated at the surface point of every texel that is seen."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from get3d.core.chunks import CHUNK_POINTS
from get3d.core.errors import MeshError
from get3d.core.types import Appearance, Mesh, TexturedMesh
from get3d.export.atlas import check_atlas, unwrap
from get3d.export.materials import check_channels, make_material
from get3d.export.texture_size import TextureSize, check_texture_size, choose_texture_size
from get3d.geometry import check_mesh
from get3d.render import ColorFn, rasterize

# Bilinear lookups reach one texel beyond those that a chart touches: it is evaluated there too.
# The first mip levels reach further: these texels copy a neighbour.
_EVALUATED_RINGS = 1
_COPIED_RINGS = 3
_NEIGHBOURS = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1))


def texture_mesh(
    mesh: Mesh,
    appearance: Appearance | ColorFn,
    *,
    texture_size: TextureSize = "auto",
) -> TexturedMesh:
    """Unwrap a mesh and bake its appearance into the textures of one material.

    Args:
        mesh: Positions and faces; at least one face.
        appearance: Channels of a material (see `make_material`), or a function that gives sRGB
            colours in [0, 1] at object-space positions; values outside are clipped.
        texture_size: Width and height of the textures, in texels; see `choose_texture_size`.

    Returns:
        The same vertices and faces with texture coordinates and one material.

    Raises:
        MeshError: If the mesh has no faces, a position or value is not finite, or the texture is
            too small for the mesh's charts.
        ValueError: If a channel is not a material channel.
    """
    if not isinstance(appearance, Appearance):
        appearance = Appearance.of_color(appearance)
    check_channels(appearance.channels)
    check_mesh(mesh)
    size = choose_texture_size(texture_size, mesh, appearance)
    uvs, uv_faces = unwrap(mesh, texture_size=size)
    texture = bake_texture(mesh, uvs, uv_faces, appearance, size)
    return TexturedMesh(
        mesh=mesh.detach(),
        uvs=uvs,
        uv_faces=uv_faces,
        materials=(make_material(appearance.split(texture)),),
        face_material=torch.zeros(len(mesh.faces), dtype=torch.int64, device=mesh.faces.device),
    )


@torch.no_grad()
def bake_texture(
    mesh: Mesh,
    uvs: Float[Tensor, "uvs 2"],
    uv_faces: Int[Tensor, "faces 3"],
    appearance: Appearance | ColorFn,
    texture_size: int,
) -> Float[Tensor, "h w c"]:
    """Bake an appearance into a texture: evaluate it at the surface point of each texel.

    Texels that a chart touches without covering their centre, and one ring more, get the values of
    the nearest point of the chart; so bilinear lookups show no seam. All other texels take values
    from around them: none is black unless the appearance is.

    Args:
        mesh: Positions and faces.
        uvs: Texture coordinates in [0, 1], origin at the bottom left; charts must not overlap.
        uv_faces: Three indices a face into `uvs`.
        appearance: Any channels, or a function that gives sRGB colours in [0, 1] at object-space
            positions; evaluated in chunks of points.
        texture_size: Width and height of the texture, in texels.

    Returns:
        All channels in [0, 1], row 0 at the top.

    Raises:
        MeshError: If there are no faces, or a position or value is not finite.
        ValueError: If the appearance returns another shape, or mesh and texture coordinates hold
            indices of what is not there.
    """
    if not isinstance(appearance, Appearance):
        appearance = Appearance.of_color(appearance)
    check_texture_size(texture_size)
    check_mesh(mesh)
    check_atlas(mesh, uvs, uv_faces)
    if len(uv_faces) == 0:
        raise MeshError("the mesh has no faces, so there is nothing to bake")
    corners = uvs.detach() * texture_size
    # Texels count from the top left: a texel's centre is at half-integers of (column, row).
    corners = torch.stack([corners[:, 0], texture_size - corners[:, 1]], dim=1)[uv_faces]
    face_of = _chart_texels(uvs, uv_faces, corners, texture_size)
    for _ in range(_EVALUATED_RINGS):
        _grow(face_of)
    size = appearance.num_values
    texture = mesh.verts.new_zeros(texture_size, texture_size, size)
    for start in range(0, face_of.numel(), CHUNK_POINTS):
        faces = face_of.view(-1)[start : start + CHUNK_POINTS]
        inside = (faces >= 0).nonzero().squeeze(1)
        faces, texels = faces[inside].long(), inside + start
        points = _surface_points(mesh, corners, faces, texels, texture_size)
        texture.view(-1, size)[texels] = evaluate_appearance(appearance, points)
    is_known = face_of >= 0
    del face_of  # as large as a channel of the texture, like much that follows
    _fill(texture, is_known)
    return texture


def _chart_texels(
    uvs: Float[Tensor, "uvs 2"],
    uv_faces: Int[Tensor, "faces 3"],
    corners: Float[Tensor, "faces 3 2"],
    texture_size: int,
) -> Int[Tensor, "h w"]:
    """Name a face for every texel that a chart covers or touches, -1 elsewhere."""
    flat = torch.stack([uvs[:, 0] * 2 - 1, 1 - uvs[:, 1] * 2], dim=1).detach()
    clip_verts = F.pad(F.pad(flat, (0, 1)), (0, 1), value=1.0)
    face_of = rasterize(clip_verts, uv_faces, texture_size).int()
    # A texel that is touched, but not covered, is crossed by the chart's outline.
    starts, ends, outline_faces = _outline(uv_faces, corners)
    num_steps = ((ends - starts).norm(dim=1) * 2).ceil().long() + 1
    edge_of = torch.repeat_interleave(num_steps)
    first_step = num_steps.cumsum(0) - num_steps
    step = torch.arange(len(edge_of), device=uvs.device) - first_step[edge_of]
    along = (step.to(uvs.dtype) / num_steps[edge_of]).unsqueeze(1)
    column, row = starts[edge_of].lerp(ends[edge_of], along).floor().long().unbind(dim=1)
    texels = row.clamp(0, texture_size - 1) * texture_size + column.clamp(0, texture_size - 1)
    touched = (face_of.view(-1)[texels] < 0).nonzero().squeeze(1)
    texels, faces = texels[touched], outline_faces[edge_of[touched]].int()
    face_of.view(-1)[texels] = len(uv_faces)
    face_of.view(-1).scatter_reduce_(0, texels, faces, "amin")
    return face_of


def _outline(
    uv_faces: Int[Tensor, "faces 3"], corners: Float[Tensor, "faces 3 2"]
) -> tuple[Float[Tensor, "edges 2"], Float[Tensor, "edges 2"], Int[Tensor, " edges"]]:
    """List the edges that one face alone has, by their ends, with that face."""
    ends = torch.stack([uv_faces, uv_faces.roll(-1, dims=1)]).flatten(1)
    low, high = ends.amin(dim=0), ends.amax(dim=0)
    key = low * (uv_faces.max() + 1) + high
    _, edge_of, num_faces = key.unique(return_inverse=True, return_counts=True)
    picked = ((num_faces[edge_of] == 1) & (low != high)).nonzero().squeeze(1)
    starts, stops = corners.flatten(0, 1), corners.roll(-1, dims=1).flatten(0, 1)
    return starts[picked], stops[picked], picked // 3


def _grow(ids: Int[Tensor, "h w"]) -> None:
    """Give texels without an id (-1) that of a neighbour, in place; edges go before corners."""
    height, width = ids.shape
    padded = F.pad(ids, (1, 1, 1, 1), value=-1)
    for down, right in _NEIGHBOURS:
        neighbour = padded[1 + down : 1 + down + height, 1 + right : 1 + right + width]
        torch.where(ids < 0, neighbour, ids, out=ids)


def _surface_points(
    mesh: Mesh,
    corners: Float[Tensor, "faces 3 2"],
    faces: Int[Tensor, " n"],
    texels: Int[Tensor, " n"],
    texture_size: int,
) -> Float[Tensor, "n 3"]:
    """Find the point of a face that a texel's centre shows, or the nearest one of that face."""
    centres = torch.stack([texels % texture_size, texels // texture_size], dim=1) + 0.5
    weights = _closest_weights(corners[faces], centres.to(corners.dtype))
    triangles = mesh.verts.detach()[mesh.faces[faces]]
    return torch.einsum("nc,ncd->nd", weights, triangles)


def _closest_weights(
    triangles: Float[Tensor, "n 3 2"], points: Float[Tensor, "n 2"]
) -> Float[Tensor, "n 3"]:
    """Compute barycentric weights of the point of each triangle that is nearest to a point."""
    first, second, third = triangles.unbind(dim=1)
    area = _cross(second - first, third - first)
    safe_area = torch.where(area == 0, torch.ones_like(area), area)
    weights = torch.stack(
        [
            _cross(second - points, third - points),
            _cross(third - points, first - points),
            _cross(first - points, second - points),
        ],
        dim=1,
    ) / safe_area.unsqueeze(1)
    outside = ((weights < 0).any(dim=1) | (area == 0)).nonzero().squeeze(1)
    weights[outside] = _closest_outline_weights(triangles[outside], points[outside])
    return weights


def _closest_outline_weights(
    triangles: Float[Tensor, "n 3 2"], points: Float[Tensor, "n 2"]
) -> Float[Tensor, "n 3"]:
    """Compute the weights of the point on each triangle's outline that is nearest to a point."""
    edges = triangles.roll(-1, dims=1) - triangles
    offsets = points.unsqueeze(1) - triangles
    length_squared = edges.square().sum(dim=2)
    safe = torch.where(length_squared == 0, torch.ones_like(length_squared), length_squared)
    along = ((offsets * edges).sum(dim=2) / safe).clamp(0, 1)
    distances = (offsets - along.unsqueeze(2) * edges).square().sum(dim=2)
    edge = distances.argmin(dim=1, keepdim=True)
    fraction = along.gather(1, edge)
    weights = triangles.new_zeros(len(triangles), 3)
    weights.scatter_(1, edge, 1 - fraction)
    return weights.scatter_(1, (edge + 1) % 3, fraction)


def _cross(a: Float[Tensor, "n 2"], b: Float[Tensor, "n 2"]) -> Float[Tensor, " n"]:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def evaluate_appearance(
    appearance: Appearance, points: Float[Tensor, "n 3"]
) -> Float[Tensor, "n c"]:
    """Evaluate an appearance in chunks of points, and check the values.

    Args:
        appearance: Values outside [0, 1] are clipped.
        points: Any number of object-space positions.

    Raises:
        MeshError: If a value is not finite.
        ValueError: If the appearance returns another shape.
    """
    values = points.new_empty(len(points), appearance.num_values)
    for start in range(0, len(points), CHUNK_POINTS):
        part = slice(start, start + CHUNK_POINTS)
        found = appearance.evaluate(points[part])
        if found.shape != values[part].shape:
            raise ValueError(
                f"an appearance with channels {dict(appearance.channels)} must return "
                f"{list(values[part].shape)}, got {list(found.shape)}"
            )
        if not found.isfinite().all():
            raise MeshError("the appearance has values that are not finite")
        values[part] = found.clamp(0, 1)
    return values


def _fill(texture: Float[Tensor, "h w c"], is_known: Bool[Tensor, "h w"]) -> None:
    """Fill the other texels in place: near charts from a neighbour, the rest by averages."""
    sources = torch.arange(is_known.numel(), dtype=torch.int32, device=texture.device)
    sources = sources.view_as(is_known).masked_fill_(~is_known, -1)
    for _ in range(_COPIED_RINGS):
        _grow(sources)
    copies = ((sources >= 0) & ~is_known).flatten().nonzero().squeeze(1)
    values = texture.view(-1, texture.shape[2])
    values[copies] = values[sources.view(-1)[copies].long()]
    is_known = sources >= 0
    del sources
    _fill_from_coarse(texture, is_known.to(texture.dtype))


def _fill_from_coarse(values: Float[Tensor, "h w c"], weight: Float[Tensor, "h w"]) -> None:
    """Divide by the weights in place, and fill where they are zero from ever coarser averages."""
    coarse: Tensor | None = None
    if min(weight.shape) > 1 and not bool((weight > 0).all()):
        coarse = torch.stack([_halve(channel) for channel in values.unbind(dim=2)], dim=2)
        _fill_from_coarse(coarse, _halve(weight))
    values.div_(weight.clamp(min=1e-12).unsqueeze(2))
    if coarse is None:
        return
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
        part, known = values[down::2, right::2], weight[down::2, right::2] > 0
        height, width = known.shape
        part.copy_(torch.where(known.unsqueeze(2), part, coarse[:height, :width]))


def _halve(channel: Float[Tensor, "h w"]) -> Float[Tensor, "h2 w2"]:
    """Average over two by two texels, and what is left of them at the ends."""
    return F.avg_pool2d(channel[None], 2, ceil_mode=True)[0]
