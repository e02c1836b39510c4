"""Both implementations of the topology agree exactly."""

from dataclasses import fields

import pytest
import torch

from get3d.geometry import bcc_grid
from get3d.geometry.topology import (
    crossed_edges,
    find_topology,
    find_topology_compiled,
    find_topology_torch,
)

GRID = bcc_grid(8)


@pytest.mark.parametrize("num_shapes", [1, 2, 8, 9, 17])
def test_compiled_loops_agree_with_tensor_code(num_shapes):
    generator = torch.Generator().manual_seed(num_shapes)
    levels = torch.rand(num_shapes, 1, generator=generator)
    occupied = torch.rand(num_shapes, len(GRID.verts), generator=generator) < levels
    occupied[0] = num_shapes == 2  # all inside once, else all outside
    tables = (GRID.tets, GRID.edges, GRID.tet_edges)
    expected = find_topology_torch(occupied, *tables)
    found = find_topology_compiled(occupied, *tables)
    for field in fields(expected):
        ours, theirs = getattr(found, field.name), getattr(expected, field.name)
        if isinstance(ours, torch.Tensor):
            assert ours.dtype == theirs.dtype == torch.int64
            assert torch.equal(ours, theirs), field.name
    assert found.num_shapes == expected.num_shapes == num_shapes


@pytest.mark.gpu
def test_gpu_agrees_with_cpu():
    occupied = torch.rand(9, len(GRID.verts), generator=torch.Generator().manual_seed(0)) < 0.4
    on_gpu = GRID.to("cuda")
    tables = (on_gpu.tets, on_gpu.edges, on_gpu.tet_edges)
    found = find_topology(occupied.to("cuda"), *tables)
    expected = find_topology(occupied, GRID.tets, GRID.edges, GRID.tet_edges)
    assert torch.equal(found.faces.cpu(), expected.faces)
    assert torch.equal(found.edge_verts.cpu(), expected.edge_verts)
    assert torch.equal(found.edge_active.cpu(), expected.edge_active)


def test_tables_of_any_memory_layout():
    occupied = torch.rand(len(GRID.verts), 3, generator=torch.Generator().manual_seed(0)) < 0.5
    strided = GRID.tets.t().contiguous().t()
    narrow = (GRID.edges.int(), GRID.tet_edges.int())
    found = find_topology_compiled(occupied.t(), strided, *narrow)
    expected = find_topology_torch(occupied.t(), GRID.tets, GRID.edges, GRID.tet_edges)
    assert torch.equal(found.faces, expected.faces)


def test_crossed_edges_have_one_end_inside():
    occupied = torch.rand(11, len(GRID.verts), generator=torch.Generator().manual_seed(0)) < 0.3
    shape, edge = crossed_edges(occupied, GRID.edges)
    expected = occupied[:, GRID.edges[:, 0]] ^ occupied[:, GRID.edges[:, 1]]
    assert torch.equal(torch.stack([shape, edge], 1), expected.nonzero())
