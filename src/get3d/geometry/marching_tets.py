"""Marching tetrahedra: the surface where a signed distance field is zero (paper, section 3.1.1).

The work is split in two. `surface_topology` decides, with integers alone, which grid edges the
surface crosses and how the crossings join to triangles. `surface_meshes` puts the crossings in
place, with gradients for the field and for the grid vertices, which are needed only at the ends of
crossed edges.

Eight shapes share one byte: bit i of a vertex tells whether it is inside shape i. So the tables of
the grid are walked once for eight shapes, and only what a surface touches is looked at one by one.
"""

from dataclasses import dataclass
from itertools import combinations

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from get3d.core.types import Mesh
from get3d.geometry.measures import is_oriented
from get3d.geometry.tet_grid import TET_EDGES, TetGrid, edge_table, orient_tets, tet_volumes

_TINY = 1e-18  # smallest difference of two SDF values that is divided by
_WORD = 8  # shapes in a byte


def _triangles_of_case(case: int) -> list[tuple[int, int, int]]:
    """Triangles, as indices into `TET_EDGES`, of a tet whose corner c is inside if bit c is set."""

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
    """Which grid edges the surfaces of a batch cross, and how the crossings form triangles.

    Packed: the vertices and faces of all shapes follow each other, shape by shape.

    Attributes:
        num_shapes: Size of the batch.
        edge_verts: Grid vertices at the two ends of each crossed edge; every crossing is a vertex
            of the surface.
        edge_shape: Shape that each crossing belongs to, ascending.
        faces: Indices of crossings (in the packed order), counter-clockwise seen from outside.
        vert_counts: Number of surface vertices of each shape.
        face_counts: Number of faces of each shape.
        active_verts: Grid vertices that are the end of some crossing, shape by shape.
        active_shape: Shape that each of them belongs to, ascending.
        edge_active: For each end of each crossing its index in `active_verts`.
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


def marching_tets(
    verts: Float[Tensor, "verts 3"], sdf: Float[Tensor, " verts"], tets: Int[Tensor, "tets 4"]
) -> Mesh:
    """Extract the surface of one field on any tetrahedral mesh.

    Occupied is where `sdf > 0`; faces wind counter-clockwise seen from the empty side. Tets may
    come in any orientation. Where some are turned inside out because `verts` were moved, the
    winding follows the order of their corners, so the surface stays consistently oriented.

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
        grid: The grid with its tables.
        sdf: Signed distances at its vertices, positive inside; zero and NaN count as outside.

    Raises:
        ValueError: If there is no shape, or `sdf` has another number of vertices than the grid.
    """
    if len(sdf) == 0:
        raise ValueError("sdf must hold at least one shape, got none")
    if sdf.shape[1] != len(grid.verts):
        raise ValueError(
            f"sdf must have a value for each of the grid's {len(grid.verts)} vertices, "
            f"got {sdf.shape[1]}"
        )
    return _topology(sdf > 0, grid.tets, grid.edges, grid.tet_edges)


def surface_meshes(
    topology: SurfaceTopology,
    sdf: Float[Tensor, "shapes verts"],
    active_positions: Float[Tensor, "active 3"],
) -> list[Mesh]:
    """Place the vertices at the zeros of the field along the crossed edges.

    Args:
        topology: From `surface_topology` of the same field.
        sdf: Signed distances; differentiable.
        active_positions: Positions of `topology.active_verts` (where the grid is deformed, after
            deformation), in scene units; differentiable.

    Returns:
        One mesh a shape; without vertices where the surface is empty.
    """
    ends = topology.edge_verts + (topology.edge_shape * sdf.shape[1])[:, None]
    start, end = sdf.reshape(-1)[ends].unbind(1)
    # One of the two is positive and the other is not, so the difference does not cancel.
    difference = start - end
    tiny = torch.copysign(torch.full_like(difference, _TINY), difference)
    safe = torch.where(difference.abs() < _TINY, tiny, difference)
    weight = (start / safe)[:, None]
    here, there = active_positions[topology.edge_active].unbind(1)
    verts = here * (1 - weight) + there * weight
    vert_counts, face_counts = topology.vert_counts.tolist(), topology.face_counts.tolist()
    firsts = (topology.vert_counts.cumsum(0) - topology.vert_counts).tolist()
    parts = zip(verts.split(vert_counts), topology.faces.split(face_counts), firsts, strict=True)
    return [Mesh(part, faces - first) for part, faces, first in parts]


def crossed_edges(
    occupied: Bool[Tensor, "shapes verts"], edges: Int[Tensor, "edges 2"]
) -> tuple[Int[Tensor, " crossings"], Int[Tensor, " crossings"]]:
    """Find the edges that have exactly one end inside.

    Args:
        occupied: Which vertices are inside, for each shape.
        edges: The two ends of each edge.

    Returns:
        The shape and the edge of each crossing, ordered by shape, then by edge.
    """
    starts, ends = edges.t().contiguous()
    differ = [word.index_select(0, starts) ^ word.index_select(0, ends) for word in _pack(occupied)]
    return _unpack(differ)


@torch.no_grad()
def _oriented_topology(
    verts: Float[Tensor, "verts 3"], occupied: Bool[Tensor, " verts"], cut: Int[Tensor, "cut 4"]
) -> SurfaceTopology:
    """Find the surface of one shape in tets of any orientation, each of which it passes."""

    def find(tets: Int[Tensor, "cut 4"]) -> SurfaceTopology:
        return _topology(occupied[None], tets, *edge_table(tets, len(verts)))

    volumes = tet_volumes(verts, cut)
    topology = find(orient_tets(verts, cut))
    is_mixed = bool((volumes < 0).any()) and bool((volumes > 0).any())
    if is_mixed and not is_oriented(Mesh(verts, topology.faces)):
        # Moved vertices turned tets inside out: trust the order of corners, not the volumes.
        topology = find(cut if volumes.sum() >= 0 else cut[:, [0, 1, 3, 2]])
    return topology


def _topology(
    occupied: Bool[Tensor, "shapes verts"],
    tets: Int[Tensor, "tets 4"],
    edges: Int[Tensor, "edges 2"],
    tet_edges: Int[Tensor, "tets 6"],
) -> SurfaceTopology:
    """Find crossings and faces; tets must be positively oriented for faces to wind outward."""
    num_shapes, num_verts = occupied.shape
    shape, edge = crossed_edges(occupied, edges)
    edge_verts = edges.index_select(0, edge)
    flat_verts = edge_verts + (shape * num_verts)[:, None]
    is_active = torch.zeros(num_shapes * num_verts, dtype=torch.bool, device=edges.device)
    active = is_active.index_fill_(0, flat_verts.view(-1), True).nonzero().squeeze(1)

    face_shape, face_edges = _triangles(occupied, tets, tet_edges)
    flat_edges = face_edges + (face_shape * len(edges))[:, None]
    return SurfaceTopology(
        num_shapes=num_shapes,
        edge_verts=edge_verts,
        edge_shape=shape,
        faces=_rank(shape * len(edges) + edge, flat_edges, num_shapes * len(edges)),
        vert_counts=torch.bincount(shape, minlength=num_shapes),
        face_counts=torch.bincount(face_shape, minlength=num_shapes),
        active_verts=active % num_verts,
        active_shape=active // num_verts,
        edge_active=_rank(active, flat_verts, num_shapes * num_verts),
    )


def _triangles(
    occupied: Bool[Tensor, "shapes verts"],
    tets: Int[Tensor, "tets 4"],
    tet_edges: Int[Tensor, "tets 6"],
) -> tuple[Int[Tensor, " faces"], Int[Tensor, "faces 3"]]:
    """Look up the triangles of every cut tet: their shape, and the grid edges at their corners."""
    # Byte c of a tet's number is the byte of its corner c, whose bit s tells: inside shape s.
    corners = [word.index_select(0, tets.reshape(-1)).view(torch.int32) for word in _pack(occupied)]
    shape, tet = _unpack([_is_mixed(word) for word in corners])
    word = torch.cat(corners)[(shape // _WORD) * len(tets) + tet]
    bits = (word >> (shape % _WORD)) & 0x01010101
    case = (bits | (bits >> 7) | (bits >> 14) | (bits >> 21)) & 15
    num_triangles = torch.tensor(_NUM_TRIANGLES, device=tets.device)[case]
    rows, which = torch.stack([num_triangles > 0, num_triangles > 1], dim=1).nonzero(as_tuple=True)
    local = torch.tensor(_TRIANGLES, device=tets.device)[case[rows], which]
    return shape[rows], tet_edges.reshape(-1)[(tet[rows] * 6)[:, None] + local]


def _is_mixed(corners: Int[Tensor, " tets"]) -> UInt8[Tensor, " tets"]:
    """Tell, bit by bit, which tets have corners inside and outside: the four bytes differ."""
    some = corners | (corners >> 16)
    every = corners & (corners >> 16)
    return ((some | (some >> 8)) ^ (every & (every >> 8))).to(torch.uint8)


def _pack(occupied: Bool[Tensor, "shapes verts"]) -> list[UInt8[Tensor, " verts"]]:
    """Put eight shapes into the bits of one byte a vertex."""
    words = []
    for first in range(0, len(occupied), _WORD):
        group = occupied[first : first + _WORD].view(torch.uint8)
        word = torch.zeros_like(group[0])
        for i, shape in enumerate(group):
            word |= shape << i
        words.append(word)
    return words


def _unpack(
    words: list[UInt8[Tensor, " items"]],
) -> tuple[Int[Tensor, " found"], Int[Tensor, " found"]]:
    """List the (shape, item) pairs whose bit is set, ordered by shape, then by item."""
    shapes, items = [], []
    for number, word in enumerate(words):
        some = word.nonzero().squeeze(1)
        shifts = torch.arange(_WORD, dtype=torch.uint8, device=word.device)
        bits = (word.index_select(0, some) >> shifts[:, None]) & 1
        shape, item = bits.nonzero(as_tuple=True)
        shapes.append(shape + number * _WORD)
        items.append(some.index_select(0, item))
    return torch.cat(shapes), torch.cat(items)


def _rank(keys: Int[Tensor, " keys"], queries: Int[Tensor, "..."], size: int) -> Int[Tensor, "..."]:
    """Find the place of each query among distinct keys below `size`."""
    # Only the places of keys are written, and only they are read.
    places = torch.empty(size, dtype=torch.int32, device=keys.device)
    places[keys] = torch.arange(len(keys), dtype=torch.int32, device=keys.device)
    return places[queries].long()
