"""Sparse extraction equals dense extraction; where it differs, the surface is still closed."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from get3d.core import Mesh
from get3d.geometry import (
    KnownSurface,
    SparseCubes,
    SparseSurface,
    bcc_cells,
    bcc_grid,
    connected_components,
    crossed_edges,
    cube_corners,
    cube_weights,
    dual_meshes,
    extract_sparse_cubes,
    extract_sparse_surface,
    flexicubes,
    is_manifold,
    is_oriented,
    is_watertight,
    place_points,
    signed_volume,
    sparse_extraction,
    sparse_meshes,
    surface_meshes,
    surface_topology,
    voxel_grid,
)
from tests.geometry.surfaces import assert_same_surface, faces_among

Field = Callable[[Tensor], Tensor]
COARSE = 26  # resolution; 10 cells


def ball(radius: float, *centre: float) -> Field:
    return lambda points: radius - (points - torch.tensor(centre).to(points)).norm(dim=1)


def torus(points: Tensor) -> Tensor:
    x, y, z = (points @ torch.linalg.matrix_exp(torch.tensor(SPIN).to(points))).unbind(1)
    return 0.11 - torch.hypot(torch.hypot(x, z) - 0.27, y)


def box(points: Tensor) -> Tensor:
    turned = points @ torch.linalg.matrix_exp(torch.tensor(SPIN).to(points))
    return (torch.tensor([0.3, 0.2, 0.1]).to(points) - turned.abs()).amin(1)


def rod(points: Tensor) -> Tensor:
    """A rod between the vertices of the coarse lattice, from the origin along x."""
    x, y, z = points.unbind(1)
    across = 0.02 - torch.hypot(y - 0.03, z - 0.02)
    return torch.minimum(across, torch.minimum(x + 0.001, 0.446 - x))


SPIN = [[0.0, 0.4, -0.3], [-0.4, 0.0, 0.7], [0.3, -0.7, 0.0]]


def dense(field: Field, resolution: int, *, scale: float = 1.0) -> Mesh:
    """Extract a surface with the field evaluated at every vertex of the grid."""
    grid, halves = bcc_grid(resolution), 2 * bcc_cells(resolution)
    verts = ((grid.verts.double() * halves).round() / halves) * scale  # without single rounding
    sdf = field(verts)[None]
    topology = surface_topology(grid, sdf)
    return surface_meshes(topology, sdf, verts[topology.active_verts])[0]


def trace(
    fields: list[Field], resolution: int, *, coarse: int = COARSE, scale: float = 1.0
) -> tuple[SparseSurface, int]:
    """Extract a sparse surface; also return the number of points evaluated."""
    grid = bcc_grid(coarse, scale=scale)
    verts = grid.verts.double()
    topology = surface_topology(grid, torch.stack([field(verts) for field in fields]))
    num_evaluated = 0

    def sdf(points: Tensor, shape: Tensor) -> Tensor:
        nonlocal num_evaluated
        num_evaluated += len(points)
        assert torch.equal(shape, shape.sort().values)
        values = [field(points) for field in fields]
        return torch.stack(values)[shape, torch.arange(len(points))]

    known = KnownSurface(
        points=verts[topology.active_verts],
        shape=topology.active_shape,
        num_shapes=len(fields),
        num_cells=bcc_cells(coarse),
        scale=scale,
    )
    return extract_sparse_surface(sdf, known, bcc_cells(resolution)), num_evaluated


def meshes_of(sparse: SparseSurface) -> list[Mesh]:
    return sparse_meshes(sparse, sparse.sdf, sparse.points)


@pytest.mark.parametrize("field", [ball(0.3, 0.02, 0.01, 0.03), torus, box])
@pytest.mark.parametrize("resolution", [26, 36, 51, 77])
def test_the_same_surface_as_of_the_dense_grid(field: Field, resolution: int) -> None:
    [mesh] = meshes_of(trace([field], resolution)[0])
    assert_same_surface(mesh, dense(field, resolution))
    assert is_watertight(mesh)


def test_of_another_scale_and_open_at_the_boundary() -> None:
    field = ball(0.9, 0.5, 0.1, 0.2)
    [mesh] = meshes_of(trace([field], 64, scale=1.6)[0])
    assert_same_surface(mesh, dense(field, 64, scale=1.6))
    assert not is_watertight(mesh)


def test_shapes_of_a_batch_equal_single_ones_and_may_be_empty() -> None:
    fields = [ball(0.3, 0.02, 0.01, 0.03), ball(-1.0, 0, 0, 0), torus, ball(0.004, 0.013, 0, 0)]
    meshes = meshes_of(trace(fields, 51)[0])
    for field, mesh in zip(fields[::2], meshes[::2], strict=True):
        [alone] = meshes_of(trace([field], 51)[0])
        assert torch.equal(mesh.verts, alone.verts)
        assert torch.equal(mesh.faces, alone.faces)
    assert [len(mesh.faces) for mesh in meshes[1::2]] == [0, 0]


def test_no_surface_at_all() -> None:
    sparse, num_evaluated = trace([ball(-1.0, 0, 0, 0)] * 2, 51)
    assert num_evaluated == 0
    assert [mesh.verts.shape for mesh in meshes_of(sparse)] == [(0, 3)] * 2


class TestPartsBelowTheCoarseResolution:
    """The coarse grid contains the ball, but not the rod and the bubble."""

    seen = staticmethod(ball(0.151, 0.003, 0.004, 0.002))
    bubble = staticmethod(ball(0.03, -0.37, 0.025, 0.02))
    resolution = 103

    def test_the_coarse_grid_misses_them(self) -> None:
        coarse = bcc_grid(COARSE).verts.double()
        beyond = coarse[coarse[:, 0] > 0.16]
        assert (rod(beyond) < 0).all()
        assert (self.bubble(coarse) < 0).all()

    def test_parts_connected_to_the_coarse_surface_are_found(self) -> None:
        def field(points: Tensor) -> Tensor:
            return torch.maximum(self.seen(points), rod(points))

        [mesh] = meshes_of(trace([field], self.resolution)[0])
        assert mesh.verts[:, 0].max() > 0.435
        assert_same_surface(mesh, dense(field, self.resolution))
        assert is_watertight(mesh)

    def test_separate_parts_are_missed_and_nothing_else(self) -> None:
        def field(points: Tensor) -> Tensor:
            return torch.maximum(self.seen(points), self.bubble(points))

        [mesh] = meshes_of(trace([field], self.resolution)[0])
        assert_same_surface(mesh, dense(self.seen, self.resolution))
        everything = dense(field, self.resolution)
        assert connected_components(everything).max() == 1
        assert connected_components(mesh).max() == 0


class TestNoise:
    """Independent values at all vertices: the worst case."""

    resolution = 51

    def field(self, level: float, seed: int) -> Field:
        num = 2 * bcc_cells(self.resolution)
        rng = torch.Generator().manual_seed(seed)
        table = level - torch.rand((num + 1,) * 3, generator=rng, dtype=torch.float64)

        def field(points: Tensor) -> Tensor:
            places = ((points + 0.5) * num).round().long()
            values = table[places.unbind(1)]
            return torch.where(((places == 0) | (places == num)).any(1), -1.0, values)

        return field

    @pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
    def test_dense_noise_is_found_completely(self, level: float) -> None:
        field = self.field(level, 0)
        [mesh] = meshes_of(trace([field], self.resolution)[0])
        assert is_watertight(mesh)
        assert is_oriented(mesh)
        assert is_manifold(mesh)
        expected = dense(field, self.resolution)
        assert len(mesh.faces) == len(expected.faces)
        assert math.isclose(signed_volume(mesh), signed_volume(expected), rel_tol=1e-6)

    @pytest.mark.parametrize("seed", range(3))
    def test_components_of_sparse_noise_are_complete_or_missing(self, seed: int) -> None:
        field = self.field(0.004, seed)
        [mesh] = meshes_of(trace([field], self.resolution)[0])
        assert is_watertight(mesh)
        expected = dense(field, self.resolution)
        assert 0 < len(mesh.faces) < len(expected.faces)
        found = torch.tensor(sorted(faces_among(mesh, expected)))
        components = connected_components(expected)[expected.faces[:, 0]]
        sizes = components.bincount()
        found_sizes = connected_components(expected)[found[:, 0]].bincount(minlength=len(sizes))
        assert ((found_sizes == sizes) | (found_sizes == 0)).all()


def test_work_grows_with_the_surface() -> None:
    evaluated = [trace([torus], resolution)[1] for resolution in (51, 103, 205)]
    assert evaluated[2] < 4.5 * evaluated[1] < 4.5 * 5 * evaluated[0]
    assert evaluated[2] < 0.3 * 2 * bcc_cells(205) ** 3  # two vertices a cell


def test_gradients() -> None:
    sparse, _ = trace([box, torus], 36)
    sdf = sparse.sdf.clone().requires_grad_()
    positions = sparse.points.clone().requires_grad_()
    rng = torch.Generator().manual_seed(0)
    probes = [torch.randn(len(m.verts), 3, generator=rng).double() for m in meshes_of(sparse)]

    def total(sdf: Tensor, positions: Tensor) -> Tensor:
        meshes = sparse_meshes(sparse, sdf, positions)
        return sum((m.verts * probe).sum() for m, probe in zip(meshes, probes, strict=True))

    grads = torch.autograd.grad(total(sdf, positions), (sdf, positions))
    along = [torch.randn(each.shape, generator=rng).double() for each in grads]
    along[0] *= sdf.detach().abs()  # so that no sign changes
    step = 1e-6
    there, back = (
        total(sdf + sign * step * along[0], positions + sign * step * along[1]) for sign in (1, -1)
    )
    expected = (there - back).detach() / (2 * step)
    found = sum((grad * way).sum() for grad, way in zip(grads, along, strict=True))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("field", [ball(0.3, 0.02, 0.01, 0.03), torus, box])
@pytest.mark.parametrize("resolution", [8, 16, 25])
def test_a_coarser_surface_than_the_known_one(field: Field, resolution: int) -> None:
    [mesh] = meshes_of(trace([field], resolution)[0])
    assert_same_surface(mesh, dense(field, resolution))


@pytest.mark.parametrize("coarse", [1, 10, 16, 25])
def test_each_lattice_on_the_way_is_at_most_twice_as_fine(coarse: int) -> None:
    for wanted in (3, coarse, coarse + 1, 2 * coarse, 2 * coarse + 1, 79, 511, 1016, 2040):
        levels = [coarse, *sparse_extraction._levels(coarse, wanted)]
        assert levels[-1] == wanted
        assert len(levels) > 1
        assert all(b <= 2 * a for a, b in pairwise(levels))
        if wanted > coarse:
            assert levels == sorted(set(levels))


class TestCubes:
    """FlexiCubes: at any resolution, the surface of dense extraction."""

    COARSE = 12

    def trace(self, fields: list[Field], resolution: int, scale: float = 1.0) -> SparseCubes:
        grid = voxel_grid(self.COARSE, scale=scale)
        verts = grid.verts.double()
        occupied = torch.stack([field(verts) for field in fields]) > 0
        shape, edge = crossed_edges(occupied, grid.edges)
        known = KnownSurface(
            points=verts[grid.edges[edge].flatten()],
            shape=shape.repeat_interleave(2),
            num_shapes=len(fields),
            num_cells=self.COARSE,
            scale=scale,
        )

        def sdf(points: Tensor, shape: Tensor) -> Tensor:
            assert torch.equal(shape, shape.sort().values)
            values = torch.stack([field(points) for field in fields])
            return values[shape, torch.arange(len(points))]

        return extract_sparse_cubes(sdf, known, resolution)

    def meshes(self, sparse: SparseCubes) -> list[Mesh]:
        weights = cube_weights(sparse.points.new_zeros(len(sparse.centres), 21))
        points = place_points(sparse.topology, sparse.sdf, sparse.points, weights)
        return dual_meshes(sparse.topology, points.verts, weights, splits_in_four=False)

    def dense(self, field: Field, resolution: int, scale: float = 1.0) -> Mesh:
        places = (voxel_grid(resolution).verts.double() * resolution * 2).round()
        verts = places / (2 * resolution) * scale  # without single rounding
        grid = replace(voxel_grid(resolution, scale=scale), verts=verts)
        return flexicubes(grid, field(verts))

    @pytest.mark.parametrize("field", [ball(0.3, 0.02, 0.01, 0.03), torus, box])
    @pytest.mark.parametrize("resolution", [7, 11, 12, 17, 24, 41])
    def test_the_same_surface_as_of_the_dense_grid(self, field: Field, resolution: int) -> None:
        [mesh] = self.meshes(self.trace([field], resolution))
        assert_same_surface(mesh, self.dense(field, resolution))
        assert is_watertight(mesh)

    def test_of_another_scale_and_open_at_the_boundary(self) -> None:
        field = ball(0.9, 0.5, 0.1, 0.2)
        [mesh] = self.meshes(self.trace([field], 30, scale=1.6))
        assert_same_surface(mesh, self.dense(field, 30, scale=1.6))
        assert not is_watertight(mesh)

    def test_shapes_of_a_batch_equal_single_ones_and_may_be_empty(self) -> None:
        fields = [ball(0.3, 0.02, 0.01, 0.03), ball(-1.0, 0, 0, 0), torus]
        sparse = self.trace(fields, 25)
        meshes = self.meshes(sparse)
        for field, mesh in zip(fields[::2], meshes[::2], strict=True):
            [alone] = self.meshes(self.trace([field], 25))
            assert torch.equal(mesh.verts, alone.verts)
            assert torch.equal(mesh.faces, alone.faces)
        assert len(meshes[1].faces) == 0
        [nothing] = self.meshes(self.trace([fields[1]], 25))
        assert nothing.verts.shape == (0, 3)

    def test_points_edges_and_centres(self) -> None:
        sparse = self.trace([torus, box], 25)
        grid = voxel_grid(25)
        field = torch.stack([torus(grid.verts.double()), box(grid.verts.double())])
        torch.testing.assert_close(sparse.sdf, sparse.topology.at_active(field), atol=1e-6, rtol=0)
        ends = sparse.points[sparse.edges]
        torch.testing.assert_close(
            (ends[:, 1] - ends[:, 0]).norm(dim=1), torch.full((len(ends),), 1 / 25).double()
        )
        assert ((sparse.sdf[sparse.edges] > 0).sum(1) == 1).all()
        shape, _ = crossed_edges(field > 0, grid.edges)
        assert len(ends) == len(shape)
        corners = grid.verts[cube_corners(sparse.topology.cubes, 25)].double()
        torch.testing.assert_close(sparse.centres, corners.mean(1), atol=1e-6, rtol=0)

    @pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
    def test_noise_is_found_completely_and_closed(self, level: float) -> None:
        resolution = 21
        rng = torch.Generator().manual_seed(0)
        table = level - torch.rand((resolution + 1,) * 3, generator=rng, dtype=torch.float64)

        def field(points: Tensor) -> Tensor:
            places = ((points + 0.5) * resolution).round().long()
            is_end = ((places == 0) | (places == resolution)).any(1)
            return torch.where(is_end, -1.0, table[places.unbind(1)])

        [mesh] = self.meshes(self.trace([field], resolution))
        assert is_manifold(mesh)
        assert is_watertight(mesh)
        expected = self.dense(field, resolution)
        assert len(mesh.faces) == len(expected.faces)
        assert math.isclose(signed_volume(mesh), signed_volume(expected), rel_tol=1e-6)

    def test_keys_far_apart_are_found_without_a_table_of_all(self) -> None:
        """A table of 512^3 cubes would take 0.5 GB; the surface has a millionth of them."""
        [mesh] = self.meshes(self.trace([ball(0.02, 0.0, 0.0, 0.0)], 512))
        assert is_manifold(mesh)
        assert math.isclose(signed_volume(mesh), 4 / 3 * math.pi * 0.02**3, rel_tol=0.02)


@pytest.mark.gpu
def test_gpu_agrees_with_cpu() -> None:
    grid = bcc_grid(COARSE)
    active = surface_topology(grid, torus(grid.verts)[None]).active_verts
    near = grid.verts[active]
    found = []
    for device in ("cpu", "cuda"):
        known = KnownSurface(
            points=near.to(device),
            shape=torch.zeros_like(active).to(device),
            num_shapes=1,
            num_cells=bcc_cells(COARSE),
            scale=1.0,
        )
        sparse = extract_sparse_surface(lambda points, _: torus(points), known, bcc_cells(64))
        [mesh] = meshes_of(sparse)
        found.append(Mesh(mesh.verts.cpu(), mesh.faces.cpu()))
    assert_same_surface(*found, atol=1e-5)


@pytest.mark.gpu
def test_cubes_on_a_gpu_agree_with_the_cpu() -> None:
    grid = voxel_grid(12)
    _, edge = crossed_edges(torus(grid.verts)[None] > 0, grid.edges)
    found = []
    for device in ("cpu", "cuda"):
        points = grid.verts[grid.edges[edge].flatten()].to(device)
        known = KnownSurface(
            points=points,
            shape=torch.zeros(len(points), dtype=torch.int64, device=device),
            num_shapes=1,
            num_cells=12,
            scale=1.0,
        )
        [mesh] = TestCubes().meshes(extract_sparse_cubes(lambda p, _: torus(p), known, 40))
        found.append(Mesh(mesh.verts.cpu(), mesh.faces.cpu()))
    assert_same_surface(*found, atol=1e-5)
