"""Hollowness of a shape: its volume over that of its convex hull."""

import manifold3d
import torch
from jaxtyping import Float
from torch import Tensor

from get3d.core.types import Mesh
from get3d.geometry.components import face_components, remove_unreferenced_vertices
from get3d.geometry.measures import face_areas, is_watertight, signed_volume


def volume_over_hull(mesh: Mesh) -> float:
    """Compute the volume of the largest connected component over that of its convex hull.

    Silhouettes do not show a hollow: a cup and the same cup filled to the rim have the same
    silhouettes, and points on the two surfaces are near one another, but their volumes differ. The
    ratio is 1 for convex shapes and about 0.2 for a cup with thin walls. It is invariant to scale,
    translation, rotation and winding.

    The largest component is that of the largest area. Vertices at the same position are merged, as
    files repeat them along texture seams. A closed cavity is a component of its own and is ignored.

    Args:
        mesh: Triangle mesh.

    Returns:
        The ratio, above 0; at most 1 unless the surface intersects itself. NaN if the mesh has no
        faces or is not finite, or if the largest component is not closed (it bounds no volume) or
        flat up to float32 rounding (its hull has no volume).

    Example:
        >>> corners = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
        >>> faces = torch.tensor([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
        >>> round(volume_over_hull(Mesh(corners, faces)), 6)
        1.0
    """
    if len(mesh.faces) == 0 or not mesh.verts[mesh.faces].isfinite().all():
        return float("nan")
    component = _largest_component(mesh)
    if not is_watertight(component):
        return float("nan")
    hull = manifold3d.Manifold.hull_points(component.verts.numpy())
    if hull.volume() <= _rounding(component.verts) * hull.surface_area():
        return float("nan")
    return float(signed_volume(component).abs()) / hull.volume()


def _largest_component(mesh: Mesh) -> Mesh:
    """Copy the component of the largest area to the CPU, in float64, with its vertices merged."""
    mesh = remove_unreferenced_vertices(Mesh(mesh.verts.detach().cpu().double(), mesh.faces.cpu()))
    verts, vert_ids = mesh.verts.unique(dim=0, return_inverse=True)
    mesh = Mesh(verts, vert_ids[mesh.faces])
    component = face_components(mesh)
    areas = verts.new_zeros(int(component.max()) + 1).index_add_(0, component, face_areas(mesh))
    return remove_unreferenced_vertices(Mesh(verts, mesh.faces[component == areas.argmax()]))


def _rounding(verts: Float[Tensor, "verts 3"]) -> float:
    """Compute twice the rounding error of the farthest coordinate in float32."""
    return 2 * torch.finfo(torch.float32).eps * float(verts.abs().max())
