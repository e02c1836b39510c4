"""A texture atlas: the surface cut into charts, laid out without overlap in the unit square."""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from get3d.core.types import Mesh

if TYPE_CHECKING:
    import xatlas

_LOG = logging.getLogger(__name__)

# xatlas takes time that grows with the square of the faces it sees at once, and it loses itself in
# little charts on rough surfaces. Given in blocks, 30 k rough faces take 0.9 s instead of 6.3 s and
# end in 447 charts instead of 920; 58 k take 2.1 s instead of 15.5 s.
_BLOCK_FACES = 2000
# Its atlas is larger than asked for, because of the gaps; asking for less makes it come out right.
_ASKED_SIZE = 0.8
_GAP_TEXELS = 3
_MIN_GAP_TEXELS = 0.5
_UNASSIGNED = 0xFFFFFFFF


def unwrap(
    mesh: Mesh, *, texture_size: int = 1024
) -> tuple[Float[Tensor, "uvs 2"], Int[Tensor, "faces 3"]]:
    """Cut a surface into charts and lay them out in the unit square.

    Charts lie about three texels apart (less where the texture is small for the number of charts),
    so that bilinear lookups and the first mip levels of one chart do not see another. Some charts
    are mirrored. The result depends on nothing but the arguments.

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
    verts, faces = _checked_arrays(mesh, texture_size)
    blocks = _split_faces(verts, faces)
    atlas = _run_xatlas(_unit_scale(verts, faces), faces, blocks, texture_size)
    if atlas.chart_count == 0:
        raise ValueError("all faces of the mesh are without area, so there is nothing to unwrap")
    gap_texels = _GAP_TEXELS * texture_size / max(atlas.width, atlas.height)
    if gap_texels < _MIN_GAP_TEXELS:
        enough = 1 << int(np.ceil(np.log2(texture_size * 1.5 * _MIN_GAP_TEXELS / gap_texels)))
        raise ValueError(
            f"texture_size {texture_size} is too small for the {atlas.chart_count} charts of this "
            f"mesh; {enough} is enough"
        )
    layout = _collect(atlas, faces, blocks)
    _join_hidden(layout, verts, faces)
    uvs = torch.from_numpy(layout.uvs).to(mesh.verts)
    return uvs, torch.from_numpy(layout.uv_faces).to(mesh.faces.device)


@dataclass(frozen=True)
class _Layout:
    """What xatlas returned, for the whole mesh.

    Attributes:
        uvs: Texture coordinates.
        uv_verts: The vertex that each texture coordinate belongs to.
        uv_faces: Indices into `uvs`.
        is_hidden: Faces that xatlas put into no chart.
    """

    uvs: Float[np.ndarray, "uvs 2"]
    uv_verts: Int[np.ndarray, " uvs"]
    uv_faces: Int[np.ndarray, "faces 3"]
    is_hidden: Bool[np.ndarray, " faces"]


def _checked_arrays(
    mesh: Mesh, texture_size: int
) -> tuple[Float[np.ndarray, "verts 3"], Int[np.ndarray, "faces 3"]]:
    if texture_size < 1:
        raise ValueError(f"texture_size must be at least 1, got {texture_size}")
    if mesh.faces.shape[0] == 0:
        raise ValueError("the mesh has no faces, so there is nothing to unwrap")
    verts = mesh.verts.detach().cpu().numpy().astype(np.float64)
    num_bad = int((~np.isfinite(verts)).any(axis=1).sum())
    if num_bad:
        raise ValueError(f"{num_bad} of {len(verts)} vertex positions are not finite")
    return verts, mesh.faces.cpu().numpy().astype(np.int64)


def _split_faces(
    verts: Float[np.ndarray, "verts 3"], faces: Int[np.ndarray, "faces 3"]
) -> list[Int[np.ndarray, " block"]]:
    """Halve the faces along their longest extent until every block is small."""
    centres = verts[faces].mean(axis=1)
    pending, blocks = [np.arange(len(faces))], []
    while pending:
        block = pending.pop()
        if len(block) <= _BLOCK_FACES:
            blocks.append(block)
            continue
        axis = np.ptp(centres[block], axis=0).argmax()
        block = block[np.argsort(centres[block, axis], kind="stable")]
        pending += [block[: len(block) // 2], block[len(block) // 2 :]]
    return blocks


def _unit_scale(
    verts: Float[np.ndarray, "verts 3"], faces: Int[np.ndarray, "faces 3"]
) -> Float[np.ndarray, "verts 3"]:
    """Give the mean edge length one: xatlas drops faces by their absolute area."""
    edges = verts[faces] - verts[np.roll(faces, 1, axis=1)]
    mean_length = np.linalg.norm(edges, axis=-1).mean()
    centred = verts - (verts[faces[0, 0]])
    return centred / mean_length if mean_length > 0 else centred


def _run_xatlas(
    verts: Float[np.ndarray, "verts 3"],
    faces: Int[np.ndarray, "faces 3"],
    blocks: list[Int[np.ndarray, " block"]],
    texture_size: int,
) -> "xatlas.Atlas":
    import xatlas

    atlas = xatlas.Atlas()
    for block in blocks:
        used, corners = np.unique(faces[block], return_inverse=True)
        atlas.add_mesh(verts[used].astype(np.float32), corners.reshape(-1, 3).astype(np.uint32))
    pack = xatlas.PackOptions()
    pack.resolution = max(1, round(texture_size * _ASKED_SIZE))
    pack.padding = _GAP_TEXELS
    atlas.generate(xatlas.ChartOptions(), pack)
    return atlas


def _collect(
    atlas: Any, faces: Int[np.ndarray, "faces 3"], blocks: list[Int[np.ndarray, " block"]]
) -> _Layout:
    """Put the blocks of the atlas together again."""
    uvs, uv_verts = [], []
    uv_faces = np.zeros_like(faces)
    is_hidden = np.zeros(len(faces), dtype=bool)
    num_uvs = 0
    for index, block in enumerate(blocks):
        vert_of, corners, block_uvs = atlas[index]
        chart_of = atlas.get_mesh_vertex_assignment(index)[0]
        uvs.append(block_uvs)
        uv_verts.append(np.unique(faces[block])[vert_of])
        uv_faces[block] = corners.astype(np.int64) + num_uvs
        is_hidden[block] = (chart_of[corners] == _UNASSIGNED).any(axis=1)
        num_uvs += len(block_uvs)
    all_uvs = np.clip(np.concatenate(uvs), 0.0, 1.0)
    return _Layout(all_uvs, np.concatenate(uv_verts), uv_faces, is_hidden)


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
            "%d faces (%.2g of the area) fit into no chart and have one colour each",
            len(hidden),
            area / total,
        )
