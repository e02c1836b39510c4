"""Marching tetrahedra: invariants for any field, and all cases of a single tet."""

import math

import pytest
import torch

from get3d.core.types import Mesh
from get3d.geometry import (
    TetGrid,
    bcc_grid,
    euler_number,
    is_manifold,
    make_grid,
    marching_tets,
    signed_volume,
    surface_area,
    surface_meshes,
    surface_topology,
)

GRID = bcc_grid(12)
TET = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


def smooth_fields(grid: TetGrid, num: int, *, seed: int = 0) -> torch.Tensor:
    """Random waves, negative on the box."""
    generator = torch.Generator().manual_seed(seed)
    waves = torch.randn(num, 3, 8, generator=generator) * 6
    phases = torch.rand(num, 1, 8, generator=generator) * 2 * math.pi
    sdf = (grid.verts @ waves + phases).sin().sum(2)
    sdf[:, grid.boundary] = -sdf[:, grid.boundary].abs() - 0.1
    return sdf


def extract(grid: TetGrid, sdf: torch.Tensor) -> list[Mesh]:
    topology = surface_topology(grid, sdf)
    return surface_meshes(topology, sdf, grid.verts.to(sdf)[topology.active_verts])


def sphere_field(grid: TetGrid, radius: float) -> torch.Tensor:
    return radius - grid.verts.norm(dim=1)


@pytest.mark.parametrize("num", [1, 3, 9])
def test_every_mesh_is_a_closed_manifold_that_winds_outward(num):
    sdf = smooth_fields(GRID, num)
    for mesh in extract(GRID, sdf):
        assert is_manifold(mesh)
        assert signed_volume(mesh) > 0
        assert len(torch.unique(mesh.faces)) == len(mesh.verts)
        assert euler_number(mesh) % 2 == 0


def test_moved_vertices_do_not_open_the_surface():
    sdf = smooth_fields(GRID, 2)
    topology = surface_topology(GRID, sdf)
    moved = GRID.verts + torch.randn(GRID.verts.shape) * 0.1  # turns many tets inside out
    meshes = surface_meshes(topology, sdf, moved[topology.active_verts])
    for mesh, field in zip(meshes, sdf, strict=True):
        assert is_manifold(mesh)
        alone = marching_tets(moved, field, GRID.tets)
        assert is_manifold(alone)
        torch.testing.assert_close(signed_volume(alone), signed_volume(mesh))


def test_batch_equals_one_by_one():
    sdf = smooth_fields(GRID, 10)
    sdf[3] = -1
    sdf[9] = 1
    for mesh, field in zip(extract(GRID, sdf), sdf, strict=True):
        alone = marching_tets(GRID.verts, field, GRID.tets)
        single = extract(GRID, field[None])[0]
        assert torch.equal(mesh.faces, single.faces)
        assert torch.equal(mesh.verts, single.verts)
        assert mesh.verts.shape == alone.verts.shape
        triangles = mesh.verts[mesh.faces].reshape(-1, 9)
        others = alone.verts[alone.faces].reshape(-1, 9)
        torch.testing.assert_close(
            torch.unique(triangles, dim=0), torch.unique(others, dim=0), rtol=0, atol=0
        )


def test_topology_tables_agree():
    sdf = smooth_fields(GRID, 18)
    found = surface_topology(GRID, sdf)
    assert found.num_shapes == 18
    assert torch.equal(found.vert_counts, torch.bincount(found.edge_shape, minlength=18))
    assert found.face_counts.sum() == len(found.faces)
    for shapes in (found.edge_shape, found.active_shape):
        assert (shapes.diff() >= 0).all()
    assert torch.equal(found.active_verts[found.edge_active], found.edge_verts)
    assert torch.equal(
        found.active_shape[found.edge_active], found.edge_shape[:, None].expand(-1, 2)
    )
    ends = sdf[found.edge_shape[:, None], found.edge_verts] > 0
    assert (ends[:, 0] ^ ends[:, 1]).all()
    crossings = ((sdf > 0)[:, GRID.edges[:, 0]] ^ (sdf > 0)[:, GRID.edges[:, 1]]).sum()
    assert len(found.edge_verts) == crossings
    pairs = torch.stack([found.active_shape, found.active_verts], 1)
    assert torch.equal(torch.unique(pairs, dim=0), pairs)
    assert torch.equal(torch.unique(found.edge_active), torch.arange(len(found.active_verts)))
    owner = torch.repeat_interleave(found.face_counts)
    assert torch.equal(found.edge_shape[found.faces], owner[:, None].expand(-1, 3))


def test_sphere():
    grid = bcc_grid(40)
    mesh = marching_tets(grid.verts, sphere_field(grid, 0.4), grid.tets)
    assert euler_number(mesh) == 2
    # chords: the error is of second order in the cell size over the radius (0.16 squared)
    assert surface_area(mesh).item() == pytest.approx(4 * math.pi * 0.4**2, rel=0.015)
    assert signed_volume(mesh).item() == pytest.approx(4 / 3 * math.pi * 0.4**3, rel=0.015)


def test_torus_has_euler_number_zero():
    grid = bcc_grid(30)
    x, y, z = grid.verts.unbind(1)
    sdf = 0.12 - torch.hypot(torch.hypot(x, z) - 0.28, y)
    mesh = marching_tets(grid.verts, sdf, grid.tets)
    assert is_manifold(mesh)
    assert euler_number(mesh) == 0
    assert signed_volume(mesh).item() == pytest.approx(2 * math.pi**2 * 0.28 * 0.12**2, rel=0.1)


def test_another_kind_of_grid_gives_the_same_sphere():
    # Six tets a cube (Kuhn): written down independently of the lattice under test.
    steps = torch.linspace(-0.5, 0.5, 21)
    verts = torch.cartesian_prod(steps, steps, steps)
    index = torch.arange(21**3).reshape(21, 21, 21)
    tets = []
    for order in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
        path = torch.zeros(4, 3, dtype=torch.int64)
        for step, axis in enumerate(order):
            path[step + 1 :, axis] += 1
        tets.append(
            torch.stack([index[i : i + 20, j : j + 20, k : k + 20] for i, j, k in path], -1)
        )
    kuhn = make_grid(verts, torch.cat([part.reshape(-1, 4) for part in tets]), resolution=40)
    ours = bcc_grid(40)
    volumes = []
    for grid in (kuhn, ours):
        mesh = extract(grid, sphere_field(grid, 0.37)[None])[0]
        assert is_manifold(mesh)
        assert euler_number(mesh) == 2
        volumes.append(signed_volume(mesh).item())
    assert volumes[0] == pytest.approx(volumes[1], rel=0.02)


@pytest.mark.parametrize("corners", [[0, 1, 2, 3], [1, 0, 2, 3]])
@pytest.mark.parametrize("case", range(16))
def test_one_tet(case, corners):
    inside = torch.tensor([bool(case >> i & 1) for i in range(4)])
    sdf = torch.where(inside, 1.0, -1.0)
    mesh = marching_tets(TET, sdf, torch.tensor([corners]))
    num_inside = int(inside.sum())
    assert len(mesh.faces) == [0, 1, 2, 1, 0][num_inside]
    assert len(mesh.verts) == [0, 3, 4, 3, 0][num_inside]
    assert mesh.faces.dtype == torch.int64
    for face in mesh.faces:
        first, second, third = mesh.verts[face]
        normal = torch.linalg.cross(second - first, third - first)
        assert normal.norm() > 0
        heights = (TET - first) @ normal
        assert (heights[inside] < 0).all()
        assert (heights[~inside] > 0).all()


def test_linear_field_is_cut_exactly():
    normal = torch.tensor([0.3, -0.5, 0.8])
    sdf = 0.05 - GRID.verts @ normal
    mesh = marching_tets(GRID.verts, sdf, GRID.tets)
    torch.testing.assert_close(mesh.verts @ normal, torch.full((len(mesh.verts),), 0.05))


def test_zero_at_a_vertex_counts_as_outside_and_stays_closed():
    grid = bcc_grid(8)
    sdf = sphere_field(grid, 0.3)
    sdf[(sdf > 0).nonzero()[::3, 0]] = 0.0
    sdf.requires_grad_()
    mesh = marching_tets(grid.verts, sdf, grid.tets)
    assert mesh.verts.isfinite().all()
    assert is_manifold(mesh)
    distances = torch.cdist(mesh.verts, grid.verts).amin(1)
    assert (distances == 0).any()
    (gradient,) = torch.autograd.grad(mesh.verts.square().sum(), sdf)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("tiny", [1e-12, 1e-30, 1e-42])
def test_tiny_distances_stay_finite(tiny):
    sdf = torch.tensor([tiny, -tiny, 0.0, -1.0], requires_grad=True)
    mesh = marching_tets(TET, sdf, torch.arange(4)[None])
    assert mesh.verts.isfinite().all()
    assert (mesh.verts >= 0).all()
    assert (mesh.verts <= 1).all()
    (gradient,) = torch.autograd.grad(mesh.verts.sum(), sdf)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0])
def test_no_surface_is_an_empty_mesh(value):
    sdf = torch.full((2, len(GRID.verts)), value, requires_grad=True)
    for mesh in extract(GRID, sdf):
        assert mesh.verts.shape == (0, 3)
        assert mesh.faces.shape == (0, 3)
    sum(mesh.verts.sum() for mesh in extract(GRID, sdf)).backward()
    assert (sdf.grad == 0).all()


def test_gradients_for_field_and_positions():
    grid = bcc_grid(3)
    generator = torch.Generator().manual_seed(1)
    verts = grid.verts.double().requires_grad_()
    sdf = torch.randn(2, len(verts), dtype=torch.float64, generator=generator)
    sdf = (sdf.sign() * (0.2 + sdf.abs())).requires_grad_()  # keeps differences off sign changes

    def batched(sdf: torch.Tensor, verts: torch.Tensor) -> torch.Tensor:
        topology = surface_topology(grid, sdf)
        meshes = surface_meshes(topology, sdf, verts[topology.active_verts])
        return torch.cat([mesh.verts for mesh in meshes])

    def alone(sdf: torch.Tensor, verts: torch.Tensor) -> torch.Tensor:
        return marching_tets(verts, sdf[0], grid.tets).verts

    assert batched(sdf, verts).dtype == torch.float64
    assert torch.autograd.gradcheck(batched, (sdf, verts))
    assert torch.autograd.gradcheck(alone, (sdf, verts))


def test_mixed_tet_order_still_winds_outward():
    swap = torch.rand(len(GRID.tets)) < 0.5
    tets = torch.where(swap[:, None], GRID.tets[:, [1, 0, 2, 3]], GRID.tets)
    mesh = marching_tets(GRID.verts, smooth_fields(GRID, 1)[0], tets)
    assert is_manifold(mesh)
    assert signed_volume(mesh) > 0


def test_bad_input_is_named():
    tets = torch.arange(4)[None]
    with pytest.raises(ValueError, match="tets"):
        marching_tets(TET, torch.ones(4), tets + 1)
    with pytest.raises(ValueError, match="sdf"):
        marching_tets(TET, torch.tensor([1.0, -1.0, math.nan, 1.0]), tets)
    with pytest.raises(ValueError, match="verts"):
        marching_tets(TET * math.inf, torch.ones(4), tets)
    with pytest.raises(ValueError, match="sdf"):
        surface_topology(GRID, torch.ones(1, 5))
    with pytest.raises(ValueError, match="sdf"):
        surface_topology(GRID, torch.ones(0, len(GRID.verts)))
    empty = marching_tets(TET, torch.ones(4), tets[:0])
    assert empty.verts.shape == (0, 3)
