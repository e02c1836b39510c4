"""A texture atlas: the surface cut into charts, laid out without overlap in the unit square."""

import logging
import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from get3d.core.errors import MeshError
from get3d.core.types import Mesh
from get3d.export.charts import Charts, make_charts
from get3d.export.packing import pack_charts
from get3d.export.texture_size import MAX_TEXTURE_SIZE, check_texture_size
from get3d.geometry import (
    check_count,
    check_finite,
    check_indices,
    check_mesh,
    surface_area,
    unit_box,
)

_LOG = logging.getLogger(__name__)

# Charts are cut where they are longer than this fraction of the texture's width.
_MAX_LENGTH = 0.27
_USUAL_COVERAGE = 0.75
_SAME_PLACE = 1e-9
_TEXELS_A_CHART = 32  # enough for charts of any shape and the gaps between them


def unwrap(
    mesh: Mesh, *, texture_size: int = 1024
) -> tuple[Float[Tensor, "uvs 2"], Int[Tensor, "faces 3"]]:
    """Cut a surface into charts and lay them out in the unit square.

    Time and memory are in step with the faces.

    Between the texels that two charts touch lie two or more that none touches, so that bilinear
    lookups in one chart do not see another. Some charts are mirrored. Charts longer than about half
    of the texture are cut, and needles that cannot be cut are shrunk. The result depends on nothing
    but the arguments.

    Args:
        mesh: Any triangles: several components, open, non-manifold. Faces without area get
            texture coordinates without area.
        texture_size: Side of the texture that the gaps between charts are meant for, in texels, 1
            to 16384.

    Returns:
        Texture coordinates in [0, 1], origin at the bottom left, and three indices a face into
        them; on the device and in the precision of the vertices.

    Raises:
        MeshError: As `check_mesh`, if no face has an area, or if the texture is so small that
            neighbouring charts would share texels.
        ValueError: If no texture has that size.
    """
    check_texture_size(texture_size)
    check_mesh(mesh)
    if len(mesh.faces) == 0:
        raise MeshError("the mesh has no faces, so there is nothing to unwrap")
    # Of size one, and so that no square or cube of a length leaves the range of the numbers.
    plain = Mesh(unit_box(mesh.verts).shrink(mesh.verts).cpu(), mesh.faces.cpu().long())
    area = surface_area(plain).item()
    if area == 0:
        raise MeshError("all faces of the mesh are without area, so there is nothing to unwrap")
    texel = (area / _USUAL_COVERAGE) ** 0.5 / texture_size
    charts = make_charts(plain, texel=texel, longest=_MAX_LENGTH * texture_size * texel)
    verts, faces = plain.verts.numpy(), plain.faces.numpy()
    layout = _pack(charts, faces, texture_size)
    _join_hidden(layout, verts, faces)
    _LOG.debug("%d faces in %d charts", len(faces), charts.num_charts)
    uvs = torch.from_numpy(layout.uvs).to(mesh.verts)
    return uvs, torch.from_numpy(layout.uv_faces).to(mesh.faces.device)


def check_atlas(
    mesh: Mesh, uvs: Float[Tensor, "uvs 2"], uv_faces: Int[Tensor, "uv_faces 3"]
) -> None:
    """Validate that texture coordinates fit a mesh.

    Args:
        mesh: The surface.
        uvs: May be empty; then the indices are zero.
        uv_faces: Three indices a face into them.

    Raises:
        ValueError: If one is not finite, or there are too few or wrong indices.
    """
    check_finite("texture coordinates", uvs)
    check_count("uv_faces", len(uv_faces), len(mesh.faces), "faces")
    check_indices("uv_faces", uv_faces, max(len(uvs), 1), "texture coordinates")


@dataclass(frozen=True)
class _Layout:
    """Charts in their places.

    Attributes:
        uvs: Texture coordinates.
        uv_verts: The vertex that each texture coordinate belongs to.
        uv_faces: Indices into `uvs`.
        is_hidden: Faces without a place, because they have no area.
    """

    uvs: Float[np.ndarray, "uvs 2"]
    uv_verts: Int[np.ndarray, " uvs"]
    uv_faces: Int[np.ndarray, "faces 3"]
    is_hidden: Bool[np.ndarray, " faces"]


def _pack(charts: Charts, faces: Int[np.ndarray, "faces 3"], texture_size: int) -> _Layout:
    """Lay the charts out; raise MeshError if they have no room."""
    shown = np.flatnonzero(charts.chart_of >= 0)
    chart_of = charts.chart_of[shown]
    texels = pack_charts(charts.corners[shown], chart_of, texture_size)
    if texels is None:
        raise MeshError(_no_space(charts.num_charts, texture_size))
    # Corners of one chart at one vertex are one texture coordinate, unless their places differ.
    flat = texels.reshape(-1, 2) / texture_size
    keys = (chart_of[:, None] * (faces.max() + 1) + faces[shown]).reshape(-1)
    order = np.lexsort((flat[:, 1], flat[:, 0], keys))
    is_new = np.ones(len(order), dtype=bool)
    is_new[1:] = (np.diff(keys[order]) != 0) | (
        np.abs(np.diff(flat[order], axis=0)).max(axis=1) > _SAME_PLACE
    )
    corners = np.empty(len(order), dtype=np.int64)
    corners[order] = np.cumsum(is_new) - 1
    first = order[is_new]
    uv_faces = np.zeros_like(faces)
    uv_faces[shown] = corners.reshape(-1, 3)
    uv_verts = faces[shown].reshape(-1)[first]
    return _Layout(np.clip(flat[first], 0.0, 1.0), uv_verts, uv_faces, charts.chart_of < 0)


def _no_space(num_charts: int, texture_size: int) -> str:
    """Say which texture size is enough, or that none is."""
    enough = 2 ** math.ceil(math.log2(texture_size + 1))
    while enough**2 < _TEXELS_A_CHART * num_charts:
        enough *= 2
    fix = f"{enough} is enough"
    if enough > MAX_TEXTURE_SIZE:
        fix = f"no size up to {MAX_TEXTURE_SIZE} is enough, so simplify or remove slivers"
    return (
        f"texture_size {texture_size} is too small for the {num_charts} charts of this mesh; {fix}"
    )


def _join_hidden(
    layout: _Layout,
    verts: Float[np.ndarray, "verts 3"],
    faces: Int[np.ndarray, "faces 3"],
) -> None:
    """Shrink faces without a chart to one point of a neighbour's chart, in place."""
    hidden = np.flatnonzero(layout.is_hidden)
    if len(hidden) == 0:
        return
    uv_of_vert = np.zeros(len(verts), dtype=np.int64)
    shown = layout.uv_faces[~layout.is_hidden].reshape(-1)
    uv_of_vert[layout.uv_verts[shown]] = shown
    layout.uv_faces[hidden] = uv_of_vert[faces[hidden, :1]]
    first, second, third = verts[faces[hidden]].transpose(1, 0, 2)
    area = np.linalg.norm(np.cross(second - first, third - first), axis=1).sum() / 2
    first, second, third = verts[faces].transpose(1, 0, 2)
    total = np.linalg.norm(np.cross(second - first, third - first), axis=1).sum() / 2
    if area > 1e-6 * total:
        _LOG.warning(
            "%d faces (%.2g of the area) have no place in the atlas and one colour each",
            len(hidden),
            area / total,
        )
