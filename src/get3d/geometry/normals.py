"""Vertex normals that are smooth except at creases."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from get3d.core.errors import ConfigError
from get3d.core.types import Mesh
from get3d.geometry.half_edges import link_labels, next_half_edge, opposite_half_edges
from get3d.geometry.measures import face_areas, face_normals, unit_vectors


@dataclass(frozen=True)
class SplitNormals:
    """Normals with their own indices, as in OBJ.

    Attributes:
        normals: Unit normals; 0 where no adjacent face has an area.
        faces: Indices into `normals`, one triangle per face.
    """

    normals: Float[Tensor, "normals 3"]
    faces: Int[Tensor, "faces 3"]


def split_normals(mesh: Mesh, *, crease_rad: float) -> SplitNormals:
    """Average face normals around each vertex, but not across creases.

    Corners of a vertex share a normal if their faces share an edge and differ there by less than
    the crease angle; the normal is the area-weighted mean of these faces' normals. Edges that do
    not have exactly two faces are creases.

    Args:
        mesh: Any mesh.
        crease_rad: Smallest angle between the normals of two faces at a crease, in radians.

    Raises:
        ConfigError: If the angle is not in [0, pi].
    """
    if not 0 <= crease_rad <= math.pi:
        raise ConfigError(f"crease_rad must lie in 0 to pi, got {crease_rad}")
    normals = face_normals(mesh).detach()
    opposite = opposite_half_edges(mesh.faces)
    edge = (opposite >= 0).nonzero().squeeze(1)
    cosine = (normals[edge // 3] * normals[opposite[edge] // 3]).sum(dim=1)
    edge = edge[cosine > math.cos(crease_rad)]
    # Half-edge i starts at corner i. Its opposite ends there, so the half-edge after the opposite
    # starts at the same vertex.
    links = torch.stack([edge, next_half_edge(opposite[edge])], dim=1)
    group = link_labels(links, mesh.faces.numel())
    weighted = (normals * face_areas(mesh).detach().unsqueeze(1)).repeat_interleave(3, dim=0)
    num_groups = int(group.max()) + 1 if len(group) else 0
    summed = normals.new_zeros(num_groups, 3).index_add_(0, group, weighted)
    return SplitNormals(unit_vectors(summed), group.view(-1, 3))
