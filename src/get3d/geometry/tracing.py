"""A surface on a grid too fine to be evaluated whole: coarse to fine, then along the surface.

The volume subdivision of the paper's appendix splits tets that a coarse surface crosses, and their
neighbours, into eight. On the body-centred cubic lattice, the eight parts are the tets of the
lattice with cells half as large. So instead of splitting, cells of finer lattices are listed, of
any size, and no two parts of the grid are of different fineness: there is nothing to crack.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from get3d.core.types import Mesh
from get3d.geometry import lattice
from get3d.geometry.marching_tets import split_meshes, surface_meshes
from get3d.geometry.tet_grid import edge_table
from get3d.geometry.topology import SurfaceTopology, count_shapes, find_topology

PackedField = Callable[[Float[Tensor, "n 3"], Int[Tensor, " n"]], Float[Tensor, " n"]]
"""Signed distances, positive inside, at points that each belong to one shape, ascending."""


@dataclass(frozen=True, kw_only=True)
class TracedSurface:
    """What `bcc_grid` of some fineness has at the surfaces of a batch, and nowhere else.

    Attributes:
        points: Vertices of crossed tets, not deformed, in scene units; shape by shape.
        shape: Shape that each of them belongs to, ascending.
        sdf: Signed distances there, without gradient.
        topology: Of all shapes as one: packed meshes whose grid vertices are `points`.
        num_shapes: Size of the batch.
    """

    points: Float[Tensor, "points 3"]
    shape: Int[Tensor, " points"]
    sdf: Float[Tensor, " points"]
    topology: SurfaceTopology
    num_shapes: int


@dataclass(frozen=True)
class _Values:
    """Signed distances at vertices of a lattice; keys ascend."""

    keys: Int[Tensor, " n"]
    sdf: Float[Tensor, " n"]

    def at(self, keys: Int[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Look up vertices that are known."""
        return self.sdf[torch.searchsorted(self.keys, keys)]


@torch.no_grad()
def trace_surface(
    sdf: PackedField,
    points: Float[Tensor, "points 3"],
    shape: Int[Tensor, " points"],
    *,
    num_shapes: int,
    num_coarse: int,
    num_cells: int,
    scale: float,
) -> TracedSurface:
    """Find the surface of a fine lattice from points near a coarse one, without gradient.

    From lattice to lattice, each at most twice as fine as the one before: the field is evaluated in
    all cells that overlap a crossed cell of the lattice before or one of its neighbours; then in
    the neighbours of crossed cells, until the surface leads nowhere else. So a piece of the fine
    surface is found whole or, if no evaluated cell sees it, not at all, and what is closed on the
    whole grid is closed here.

    Args:
        sdf: The field.
        points: Where the coarse surface is: ends of the edges that it crosses.
        shape: Shape that each of them belongs to, ascending.
        num_shapes: Size of the batch.
        num_coarse: Cells along each side of the coarse lattice.
        num_cells: The same of the fine one; not fewer.
        scale: Side of the grid, in scene units.
    """
    places = lattice.cells_at(points, num_coarse, scale=scale)
    cells = torch.unique(lattice.pack(shape, places, num_coarse))
    last, values = num_coarse, _Values(shape[:0], points[:0, 0])
    for finer in _levels(num_coarse, num_cells):

        def evaluate(keys: Int[Tensor, " n"], num: int = finer) -> Float[Tensor, " n"]:
            shape, places = lattice.unpack(keys, lattice.vert_side(num))
            return sdf(lattice.positions(places, num, scale=scale, like=points), shape)

        cells = lattice.finer_cells(cells, last, finer)
        cells, values = _follow(cells, evaluate, points[:0, 0], finer)
        last = finer
    return _surface(cells, values, num_shapes, num_cells, scale)


def traced_meshes(
    traced: TracedSurface, sdf: Float[Tensor, " points"], positions: Float[Tensor, "points 3"]
) -> list[Mesh]:
    """Place the vertices: `surface_meshes` of a traced surface.

    Args:
        traced: The surface.
        sdf: Signed distances at its points, of the same signs; differentiable.
        positions: Of its points, after deformation, in scene units; differentiable.

    Returns:
        One mesh a shape; without vertices where the surface is empty.
    """
    topology = traced.topology
    [packed] = surface_meshes(topology, sdf[None], positions)
    vert_shape = traced.shape[topology.edge_verts[:, 0]]
    face_shape = vert_shape[topology.faces[:, 0]]
    counts = (count_shapes(each, traced.num_shapes) for each in (vert_shape, face_shape))
    return split_meshes(packed, *counts)


def _levels(num_coarse: int, num_cells: int) -> list[int]:
    """Choose the lattices on the way: each at most twice as fine as the one before."""
    ratio = num_cells / num_coarse
    steps = max(1, math.ceil(math.log2(ratio) - 1e-9))
    return [round(num_coarse * ratio ** (step / steps)) for step in range(1, steps + 1)]


def _follow(
    cells: Int[Tensor, " cells"],
    evaluate: Callable[[Int[Tensor, " n"]], Float[Tensor, " n"]],
    no_values: Float[Tensor, " 0"],
    num_cells: int,
) -> tuple[Int[Tensor, " crossed"], _Values]:
    """Find the crossed cells among some, and all that the surface leads to from there.

    Args:
        cells: Keys, ascending.
        evaluate: Gives the field at keys of vertices.
        no_values: An empty list of its values.
        num_cells: Along each side of the lattice.

    Returns:
        The crossed cells, and the field at the vertices of those and of all cells beside them.
    """
    values = _Values(cells[:0], no_values)
    seen, crossed = cells, []
    while len(cells) > 0:
        verts = lattice.cell_verts(cells, num_cells)
        missing = _without(torch.unique(verts), values.keys)
        keys, order = torch.cat([values.keys, missing]).sort()
        values = _Values(keys, torch.cat([values.sdf, evaluate(missing)])[order])
        inside = values.at(verts) > 0
        crossed.append(cells[inside.any(1) & ~inside.all(1)])
        cells = _without(lattice.cells_beside(crossed[-1], num_cells), seen)
        seen = torch.cat([seen, cells]).sort().values
    return torch.cat(crossed).sort().values if crossed else cells, values


def _without(keys: Int[Tensor, " n"], known: Int[Tensor, " k"]) -> Int[Tensor, " m"]:
    """Leave out what is known; both ascend."""
    if len(known) == 0:
        return keys
    place = torch.searchsorted(known, keys).clamp(max=len(known) - 1)
    return keys[known[place] != keys]


def _surface(
    cells: Int[Tensor, " cells"], values: _Values, num_shapes: int, num_cells: int, scale: float
) -> TracedSurface:
    """Join the crossed tets of crossed cells."""
    tets = lattice.cell_tets(cells, num_cells)
    inside = values.at(tets) > 0
    tets = tets[inside.any(1) & ~inside.all(1)]
    keys, tets = torch.unique(tets, return_inverse=True)
    edges, tet_edges = edge_table(tets, len(keys))
    sdf = values.at(keys)
    shape, places = lattice.unpack(keys, lattice.vert_side(num_cells))
    return TracedSurface(
        points=lattice.positions(places, num_cells, scale=scale, like=sdf),
        shape=shape,
        sdf=sdf,
        topology=find_topology((sdf > 0)[None], tets, edges, tet_edges),
        num_shapes=num_shapes,
    )
