"""The body-centred cubic lattice of `bcc_grid` by arithmetic, for grids too fine to be listed.

Places are counted in half cells from the lowest corner of the grid: corners of cells have three
even coordinates, centres three odd ones, and the midpoints that close the grid at its boundary two
odd ones and one that is 0 or the last. Cells are counted in whole ones. Places and cells are named
by keys: numbers that begin with the shape of a batch, so that ascending keys ascend by shape.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

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


def vert_side(num_cells: int) -> int:
    """Count the places along each side of a lattice."""
    return 2 * num_cells + 1


def positions(
    places: Int[Tensor, "n 3"], num_cells: int, *, scale: float, like: Float[Tensor, "..."]
) -> Float[Tensor, "n 3"]:
    """Put vertices where `bcc_grid` has them.

    Args:
        places: In half cells.
        num_cells: Along each side.
        scale: Side of the whole grid, in scene units.
        like: Gives the precision.
    """
    return (places.to(like) / (2 * num_cells) - 0.5) * scale


def cells_at(points: Float[Tensor, "n 3"], num_cells: int, *, scale: float) -> Int[Tensor, "n 3"]:
    """Find the cells that points lie in; outside the grid, the nearest.

    Args:
        points: In scene units.
        num_cells: Along each side.
        scale: Side of the whole grid, in scene units.
    """
    return ((points / scale + 0.5) * num_cells).floor().long().clamp(0, num_cells - 1)


def finer_cells(
    keys: Int[Tensor, " cells"], num_cells: int, num_finer: int
) -> Int[Tensor, " finer"]:
    """List the cells of a finer lattice that overlap cells of a coarser one or their neighbours.

    Args:
        keys: Of cells of the coarser lattice.
        num_cells: Along each side of the coarser lattice.
        num_finer: Along each side of the finer one.

    Returns:
        Keys of the finer lattice, ascending.
    """
    reach = torch.arange(-(-3 * num_finer // num_cells) + 1, device=keys.device)
    shape, places = unpack(keys, num_cells)
    # One axis after the other: each multiplies the list, and what repeats is dropped at once.
    for axis in range(3):
        place = places[:, axis]
        first = (place - 1) * num_finer // num_cells
        last = -(-(place + 2) * num_finer // num_cells) - 1
        found = first[:, None] + reach
        row, column = ((found >= 0) & (found <= last.clamp(max=num_finer - 1)[:, None])).nonzero(
            as_tuple=True
        )
        places = places[row]
        places[:, axis] = found[row, column]
        shape, places = unpack(torch.unique(pack(shape[row], places, num_finer)), num_finer)
    return pack(shape, places, num_finer)


def cells_beside(keys: Int[Tensor, " cells"], num_cells: int) -> Int[Tensor, " beside"]:
    """List the cells that share a face with some of these: keys, ascending."""
    shape, places = unpack(keys, num_cells)
    beside = places[:, None] + _steps(keys.device)
    row, step = ((beside >= 0) & (beside < num_cells)).all(2).nonzero(as_tuple=True)
    return torch.unique(pack(shape[row], beside[row, step], num_cells))


def cell_verts(keys: Int[Tensor, " cells"], num_cells: int) -> Int[Tensor, "cells own"]:
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
    return pack(shape, torch.cat([corners, centre, *extra], dim=1), vert_side(num_cells))


def cell_tets(keys: Int[Tensor, " cells"], num_cells: int) -> Int[Tensor, "tets 4"]:
    """List the tets at the faces of cells, each once, with their corners as `bcc_grid` has them.

    Returns:
        Keys of places, ordered by shape.
    """
    side = vert_side(num_cells)
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
