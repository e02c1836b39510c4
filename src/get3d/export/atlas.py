"""A texture atlas: the surface cut into charts, laid out without overlap in the unit square."""

import logging
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from get3d.core.types import Mesh
from get3d.export.charts import Charts, make_charts
from get3d.geometry import surface_area

_LOG = logging.getLogger(__name__)

# The packed charts take more room than xatlas is asked for; asking for less comes out about right.
_ASKED_SIZE = 0.75
_GAP_TEXELS = 3
_MIN_GAP_TEXELS = 0.5
_USUAL_COVERAGE = 0.6
_UNASSIGNED = 0xFFFFFFFF


def unwrap(
    mesh: Mesh, *, texture_size: int = 1024
) -> tuple[Float[Tensor, "uvs 2"], Int[Tensor, "faces 3"]]:
    """Cut a surface into charts and lay them out in the unit square.

    The charts are our own (`make_charts`), packed by xatlas: its own charts take ten times as long
    and are many more on rough surfaces. Time and memory are in step with the faces.

    Charts lie two to three texels apart (less where the texture is small for their number), so that
    bilinear lookups and the first mip levels of one chart do not see another. Some charts are
    mirrored. The result depends on nothing but the arguments.

    Args:
        mesh: Any triangles: several components, open, non-manifold. Faces without area get
            texture coordinates without area.
        texture_size: Side of the texture that the gaps between charts are meant for, in texels.

    Returns:
        Texture coordinates in [0, 1], origin at the bottom left, and three indices a face into
        them; on the device and in the precision of the vertices.

    Raises:
        ValueError: If no face has an area or a vertex is not finite, or if the texture is so
            small that neighbouring charts would share texels.
    """
    plain = _checked_mesh(mesh, texture_size)
    area = surface_area(plain).item()
    if area == 0:
        raise ValueError("all faces of the mesh are without area, so there is nothing to unwrap")
    texel = (area / _USUAL_COVERAGE) ** 0.5 / texture_size
    charts = make_charts(plain, texel=texel)
    verts, faces = plain.verts.numpy(), plain.faces.numpy()
    layout = _pack(charts, faces, texel, texture_size)
    gap_texels = _GAP_TEXELS * texture_size / layout.size
    num_charts = int(charts.chart_of.max()) + 1
    if gap_texels < _MIN_GAP_TEXELS:
        enough = 1 << int(np.ceil(np.log2(texture_size * 1.5 * _MIN_GAP_TEXELS / gap_texels)))
        raise ValueError(
            f"texture_size {texture_size} is too small for the {num_charts} charts of this "
            f"mesh; {enough} is enough"
        )
    _join_hidden(layout, verts, faces)
    _LOG.debug("%d faces in %d charts, packed by xatlas", len(faces), num_charts)
    uvs = torch.from_numpy(layout.uvs).to(mesh.verts)
    return uvs, torch.from_numpy(layout.uv_faces).to(mesh.faces.device)


@dataclass(frozen=True)
class _Layout:
    """Charts in their places.

    Attributes:
        size: Longer side of the atlas, in the texels that the gaps were counted in.
        uvs: Texture coordinates.
        uv_verts: The vertex that each texture coordinate belongs to.
        uv_faces: Indices into `uvs`.
        is_hidden: Faces without a place, because they have no area.
    """

    size: int
    uvs: Float[np.ndarray, "uvs 2"]
    uv_verts: Int[np.ndarray, " uvs"]
    uv_faces: Int[np.ndarray, "faces 3"]
    is_hidden: Bool[np.ndarray, " faces"]


def _checked_mesh(mesh: Mesh, texture_size: int) -> Mesh:
    if texture_size < 1:
        raise ValueError(f"texture_size must be at least 1, got {texture_size}")
    if mesh.faces.shape[0] == 0:
        raise ValueError("the mesh has no faces, so there is nothing to unwrap")
    verts = mesh.verts.detach().cpu().double()
    num_bad = int((~verts.isfinite()).any(dim=1).sum())
    if num_bad:
        raise ValueError(f"{num_bad} of {len(verts)} vertex positions are not finite")
    return Mesh(verts, mesh.faces.cpu().long())


def _pack(
    charts: Charts, faces: Int[np.ndarray, "faces 3"], texel: float, texture_size: int
) -> _Layout:
    """Turn, mirror and move the charts so that they fill a square well."""
    import xatlas

    shown = np.flatnonzero(charts.chart_of >= 0)
    chart_of = charts.chart_of[shown]
    # One number a corner: corners of one chart at one vertex are one texture coordinate.
    keys = chart_of[:, None] * (faces.max() + 1) + faces[shown]
    _, first, corners = np.unique(keys, return_index=True, return_inverse=True)
    flat = _side_by_side(charts.corners[shown] / texel, chart_of).reshape(-1, 2)[first]
    atlas = xatlas.Atlas()
    atlas.add_uv_mesh(flat.astype(np.float32), corners.reshape(-1, 3).astype(np.uint32))
    pack = xatlas.PackOptions()
    pack.resolution = max(1, round(texture_size * _ASKED_SIZE))
    pack.padding = _GAP_TEXELS
    atlas.generate(xatlas.ChartOptions(), pack)
    place_of, _, uvs = atlas.get_mesh(0)
    is_placed = atlas.get_mesh_vertex_assignment(0)[0] != _UNASSIGNED
    assert np.array_equal(place_of, np.arange(len(flat)))  # xatlas moves UV meshes, no more
    uv_faces = np.zeros_like(faces)
    uv_faces[shown] = corners.reshape(-1, 3)
    is_hidden = np.ones(len(faces), dtype=bool)
    is_hidden[shown] = ~is_placed[uv_faces[shown]].all(axis=1)
    all_uvs = np.where(is_placed[:, None], np.clip(uvs, 0.0, 1.0), 0.0)
    uv_verts = faces[shown].reshape(-1)[first]
    return _Layout(max(atlas.width, atlas.height), all_uvs, uv_verts, uv_faces, is_hidden)


def _side_by_side(
    corners: Float[np.ndarray, "faces 3 2"], chart_of: Int[np.ndarray, " faces"]
) -> Float[np.ndarray, "faces 3 2"]:
    """Put charts into one long row: xatlas takes what has the same coordinates for joined."""
    num_charts = int(chart_of.max()) + 1
    lows, highs = np.full((num_charts, 2), np.inf), np.full((num_charts, 2), -np.inf)
    np.minimum.at(lows, chart_of, corners.min(axis=1))
    np.maximum.at(highs, chart_of, corners.max(axis=1))
    widths = highs[:, 0] - lows[:, 0] + 1.0
    shifts = -lows
    shifts[:, 0] += np.cumsum(widths) - widths
    return corners + shifts[chart_of][:, None]


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
