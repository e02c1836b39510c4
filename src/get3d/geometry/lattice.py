"""The lattices of `bcc_grid` and `voxel_grid` by arithmetic, for grids too fine to be listed.

Both cut a cube into cells, which are counted along x, y and z. Places of vertices are counted from
the lowest corner of the grid. Cubes have vertices at their corners only, so places are counted in
whole cells. The body-centred cubic lattice needs half cells: corners of cells have three even
coordinates, centres three odd ones, and the midpoints that close the grid at its boundary two odd
ones and one that is 0 or the last. Places and cells are named by keys: numbers that begin with the
shape of a batch, so that ascending keys ascend by shape.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from get3d.geometry.voxel_grid import cube_corner_steps

_STEPS = ((-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1))


def pack(shape: Int[Tensor, " n"], places: Int[Tensor, "n *k 3"], side: int) -> Int[Tensor, "n *k"]:
    """Make keys.

    Args:
        shape: Which shape of the batch each row is of.
        places: Coordinates from 0 to side - 1.
        side: How many values each of them has.
    """
    x, y, z = places.unbind(-1)
    first = shape.view(-1, *[1] * (x.ndim - 1))
    return ((first * side + x) * side + y) * side + z


def unpack(keys: Int[Tensor, " n"], side: int) -> tuple[Int[Tensor, " n"], Int[Tensor, "n 3"]]:
    """Take keys apart: the inverse of `pack`."""
    row = keys // side
    plane = row // side
    return plane // side, torch.stack([plane % side, row % side, keys % side], dim=1)


@dataclass(frozen=True, kw_only=True)
class Lattice:
    """Where a grid has its vertices.

    Attributes:
        kind: bcc, the tetrahedra of `bcc_grid`, or cubes, those of `voxel_grid`.
        num_cells: Along each side.
        scale: Side of the whole grid, in scene units.
    """

    kind: Literal["bcc", "cubes"]
    num_cells: int
    scale: float

    @property
    def num_steps(self) -> int:
        """Count the steps from place to place along each side."""
        return 2 * self.num_cells if self.kind == "bcc" else self.num_cells

    @property
    def vert_side(self) -> int:
        """Count the places along each side."""
        return self.num_steps + 1

    def positions(
        self, places: Int[Tensor, "n 3"] | Float[Tensor, "n 3"], *, like: Float[Tensor, "..."]
    ) -> Float[Tensor, "n 3"]:
        """Say where places are, in scene units, as the grid does, in the precision of `like`."""
        return (places.to(like) / self.num_steps - 0.5) * self.scale

    def cell_verts(self, keys: Int[Tensor, " cells"]) -> Int[Tensor, "cells own"]:
        """Name the vertices that tell whether the surface crosses a cell, by keys of places."""
        verts = _bcc_verts if self.kind == "bcc" else _cube_verts
        return verts(keys, self.num_cells)


def cells_at(points: Float[Tensor, "n 3"], num_cells: int, *, scale: float) -> Int[Tensor, "n 3"]:
    """Find the cells that points lie in; outside the grid, the nearest.

    Args:
        points: In scene units.
        num_cells: Along each side.
        scale: Side of the whole grid, in scene units.
    """
    return ((points / scale + 0.5) * num_cells).floor().long().clamp(0, num_cells - 1)


def overlapping_cells(
    keys: Int[Tensor, " cells"], num_cells: int, num_other: int
) -> Int[Tensor, " other"]:
    """List the cells of another lattice that overlap some of this one or their neighbours.

    Args:
        keys: Of cells of this lattice.
        num_cells: Along each side of this lattice.
        num_other: Along each side of the other one, which may be finer or coarser.

    Returns:
        Keys of the other lattice, ascending.
    """
    reach = torch.arange(-(-3 * num_other // num_cells) + 1, device=keys.device)
    side = max(num_cells, num_other)
    shape, places = unpack(keys, num_cells)
    # One axis after the other: each multiplies the list, and what repeats is dropped at once.
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
        shape, places = unpack(torch.unique(pack(shape[row], places, side)), side)
    return pack(shape, places, num_other)


def cells_beside(keys: Int[Tensor, " cells"], num_cells: int) -> Int[Tensor, " beside"]:
    """List the cells that share a face with some of these: keys, ascending."""
    shape, places = unpack(keys, num_cells)
    beside = places[:, None] + _steps(keys.device)
    row, step = ((beside >= 0) & (beside < num_cells)).all(2).nonzero(as_tuple=True)
    return torch.unique(pack(shape[row], beside[row, step], num_cells))


def _cube_verts(keys: Int[Tensor, " cells"], num_cells: int) -> Int[Tensor, "cells 8"]:
    """Name the corners of cubes, in the order of `cube_corners`."""
    shape, places = unpack(keys, num_cells)
    return pack(shape, places[:, None] + cube_corner_steps(keys.device), num_cells + 1)


def _bcc_verts(keys: Int[Tensor, " cells"], num_cells: int) -> Int[Tensor, "cells own"]:
    """Name the vertices of cells: eight corners, the centre, and midpoints of the grid's boundary.

    Every tet has an edge of a cell's face and the centres on the two sides of that face. So if it
    has vertices of both signs, one of those cells has, too.

    Returns:
        Keys of places: 9 a cell, or 15 if a cell is at the boundary; there, the centre is named
        again for faces that are not.
    """
    shape, places = unpack(keys, num_cells)
    centre = (2 * places + 1)[:, None]
    corners = centre + 2 * torch.cartesian_prod(*[torch.arange(2, device=keys.device)] * 3) - 1
    sides = centre + _steps(keys.device)
    at_end = ((sides == 0) | (sides == 2 * num_cells)).any(2, keepdim=True)
    extra = [torch.where(at_end, sides, centre)] if at_end.any() else []
    return pack(shape, torch.cat([corners, centre, *extra], dim=1), 2 * num_cells + 1)


def cell_tets(keys: Int[Tensor, " cells"], num_cells: int) -> Int[Tensor, "tets 4"]:
    """List the tets at the faces of cells, each once, with their corners as `bcc_grid` has them.

    Returns:
        Keys of places, ordered by shape.
    """
    side = 2 * num_cells + 1
    shape, places = unpack(keys, num_cells)
    middles = (2 * places + 1)[:, None] + _steps(keys.device)
    faces = torch.unique(pack(shape, middles, side))
    shape, middle = unpack(faces, side)
    axis = (middle % 2).argmin(1)  # a face is at an even place along the axis that it is across
    directions = torch.eye(3, dtype=torch.int64, device=keys.device)
    along, right, up = (directions[(axis + i) % 3] for i in range(3))
    ends = [(middle + sign * along).clamp(0, side - 1) for sign in (-1, 1)]
    loop = [middle + i * right + j * up for i, j in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    verts = pack(shape, torch.stack([*ends, *loop], dim=1), side)
    order = [[0, 1, 2 + i, 2 + (i + 1) % 4] for i in range(4)]
    return verts[:, order].flatten(0, 1)


def _steps(device: torch.device) -> Int[Tensor, "6 3"]:
    """Make the steps to the six sides."""
    return torch.tensor(_STEPS, device=device)
