import pytest
import torch

from get3d.core import Mesh
from get3d.core.errors import ConfigError
from get3d.geometry import (
    bcc_grid,
    euler_number,
    face_flatness,
    is_manifold,
    marching_tets,
    remove_slivers,
    signed_volume,
)


@pytest.fixture(scope="module")
def rough() -> Mesh:
    """A surface like those of networks: a few percent of its triangles are slivers."""
    grid = bcc_grid(20)
    waves = (grid.verts * torch.tensor([13.0, 17.0, 11.0])).sin().prod(dim=1)
    return marching_tets(grid.verts, 0.37 - grid.verts.norm(dim=1) + 0.05 * waves, grid.tets)


def test_flatness():
    verts = torch.tensor([[0.0, 0, 0], [2, 0, 0], [1, 3**0.5, 0], [1, 0.1, 0]])
    mesh = Mesh(verts, torch.tensor([[0, 1, 2], [0, 1, 3], [0, 0, 1], [2, 2, 2]]))
    expected = torch.tensor([0.75**0.5, 0.05, 0.0, 0.0])
    torch.testing.assert_close(face_flatness(mesh), expected)


@pytest.mark.parametrize("limit", [0.02, 0.1])
def test_most_slivers_are_removed_and_the_surface_stays(rough, limit):
    assert is_manifold(rough)
    tidied = remove_slivers(rough, limit)
    assert tidied.num_slivers == (face_flatness(rough) < limit).sum() > 5
    assert tidied.num_left == (face_flatness(tidied.mesh) < limit).sum()
    assert tidied.num_left < 0.35 * tidied.num_slivers
    assert is_manifold(tidied.mesh)
    assert euler_number(tidied.mesh) == euler_number(rough)
    volume = signed_volume(rough)
    torch.testing.assert_close(signed_volume(tidied.mesh), volume, rtol=1e-3, atol=0)


def test_a_needle_collapses():
    """An octahedron's duplicated corner becomes one vertex."""
    verts = torch.tensor(
        [[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0.01, 0, 1], [-0.01, 0, 1], [0, 0, -1]]
    )
    faces = [[0, 2, 4], [2, 5, 4], [2, 1, 5], [1, 3, 5], [3, 4, 5], [3, 0, 4]]
    faces += [[2, 0, 6], [1, 2, 6], [3, 1, 6], [0, 3, 6]]
    mesh = Mesh(verts, torch.tensor(faces))
    assert is_manifold(mesh)
    tidied = remove_slivers(mesh, 0.05)
    assert (tidied.num_slivers, tidied.num_left) == (2, 0)
    assert len(tidied.mesh.faces) == 8
    assert is_manifold(tidied.mesh)
    torch.testing.assert_close(tidied.mesh.verts[-2], torch.tensor([0.0, 0.0, 1.0]))


def test_a_cap_is_flipped():
    """A vertex almost on an edge: the edge's two faces take the other diagonal, nothing moves."""
    corners = [[0.0, 0, 0], [2, 0, 0], [1, 2, 0], [1, 1, 2], [1, 0.02, 0.01]]
    faces = [[0, 2, 1], [1, 2, 3], [2, 0, 3], [0, 1, 4], [1, 3, 4], [3, 0, 4]]
    mesh = Mesh(torch.tensor(corners), torch.tensor(faces))
    assert is_manifold(mesh)
    tidied = remove_slivers(mesh, 0.05)
    assert (tidied.num_slivers, tidied.num_left) == (1, 0)
    assert len(tidied.mesh.faces) == 6
    assert torch.equal(tidied.mesh.verts, mesh.verts)
    assert is_manifold(tidied.mesh)
    torch.testing.assert_close(signed_volume(tidied.mesh), signed_volume(mesh), rtol=0.02, atol=0)


def test_boundaries_are_unchanged():
    verts = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0.5, 0.001, 0]])
    mesh = Mesh(verts, torch.tensor([[0, 1, 2]]))
    tidied = remove_slivers(mesh, 0.1)
    assert (tidied.num_slivers, tidied.num_left) == (1, 1)
    assert torch.equal(tidied.mesh.faces, mesh.faces)


def test_nothing_to_do(rough):
    tidied = remove_slivers(rough, 0.0)
    assert torch.equal(tidied.mesh.verts, rough.verts)
    none = remove_slivers(Mesh(rough.verts, rough.faces[:0]), 0.1)
    assert (none.num_slivers, len(none.mesh.faces)) == (0, 0)


def test_limit_out_of_range(rough):
    with pytest.raises(ConfigError, match=r"min_height must lie in 0 to 0\.5, got 0\.6"):
        remove_slivers(rough, 0.6)
