"""The connected pieces of a mesh: which are crumbs, and which nobody can ever see."""

from dataclasses import dataclass
from typing import no_type_check

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from get3d.core.compiled import compiled
from get3d.core.types import Mesh
from get3d.geometry.measures import connected_components, is_watertight


@dataclass(frozen=True)
class Kept:
    """A mesh without some of its pieces.

    Attributes:
        mesh: What stayed; vertices that no face uses are gone.
        num_pieces: How many pieces went.
        num_faces: How many faces these had.
    """

    mesh: Mesh
    num_pieces: int
    num_faces: int


def remove_floaters(mesh: Mesh, min_volume: float) -> Kept:
    """Remove pieces that are small beside the largest one.

    The volume of a piece that is not closed is that between it and its middle.

    Args:
        mesh: Any triangles.
        min_volume: Pieces of less than this share of the largest piece's volume go.

    Raises:
        ValueError: If the share does not lie in 0 to 1.
    """
    if not 0 <= min_volume <= 1:
        raise ValueError(f"min_volume must lie in 0 to 1, got {min_volume}")
    piece_of_face = face_pieces(mesh)
    volumes = piece_volumes(mesh)
    if len(volumes) == 0:
        return Kept(mesh, 0, 0)
    return _keep(mesh, piece_of_face, volumes >= min_volume * volumes.max())


def piece_volumes(mesh: Mesh) -> Float[Tensor, " pieces"]:
    """Volume of each connected piece in cubic scene units, never negative, by first vertex."""
    piece = face_pieces(mesh)
    num = int(piece.max()) + 1 if len(piece) else 0
    corners = mesh.verts.detach().double()[mesh.faces]
    counts = torch.bincount(piece, minlength=num).unsqueeze(1)
    middles = corners.new_zeros(num, 3).index_add_(0, piece, corners.mean(dim=1)) / counts
    first, second, third = (corners - middles[piece].unsqueeze(1)).unbind(dim=1)
    cones = (first * torch.linalg.cross(second, third)).sum(dim=1) / 6
    return corners.new_zeros(num).index_add_(0, piece, cones).abs()


def remove_hidden_pieces(mesh: Mesh) -> Kept:
    """Remove pieces that lie inside a closed one, where no view from outside can see them.

    A piece counts as inside if its outermost vertices in 26 directions are. Whether one is, a ray
    tells by the number of faces it goes through.

    Args:
        mesh: Any triangles; pieces with holes hide nothing.
    """
    piece_of_face = face_pieces(mesh)
    num = int(piece_of_face.max()) + 1 if len(piece_of_face) else 0
    if num < 2:
        return Kept(mesh, 0, 0)
    verts = (mesh.verts.detach().cpu().double() @ _turn()).numpy()
    faces = mesh.faces.cpu().numpy()
    order = piece_of_face.cpu().argsort(stable=True).numpy()
    ends = piece_of_face.cpu().bincount(minlength=num).cumsum(0).numpy()
    parts = np.split(faces[order], ends[:-1])
    lows = np.stack([verts[part].min(axis=(0, 1)) for part in parts])
    highs = np.stack([verts[part].max(axis=(0, 1)) for part in parts])
    probes = [_outermost(verts[np.unique(part)]) for part in parts]
    is_hidden = np.zeros(num, dtype=bool)
    for outer in np.flatnonzero((highs - lows).prod(axis=1) > 0):
        fits = ((lows > lows[outer]) & (highs < highs[outer])).all(axis=1) & ~is_hidden
        if fits.any() and is_watertight(Mesh(mesh.verts, torch.from_numpy(parts[outer]))):
            triangles = verts[parts[outer]]
            for inner in np.flatnonzero(fits):
                is_hidden[inner] = _all_inside(triangles, probes[inner])
    return _keep(mesh, piece_of_face, ~torch.from_numpy(is_hidden).to(mesh.faces.device))


def compact(mesh: Mesh) -> Mesh:
    """Leave out vertices that no face uses; the others keep their order."""
    used, corners = mesh.faces.unique(return_inverse=True)
    return Mesh(mesh.verts[used], corners.view(-1, 3))


def _keep(
    mesh: Mesh, piece_of_face: Int[Tensor, " faces"], is_kept: Bool[Tensor, " pieces"]
) -> Kept:
    if is_kept.all():
        return Kept(mesh, 0, 0)
    stays = is_kept[piece_of_face]
    return Kept(
        compact(Mesh(mesh.verts, mesh.faces[stays])), int((~is_kept).sum()), int((~stays).sum())
    )


def face_pieces(mesh: Mesh) -> Int[Tensor, " faces"]:
    """Label faces by their piece; vertices without a face are no pieces."""
    return connected_components(mesh)[mesh.faces[:, 0]].unique(return_inverse=True)[1]


def _turn() -> Float[Tensor, "3 3"]:
    """Turn space so that z is a direction of no importance: rays along it meet no edges."""
    axis = torch.tensor([0.2958, 0.5117, 0.7131], dtype=torch.float64)
    basis = torch.stack(
        [axis, torch.eye(3, dtype=axis.dtype)[0], torch.eye(3, dtype=axis.dtype)[1]]
    )
    return torch.linalg.qr(basis.T)[0].flip(1)


def _outermost(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "26 3"]:
    """Pick the points that lie farthest out along the axes and diagonals."""
    steps = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1], [-1, 0, 1]), axis=-1).reshape(-1, 3)
    directions = steps[np.abs(steps).sum(axis=1) > 0]
    return points[(points @ directions.T).argmax(axis=0)]


@compiled
@no_type_check
def _all_inside(triangles, points):
    """Tell whether a ray upward from each point crosses an odd number of triangles."""
    for i in range(points.shape[0]):
        x, y, z = points[i]
        is_inside = False
        for face in range(triangles.shape[0]):
            ax, ay, az = triangles[face, 0]
            bx, by, bz = triangles[face, 1]
            cx, cy, cz = triangles[face, 2]
            if max(ax, bx, cx) < x or min(ax, bx, cx) > x:
                continue
            if max(ay, by, cy) < y or min(ay, by, cy) > y or max(az, bz, cz) < z:
                continue
            a = (bx - x) * (cy - y) - (by - y) * (cx - x)
            b = (cx - x) * (ay - y) - (cy - y) * (ax - x)
            c = (ax - x) * (by - y) - (ay - y) * (bx - x)
            total = a + b + c
            if (a > 0) == (b > 0) and (b > 0) == (c > 0) and total != 0:
                is_inside ^= (a * az + b * bz + c * cz) / total > z
        if not is_inside:
            return False
    return True
