"""A surface on a grid of any fineness: from near a known surface, then along the one it finds.

The volume subdivision of the paper's appendix splits tets that a coarse surface crosses, and their
neighbours, into eight. On the body-centred cubic lattice, the eight parts are the tets of the
lattice with cells half as large. So instead of splitting, cells of finer lattices are listed, of
any size, and no two parts of the grid are of different fineness: there is nothing to crack. The
same holds of cubes, for FlexiCubes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from get3d.core.types import Mesh
from get3d.geometry import lattice
from get3d.geometry.dual_topology import DualTopology, join_cubes
from get3d.geometry.lattice import Lattice
from get3d.geometry.marching_tets import split_meshes, surface_meshes
from get3d.geometry.tet_grid import edge_table
from get3d.geometry.topology import (
    SurfaceTopology,
    count_shapes,
    distinct_keys,
    find_topology,
)

PackedField = Callable[[Float[Tensor, "n 3"], Int[Tensor, " n"]], Float[Tensor, " n"]]
"""Signed distances, positive inside, at points that each belong to one shape, ascending."""


@dataclass(frozen=True, kw_only=True)
class KnownSurface:
    """Where the surfaces of a batch are on a lattice whose vertices were all asked.

    Attributes:
        points: Ends of the edges that they cross, in scene units.
        shape: Shape that each of them belongs to, ascending.
        num_shapes: Size of the batch.
        num_cells: Along each side of the lattice.
        scale: Side of the whole lattice, in scene units.
    """

    points: Float[Tensor, "points 3"]
    shape: Int[Tensor, " points"]
    num_shapes: int
    num_cells: int
    scale: float


@dataclass(frozen=True, kw_only=True)
class SparseSurface:
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

    @property
    def edges(self) -> Int[Tensor, "edges 2"]:
        """The two ends of each edge that the surface crosses, as indices of `points`."""
        return self.topology.edge_verts


@dataclass(frozen=True, kw_only=True)
class SparseCubes:
    """What `voxel_grid` of some fineness has at the surfaces of a batch, and nowhere else.

    Attributes:
        points: The active vertices of `topology`, not deformed, in scene units.
        sdf: Signed distances there, without gradient.
        centres: Of the cubes of `topology`, in scene units.
        topology: Of all shapes.
    """

    points: Float[Tensor, "points 3"]
    sdf: Float[Tensor, " points"]
    centres: Float[Tensor, "cubes 3"]
    topology: DualTopology

    @property
    def shape(self) -> Int[Tensor, " points"]:
        """Shape that each point belongs to, ascending."""
        return self.topology.active_shape

    @property
    def edges(self) -> Int[Tensor, "edges 2"]:
        """The two ends of each edge that the surface crosses, as indices of `points`."""
        first, second = self.topology.crossing_active.unbind(1)
        num = len(self.points)
        edges = distinct_keys(first * num + second, num**2)  # up to four cubes share one
        return torch.stack([edges // max(num, 1), edges % max(num, 1)], dim=1)


@dataclass(frozen=True)
class _Values:
    """Signed distances at vertices of a lattice; keys ascend."""

    keys: Int[Tensor, " n"]
    sdf: Float[Tensor, " n"]

    def at(self, keys: Int[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Look up vertices that are known."""
        return self.sdf[torch.searchsorted(self.keys, keys)]


@torch.no_grad()
def extract_sparse_surface(sdf: PackedField, known: KnownSurface, num_cells: int) -> SparseSurface:
    """Find the surface of tetrahedra of another fineness than a known one's, without gradient.

    From lattice to lattice, each at most twice as fine as the one before: the field is evaluated in
    all cells that overlap a crossed cell of the lattice before or one of its neighbours; then in
    the neighbours of crossed cells, until the surface leads nowhere else. So a piece of the wanted
    surface is found whole or, if no evaluated cell sees it, not at all, and what is closed on the
    whole grid is closed here.

    Args:
        sdf: The field.
        known: Where to begin.
        num_cells: Along each side of the wanted lattice; more or fewer than the known one's.
    """
    wanted = Lattice(kind="bcc", num_cells=num_cells, scale=known.scale)
    cells, values = _trace(sdf, known, wanted)
    tets = lattice.cell_tets(cells, num_cells)
    inside = values.at(tets) > 0
    tets = tets[inside.any(1) & ~inside.all(1)]
    keys, tets = torch.unique(tets, return_inverse=True)
    edges, tet_edges = edge_table(tets, len(keys))
    found = values.at(keys)
    owner, places = lattice.unpack(keys, wanted.vert_side)
    return SparseSurface(
        points=wanted.positions(places, like=found),
        shape=owner,
        sdf=found,
        topology=find_topology((found > 0)[None], tets, edges, tet_edges),
        num_shapes=known.num_shapes,
    )


@torch.no_grad()
def extract_sparse_cubes(sdf: PackedField, known: KnownSurface, num_cells: int) -> SparseCubes:
    """Find where a surface of FlexiCubes lies, as `extract_sparse_surface` does for tetrahedra.

    Args:
        sdf: The field.
        known: Where to begin.
        num_cells: Cubes along each side of the wanted grid.
    """
    wanted = Lattice(kind="cubes", num_cells=num_cells, scale=known.scale)
    cells, values = _trace(sdf, known, wanted)
    inside = values.at(wanted.cell_verts(cells)) > 0
    case = (inside << torch.arange(8, device=cells.device)).sum(1)
    topology = join_cubes(cells, case, num_shapes=known.num_shapes, resolution=num_cells)
    numbers = topology.active_shape * wanted.vert_side**3 + topology.active_verts
    _, places = lattice.unpack(numbers, wanted.vert_side)
    found = values.at(numbers)
    _, cubes = lattice.unpack(cells, num_cells)
    return SparseCubes(
        points=wanted.positions(places, like=found),
        sdf=found,
        centres=wanted.positions(cubes + 0.5, like=found),
        topology=topology,
    )


def sparse_meshes(
    traced: SparseSurface, sdf: Float[Tensor, " points"], positions: Float[Tensor, "points 3"]
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


def _trace(
    sdf: PackedField, known: KnownSurface, wanted: Lattice
) -> tuple[Int[Tensor, " crossed"], _Values]:
    """List the crossed cells of a lattice, and the field at the vertices in and beside them."""
    points, last = known.points, known.num_cells
    places = lattice.cells_at(points, last, scale=known.scale)
    cells = torch.unique(lattice.pack(known.shape, places, last))
    values = _Values(cells[:0], points[:0, 0])
    for num_cells in _levels(last, wanted.num_cells):
        level = replace(wanted, num_cells=num_cells)

        def evaluate(keys: Int[Tensor, " n"], level: Lattice = level) -> Float[Tensor, " n"]:
            shape, places = lattice.unpack(keys, level.vert_side)
            return sdf(level.positions(places, like=points), shape)

        cells = lattice.overlapping_cells(cells, last, num_cells)
        cells, values = _follow(cells, evaluate, points[:0, 0], level)
        last = num_cells
    return cells, values


def _levels(num_coarse: int, num_cells: int) -> list[int]:
    """Choose the lattices on the way: each at most twice as fine as the one before."""
    levels = [num_cells]
    while levels[0] > 2 * num_coarse:
        levels.insert(0, -(-levels[0] // 2))
    return levels


def _follow(
    cells: Int[Tensor, " cells"],
    evaluate: Callable[[Int[Tensor, " n"]], Float[Tensor, " n"]],
    no_values: Float[Tensor, " 0"],
    level: Lattice,
) -> tuple[Int[Tensor, " crossed"], _Values]:
    """Find the crossed cells among some, and all that the surface leads to from there.

    Args:
        cells: Keys, ascending.
        evaluate: Gives the field at keys of vertices.
        no_values: An empty list of its values.
        level: The lattice.

    Returns:
        The crossed cells, and the field at the vertices of those and of all cells beside them.
    """
    values = _Values(cells[:0], no_values)
    seen, crossed = cells, []
    while len(cells) > 0:
        verts = level.cell_verts(cells)
        missing = _without(torch.unique(verts), values.keys)
        keys, order = torch.cat([values.keys, missing]).sort()
        values = _Values(keys, torch.cat([values.sdf, evaluate(missing)])[order])
        inside = values.at(verts) > 0
        crossed.append(cells[inside.any(1) & ~inside.all(1)])
        cells = _without(lattice.cells_beside(crossed[-1], level.num_cells), seen)
        seen = torch.cat([seen, cells]).sort().values
    return torch.cat(crossed).sort().values if crossed else cells, values


def _without(keys: Int[Tensor, " n"], known: Int[Tensor, " k"]) -> Int[Tensor, " m"]:
    """Leave out what is known; both ascend."""
    if len(known) == 0:
        return keys
    place = torch.searchsorted(known, keys).clamp(max=len(known) - 1)
    return keys[known[place] != keys]
