"""Dual vertices and faces of a batch of FlexiCubes surfaces: integers only, no gradient.

The crossed cubes come from one dense pass over a grid or from sparse extraction; the cost of
everything else grows with the surface.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from get3d.geometry import dual_cases
from get3d.geometry.topology import count_shapes, distinct_keys, rank_keys
from get3d.geometry.voxel_grid import cube_corners, cube_places


@dataclass(frozen=True, kw_only=True)
class DualTopology:
    """Dual vertices of a batch of fields on a voxel grid, and the quads that join them.

    Packed: the entries of all shapes follow each other. A crossing belongs to one cube and one of
    its edges; the cubes at an edge place it differently, so each has its own crossing.

    Attributes:
        num_shapes: Size of the batch.
        cubes: Cubes that the surfaces cross.
        cube_shape: Shape of each of these cubes, ascending.
        crossing_cube: Index in `cubes` of each crossing.
        crossing_edge: Edge of each crossing, 0 to 11 within its cube.
        crossing_active: Indices in `active_verts` of the two ends of that edge.
        crossing_vert: Dual vertex of each crossing, ascending.
        vert_sizes: Number of crossings of each dual vertex.
        quads: Dual vertices around each crossed grid edge, counter-clockwise seen from outside.
        quad_cubes: Index in `cubes` of each corner of a quad.
        vert_counts: Number of dual vertices of each shape.
        quad_counts: Number of quads of each shape.
        active_verts: Grid vertices at the ends of crossed edges, shape by shape.
        active_shape: Shape of each active vertex, ascending.
    """

    num_shapes: int
    cubes: Int[Tensor, " cubes"]
    cube_shape: Int[Tensor, " cubes"]
    crossing_cube: Int[Tensor, " crossings"]
    crossing_edge: Int[Tensor, " crossings"]
    crossing_active: Int[Tensor, "crossings 2"]
    crossing_vert: Int[Tensor, " crossings"]
    vert_sizes: Int[Tensor, " verts"]
    quads: Int[Tensor, "quads 4"]
    quad_cubes: Int[Tensor, "quads 4"]
    vert_counts: Int[Tensor, " shapes"]
    quad_counts: Int[Tensor, " shapes"]
    active_verts: Int[Tensor, " active"]
    active_shape: Int[Tensor, " active"]

    def at_active(self, values: Float[Tensor, "shapes verts"]) -> Float[Tensor, " active"]:
        """Gather the values at the active vertices from those of the whole grid."""
        flat = self.active_shape * values.shape[1] + self.active_verts
        return values.reshape(-1).index_select(0, flat)


@dataclass(frozen=True)
class _Cubes:
    """Cubes that the surfaces cross.

    Attributes:
        flat: shape * cubes of the grid + cube, ascending.
        state: Row of the tables in `dual_cases`.
        first_vert: Number of dual vertices in the preceding cubes.
        num: Number of cubes of the grid times number of shapes.
        resolution: Cubes along each axis of the grid.
    """

    flat: Int[Tensor, " cubes"]
    state: Int[Tensor, " cubes"]
    first_vert: Int[Tensor, " cubes"]
    num: int
    resolution: int


def find_dual_topology(occupied: Bool[Tensor, "shapes verts"], *, resolution: int) -> DualTopology:
    """Find dual vertices and quads on a dense grid.

    Args:
        occupied: Whether each grid vertex is inside, for at least one shape.
        resolution: Cubes along each axis of the grid.
    """
    num = resolution
    volume = occupied.view(len(occupied), num + 1, num + 1, num + 1).view(torch.uint8)
    cases = torch.zeros(len(occupied), num, num, num, dtype=torch.uint8, device=occupied.device)
    for corner in range(8):
        x, y, z = corner & 1, corner >> 1 & 1, corner >> 2
        cases |= volume[:, x : x + num, y : y + num, z : z + num] << corner
    cases = cases.view(-1)
    flat = ((cases > 0) & (cases < 255)).nonzero().squeeze(1)
    return join_cubes(flat, cases[flat].long(), num_shapes=len(occupied), resolution=num)


def join_cubes(
    flat: Int[Tensor, " cubes"], case: Int[Tensor, " cubes"], *, num_shapes: int, resolution: int
) -> DualTopology:
    """Find dual vertices and quads from the list of crossed cubes.

    A grid edge on the boundary has fewer than four cubes, hence no quad: a surface that reaches the
    boundary is open there. Dual vertices without a quad are left out.

    Args:
        flat: shape * cubes of the grid + cube, ascending; either all or none of the four cubes of
            every quad.
        case: Case of each cube; bit c is set if corner c is inside.
        num_shapes: Size of the batch.
        resolution: Cubes along each axis of the grid.
    """
    cubes = _group_crossings(flat, case, num_shapes, resolution)
    num_verts = (resolution + 1) ** 3
    shape, cube = flat // resolution**3, flat % resolution**3
    order = _table(dual_cases.EDGE_ORDER, flat).index_select(0, cubes.state)
    is_crossed = order >= 0
    edge = order[is_crossed]
    row = torch.repeat_interleave(is_crossed.sum(1), output_size=len(edge))
    vert = cubes.first_vert.index_select(0, row) + _owners(cubes.state, row, edge)
    quad_cubes, quads = _quads(cubes, row, edge)

    num_dual = int(vert[-1]) + 1 if len(vert) > 0 else 0
    is_used = torch.zeros(num_dual, dtype=torch.bool, device=flat.device)
    is_used.index_fill_(0, quads.flatten(), True)
    renumbered = is_used.cumsum(0) - 1
    kept = is_used.index_select(0, vert)
    row, edge, vert = row[kept], edge[kept], renumbered.index_select(0, vert[kept])

    first_corner = cube_corners(cube, resolution)[:, 0] + shape * num_verts
    steps = cube_corners(torch.zeros((), dtype=torch.int64, device=cube.device), resolution)
    end_steps = steps[_table(dual_cases.CUBE_EDGES, flat)]
    flat_ends = first_corner.index_select(0, row)[:, None] + end_steps.index_select(0, edge)
    active = distinct_keys(flat_ends.view(-1), num_shapes * num_verts)
    sizes = count_shapes(vert, int(is_used.sum()))
    owner = shape[row[sizes.cumsum(0) - 1]] if len(vert) > 0 else vert
    return DualTopology(
        num_shapes=num_shapes,
        cubes=cube,
        cube_shape=shape,
        crossing_cube=row,
        crossing_edge=edge,
        crossing_active=rank_keys(active, flat_ends, num_shapes * num_verts),
        crossing_vert=vert,
        vert_sizes=sizes,
        quads=renumbered[quads],
        quad_cubes=quad_cubes,
        vert_counts=count_shapes(owner, num_shapes),
        quad_counts=count_shapes(shape[quad_cubes[:, 0]], num_shapes),
        active_verts=active % num_verts,
        active_shape=active // num_verts,
    )


def _group_crossings(
    flat: Int[Tensor, " cubes"], case: Int[Tensor, " cubes"], num_shapes: int, resolution: int
) -> _Cubes:
    """Find the row of the tables for each cube, which groups its crossings to dual vertices."""
    # Two cubes whose cases are both ambiguous at their common face join it the other way.
    num = resolution
    ambiguous_faces = _table(dual_cases.AMBIGUOUS_FACE, flat)
    is_ambiguous = (ambiguous_faces[case] >= 0).nonzero().squeeze(1)
    axis, side = ambiguous_faces[case[is_ambiguous]] // 2, ambiguous_faces[case[is_ambiguous]] % 2
    step = 2 * side - 1
    along = cube_places(flat[is_ambiguous] % num**3, num).gather(1, axis[:, None]).squeeze(1) + step
    has_neighbour = (along >= 0) & (along < num)
    strides = torch.tensor([num**2, num, 1], device=flat.device)
    neighbour = flat[is_ambiguous] + step * strides[axis]
    # The neighbour shares the ambiguous face, so it is crossed too.
    rank = torch.searchsorted(flat, torch.where(has_neighbour, neighbour, flat[is_ambiguous]))
    turns = has_neighbour & (ambiguous_faces[case[rank]] >= 0)
    state = case.index_add(0, is_ambiguous, 256 * turns)
    counts = _table(dual_cases.NUM_VERTS, flat)[state]
    return _Cubes(flat, state, counts.cumsum(0) - counts, num_shapes * num**3, num)


def _quads(
    cubes: _Cubes, row: Int[Tensor, " crossings"], edge: Int[Tensor, " crossings"]
) -> tuple[Int[Tensor, "quads 4"], Int[Tensor, "quads 4"]]:
    """Join the dual vertices of the four cubes around each crossed edge.

    Each edge inside the grid is at the last corner of exactly one cube, the first of the four.

    Returns:
        The four cubes, as indices of `cubes`, and the four dual vertices.
    """
    num = cubes.resolution
    is_last = edge[:, None] == _table(dual_cases.LAST_EDGES, row)
    first, axis = is_last.nonzero(as_tuple=True)
    row = row.index_select(0, first)
    steps = _table(dual_cases.CUBES_AROUND, row)
    reach = cube_places(cubes.flat[row] % num**3, num) + steps[axis, 2]
    is_inner = (reach < num).all(1)
    row, axis = row[is_inner], axis[is_inner]

    strides = torch.tensor([num**2, num, 1], device=row.device)
    around = cubes.flat[row][:, None] + (steps * strides).sum(2)[axis]
    quad_cubes = rank_keys(cubes.flat, around, cubes.num)
    local_edges = _table(dual_cases.EDGES_AROUND, row)[axis]
    quads = cubes.first_vert[quad_cubes] + _owners(cubes.state, quad_cubes, local_edges)

    # Counter-clockwise about the axis, which is outward if the edge's lower end is inside.
    lower_end = 7 ^ (1 << axis)
    is_outward = (cubes.state[row] >> lower_end & 1).bool()[:, None]
    quads, quad_cubes = (torch.where(is_outward, q, q.flip(1)) for q in (quads, quad_cubes))
    return quad_cubes, quads


def _owners(
    state: Int[Tensor, " cubes"], cube: Int[Tensor, "*n"], edge: Int[Tensor, "*n"]
) -> Int[Tensor, "*n"]:
    """Look up the dual vertex, within its cube, of each edge."""
    places = state.index_select(0, cube.reshape(-1)) * 12 + edge.reshape(-1)
    table = _table(dual_cases.EDGE_VERT, state).view(-1)
    return table.index_select(0, places).view(cube.shape)


def _table(values: np.ndarray, like: Tensor) -> Tensor:
    """Convert a table to a tensor on the device of another tensor."""
    return torch.from_numpy(values).to(like.device)
