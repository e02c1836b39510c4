"""Marching tetrahedra: the surface where a signed distance field is zero (paper, section 3.1.1).

There are two steps. `surface_topology` finds, with integers only, the grid edges that the surface
crosses and the triangles between the crossings. `surface_meshes` computes the positions of the
crossings, with gradients for the field and the grid vertices, which are needed only at the ends of
crossed edges.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from get3d.core.types import Mesh
from get3d.geometry.measures import is_oriented
from get3d.geometry.tet_grid import TetGrid, edge_table, orient_tets, tet_volumes
from get3d.geometry.topology import SurfaceTopology, check_fields, find_topology

_TINY = 1e-18  # lower bound on the divisor, the difference of two SDF values


def marching_tets(
    verts: Float[Tensor, "verts 3"], sdf: Float[Tensor, " verts"], tets: Int[Tensor, "tets 4"]
) -> Mesh:
    """Extract the surface of one field on any tetrahedral mesh.

    Points with `sdf > 0` are inside; faces wind counter-clockwise seen from outside. Tets may have
    any orientation. If deformed `verts` invert some tets, the winding follows the order of their
    corners, so the surface stays consistently oriented.

    Args:
        verts: Positions, in scene units; differentiable.
        sdf: Signed distances, positive inside; differentiable.
        tets: Vertex indices.

    Raises:
        ValueError: If an index is out of range, or positions or distances are not finite.

    Example:
        >>> corners = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
        >>> mesh = marching_tets(corners, torch.tensor([1.0, -1, -1, -1]), torch.arange(4)[None])
        >>> mesh.verts[mesh.faces[0]]
        tensor([[0.5000, 0.0000, 0.0000],
                [0.0000, 0.5000, 0.0000],
                [0.0000, 0.0000, 0.5000]])
    """
    if len(tets) > 0 and (tets.min() < 0 or tets.max() >= len(verts)):
        raise ValueError(
            f"tets must hold indices in [0, {len(verts)}), "
            f"got {int(tets.min())} to {int(tets.max())}"
        )
    for name, values in (("verts", verts), ("sdf", sdf)):
        if not values.isfinite().all():
            raise ValueError(f"{name} must be finite, got NaN or infinity")
    inside = (sdf > 0)[tets].sum(1)
    cut = tets[(inside > 0) & (inside < 4)].long()
    topology = _oriented_topology(verts, sdf > 0, cut)
    return surface_meshes(topology, sdf[None], verts[topology.active_verts])[0]


@torch.no_grad()
def surface_topology(grid: TetGrid, sdf: Float[Tensor, "shapes verts"]) -> SurfaceTopology:
    """Find the crossed edges and the triangles of a batch of fields, without gradient.

    Args:
        grid: The grid.
        sdf: Signed distances at the grid vertices, positive inside; zero and NaN count as outside.

    Raises:
        ValueError: If there is no shape, or `sdf` has another number of vertices than the grid.
    """
    check_fields(sdf, len(grid.verts))
    return find_topology(sdf > 0, grid.tets, grid.edges, grid.tet_edges)


def surface_meshes(
    topology: SurfaceTopology,
    sdf: Float[Tensor, "shapes verts"],
    active_positions: Float[Tensor, "active 3"],
) -> list[Mesh]:
    """Place the vertices at the zeros of the field along the crossed edges.

    Args:
        topology: Result of `surface_topology` for the same field.
        sdf: Signed distances at the grid vertices, positive inside; differentiable.
        active_positions: Positions of `topology.active_verts`, after deformation if any, in scene
            units; differentiable.

    Returns:
        One mesh per shape; without vertices where the surface is empty.
    """
    ends = topology.edge_verts + (topology.edge_shape * sdf.shape[1])[:, None]
    start, end = sdf.reshape(-1).index_select(0, ends.view(-1)).view(-1, 2).unbind(1)
    weight = zero_weights(start, end)[:, None]
    pairs = active_positions.index_select(0, topology.edge_active.view(-1)).view(-1, 2, 3)
    here, there = pairs.unbind(1)
    verts = here * (1 - weight) + there * weight
    return split_meshes(Mesh(verts, topology.faces), topology.vert_counts, topology.face_counts)


def split_meshes(
    packed: Mesh, vert_counts: Int[Tensor, " shapes"], face_counts: Int[Tensor, " shapes"]
) -> list[Mesh]:
    """Split a packed batch into its meshes.

    Args:
        packed: Meshes concatenated to one, whose faces index the vertices of all.
        vert_counts: Number of vertices of each mesh.
        face_counts: Number of faces of each mesh.
    """
    counts = torch.stack([vert_counts, face_counts])
    vert_sizes, face_sizes = counts.tolist()
    firsts = (counts[0].cumsum(0) - counts[0]).repeat_interleave(
        counts[1], output_size=len(packed.faces)
    )
    faces = (packed.faces - firsts[:, None]).split(face_sizes)
    return [Mesh(*part) for part in zip(packed.verts.split(vert_sizes), faces, strict=True)]


def zero_weights(
    start: Float[Tensor, " edges"], end: Float[Tensor, " edges"]
) -> Float[Tensor, " edges"]:
    """Find where a field is zero between the ends of edges: 0 at the start, 1 at the end.

    Args:
        start: Values of the field at the first end.
        end: Values at the other end; exactly one of the two values is positive.
    """
    difference = start - end  # of opposite signs, so it does not cancel
    tiny = torch.copysign(torch.full_like(difference, _TINY), difference)
    return start / torch.where(difference.abs() < _TINY, tiny, difference)


@torch.no_grad()
def _oriented_topology(
    verts: Float[Tensor, "verts 3"], occupied: Bool[Tensor, " verts"], cut: Int[Tensor, "cut 4"]
) -> SurfaceTopology:
    """Find the surface of one shape in tets of any orientation, all of which it crosses."""

    def find(tets: Int[Tensor, "cut 4"]) -> SurfaceTopology:
        return find_topology(occupied[None], tets, *edge_table(tets, len(verts)))

    volumes = tet_volumes(verts, cut)
    topology = find(orient_tets(verts, cut))
    is_mixed = bool((volumes < 0).any()) and bool((volumes > 0).any())
    if is_mixed and not is_oriented(Mesh(verts, topology.faces)):
        # Deformation inverted some tets: use the order of corners, not the volumes.
        topology = find(cut if volumes.sum() >= 0 else cut[:, [0, 1, 3, 2]])
    return topology
