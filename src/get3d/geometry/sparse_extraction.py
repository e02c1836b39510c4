"""Sparse extraction of a surface on a grid of any resolution, starting from a coarser surface.

The volume subdivision of the paper's appendix splits tets that a coarse surface crosses, and their
neighbours, into eight. On the body-centred cubic lattice, the eight parts are the tets of the
lattice with cells half as large. So instead of splitting tets, this module lists cells of finer
lattices, of any size; the resolution is uniform, so there are no cracks. The same holds for the
cubes of FlexiCubes.
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
"""Function of points and the index of each point's shape (ascending): SDF, positive inside."""


@dataclass(frozen=True, kw_only=True)
class KnownSurface:
    """Surfaces of a batch on a lattice on which the field was evaluated densely.

    Attributes:
        points: Ends of the crossed edges, in scene units.
        shape: Shape of each point, ascending.
        num_shapes: Size of the batch.
        num_cells: Cells of the lattice along each axis.
        scale: Edge length of the whole lattice, in scene units.
    """

    points: Float[Tensor, "points 3"]
    shape: Int[Tensor, " points"]
    num_shapes: int
    num_cells: int
    scale: float


@dataclass(frozen=True, kw_only=True)
class SparseSurface:
    """The part of a `bcc_grid` at the surfaces of a batch.

    Attributes:
        points: Vertices of crossed tets before deformation, in scene units; shape by shape.
        shape: Shape of each point, ascending.
        sdf: Signed distances at the points, without gradient.
        topology: Topology of all shapes as one packed mesh, whose grid vertices are `points`.
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
    """The part of a `voxel_grid` at the surfaces of a batch.

    Attributes:
        points: Active vertices of `topology` before deformation, in scene units.
        sdf: Signed distances at the points, without gradient.
        centres: Centres of the cubes of `topology`, in scene units.
        topology: Topology of all shapes.
    """

    points: Float[Tensor, "points 3"]
    sdf: Float[Tensor, " points"]
    centres: Float[Tensor, "cubes 3"]
    topology: DualTopology

    @property
    def shape(self) -> Int[Tensor, " points"]:
        """Shape of each point, ascending."""
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
        """Look up the values at known vertices."""
        return self.sdf[torch.searchsorted(self.keys, keys)]


@torch.no_grad()
def extract_sparse_surface(sdf: PackedField, known: KnownSurface, num_cells: int) -> SparseSurface:
    """Extract a tetrahedral surface on a lattice of another resolution, without gradient.

    Proceeds from lattice to lattice, each at most twice as fine as the last: the field is evaluated
    in all cells that overlap a crossed cell of the last lattice or one of its neighbours, then in
    the neighbours of crossed cells until no new crossed cell is found. So a connected component is
    found completely or, if no evaluated cell crosses it, not at all, and a surface that is closed
    on the dense grid is closed here.

    Args:
        sdf: The field.
        known: The surface to start from.
        num_cells: Cells of the new lattice along each axis; more or fewer than the known one's.
    """
    wanted = Lattice(kind="bcc", num_cells=num_cells, scale=known.scale)
    cells, values = _find_crossed_cells(sdf, known, wanted)
    tets = lattice.cell_tets(cells, num_cells)
    inside = values.at(tets) > 0
    tets = tets[inside.any(1) & ~inside.all(1)]
    keys, tets = torch.unique(tets, return_inverse=True)
    edges, tet_edges = edge_table(tets, len(keys))
    found = values.at(keys)
    owner, places = lattice.unpack_keys(keys, wanted.verts_per_axis)
    return SparseSurface(
        points=wanted.positions(places, like=found),
        shape=owner,
        sdf=found,
        topology=find_topology((found > 0)[None], tets, edges, tet_edges),
        num_shapes=known.num_shapes,
    )


@torch.no_grad()
def extract_sparse_cubes(sdf: PackedField, known: KnownSurface, num_cells: int) -> SparseCubes:
    """Extract a FlexiCubes surface, as `extract_sparse_surface` does for tetrahedra.

    Args:
        sdf: The field.
        known: The surface to start from.
        num_cells: Cubes of the new grid along each axis.
    """
    wanted = Lattice(kind="cubes", num_cells=num_cells, scale=known.scale)
    cells, values = _find_crossed_cells(sdf, known, wanted)
    inside = values.at(wanted.cell_verts(cells)) > 0
    case = (inside << torch.arange(8, device=cells.device)).sum(1)
    topology = join_cubes(cells, case, num_shapes=known.num_shapes, resolution=num_cells)
    numbers = topology.active_shape * wanted.verts_per_axis**3 + topology.active_verts
    _, places = lattice.unpack_keys(numbers, wanted.verts_per_axis)
    found = values.at(numbers)
    _, cubes = lattice.unpack_keys(cells, num_cells)
    return SparseCubes(
        points=wanted.positions(places, like=found),
        sdf=found,
        centres=wanted.positions(cubes + 0.5, like=found),
        topology=topology,
    )


def sparse_meshes(
    surface: SparseSurface, sdf: Float[Tensor, " points"], positions: Float[Tensor, "points 3"]
) -> list[Mesh]:
    """Place the vertices of a sparse surface; see `surface_meshes`.

    Args:
        surface: The surface.
        sdf: Signed distances at its points, with the signs of `surface.sdf`; differentiable.
        positions: Positions of its points after deformation, in scene units; differentiable.

    Returns:
        One mesh per shape; without vertices where the surface is empty.
    """
    topology = surface.topology
    [packed] = surface_meshes(topology, sdf[None], positions)
    vert_shape = surface.shape[topology.edge_verts[:, 0]]
    face_shape = vert_shape[topology.faces[:, 0]]
    counts = (count_shapes(each, surface.num_shapes) for each in (vert_shape, face_shape))
    return split_meshes(packed, *counts)


def _find_crossed_cells(
    sdf: PackedField, known: KnownSurface, wanted: Lattice
) -> tuple[Int[Tensor, " crossed"], _Values]:
    """Find the crossed cells of a lattice, and the field at the vertices in and around them."""
    points, last = known.points, known.num_cells
    places = lattice.cells_at(points, last, scale=known.scale)
    cells = torch.unique(lattice.pack_keys(known.shape, places, last))
    values = _Values(cells[:0], points[:0, 0])
    for num_cells in _levels(last, wanted.num_cells):
        level = replace(wanted, num_cells=num_cells)

        def evaluate(keys: Int[Tensor, " n"], level: Lattice = level) -> Float[Tensor, " n"]:
            shape, places = lattice.unpack_keys(keys, level.verts_per_axis)
            return sdf(level.positions(places, like=points), shape)

        cells = lattice.overlapping_cells(cells, last, num_cells)
        cells, values = _expand(cells, evaluate, points[:0, 0], level)
        last = num_cells
    return cells, values


def _levels(num_coarse: int, num_cells: int) -> list[int]:
    """List the resolutions of the intermediate lattices, each at most twice the last."""
    levels = [num_cells]
    while levels[0] > 2 * num_coarse:
        levels.insert(0, -(-levels[0] // 2))
    return levels


def _expand(
    cells: Int[Tensor, " cells"],
    evaluate: Callable[[Int[Tensor, " n"]], Float[Tensor, " n"]],
    no_values: Float[Tensor, " 0"],
    level: Lattice,
) -> tuple[Int[Tensor, " crossed"], _Values]:
    """Find the crossed cells among some cells, and all crossed cells connected to them.

    Args:
        cells: Keys of cells, ascending.
        evaluate: Returns the field at keys of vertices.
        no_values: An empty tensor of the field's dtype.
        level: The lattice.

    Returns:
        The crossed cells, and the field at the vertices of those and of all their neighbours.
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
    """Return the keys that are not among the known ones; both ascend."""
    if len(known) == 0:
        return keys
    place = torch.searchsorted(known, keys).clamp(max=len(known) - 1)
    return keys[known[place] != keys]
