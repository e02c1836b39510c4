"""The grid of cubes: numbering, tables and bad arguments."""

import pytest
import torch

from get3d.core.errors import ConfigError
from get3d.geometry import cube_corners, voxel_grid
from get3d.geometry.voxel_grid import cube_places


@pytest.mark.parametrize("resolution", [3, 4, 7])
def test_counts_and_extent(resolution):
    grid = voxel_grid(resolution, scale=0.8)
    num = resolution + 1
    assert len(grid.verts) == num**3
    assert grid.num_cubes == resolution**3
    assert len(grid.edges) == 3 * resolution * num**2
    assert len(torch.unique(grid.edges.sort(dim=1).values, dim=0)) == len(grid.edges)
    assert len(grid.boundary) == num**3 - (num - 2) ** 3
    assert grid.resolution == resolution
    torch.testing.assert_close(grid.verts.amin(0), torch.full((3,), -0.4))
    torch.testing.assert_close(grid.verts.amax(0), torch.full((3,), 0.4))
    assert (grid.verts[grid.boundary].abs().amax(1) > 0.4 - 1e-6).all()
    assert grid.verts[grid.centre].norm() == grid.verts.norm(dim=1).min()
    lengths = (grid.verts[grid.edges[:, 1]] - grid.verts[grid.edges[:, 0]]).sum(1)
    torch.testing.assert_close(lengths, torch.full_like(lengths, 0.8 / resolution))


def test_vertices_and_cubes_are_numbered_z_fastest():
    grid = voxel_grid(4)
    torch.testing.assert_close(grid.verts[1] - grid.verts[0], torch.tensor([0, 0, 0.25]))
    torch.testing.assert_close(grid.verts[25] - grid.verts[0], torch.tensor([0.25, 0, 0]))
    cubes = torch.arange(grid.num_cubes)
    low = grid.verts[cube_corners(cubes, 4)[:, 0]]
    torch.testing.assert_close(low, -0.5 + cube_places(cubes, 4) * 0.25)
    corners = grid.verts[cube_corners(cubes, 4)] - low[:, None]
    bits = torch.tensor([[c & 1, c >> 1 & 1, c >> 2] for c in range(8)])
    torch.testing.assert_close(corners, (bits * 0.25).expand(64, -1, -1))


def test_every_table_moves_to_a_device():
    grid = voxel_grid(3).to("meta")
    for table in (grid.verts, grid.edges, grid.boundary, grid.centre):
        assert table.is_meta


def test_bad_sizes_are_named():
    with pytest.raises(ConfigError, match="resolution must be at least 3, got 2"):
        voxel_grid(2)
    for scale in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ConfigError, match="scale"):
            voxel_grid(3, scale=scale)
