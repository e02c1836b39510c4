"""How hollow a shape is: its volume beside that of its convex hull."""

import manifold3d
import torch
from jaxtyping import Float
from torch import Tensor

from get3d.core.types import Mesh
from get3d.geometry.components import compact, face_components
from get3d.geometry.measures import face_areas, is_watertight, signed_volume


def volume_over_hull(mesh: Mesh) -> float:
    """Volume of the largest connected component over the volume of its convex hull.

    Silhouettes do not show a hollow: a cup and the same cup filled to the rim look alike in each of
    them, and points on the two surfaces are near one another. Their volumes are not: 1 is a convex
    shape, a torus or a chair lies between, and a cup of thin walls is about 0.2. The scale, the
    place, the rotation and the winding do not matter.

    The largest component is that of the largest area. Vertices at one place count as one, as files
    repeat them along the seams of a texture. A cavity that is closed all around is a component of
    its own, so it does not count.

    Args:
        mesh: Any triangles.

    Returns:
        No unit, above 0; at most 1 unless the surface passes through itself. NaN where there is no
        such number: no faces, a coordinate that is not finite, a largest component that is not
        closed (it bounds no volume) or that is flat up to float32 rounding (its hull has none).

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
    mesh = compact(Mesh(mesh.verts.detach().cpu().double(), mesh.faces.cpu()))
    verts, vert_ids = mesh.verts.unique(dim=0, return_inverse=True)
    mesh = Mesh(verts, vert_ids[mesh.faces])
    component = face_components(mesh)
    areas = verts.new_zeros(int(component.max()) + 1).index_add_(0, component, face_areas(mesh))
    return compact(Mesh(verts, mesh.faces[component == areas.argmax()]))


def _rounding(verts: Float[Tensor, "verts 3"]) -> float:
    """Twice the distance that float32 moves the farthest coordinate by."""
    return 2 * torch.finfo(torch.float32).eps * float(verts.abs().max())
