"""Normals that are smooth over bends and split at creases."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from get3d.core.types import Mesh
from get3d.geometry.half_edges import link_labels, next_half_edge, opposite_half_edges
from get3d.geometry.measures import face_areas, face_normals, unit_vectors


@dataclass(frozen=True)
class SplitNormals:
    """Normals with indices of their own.

    Attributes:
        normals: Of length one, or 0 where no face about them has an area.
        faces: Indices into `normals`, one triangle a face.
    """

    normals: Float[Tensor, "normals 3"]
    faces: Int[Tensor, "faces 3"]


def split_normals(mesh: Mesh, *, crease_rad: float) -> SplitNormals:
    """Average normals about each vertex, but not across creases.

    Corners of a vertex share a normal if their faces share an edge and bend there by less than the
    crease; it is the mean of these faces' normals, weighted by area. Edges of other than two faces
    are creases.

    Args:
        mesh: Any triangles.
        crease_rad: Angle between the normals of two faces from which they are smoothed apart.

    Raises:
        ValueError: If the angle does not lie in 0 to pi.
    """
    if not 0 <= crease_rad <= math.pi:
        raise ValueError(f"crease_rad must lie in 0 to pi, got {crease_rad}")
    normals = face_normals(mesh).detach()
    twins = opposite_half_edges(mesh.faces)
    side = (twins >= 0).nonzero().squeeze(1)
    bend = (normals[side // 3] * normals[twins[side] // 3]).sum(dim=1)
    side = side[bend > math.cos(crease_rad)]
    # Corner i starts side i, which its twin ends: where the twin's next side starts is the same
    # vertex.
    links = torch.stack([side, next_half_edge(twins[side])], dim=1)
    group = link_labels(links, mesh.faces.numel())
    weighted = (normals * face_areas(mesh).detach().unsqueeze(1)).repeat_interleave(3, dim=0)
    num_groups = int(group.max()) + 1 if len(group) else 0
    summed = normals.new_zeros(num_groups, 3).index_add_(0, group, weighted)
    return SplitNormals(unit_vectors(summed), group.view(-1, 3))
