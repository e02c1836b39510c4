"""Tetrahedral grids: they fill the cube conformingly, and their tables are correct."""

import numpy as np
import pytest
import torch

from get3d.core.errors import ConfigError, DataError, MeshError
from get3d.geometry import bcc_grid, load_grid, make_grid
from get3d.geometry.tet_grid import TET_EDGES, tet_volumes

FACES = ((0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3))
PUBLISHED = {64: (36_562, 192_492), 70: (47_416, 251_447), 90: (98_653, 532_314)}


@pytest.mark.parametrize("resolution", [3, 5, 8, 11])
@pytest.mark.parametrize("scale", [1.0, 0.8])
def test_fills_the_cube_exactly(resolution, scale):
    grid = bcc_grid(resolution, scale=scale)
    volumes = tet_volumes(grid.verts.double(), grid.tets)
    assert volumes.min() > 0
    torch.testing.assert_close(
        volumes.sum(), torch.tensor(scale**3, dtype=torch.float64), rtol=1e-6, atol=0
    )
    assert grid.verts.amin(0).tolist() == [pytest.approx(-scale / 2)] * 3
    assert grid.verts.amax(0).tolist() == [pytest.approx(scale / 2)] * 3
    assert len(torch.unique(grid.verts, dim=0)) == len(grid.verts)
    assert len(torch.unique(grid.tets)) == len(grid.verts)


@pytest.mark.parametrize("resolution", [3, 8])
def test_inner_faces_are_shared_by_two_tets_and_outer_ones_are_flat(resolution):
    grid = bcc_grid(resolution)
    faces = torch.cat([grid.tets[:, face] for face in FACES]).sort(dim=1).values
    unique, counts = torch.unique(faces, dim=0, return_counts=True)
    assert counts.max() == 2
    corners = grid.verts[unique[counts == 1]]
    on_one_side = (corners.abs() == 0.5) & (corners == corners[:, :1])
    assert on_one_side.all(1).any(1).all()
    first, second, third = corners.unbind(1)
    area = torch.linalg.cross(second - first, third - first).norm(dim=1).sum() / 2
    torch.testing.assert_close(area, torch.tensor(6.0))


@pytest.mark.parametrize("resolution", [4, 9])
def test_tables(resolution):
    grid = bcc_grid(resolution)
    expected = grid.tets[:, TET_EDGES].sort(dim=2).values
    assert torch.equal(grid.edges[grid.tet_edges], expected)
    assert len(torch.unique(grid.edges, dim=0)) == len(grid.edges)
    assert len(torch.unique(grid.tet_edges)) == len(grid.edges)
    on_box = (grid.verts.abs() == 0.5).any(1)
    assert torch.equal(grid.boundary, on_box.nonzero().squeeze(1))
    assert grid.verts[grid.centre].norm() == grid.verts.norm(dim=1).min()
    # Euler number of a ball: vertices - edges + faces - tets = 1
    faces = torch.cat([grid.tets[:, face] for face in FACES]).sort(dim=1).values
    num_faces = len(torch.unique(faces, dim=0))
    assert len(grid.verts) - len(grid.edges) + num_faces - len(grid.tets) == 1


def test_has_the_symmetries_of_the_cube():
    grid = bcc_grid(8)

    def centroids(verts: torch.Tensor) -> np.ndarray:
        rounded = (verts[grid.tets].mean(1) * 1e4).round().int()
        return np.unique(rounded.numpy(), axis=0)

    plain = centroids(grid.verts)
    for moved in (grid.verts * torch.tensor([-1, 1, 1]), grid.verts.roll(1, dims=1)):
        assert np.array_equal(centroids(moved), plain)


@pytest.mark.parametrize("resolution", [64, 70])
def test_density_is_that_of_the_published_grids(resolution):
    num_verts, num_tets = PUBLISHED[resolution]
    grid = bcc_grid(resolution)
    assert abs(len(grid.verts) / num_verts - 1) < 0.03
    assert abs(len(grid.tets) / num_tets - 1) < 0.03
    assert grid.resolution == resolution


def test_load_centres_scales_and_orients(tmp_path):
    grid = bcc_grid(5)
    path = tmp_path / "grid.npz"
    moved = (grid.verts * torch.tensor([2.0, 1.0, 1.0]) + 3).numpy()
    swapped = grid.tets[:, [1, 0, 2, 3]].int().numpy()
    np.savez_compressed(path, vertices=moved, tets=swapped)
    loaded = load_grid(path, scale=0.8)
    expected = grid.verts * torch.tensor([0.8, 0.4, 0.4])
    torch.testing.assert_close(loaded.verts, expected, atol=1e-6, rtol=0)
    assert tet_volumes(loaded.verts, loaded.tets).min() > 0
    assert torch.equal(loaded.boundary, grid.boundary)
    assert torch.equal(loaded.centre, grid.centre)
    assert loaded.tets.dtype == torch.int64
    assert load_grid(path, resolution=7).resolution == 7


def test_bad_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        load_grid(tmp_path / "none.npz")
    path = tmp_path / "bad.npz"
    path.write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"bad\.npz"):
        load_grid(path)
    with path.open("wb") as file:
        np.save(file, np.zeros((4, 3)))
    with pytest.raises(DataError, match=r"bad\.npz"):
        load_grid(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"bad\.npz"):
        load_grid(path)
    np.savez(path, vertices=np.zeros((4, 3)))
    with pytest.raises(DataError, match=r"bad.npz.*'tets'"):
        load_grid(path)
    np.savez(path, vertices=np.zeros((4, 2)), tets=np.zeros((1, 4), np.int64))
    with pytest.raises(DataError, match=r"bad.npz.*\[4, 2\]"):
        load_grid(path)
    np.savez(path, vertices=np.full((4, 3), np.nan), tets=np.zeros((1, 4), np.int64))
    with pytest.raises(DataError, match="finite"):
        load_grid(path)
    np.savez(path, vertices=np.zeros((4, 3)), tets=np.zeros((1, 4), np.int64))
    with pytest.raises(DataError, match=r"bad\.npz.*one point"):
        load_grid(path)
    np.savez(path, vertices=np.eye(4)[:, :3], tets=np.array([[0, 1, 2, 9]]))
    with pytest.raises(DataError, match=r"bad\.npz.*indices"):
        load_grid(path)
    for verts, tets in (
        (np.eye(4)[:, :3], np.array([[0.2, 1.7, 2.9, 3.4]])),
        (np.eye(4)[:, :3] + 1j, np.array([[0, 1, 2, 3]])),
        (np.full((4, 3), "a"), np.array([[0, 1, 2, 3]])),
        (np.zeros((4, 3), dtype=[("a", "f4")]), np.array([[0, 1, 2, 3]])),
    ):
        np.savez(path, vertices=verts, tets=tets)
        with pytest.raises(DataError, match=r"bad\.npz must hold numbers as vertices and whole"):
            load_grid(path)
    cut = tmp_path / "cut.npz"
    np.savez(path, vertices=np.zeros((40, 3)), tets=np.zeros((10, 4), np.int64))
    cut.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DataError, match=r"cut\.npz"):
        load_grid(cut)


def test_bad_arguments_are_named():
    with pytest.raises(ConfigError, match="resolution"):
        bcc_grid(2)
    with pytest.raises(ConfigError, match="scale"):
        bcc_grid(8, scale=0.0)
    with pytest.raises(MeshError, match="indices"):
        make_grid(torch.rand(3, 3), torch.arange(4)[None], resolution=1)
    with pytest.raises(MeshError, match="empty"):
        make_grid(torch.rand(3, 3), torch.zeros(0, 4, dtype=torch.int64), resolution=1)
