"""The lattices of `bcc_grid` and `voxel_grid` by arithmetic, for grids too fine to be stored.

Both divide a cube into cells, numbered along x, y and z. Places are integer coordinates of
vertices, from the lowest corner of the grid. Cubes have vertices at their corners only, so places
are counted in whole cells. The body-centred cubic lattice needs half cells: corners of cells have
three even coordinates, centres three odd ones, and the midpoints that close the grid at its
boundary two odd ones and one that is 0 or the last. A key encodes the shape of the batch and a
place or cell as one integer; ascending keys are ordered by shape.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from get3d.geometry.voxel_grid import cube_corner_steps

_STEPS = ((-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1))


def pack_keys(
    shape: Int[Tensor, " n"], places: Int[Tensor, "n *k 3"], size: int
) -> Int[Tensor, "n *k"]:
    """Encode shapes and places as keys.

    Args:
        shape: Index in the batch of each row.
        places: Integer coordinates from 0 to size - 1.
        size: Number of values of each coordinate.
    """
    x, y, z = places.unbind(-1)
    first = shape.view(-1, *[1] * (x.ndim - 1))
    return ((first * size + x) * size + y) * size + z


def unpack_keys(keys: Int[Tensor, " n"], size: int) -> tuple[Int[Tensor, " n"], Int[Tensor, "n 3"]]:
    """Decode keys into shapes and places: the inverse of `pack_keys`."""
    row = keys // size
    plane = row // size
    return plane // size, torch.stack([plane % size, row % size, keys % size], dim=1)


@dataclass(frozen=True, kw_only=True)
class Lattice:
    """The lattice of a grid's vertices.

    Attributes:
        kind: "bcc" for the tetrahedra of `bcc_grid`, "cubes" for those of `voxel_grid`.
        num_cells: Cells along each axis.
        scale: Edge length of the whole grid, in scene units.
    """

    kind: Literal["bcc", "cubes"]
    num_cells: int
    scale: float

    @property
    def num_steps(self) -> int:
        """Number of steps between places along each axis."""
        return 2 * self.num_cells if self.kind == "bcc" else self.num_cells

    @property
    def verts_per_axis(self) -> int:
        """Number of places along each axis."""
        return self.num_steps + 1

    def positions(
        self, places: Int[Tensor, "n 3"] | Float[Tensor, "n 3"], *, like: Float[Tensor, "..."]
    ) -> Float[Tensor, "n 3"]:
        """Return the positions of places, in scene units, exactly as the grid has them.

        Args:
            places: Integer coordinates of vertices, or fractional ones.
            like: Tensor whose dtype and device the result has.
        """
        return (places.to(like) / self.num_steps - 0.5) * self.scale

    def cell_verts(self, keys: Int[Tensor, " cells"]) -> Int[Tensor, "cells own"]:
        """Return keys of the vertices whose signs decide whether the surface crosses a cell."""
        verts = _bcc_verts if self.kind == "bcc" else _cube_verts
        return verts(keys, self.num_cells)


def cells_at(points: Float[Tensor, "n 3"], num_cells: int, *, scale: float) -> Int[Tensor, "n 3"]:
    """Find the cells that contain points; for points outside the grid, the nearest cell.

    Args:
        points: Positions, in scene units.
        num_cells: Cells along each axis.
        scale: Edge length of the whole grid, in scene units.
    """
    return ((points / scale + 0.5) * num_cells).floor().long().clamp(0, num_cells - 1)


def overlapping_cells(
    keys: Int[Tensor, " cells"], num_cells: int, num_other: int
) -> Int[Tensor, " other"]:
    """List the cells of another lattice that overlap the given cells or their neighbours.

    Args:
        keys: Keys of cells of this lattice.
        num_cells: Cells of this lattice along each axis.
        num_other: Cells of the other lattice, finer or coarser, along each axis.

    Returns:
        Keys of cells of the other lattice, ascending.
    """
    reach = torch.arange(-(-3 * num_other // num_cells) + 1, device=keys.device)
    size = max(num_cells, num_other)
    shape, places = unpack_keys(keys, num_cells)
    # One axis after the other, each followed by the removal of duplicates.
    for axis in range(3):
        place = places[:, axis]
        first = (place - 1) * num_other // num_cells
        last = -(-(place + 2) * num_other // num_cells) - 1
        found = first[:, None] + reach
        row, column = ((found >= 0) & (found <= last.clamp(max=num_other - 1)[:, None])).nonzero(
            as_tuple=True
        )
        places = places[row]
        places[:, axis] = found[row, column]
        shape, places = unpack_keys(torch.unique(pack_keys(shape[row], places, size)), size)
    return pack_keys(shape, places, num_other)


def cells_beside(keys: Int[Tensor, " cells"], num_cells: int) -> Int[Tensor, " beside"]:
    """List the face neighbours of cells: keys, ascending."""
    shape, places = unpack_keys(keys, num_cells)
    beside = places[:, None] + _steps(keys.device)
    row, step = ((beside >= 0) & (beside < num_cells)).all(2).nonzero(as_tuple=True)
    return torch.unique(pack_keys(shape[row], beside[row, step], num_cells))


def _cube_verts(keys: Int[Tensor, " cells"], num_cells: int) -> Int[Tensor, "cells 8"]:
    """Return keys of the corners of cubes, in the order of `cube_corners`."""
    shape, places = unpack_keys(keys, num_cells)
    return pack_keys(shape, places[:, None] + cube_corner_steps(keys.device), num_cells + 1)


def _bcc_verts(keys: Int[Tensor, " cells"], num_cells: int) -> Int[Tensor, "cells own"]:
    """Return keys of the vertices of cells: corners, centre, and midpoints of boundary faces.

    Every tet consists of an edge of a cell's face and the centres of the two cells at that face. So
    if it has vertices of both signs, so has one of those cells.

    Returns:
        Keys of 9 places per cell, or 15 if any cell is at the boundary; the centre is repeated for
        faces that are not on the boundary.
    """
    shape, places = unpack_keys(keys, num_cells)
    centre = (2 * places + 1)[:, None]
    corners = centre + 2 * torch.cartesian_prod(*[torch.arange(2, device=keys.device)] * 3) - 1
    middles = centre + _steps(keys.device)
    at_end = ((middles == 0) | (middles == 2 * num_cells)).any(2, keepdim=True)
    extra = [torch.where(at_end, middles, centre)] if at_end.any() else []
    return pack_keys(shape, torch.cat([corners, centre, *extra], dim=1), 2 * num_cells + 1)


def cell_tets(keys: Int[Tensor, " cells"], num_cells: int) -> Int[Tensor, "tets 4"]:
    """List the tets at the faces of cells, each once, with corners in the order of `bcc_grid`.

    Returns:
        Keys of the corners' places, ordered by shape.
    """
    size = 2 * num_cells + 1
    shape, places = unpack_keys(keys, num_cells)
    middles = (2 * places + 1)[:, None] + _steps(keys.device)
    faces = torch.unique(pack_keys(shape, middles, size))
    shape, middle = unpack_keys(faces, size)
    axis = (middle % 2).argmin(1)  # a face has an even coordinate along its normal
    directions = torch.eye(3, dtype=torch.int64, device=keys.device)
    along, right, up = (directions[(axis + i) % 3] for i in range(3))
    ends = [(middle + sign * along).clamp(0, size - 1) for sign in (-1, 1)]
    loop = [middle + i * right + j * up for i, j in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    verts = pack_keys(shape, torch.stack([*ends, *loop], dim=1), size)
    order = [[0, 1, 2 + i, 2 + (i + 1) % 4] for i in range(4)]
    return verts[:, order].flatten(0, 1)


def _steps(device: torch.device) -> Int[Tensor, "6 3"]:
    """Return the steps to the six face neighbours."""
    return torch.tensor(_STEPS, device=device)
