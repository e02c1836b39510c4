"""The lattice by arithmetic equals `bcc_grid`, and a finer one splits its tets."""

import pytest
import torch
from torch import Tensor

from get3d.geometry import bcc_cells, bcc_grid, lattice
from get3d.geometry.tet_grid import TET_EDGES

GRID = bcc_grid(13)
NUM_CELLS = bcc_cells(13)


def all_cells(num_cells: int, *, num_shapes: int = 1) -> Tensor:
    return torch.arange(num_shapes * num_cells**3)


def bcc(num_cells: int, scale: float = 1.0) -> lattice.Lattice:
    return lattice.Lattice(kind="bcc", num_cells=num_cells, scale=scale)


def corner_places(keys: Tensor, num_cells: int) -> Tensor:
    _, places = lattice.unpack_keys(keys.flatten(), bcc(num_cells).verts_per_axis)
    return places.view(*keys.shape, 3)


def test_keys_round_trip() -> None:
    shape = torch.tensor([0, 0, 2, 7])
    places = torch.tensor([[0, 1, 2], [10, 10, 10], [0, 0, 0], [3, 0, 10]])
    keys = lattice.pack_keys(shape, places, 11)
    assert torch.equal(keys, keys.sort().values)
    back = lattice.unpack_keys(keys, 11)
    assert torch.equal(back[0], shape)
    assert torch.equal(back[1], places)


def test_tets_of_all_cells_are_those_of_the_grid() -> None:
    tets = lattice.cell_tets(all_cells(NUM_CELLS), NUM_CELLS)
    places = corner_places(tets, NUM_CELLS)
    ours = bcc(NUM_CELLS).positions(places.view(-1, 3), like=GRID.verts)
    corners = GRID.verts[GRID.tets]
    assert corners.shape == (*tets.shape, 3)
    # Equal to the last bit, each tet with its corners in the same order.
    rows = [sorted(map(tuple, each.reshape(-1, 12).tolist())) for each in (ours, corners)]
    assert rows[0] == rows[1]


def test_tets_of_a_batch_come_shape_by_shape() -> None:
    cells = all_cells(3, num_shapes=2)
    tets = lattice.cell_tets(cells, 3)
    shape = tets // bcc(3).verts_per_axis ** 3
    assert torch.equal(shape[:, 0], shape[:, 0].sort().values)
    assert (shape == shape[:, :1]).all()
    half = len(tets) // 2
    assert torch.equal(tets[:half] + bcc(3).verts_per_axis ** 3, tets[half:])


def test_twice_as_many_cells_split_every_tet_into_eight() -> None:
    coarse = corner_places(lattice.cell_tets(all_cells(3), 3), 3)
    is_inner = ((coarse > 0) & (coarse < 6)).any(2).sum(1) == 4  # off the edges of the cube
    is_inner &= ~((coarse == 0) | (coarse == 6)).any(2).any(1)
    parts = []
    for tet in 2 * coarse[is_inner]:  # in half cells of the finer lattice
        middles = {pair: (tet[pair[0]] + tet[pair[1]]) // 2 for pair in TET_EDGES}
        for corner in range(4):
            ends = [middles[pair] for pair in TET_EDGES if corner in pair]
            parts.append(torch.stack([tet[corner], *ends]))
        # The octahedron between is cut along its shortest diagonal, the one between the midpoints
        # of the two long edges.
        first, last = (0, 1), (2, 3)
        ring = [(0, 2), (1, 2), (1, 3), (0, 3)]
        for i in range(4):
            around = (middles[ring[i]], middles[ring[(i + 1) % 4]])
            parts.append(torch.stack([middles[first], middles[last], *around]))
    fine = corner_places(lattice.cell_tets(all_cells(6), 6), 6)
    listed = {frozenset(map(tuple, tet)) for tet in fine.tolist()}
    split = {frozenset(map(tuple, tet)) for tet in torch.stack(parts).tolist()}
    assert len(split) == 8 * int(is_inner.sum()) > 0
    assert split <= listed


def test_vertices_of_cells_detect_every_crossed_tet() -> None:
    """For any signs, a tet with both has an adjacent cell with both."""
    num = 3
    cells = all_cells(num)
    own = bcc(num).cell_verts(cells)
    tets = [lattice.cell_tets(cell[None], num) for cell in cells]
    rng = torch.Generator().manual_seed(0)
    for level in (0.02, 0.5, 0.98):
        inside = torch.rand(bcc(num).verts_per_axis ** 3, generator=rng) < level
        is_mixed = inside[own].any(1) & ~inside[own].all(1)
        told = {tuple(tet) for cell in cells[is_mixed] for tet in tets[cell].tolist()}
        every = lattice.cell_tets(cells, num)
        mixed = every[inside[every].any(1) & ~inside[every].all(1)]
        assert len(mixed) > 0
        assert {tuple(tet) for tet in mixed.tolist()} <= told


@pytest.mark.parametrize(("num", "finer"), [(4, 8), (4, 5), (3, 7), (5, 5)])
def test_finer_cells_cover_a_cell_and_its_neighbours(num: int, finer: int) -> None:
    for cell in (0, num**3 // 2, num**3 - 1):
        _, place = lattice.unpack_keys(torch.tensor([cell]), num)
        low, high = (place[0] - 1) * finer, (place[0] + 2) * finer  # in parts of num * finer
        every = torch.cartesian_prod(*[torch.arange(finer)] * 3)
        overlaps = ((every + 1) * num > low) & (every * num < high)
        expected = overlaps.all(1).nonzero().squeeze(1)
        assert torch.equal(lattice.overlapping_cells(torch.tensor([cell]), num, finer), expected)


def test_cells_beside() -> None:
    middle, corner = torch.tensor([13]), torch.tensor([0])
    assert lattice.cells_beside(middle, 3).tolist() == [4, 10, 12, 14, 16, 22]
    assert lattice.cells_beside(corner, 3).tolist() == [1, 3, 9]
    assert lattice.cells_beside(corner + 27, 3).tolist() == [28, 30, 36]


def test_points_outside_belong_to_the_nearest_cell() -> None:
    points = torch.tensor([[-9.0, 0.01, 0.99], [1.0, -1.0, 9.0]])
    assert lattice.cells_at(points, 4, scale=2.0).tolist() == [[0, 2, 3], [3, 0, 3]]
