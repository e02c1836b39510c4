"""The connected pieces of a mesh: which are crumbs, and which nobody can ever see."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from get3d.core.types import Mesh
from get3d.geometry.checks import unit_box
from get3d.geometry.component_kernels import bin_triangles, lies_inside
from get3d.geometry.measures import connected_components, face_areas, is_watertight


@dataclass(frozen=True)
class Kept:
    """A mesh without some of its pieces.

    Attributes:
        mesh: What stayed; vertices that no face uses are gone.
        num_components: How many pieces went.
        num_faces: How many faces these had.
    """

    mesh: Mesh
    num_components: int
    num_faces: int


def remove_floaters(mesh: Mesh, min_volume: float) -> Kept:
    """Remove pieces that are small beside the largest one.

    The volume of a piece that is not closed is that between it and its middle. Flat pieces have
    none: they go by their area, which may be that of the same shape at the same share.

    Args:
        mesh: Any triangles.
        min_volume: Pieces of less than this share of the largest piece's volume go.

    Raises:
        ValueError: If the share does not lie in 0 to 1.
    """
    if not 0 <= min_volume <= 1:
        raise ValueError(f"min_volume must lie in 0 to 1, got {min_volume}")
    component_of_face = face_components(mesh)
    volumes = component_volumes(mesh)
    if len(volumes) == 0:
        return Kept(mesh, 0, 0)
    areas = _component_areas(mesh, component_of_face)
    is_large = volumes >= min_volume * volumes.max()
    is_wide = areas >= min_volume ** (2 / 3) * areas.max()
    return _keep(mesh, component_of_face, torch.where(volumes > 0, is_large, is_wide))


def component_volumes(mesh: Mesh) -> Float[Tensor, " pieces"]:
    """Volume of each connected piece in cubic scene units, never negative, by first vertex.

    Volumes that rounding positions to float32 may make of flat pieces are 0.
    """
    piece = face_components(mesh)
    num = int(piece.max()) + 1 if len(piece) else 0
    corners = mesh.verts.detach().double()[mesh.faces]
    counts = torch.bincount(piece, minlength=num).unsqueeze(1)
    middles = corners.new_zeros(num, 3).index_add_(0, piece, corners.mean(dim=1)) / counts
    first, second, third = (corners - middles[piece].unsqueeze(1)).unbind(dim=1)
    cones = (first * torch.linalg.cross(second, third)).sum(dim=1) / 6
    volumes = corners.new_zeros(num).index_add_(0, piece, cones).abs()
    farthest = corners.new_zeros(num).scatter_reduce(
        0, piece, corners.abs().amax(dim=(1, 2)), "amax"
    )
    rounding = torch.finfo(torch.float32).eps * farthest * _component_areas(mesh, piece)
    return torch.where(volumes > rounding, volumes, 0.0)


def _component_areas(mesh: Mesh, piece: Int[Tensor, " faces"]) -> Float[Tensor, " pieces"]:
    areas = face_areas(Mesh(mesh.verts.detach().double(), mesh.faces))
    return areas.new_zeros(int(piece.max()) + 1 if len(piece) else 0).index_add_(0, piece, areas)


def remove_hidden_components(mesh: Mesh) -> Kept:
    """Remove pieces that lie inside a closed one, where no view from outside can see them.

    A piece is inside if one of its corners is and the two surfaces do not meet: what hangs together
    is then on the same side everywhere. Pieces that touch the closed one stay.

    Args:
        mesh: Any triangles; pieces with holes hide nothing.
    """
    component_of_face = face_components(mesh)
    num = int(component_of_face.max()) + 1 if len(component_of_face) else 0
    if num < 2:
        return Kept(mesh, 0, 0)
    faces = mesh.faces[component_of_face.argsort(stable=True)].cpu()
    ends = component_of_face.bincount(minlength=num).cumsum(0).cpu().numpy()
    starts = np.concatenate([[0], ends[:-1]])
    verts = unit_box(mesh.verts).shrink(mesh.verts).cpu() @ _turn()
    triangles = verts[faces].numpy()
    lows = np.minimum.reduceat(triangles.min(axis=1), starts)
    highs = np.maximum.reduceat(triangles.max(axis=1), starts)
    by_x = lows[:, 0].argsort(kind="stable")
    is_hidden = np.zeros(num, dtype=bool)
    # Large ones first: what a hidden piece hides, the piece that hides it hides too.
    for outer in (highs - lows).prod(axis=1).argsort(kind="stable")[::-1]:
        if is_hidden[outer]:
            continue
        low, high = lows[outer], highs[outer]
        near = by_x[slice(*np.searchsorted(lows[by_x, 0], (low[0], high[0])))]
        fits = near[((lows[near] > low) & (highs[near] < high)).all(axis=1) & ~is_hidden[near]]
        own = slice(starts[outer], ends[outer])
        if len(fits) == 0 or not is_watertight(Mesh(verts, faces[own])):
            continue
        columns = bin_triangles(triangles[own], low, high)
        for inner in fits:
            part = triangles[starts[inner] : ends[inner]]
            is_hidden[inner] = lies_inside(part, triangles[own], low, high, *columns)
    return _keep(mesh, component_of_face, ~torch.from_numpy(is_hidden).to(mesh.faces.device))


def compact(mesh: Mesh) -> Mesh:
    """Leave out vertices that no face uses; the others keep their order."""
    used, corners = mesh.faces.unique(return_inverse=True)
    return Mesh(mesh.verts[used], corners.view(-1, 3))


def _keep(
    mesh: Mesh, component_of_face: Int[Tensor, " faces"], is_kept: Bool[Tensor, " pieces"]
) -> Kept:
    if is_kept.all():
        return Kept(mesh, 0, 0)
    stays = is_kept[component_of_face]
    return Kept(
        compact(Mesh(mesh.verts, mesh.faces[stays])), int((~is_kept).sum()), int((~stays).sum())
    )


def face_components(mesh: Mesh) -> Int[Tensor, " faces"]:
    """Label faces by their piece; vertices without a face are no pieces."""
    return connected_components(mesh)[mesh.faces[:, 0]].unique(return_inverse=True)[1]


def _turn() -> Float[Tensor, "3 3"]:
    """Turn space so that z is a direction of no importance: rays along it meet no edges."""
    axis = torch.tensor([0.2958, 0.5117, 0.7131], dtype=torch.float64)
    basis = torch.stack(
        [axis, torch.eye(3, dtype=axis.dtype)[0], torch.eye(3, dtype=axis.dtype)[1]]
    )
    return torch.linalg.qr(basis.T)[0].flip(1)
