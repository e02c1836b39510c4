"""Connected components of a mesh, and removal of small and of hidden ones."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from get3d.core.errors import ConfigError
from get3d.core.types import Mesh
from get3d.geometry.checks import unit_box
from get3d.geometry.component_kernels import bin_triangles, lies_inside
from get3d.geometry.measures import connected_components, face_areas, is_watertight


@dataclass(frozen=True)
class ComponentRemoval:
    """A mesh after the removal of components.

    Attributes:
        mesh: The remaining mesh, without unreferenced vertices.
        num_components: Number of removed components.
        num_faces: Number of removed faces.
    """

    mesh: Mesh
    num_components: int
    num_faces: int


def remove_floaters(mesh: Mesh, min_volume: float) -> ComponentRemoval:
    """Remove components that are small relative to the largest one.

    The volume of a component that is not closed is that between it and its centroid. Flat
    components have no volume: their area is compared instead, with the fraction to the power 2/3.

    Args:
        mesh: Any mesh.
        min_volume: Components below this fraction of the largest component's volume are removed.

    Raises:
        ConfigError: If the fraction is not in [0, 1].
    """
    if not 0 <= min_volume <= 1:
        raise ConfigError(f"min_volume must lie in 0 to 1, got {min_volume}")
    component_of_face = face_components(mesh)
    volumes = component_volumes(mesh)
    if len(volumes) == 0:
        return ComponentRemoval(mesh, 0, 0)
    areas = _component_areas(mesh, component_of_face)
    is_large = volumes >= min_volume * volumes.max()
    is_wide = areas >= min_volume ** (2 / 3) * areas.max()
    return _keep(mesh, component_of_face, torch.where(volumes > 0, is_large, is_wide))


def component_volumes(mesh: Mesh) -> Float[Tensor, " components"]:
    """Return the absolute volume of each connected component, in cubic scene units.

    Components are ordered by their first vertex. Volumes within the float32 rounding of positions
    are 0.
    """
    component = face_components(mesh)
    num = int(component.max()) + 1 if len(component) else 0
    corners = mesh.verts.detach().double()[mesh.faces]
    counts = torch.bincount(component, minlength=num).unsqueeze(1)
    middles = corners.new_zeros(num, 3).index_add_(0, component, corners.mean(dim=1)) / counts
    first, second, third = (corners - middles[component].unsqueeze(1)).unbind(dim=1)
    cones = (first * torch.linalg.cross(second, third)).sum(dim=1) / 6
    volumes = corners.new_zeros(num).index_add_(0, component, cones).abs()
    farthest = corners.new_zeros(num).scatter_reduce(
        0, component, corners.abs().amax(dim=(1, 2)), "amax"
    )
    rounding = torch.finfo(torch.float32).eps * farthest * _component_areas(mesh, component)
    return torch.where(volumes > rounding, volumes, 0.0)


def _component_areas(mesh: Mesh, component: Int[Tensor, " faces"]) -> Float[Tensor, " components"]:
    """Sum face areas by component."""
    areas = face_areas(Mesh(mesh.verts.detach().double(), mesh.faces))
    return areas.new_zeros(int(component.max()) + 1 if len(component) else 0).index_add_(
        0, component, areas
    )


def remove_hidden_components(mesh: Mesh) -> ComponentRemoval:
    """Remove components that lie inside a closed one, invisible from outside.

    A component is inside if one of its corners is and the two surfaces do not intersect. Components
    that touch the closed one stay.

    Args:
        mesh: Any mesh; components with holes hide nothing.
    """
    component_of_face = face_components(mesh)
    num = int(component_of_face.max()) + 1 if len(component_of_face) else 0
    if num < 2:
        return ComponentRemoval(mesh, 0, 0)
    faces = mesh.faces[component_of_face.argsort(stable=True)].cpu()
    ends = component_of_face.bincount(minlength=num).cumsum(0).cpu().numpy()
    starts = np.concatenate([[0], ends[:-1]])
    verts = unit_box(mesh.verts).shrink(mesh.verts).cpu() @ _generic_rotation()
    triangles = verts[faces].numpy()
    lows = np.minimum.reduceat(triangles.min(axis=1), starts)
    highs = np.maximum.reduceat(triangles.max(axis=1), starts)
    by_x = lows[:, 0].argsort(kind="stable")
    is_hidden = np.zeros(num, dtype=bool)
    # Large ones first: what a hidden component encloses, its enclosing component encloses too.
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


def remove_unreferenced_vertices(mesh: Mesh) -> Mesh:
    """Remove vertices that no face uses; the others keep their order."""
    used, corners = mesh.faces.unique(return_inverse=True)
    return Mesh(mesh.verts[used], corners.view(-1, 3))


def _keep(
    mesh: Mesh, component_of_face: Int[Tensor, " faces"], is_kept: Bool[Tensor, " components"]
) -> ComponentRemoval:
    """Keep the faces of some components."""
    if is_kept.all():
        return ComponentRemoval(mesh, 0, 0)
    stays = is_kept[component_of_face]
    return ComponentRemoval(
        remove_unreferenced_vertices(Mesh(mesh.verts, mesh.faces[stays])),
        int((~is_kept).sum()),
        int((~stays).sum()),
    )


def face_components(mesh: Mesh) -> Int[Tensor, " faces"]:
    """Label faces by their connected component; unreferenced vertices are ignored."""
    return connected_components(mesh)[mesh.faces[:, 0]].unique(return_inverse=True)[1]


def _generic_rotation() -> Float[Tensor, "3 3"]:
    """Return a rotation to a generic z axis, so that rays along it do not hit edges."""
    axis = torch.tensor([0.2958, 0.5117, 0.7131], dtype=torch.float64)
    basis = torch.stack(
        [axis, torch.eye(3, dtype=axis.dtype)[0], torch.eye(3, dtype=axis.dtype)[1]]
    )
    return torch.linalg.qr(basis.T)[0].flip(1)
