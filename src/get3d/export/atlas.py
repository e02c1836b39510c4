"""A texture atlas: the surface cut into charts, laid out without overlap in the unit square."""

import logging
import math
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from get3d.core.errors import ConfigError, MeshError
from get3d.core.types import Mesh
from get3d.export.charts import Charts, chart_boxes, make_charts
from get3d.geometry import (
    check_count,
    check_finite,
    check_indices,
    check_mesh,
    surface_area,
    unit_box,
)

_LOG = logging.getLogger(__name__)

MAX_TEXTURE_SIZE = 16384
"""Side of the largest texture, in texels."""

_GAP_TEXELS = 3
_MIN_GAP_TEXELS = 0.5
# Charts of so much area, as a fraction of the texture's, come out about as large as the texture.
_AREA = 0.85
# Longer charts are cut, as a fraction of the texture's width; longer faces are shrunk.
_MAX_LENGTH = 1.25
# Charts less than a texel wide on average are shrunk to that fraction of it, and no further.
_MIN_LENGTH_TEXELS = 64.0
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
    mirrored. Charts longer than the texture are cut, and needles that cannot be cut are shrunk. The
    result depends on nothing but the arguments.

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
    _LOG.debug("%d faces in %d charts, packed by xatlas", len(faces), charts.num_charts)
    uvs = torch.from_numpy(layout.uvs).to(mesh.verts)
    return uvs, torch.from_numpy(layout.uv_faces).to(mesh.faces.device)


def check_texture_size(texture_size: Any, *, least: int = 1) -> None:
    """Validate the size of a texture.

    Args:
        texture_size: In texels.
        least: The smallest that makes sense.

    Raises:
        ConfigError: If it is out of range or no whole number.
    """
    is_whole = isinstance(texture_size, Integral)
    if not is_whole or not least <= texture_size <= MAX_TEXTURE_SIZE:
        kind = "" if is_whole else ", a whole number"
        raise ConfigError(
            f"texture_size must be from {least} to {MAX_TEXTURE_SIZE}{kind}, got {texture_size!r}"
        )


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
    """Turn, mirror and move the charts so that they fill a square well."""
    import xatlas

    shown = np.flatnonzero(charts.chart_of >= 0)
    chart_of = charts.chart_of[shown]
    sizes = _chart_sizes(charts.corners[shown], chart_of)
    _check_space(sizes, texture_size)
    # One number a corner: corners of one chart at one vertex are one texture coordinate.
    keys = chart_of[:, None] * (faces.max() + 1) + faces[shown]
    _, first, corners = np.unique(keys, return_index=True, return_inverse=True)
    texels = charts.corners[shown] * sizes.scales(texture_size)[chart_of][:, None, None]
    flat = _near_origin(texels, chart_of).reshape(-1, 2)[first]
    atlas = xatlas.Atlas()
    # Faces of one material and a common edge are one chart to xatlas.
    atlas.add_uv_mesh(
        flat.astype(np.float32),
        corners.reshape(-1, 3).astype(np.uint32),
        chart_of[:, None].astype(np.uint32),
    )
    pack = xatlas.PackOptions()
    pack.texels_per_unit = 1.0
    pack.padding = _GAP_TEXELS
    atlas.generate(xatlas.ChartOptions(), pack)
    _check_space(sizes, texture_size, packed_size=max(atlas.width, atlas.height))
    place_of, _, uvs = atlas.get_mesh(0)
    is_placed = atlas.get_mesh_vertex_assignment(0)[0] != _UNASSIGNED
    assert np.array_equal(place_of, np.arange(len(flat)))  # xatlas moves UV meshes, no more
    uv_faces = np.zeros_like(faces)
    uv_faces[shown] = corners.reshape(-1, 3)
    is_hidden = np.ones(len(faces), dtype=bool)
    is_hidden[shown] = ~is_placed[uv_faces[shown]].all(axis=1)
    all_uvs = np.where(is_placed[:, None], np.clip(uvs, 0.0, 1.0), 0.0)
    uv_verts = faces[shown].reshape(-1)[first]
    return _Layout(all_uvs, uv_verts, uv_faces, is_hidden)


@dataclass(frozen=True)
class _ChartSizes:
    """How large charts are, in their own units.

    Attributes:
        lengths: Longer side of each one's box.
        areas: Area of each.
    """

    lengths: Float[np.ndarray, " charts"]
    areas: Float[np.ndarray, " charts"]

    def scales(self, texture_size: int) -> Float[np.ndarray, " charts"]:
        """Say how many texels a unit of each chart is: alike, but for those that are too long.

        Room is for what has area: charts that are thinner than a texel would need many times their
        fraction of it, and packing them would take any time.
        """
        scale = texture_size * (_AREA / max(float(self.areas.sum()), 1e-300)) ** 0.5
        longest = _MAX_LENGTH * texture_size
        lengths = np.maximum(self.lengths * scale, 1e-300)
        widths = self.areas * scale**2 / lengths
        most = np.clip(longest * widths, min(_MIN_LENGTH_TEXELS, longest), longest)
        return scale * np.minimum(1.0, most / lengths)

    def least_area(self, texture_size: int) -> float:
        """Bound from below the area, in texels, of all charts with half of the gaps around them."""
        scales = self.scales(texture_size)
        around = self.lengths * scales * _GAP_TEXELS + math.pi / 4 * _GAP_TEXELS**2
        return float((self.areas * scales**2 + around).sum())


def _chart_sizes(
    corners: Float[np.ndarray, "faces 3 2"], chart_of: Int[np.ndarray, " faces"]
) -> _ChartSizes:
    lows, highs = chart_boxes(corners, chart_of)
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    areas = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / 2
    return _ChartSizes((highs - lows).max(axis=1), np.bincount(chart_of, areas))


def _check_space(sizes: _ChartSizes, texture_size: int, *, packed_size: int | None = None) -> None:
    """Validate that gaps are half a texel or more when all charts are scaled to fit.

    Args:
        sizes: Of the charts.
        texture_size: Width and height of the texture, in texels.
        packed_size: How large the packed charts are; None: before packing, which takes long where
            it cannot end well.
    """
    most = _GAP_TEXELS / _MIN_GAP_TEXELS  # times as large as the texture
    size = sizes.least_area(texture_size) ** 0.5 if packed_size is None else packed_size
    if size <= most * texture_size:
        return
    excess = 1.5 * (1.5 if packed_size is None else size / sizes.least_area(texture_size) ** 0.5)
    enough = 2 ** math.ceil(math.log2(texture_size + 1))
    while enough <= MAX_TEXTURE_SIZE:
        if excess * sizes.least_area(enough) ** 0.5 <= most * enough:
            break
        enough *= 2
    raise MeshError(
        f"texture_size {texture_size} is too small for the {len(sizes.areas)} charts of this mesh; "
        + (
            f"{enough} is enough"
            if enough <= MAX_TEXTURE_SIZE
            else f"no size up to {MAX_TEXTURE_SIZE} is enough, so simplify or remove slivers"
        )
    )


def _near_origin(
    corners: Float[np.ndarray, "faces 3 2"], chart_of: Int[np.ndarray, " faces"]
) -> Float[np.ndarray, "faces 3 2"]:
    """Move charts to where float32 tells their corners apart well; not all to the same place.

    Alike charts at one place would have their corners in one place too, which xatlas is slow at.
    """
    lows, _ = chart_boxes(corners, chart_of)
    side = math.ceil(len(lows) ** 0.5)
    places = np.stack(np.divmod(np.arange(len(lows)), side), axis=1)
    return corners + (places - lows)[chart_of][:, None]


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
