"""Topology of marching tetrahedra: crossed grid edges and triangles, with integers only.

Two implementations give the same result in the same order: tensor code for any device, and
compiled loops for CPUs (`topology_kernels.py`). The loops pack eight shapes in one byte: bit i of a
vertex is set if it is inside shape i. So the tables of the grid are traversed once for eight
shapes, and only crossed edges and tets are processed one by one.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from get3d.geometry import topology_kernels as kernels
from get3d.geometry.tet_grid import TET_EDGES


def _triangles_of_case(case: int) -> list[tuple[int, int, int]]:
    """List the triangles, as indices into `TET_EDGES`, of a case (bit c: corner c is inside)."""

    def cut(*pairs: tuple[int, int]) -> tuple[int, int, int]:
        first, second, third = (TET_EDGES.index((min(pair), max(pair))) for pair in pairs)
        return first, second, third

    inside = [corner for corner in range(4) if case >> corner & 1]
    outside = [corner for corner in range(4) if corner not in inside]
    order = inside + outside
    if sum(a > b for a, b in combinations(order, 2)) % 2:  # make it an even permutation
        larger = inside if len(inside) > 1 else outside
        larger[0], larger[1] = larger[1], larger[0]
    match inside, outside:
        case [i], [j, k, l]:
            return [cut((i, j), (i, k), (i, l))]
        case [i, j, k], [l]:
            return [cut((i, l), (j, l), (k, l))]
        case [i, j], [k, l]:
            return [cut((i, k), (i, l), (j, l)), cut((i, k), (j, l), (j, k))]
        case _:
            return []


_CASES = [_triangles_of_case(case) for case in range(16)]
_NUM_TRIANGLES = [len(triangles) for triangles in _CASES]
_TRIANGLES = [(triangles + [(0, 0, 0)] * 2)[:2] for triangles in _CASES]


@dataclass(frozen=True, kw_only=True)
class SurfaceTopology:
    """Crossed grid edges of a batch of surfaces, and the triangles between the crossings.

    Packed: the vertices and faces of all shapes follow each other, shape by shape.

    Attributes:
        num_shapes: Size of the batch.
        edge_verts: Grid vertices at the two ends of each crossed edge; every crossing is a vertex
            of the surface.
        edge_shape: Shape of each crossing, ascending.
        faces: Indices of crossings (in the packed order), counter-clockwise seen from outside.
        vert_counts: Number of surface vertices of each shape.
        face_counts: Number of faces of each shape.
        active_verts: Grid vertices at the ends of crossed edges, shape by shape.
        active_shape: Shape of each active vertex, ascending.
        edge_active: Indices in `active_verts` of the two ends of each crossed edge.
    """

    num_shapes: int
    edge_verts: Int[Tensor, "crossings 2"]
    edge_shape: Int[Tensor, " crossings"]
    faces: Int[Tensor, "faces 3"]
    vert_counts: Int[Tensor, " shapes"]
    face_counts: Int[Tensor, " shapes"]
    active_verts: Int[Tensor, " active"]
    active_shape: Int[Tensor, " active"]
    edge_active: Int[Tensor, "crossings 2"]


def find_topology(
    occupied: Bool[Tensor, "shapes verts"],
    tets: Int[Tensor, "tets 4"],
    edges: Int[Tensor, "edges 2"],
    tet_edges: Int[Tensor, "tets 6"],
) -> SurfaceTopology:
    """Find crossings and triangles, with the implementation that suits the device.

    Args:
        occupied: Whether each vertex is inside, for at least one shape.
        tets: Positively oriented tets, so that faces wind outward.
        edges: The two ends of each edge.
        tet_edges: The six edges of each tet.
    """
    find = find_topology_compiled if occupied.device.type == "cpu" else find_topology_torch
    return find(occupied, tets, edges, tet_edges)


def find_topology_compiled(
    occupied: Bool[Tensor, "shapes verts"],
    tets: Int[Tensor, "tets 4"],
    edges: Int[Tensor, "edges 2"],
    tet_edges: Int[Tensor, "tets 6"],
) -> SurfaceTopology:
    """Do `find_topology` with compiled loops, for tensors in main memory."""
    num_shapes = len(occupied)
    words = kernels.pack_bits(occupied.contiguous().numpy())
    shape, edge, vert_counts = kernels.find_crossed_edges(words, _array(edges), num_shapes)
    tables = np.array(_NUM_TRIANGLES), np.array(_TRIANGLES), _array(tet_edges)
    cut = kernels.find_cases(words, _array(tets), tables[0], num_shapes)
    faces = kernels.join_triangles(cut, (edge, vert_counts), tables, len(edges))
    edge_verts = _array(edges)[edge]
    active = kernels.find_active(edge_verts, vert_counts, occupied.shape[1])
    active_verts, active_shape, edge_active = active
    return SurfaceTopology(
        num_shapes=num_shapes,
        edge_verts=torch.from_numpy(edge_verts),
        edge_shape=torch.from_numpy(shape),
        faces=torch.from_numpy(faces),
        vert_counts=torch.from_numpy(vert_counts),
        face_counts=torch.from_numpy(cut[3]),
        active_verts=torch.from_numpy(active_verts),
        active_shape=torch.from_numpy(active_shape),
        edge_active=torch.from_numpy(edge_active),
    )


def find_topology_torch(
    occupied: Bool[Tensor, "shapes verts"],
    tets: Int[Tensor, "tets 4"],
    edges: Int[Tensor, "edges 2"],
    tet_edges: Int[Tensor, "tets 6"],
) -> SurfaceTopology:
    """Do `find_topology` with tensor code, for any device."""
    num_shapes, num_verts = occupied.shape
    shape, edge = _crossed_edges_torch(occupied, edges)
    edge_verts = edges.index_select(0, edge)
    flat_verts = edge_verts + (shape * num_verts)[:, None]
    active = distinct_keys(flat_verts.view(-1), num_shapes * num_verts)

    face_shape, face_edges = _triangles(occupied, tets, tet_edges)
    flat_edges = face_edges + (face_shape * len(edges))[:, None]
    return SurfaceTopology(
        num_shapes=num_shapes,
        edge_verts=edge_verts,
        edge_shape=shape,
        faces=rank_keys(shape * len(edges) + edge, flat_edges, num_shapes * len(edges)),
        vert_counts=count_shapes(shape, num_shapes),
        face_counts=count_shapes(face_shape, num_shapes),
        active_verts=active % num_verts,
        active_shape=active // num_verts,
        edge_active=rank_keys(active, flat_verts, num_shapes * num_verts),
    )


def crossed_edges(
    occupied: Bool[Tensor, "shapes verts"], edges: Int[Tensor, "edges 2"]
) -> tuple[Int[Tensor, " crossings"], Int[Tensor, " crossings"]]:
    """Find the edges that have exactly one end inside.

    Args:
        occupied: Whether each vertex is inside, for each shape.
        edges: The two ends of each edge.

    Returns:
        The shape and the edge of each crossing, ordered by shape, then by edge.
    """
    if occupied.device.type == "cpu":
        words = kernels.pack_bits(occupied.contiguous().numpy())
        shape, edge, _ = kernels.find_crossed_edges(words, _array(edges), len(occupied))
        return torch.from_numpy(shape), torch.from_numpy(edge)
    return _crossed_edges_torch(occupied, edges)


def _crossed_edges_torch(
    occupied: Bool[Tensor, "shapes verts"], edges: Int[Tensor, "edges 2"]
) -> tuple[Int[Tensor, " crossings"], Int[Tensor, " crossings"]]:
    """Do `crossed_edges` with tensor code, for any device."""
    starts, ends = edges.t().contiguous()
    differ = occupied.index_select(1, starts) ^ occupied.index_select(1, ends)
    shape, edge = differ.nonzero(as_tuple=True)
    return shape, edge


def _triangles(
    occupied: Bool[Tensor, "shapes verts"],
    tets: Int[Tensor, "tets 4"],
    tet_edges: Int[Tensor, "tets 6"],
) -> tuple[Int[Tensor, " faces"], Int[Tensor, "faces 3"]]:
    """Return the triangles of all crossed tets: their shapes, and the edges at their corners."""
    cases = torch.zeros(len(occupied), len(tets), dtype=torch.uint8, device=tets.device)
    for bit, corner in enumerate(tets.t().contiguous()):
        cases |= occupied.index_select(1, corner).view(torch.uint8) << bit
    shape, tet = ((cases > 0) & (cases < 15)).nonzero(as_tuple=True)
    case = cases[shape, tet].long()
    num_triangles = torch.tensor(_NUM_TRIANGLES, device=tets.device)[case]
    rows, which = torch.stack([num_triangles > 0, num_triangles > 1], dim=1).nonzero(as_tuple=True)
    local = torch.tensor(_TRIANGLES, device=tets.device)[case[rows], which]
    return shape[rows], tet_edges.reshape(-1)[(tet[rows] * 6)[:, None] + local]


def check_fields(sdf: Float[Tensor, "shapes verts"], num_verts: int) -> None:
    """Validate the shape of signed distances on a grid.

    Raises:
        ValueError: If there is no shape, or the number of values differs from that of vertices.
    """
    if len(sdf) == 0:
        raise ValueError("sdf must hold at least one shape, got none")
    if sdf.shape[1] != num_verts:
        raise ValueError(
            f"sdf must have a value for each of the grid's {num_verts} vertices, got {sdf.shape[1]}"
        )


def count_shapes(shape: Int[Tensor, " items"], num_shapes: int) -> Int[Tensor, " shapes"]:
    """Count the items of each shape; unlike `bincount`, without GPU synchronisation."""
    counts = torch.zeros(num_shapes, dtype=torch.int64, device=shape.device)
    return counts.index_add_(0, shape, torch.ones_like(shape))


def rank_keys(
    keys: Int[Tensor, " keys"], queries: Int[Tensor, "..."], size: int
) -> Int[Tensor, "..."]:
    """Find the index of each query in a list of distinct, ascending keys below `size`."""
    if _is_sparse(keys, size):
        return torch.searchsorted(keys, queries)
    # Only entries at keys are written, and only those are read.
    places = torch.empty(size, dtype=torch.int32, device=keys.device)
    places[keys] = torch.arange(len(keys), dtype=torch.int32, device=keys.device)
    return places[queries].long()


def distinct_keys(keys: Int[Tensor, " keys"], size: int) -> Int[Tensor, " distinct"]:
    """Return the distinct keys (below `size`), ascending."""
    if _is_sparse(keys, size):
        return torch.unique(keys)
    is_there = torch.zeros(size, dtype=torch.bool, device=keys.device)
    return is_there.index_fill_(0, keys, True).nonzero().squeeze(1)


def _is_sparse(keys: Int[Tensor, " keys"], size: int) -> bool:
    """Return whether a table over all possible keys would cost more than sorting the given ones."""
    return size > max(1 << 22, 64 * len(keys))


def _array(table: Int[Tensor, "..."]) -> np.ndarray:
    """View a table of indices as the int64 array that the loops are compiled for."""
    return table.long().contiguous().numpy()
