"""FlexiCubes: reference values, invariants for any field, and gradients."""

import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from get3d.core.types import Mesh
from get3d.geometry import (
    CubeWeights,
    DualPoints,
    DualTopology,
    VoxelGrid,
    cube_corners,
    cube_weights,
    deviation_losses,
    dual_meshes,
    dual_topology,
    euler_number,
    face_normals,
    flexicubes,
    is_manifold,
    is_oriented,
    is_watertight,
    place_points,
    signed_volume,
    surface_area,
    voxel_grid,
)

GRID = voxel_grid(12)
FIXTURE = Path(__file__).parents[1] / "fixtures" / "reference" / "flexicubes.npz"


def random_weights(grid: VoxelGrid, *, seed: int = 0) -> Tensor:
    return torch.randn(grid.num_cubes, 21, generator=torch.Generator().manual_seed(seed))


def closed_noise(grid: VoxelGrid, num: int, *, seed: int = 0) -> Tensor:
    """Random signs at all vertices, outside on the bounding box."""
    sdf = torch.randn(num, len(grid.verts), generator=torch.Generator().manual_seed(seed))
    sdf[:, grid.boundary] = -sdf[:, grid.boundary].abs() - 0.1
    return sdf


def placed(topology: DualTopology, sdf: Tensor, verts: Tensor, weights: CubeWeights) -> DualPoints:
    active = topology.at_active(sdf), verts[topology.active_verts]
    return place_points(topology, *active, weights)


def packed(grid: VoxelGrid, sdf: Tensor) -> Mesh:
    """All shapes of a batch in one mesh, neutral weights."""
    topology = dual_topology(grid, sdf)
    weights = cube_weights(torch.zeros(len(topology.cubes), 21))
    points = place_points(
        topology, topology.at_active(sdf), grid.verts[topology.active_verts], weights
    )
    meshes = dual_meshes(topology, points.verts, weights, splits_in_four=False)
    assert len(meshes) == len(sdf)
    starts = np.cumsum([0, *(len(mesh.verts) for mesh in meshes)])
    faces = [mesh.faces + int(start) for mesh, start in zip(meshes, starts, strict=False)]
    return Mesh(torch.cat([mesh.verts for mesh in meshes]), torch.cat(faces))


class TestReference:
    """Numbers computed once with the authors' release (resolution 12)."""

    @pytest.fixture
    def arrays(self) -> dict[str, Tensor]:
        with np.load(FIXTURE) as arrays:
            return {name: torch.from_numpy(np.asarray(arrays[name])) for name in arrays}

    def test_numbering(self, arrays):
        assert int(arrays["resolution"]) == GRID.resolution
        torch.testing.assert_close(GRID.verts, arrays["grid_vertices"], atol=1e-5, rtol=0)
        corners = cube_corners(torch.arange(GRID.num_cubes), GRID.resolution)
        assert torch.equal(corners, arrays["cubes"].long())

    @pytest.mark.parametrize("name", ["sphere", "torus", "noise"])
    def test_meshes(self, arrays, name):
        sdf, raw = -arrays[f"{name}_sdf"], arrays[f"{name}_weights"]  # theirs is negative inside
        verts = arrays["grid_vertices"] + arrays[f"{name}_deformation"]
        mesh = flexicubes(GRID, sdf, verts=verts, raw_weights=raw)
        theirs = Mesh(arrays[f"{name}_vertices"], arrays[f"{name}_faces"].long())
        distances, match = torch.cdist(mesh.verts.double(), theirs.verts.double()).min(1)
        assert distances.max() < 2e-6
        assert torch.equal(match.sort().values, torch.arange(len(theirs.verts)))
        assert torch.equal(sorted_faces(match[mesh.faces]), sorted_faces(theirs.faces))
        area, volume = arrays[f"{name}_area_volume"].tolist()
        assert surface_area(mesh).item() == pytest.approx(area, rel=1e-5)
        assert signed_volume(mesh).item() == pytest.approx(volume, rel=1e-5)

        fine = flexicubes(GRID, sdf, verts=verts, raw_weights=raw, splits_in_four=True)
        counts = [len(fine.verts), len(fine.faces)]
        assert counts == arrays[f"{name}_training_counts"].tolist()

        topology = dual_topology(GRID, sdf[None])
        weights = cube_weights(raw[topology.cubes])
        points = place_points(
            topology, topology.at_active(sdf[None]), verts[topology.active_verts], weights
        )
        wanted = float(arrays[f"{name}_surface_regulariser_mean"])
        assert deviation_losses(topology, points).item() == pytest.approx(wanted, rel=1e-5)


def sorted_faces(faces: Tensor) -> Tensor:
    """Faces as a set: each from its lowest vertex on, in order."""
    turns = torch.arange(3) + faces.argmin(1, keepdim=True)
    return torch.unique(faces.gather(1, turns % 3), dim=0)


class TestManifold:
    def test_every_pair_of_neighbouring_cubes(self):
        # All 4096 signs at the 12 corners of two cubes side by side, along each axis.
        grid = voxel_grid(4)
        signs = torch.tensor(list(product([-1.0, 1.0], repeat=12))).reshape(-1, 3, 2, 2)
        for axis in range(3):
            volume = torch.full((len(signs), 5, 5, 5), -1.0)
            volume.movedim(axis + 1, 1)[:, 1:4, 1:3, 1:3] = signs
            mesh = packed(grid, volume.reshape(len(signs), -1))
            assert is_manifold(mesh)
            assert signed_volume(mesh) > 0

    @pytest.mark.parametrize("splits_in_four", [False, True])
    @pytest.mark.parametrize("seed", range(3))
    def test_noise(self, seed, splits_in_four):
        sdf = closed_noise(GRID, 1, seed=seed)[0]
        generator = torch.Generator().manual_seed(seed)
        moved = GRID.verts + (torch.rand(GRID.verts.shape, generator=generator) - 0.5) / 12
        mesh = flexicubes(
            GRID,
            sdf,
            verts=moved,
            raw_weights=random_weights(GRID, seed=seed),
            splits_in_four=splits_in_four,
        )
        assert len(mesh.faces) > 4000
        assert is_manifold(mesh)
        assert signed_volume(mesh) > 0
        assert torch.equal(torch.unique(mesh.faces), torch.arange(len(mesh.verts)))
        assert euler_number(mesh) % 2 == 0

    def test_smooth_waves(self):
        generator = torch.Generator().manual_seed(0)
        waves = torch.randn(6, 3, 8, generator=generator) * 9
        sdf = (GRID.verts @ waves + torch.rand(6, 1, 8, generator=generator) * 6).sin().sum(2)
        sdf[:, GRID.boundary] = -1
        assert is_manifold(packed(GRID, sdf))

    def test_open_only_at_the_boundary(self):
        sdf = 0.1 - GRID.verts @ torch.tensor([0.3, 0.5, 0.8])  # a plane through the whole grid
        mesh = flexicubes(GRID, sdf)
        assert is_oriented(mesh)
        assert not is_watertight(mesh)
        assert torch.equal(torch.unique(mesh.faces), torch.arange(len(mesh.verts)))

    @pytest.mark.parametrize("vertex", [0, 1])
    def test_a_surface_too_near_the_boundary_for_a_face_is_empty(self, vertex):
        sdf = torch.full((len(GRID.verts),), -1.0)
        sdf[vertex] = 1.0
        for splits_in_four in (False, True):
            mesh = flexicubes(GRID, sdf, splits_in_four=splits_in_four)
            assert mesh.verts.shape == (0, 3)
            assert mesh.faces.shape == (0, 3)


class TestShapes:
    def test_sphere(self):
        grid = voxel_grid(24)
        mesh = flexicubes(grid, 0.4 - grid.verts.norm(dim=1))
        assert is_manifold(mesh)
        assert euler_number(mesh) == 2
        # dual vertices lie inside the sphere by an error of second order in cell over radius
        assert surface_area(mesh).item() == pytest.approx(4 * math.pi * 0.4**2, rel=0.01)
        assert signed_volume(mesh).item() == pytest.approx(4 / 3 * math.pi * 0.4**3, rel=0.015)
        normals = face_normals(mesh)
        outward = mesh.verts[mesh.faces].mean(1)
        assert (normals * outward).sum(1).min() > 0

    def test_torus(self):
        grid = voxel_grid(24)
        x, y, z = grid.verts.unbind(1)
        mesh = flexicubes(grid, 0.12 - torch.hypot(torch.hypot(x, z) - 0.28, y))
        assert is_manifold(mesh)
        assert euler_number(mesh) == 0
        wanted = 2 * math.pi**2 * 0.28 * 0.12**2
        assert signed_volume(mesh).item() == pytest.approx(wanted, rel=0.05)

    def test_plane_is_exact(self):
        normal = torch.tensor([0.3, -0.5, 0.8])
        mesh = flexicubes(GRID, 0.05 - GRID.verts @ normal)
        torch.testing.assert_close(mesh.verts @ normal, torch.full((len(mesh.verts),), 0.05))

    def test_weights_and_offsets_reach_the_corners_of_a_box(self):
        # The dual vertex of a corner cube starts at the mean of its three crossings, away from the
        # corner of the box; that it can be moved there is the point of the method.
        grid = voxel_grid(4)
        box = 0.25 + 1 / 16
        sdf = box - grid.verts.abs().amax(1)
        raw = torch.zeros(grid.num_cubes, 21, requires_grad=True)
        offsets = torch.zeros_like(grid.verts, requires_grad=True)
        optimizer = torch.optim.Adam([raw, offsets], lr=0.05)

        def error() -> Tensor:
            verts = flexicubes(
                grid, sdf, verts=grid.verts + offsets.tanh() / 8, raw_weights=raw
            ).verts
            corners = torch.tensor(list(product([-box, box], repeat=3)))
            return torch.cdist(corners, verts).amin(1).square().mean()

        start = error().item()
        for _ in range(60):
            optimizer.zero_grad()
            loss = error()
            loss.backward()
            optimizer.step()
        assert loss.item() < start / 100


def test_batch_equals_one_by_one():
    sdf = closed_noise(GRID, 4)
    sdf[1] = -1
    raw = random_weights(GRID)
    topology = dual_topology(GRID, sdf)
    weights = cube_weights(raw[topology.cubes])
    points = place_points(
        topology, topology.at_active(sdf), GRID.verts[topology.active_verts], weights
    )
    for splits_in_four in (False, True):
        meshes = dual_meshes(topology, points.verts, weights, splits_in_four=splits_in_four)
        for mesh, field in zip(meshes, sdf, strict=True):
            alone = flexicubes(GRID, field, raw_weights=raw, splits_in_four=splits_in_four)
            assert torch.equal(mesh.faces, alone.faces)
            assert torch.equal(mesh.verts, alone.verts)
    assert len(meshes[1].verts) == 0


def check_tables(topology: DualTopology, sdf: Tensor) -> None:
    for shapes in (topology.cube_shape, topology.active_shape, topology.crossing_vert):
        assert (shapes.diff() >= 0).all()
    assert topology.vert_counts.sum() == len(topology.vert_sizes)
    assert topology.quad_counts.sum() == len(topology.quads)
    assert topology.vert_sizes.sum() == len(topology.crossing_cube)
    repeated = torch.repeat_interleave(topology.vert_sizes)
    assert torch.equal(topology.crossing_vert, repeated)
    ends = topology.crossing_active
    values = sdf[topology.active_shape[ends], topology.active_verts[ends]] > 0
    assert (values[:, 0] ^ values[:, 1]).all()
    owner = topology.cube_shape[topology.crossing_cube]
    assert torch.equal(topology.active_shape[ends], owner[:, None].expand(-1, 2))
    cube_of_vert = torch.zeros(len(topology.vert_sizes), dtype=torch.int64)
    cube_of_vert[topology.crossing_vert] = topology.crossing_cube
    assert torch.equal(cube_of_vert[topology.quads], topology.quad_cubes)


def test_tables_agree():
    sdf = closed_noise(GRID, 3)
    topology = dual_topology(GRID, sdf)
    check_tables(topology, sdf)
    crossings = ((sdf > 0)[:, GRID.edges[:, 0]] ^ (sdf > 0)[:, GRID.edges[:, 1]]).sum()
    assert len(topology.quads) == crossings  # none on the boundary
    assert len(topology.crossing_cube) == 4 * crossings
    sdf[:, GRID.boundary] *= -1  # now the surfaces end at the boundary
    check_tables(dual_topology(GRID, sdf), sdf)


@pytest.mark.parametrize("splits_in_four", [False, True])
def test_gradients_against_finite_differences(splits_in_four):
    grid = voxel_grid(3)
    generator = torch.Generator().manual_seed(1)
    sdf = torch.randn(len(grid.verts), dtype=torch.float64, generator=generator)
    sdf = (sdf.sign() * (0.2 + sdf.abs())).requires_grad_()  # keeps differences off sign changes
    verts = grid.verts.double().requires_grad_()
    raw = torch.randn(grid.num_cubes, 21, dtype=torch.float64, generator=generator)
    raw.requires_grad_()

    def verts_of(sdf: Tensor, verts: Tensor, raw: Tensor) -> Tensor:
        return flexicubes(
            grid, sdf, verts=verts, raw_weights=raw, splits_in_four=splits_in_four
        ).verts

    def deviation(sdf: Tensor, verts: Tensor, raw: Tensor) -> Tensor:
        topology = dual_topology(grid, sdf[None])
        weights = cube_weights(raw[topology.cubes])
        points = place_points(
            topology, topology.at_active(sdf[None]), verts[topology.active_verts], weights
        )
        return deviation_losses(topology, points)

    assert verts_of(sdf, verts, raw).dtype == torch.float64
    assert torch.autograd.gradcheck(verts_of, (sdf, verts, raw), fast_mode=True)
    assert torch.autograd.gradcheck(deviation, (sdf, verts, raw), fast_mode=True)
    (gradient,) = torch.autograd.grad(verts_of(sdf, verts, raw).square().sum(), raw)
    moved = gradient.abs().amax(0) > 0
    assert moved[:20].all()
    assert moved[20] == splits_in_four  # the choice of a diagonal has no gradient


def test_weights_are_bounded_and_neutral_at_zero():
    weights = cube_weights(torch.tensor([[0.0] * 21, [-30.0] * 21, [30.0] * 21]))
    for values, middle, low, high in (
        (weights.edges, 1.0, 0.5, 1.5),
        (weights.corners, 1.0, 0.5, 1.5),
        (weights.split[:, None], 0.5, 0.25, 0.75),
    ):
        wanted = torch.tensor([middle, low, high])
        torch.testing.assert_close(values, wanted[:, None].expand_as(values))


def test_quads_are_split_along_the_larger_product():
    grid = voxel_grid(4)
    sdf = torch.full((len(grid.verts),), -1.0)
    sdf[grid.centre] = 1.0  # eight cubes, eight vertices, six quads: a cube
    low = cube_corners(torch.arange(grid.num_cubes), 4)[:, 0]
    parity = (grid.verts[low] * 4).round().sum(1) % 2  # of opposite corners of each quad
    for wanted in (0, 1):
        raw = torch.zeros(grid.num_cubes, 21)
        raw[parity == wanted, 20] = 5.0
        mesh = flexicubes(grid, sdf, raw_weights=raw)
        assert len(mesh.verts) == 8
        assert len(mesh.faces) == 12
        # Both ends of each diagonal are of that parity: each such vertex is on three diagonals.
        uses = torch.bincount(mesh.faces.flatten(), minlength=8)
        sides = mesh.verts.sign().prod(1)
        assert set(uses.tolist()) == {3, 6}
        assert len(sides[uses == 6].unique()) == 1
        assert (sides[uses == 6][0] < 0) == (wanted == 1)


def test_the_fourfold_split_meets_between_the_diagonals():
    topology = dual_topology(GRID, closed_noise(GRID, 1))
    raw = random_weights(GRID)[topology.cubes]
    weights = cube_weights(raw)
    verts = torch.randn(len(topology.vert_sizes), 3, generator=torch.Generator().manual_seed(0))
    mesh = dual_meshes(topology, verts, weights, splits_in_four=True)[0]
    centres = mesh.verts[len(verts) :]
    corners, gammas = verts[topology.quads], weights.split[topology.quad_cubes]
    even, odd = gammas[:, 0] * gammas[:, 2], gammas[:, 1] * gammas[:, 3]
    wanted = even[:, None] * (corners[:, 0] + corners[:, 2]) / 2
    wanted = wanted + odd[:, None] * (corners[:, 1] + corners[:, 3]) / 2
    torch.testing.assert_close(centres, wanted / (even + odd)[:, None])


@pytest.mark.parametrize("tiny", [0.0, 1e-12, 1e-30, 1e-42])
def test_tiny_distances_stay_finite(tiny):
    sdf = 0.3 - GRID.verts.norm(dim=1)
    sdf[(sdf.abs() < 0.05).nonzero()[::2, 0]] = tiny
    sdf.requires_grad_()
    raw = random_weights(GRID).requires_grad_()
    topology = dual_topology(GRID, sdf[None])
    weights = cube_weights(raw[topology.cubes])
    points = place_points(
        topology, topology.at_active(sdf[None]), GRID.verts[topology.active_verts], weights
    )
    mesh = dual_meshes(topology, points.verts, weights, splits_in_four=True)[0]
    assert mesh.verts.isfinite().all()
    assert is_manifold(mesh)
    (mesh.verts.square().sum() + deviation_losses(topology, points).sum()).backward()
    assert sdf.grad.isfinite().all()
    assert raw.grad.isfinite().all()


@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0])
def test_no_surface_is_an_empty_mesh(value):
    sdf = torch.full((2, len(GRID.verts)), value, requires_grad=True)
    topology = dual_topology(GRID, sdf)
    weights = cube_weights(torch.zeros(0, 21))
    points = place_points(topology, topology.at_active(sdf), GRID.verts[:0], weights)
    loss = deviation_losses(topology, points).sum()
    for splits_in_four in (False, True):
        for mesh in dual_meshes(topology, points.verts, weights, splits_in_four=splits_in_four):
            assert mesh.verts.shape == (0, 3)
            assert mesh.faces.shape == (0, 3)
            loss = loss + mesh.verts.sum()
    loss.backward()
    assert loss.item() == 0
    assert (sdf.grad == 0).all()


def test_bad_input_is_named():
    sdf = 0.3 - GRID.verts.norm(dim=1)
    with pytest.raises(ValueError, match="sdf must have 2197 rows for this grid, got 5"):
        flexicubes(GRID, torch.ones(5))
    with pytest.raises(ValueError, match="sdf must be finite"):
        flexicubes(GRID, sdf.where(sdf > 0, math.nan))
    with pytest.raises(ValueError, match="verts must be finite"):
        flexicubes(GRID, sdf, verts=GRID.verts * math.inf)
    with pytest.raises(ValueError, match="raw_weights must have 1728 rows"):
        flexicubes(GRID, sdf, raw_weights=torch.zeros(7, 21))
    with pytest.raises(ValueError, match="raw_weights must be finite"):
        flexicubes(GRID, sdf, raw_weights=torch.full((GRID.num_cubes, 21), math.nan))
    with pytest.raises(ValueError, match="sdf must hold at least one shape"):
        dual_topology(GRID, torch.ones(0, len(GRID.verts)))
    with pytest.raises(ValueError, match="got 5"):
        dual_topology(GRID, torch.ones(1, 5))


@pytest.mark.gpu
def test_a_gpu_gives_the_same_meshes_and_gradients():
    results = []
    for device in ("cpu", "cuda"):
        grid = GRID.to(device)
        sdf = closed_noise(GRID, 1)[0].to(device).requires_grad_()
        raw = random_weights(GRID).to(device).requires_grad_()
        mesh = flexicubes(grid, sdf, raw_weights=raw, splits_in_four=True)
        topology = dual_topology(grid, sdf[None])
        weights = cube_weights(raw[topology.cubes])
        points = place_points(
            topology, topology.at_active(sdf[None]), grid.verts[topology.active_verts], weights
        )
        (mesh.verts.square().sum() + deviation_losses(topology, points).sum()).backward()
        results.append([t.cpu() for t in (mesh.faces, mesh.verts, sdf.grad, raw.grad)])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
