"""Surfaces finer than the generator's grid are those of a finer grid, and so their gradients."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from get3d.core import Mesh
from get3d.geometry import is_manifold, is_oriented, is_watertight, make_grid
from get3d.models import Generator, GeneratorConfig, GridOptions, Surface
from get3d.models.fields import Fields
from tests.geometry.surfaces import assert_same_surface
from tests.tiny import TINY as SMALLEST

TINY = SMALLEST | {"plane_resolution": 16, "channel_base": 128}

BALL = {"sdf_base": "sphere", "sdf_base_radius": 0.3, "sdf_base_weight": 0.05}


def fields_of(generator: Generator, num: int = 2) -> Fields:
    rng = torch.Generator().manual_seed(0)
    z = torch.randn(2, num, 8, generator=rng, dtype=torch.float64)
    return generator.fields(generator.map(z[0], z[1]))


def make(**changes: object) -> Generator:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Generator(GeneratorConfig(**(TINY | BALL | changes))).double()


def with_config(generator: Generator, **changes: object) -> Generator:
    """The same network on another grid."""
    other = Generator(replace(generator.config, **changes)).double()
    other.load_state_dict(generator.state_dict())
    return other


def gradients(generator: Generator, meshes: list[Mesh]) -> dict[str, Tensor]:
    generator.zero_grad()
    sum(mesh.verts.square().sum() for mesh in meshes).backward()
    return {name: p.grad for name, p in generator.named_parameters() if p.grad is not None}


def with_whole_grid(generator: Generator, resolution: int) -> Generator:
    """The same, all of whose finer or coarser grid is evaluated; offsets are those of training."""
    fraction = generator.config.grid_resolution / resolution
    return with_config(generator, grid_resolution=resolution, deformation_multiplier=fraction)


def assert_same_gradients(
    ours: tuple[Generator, list[Mesh]], theirs: tuple[Generator, list[Mesh]]
) -> None:
    found, expected = gradients(*ours), gradients(*theirs)
    assert found.keys() == expected.keys()
    for name, grad in expected.items():
        scale = float(grad.abs().max()) + 1e-3
        torch.testing.assert_close(found[name], grad, atol=1e-3 * scale, rtol=1e-3)


@pytest.mark.parametrize("architecture", ["unified", "separate"])
@pytest.mark.parametrize("resolution", [18, 24, 41])
def test_same_surface_and_gradients_as_of_a_whole_grid(architecture: str, resolution: int) -> None:
    generator = make(architecture=architecture)
    finer = with_whole_grid(generator, resolution)
    ours = generator.extract(fields_of(generator), grid=GridOptions(grid_resolution=resolution))
    theirs = finer.extract(fields_of(finer))
    for mesh, expected in zip(ours.meshes, theirs.meshes, strict=True):
        # The whole grid has its coordinates in single precision.
        assert_same_surface(mesh, expected, atol=1e-5)
    torch.testing.assert_close(ours.sign_change_loss, theirs.sign_change_loss, rtol=1e-5, atol=1e-5)
    assert_same_gradients((generator, ours.meshes), (finer, theirs.meshes))


def test_subdivisions_of_the_config_and_of_the_moment() -> None:
    generator = make()
    trained = with_config(generator, subdivisions=1, deformation_multiplier=0.5)
    options = GridOptions(subdivisions=1)
    pairs = [
        (
            generator.extract(fields_of(generator), grid=options),
            trained.extract(fields_of(trained)),
        ),
        (
            generator.extract(fields_of(generator)),
            trained.extract(fields_of(trained), grid=GridOptions(subdivisions=0)),
        ),
    ]
    for ours, theirs in pairs:
        for mesh, expected in zip(ours.meshes, theirs.meshes, strict=True):
            assert torch.equal(mesh.verts, expected.verts)
            assert torch.equal(mesh.faces, expected.faces)
    few, many = (len(surface.meshes[0].faces) for surface in (pairs[1][0], pairs[0][0]))
    assert 3 < many / few < 5


def test_trained_offsets_shrink_with_subdivisions() -> None:
    raw = torch.full((1, 3), 100.0)
    for times in (0, 1, 2):
        offsets = make(subdivisions=times).offsets(raw)
        torch.testing.assert_close(offsets, torch.full((1, 3), 1 / (12 * 2**times)))


def test_gradients_are_those_of_finite_differences() -> None:
    generator = make(subdivisions=1)
    rng = torch.Generator().manual_seed(0)
    parts = list(generator.parameters())
    ways = [torch.randn(p.shape, generator=rng, dtype=torch.float64) for p in parts]

    def total(surface: Surface) -> Tensor:
        verts = sum(mesh.verts.square().sum() for mesh in surface.meshes)
        return verts + surface.sign_change_loss.sum()

    surface = generator.extract(fields_of(generator), for_training=True)
    grads = torch.autograd.grad(total(surface), parts, allow_unused=True)
    found = sum((g * w).sum() for g, w in zip(grads, ways, strict=True) if g is not None)
    step, surfaces = 1e-7, []
    for sign in (1, -1):
        moved = copy.deepcopy(generator)
        with torch.no_grad():
            for part, way in zip(moved.parameters(), ways, strict=True):
                part += sign * step * way
        surfaces.append(moved.extract(fields_of(moved), for_training=True))
        for mesh, first in zip(surfaces[-1].meshes, surface.meshes, strict=True):
            assert torch.equal(mesh.faces, first.faces)
    expected = (total(surfaces[0]) - total(surfaces[1])) / (2 * step)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_fresh_network_gives_closed_surfaces_at_every_fineness() -> None:
    generator = make(sdf_base="none")
    verts = generator.grid.verts

    class Walled(Fields):
        """Outside at the grid's boundary."""

        def sdf(self, points: Tensor) -> Tensor:
            return torch.minimum(super().sdf(points), 0.47 - points.abs().amax(-1))

        def grid_sdf(self) -> Tensor:
            return self.sdf(verts)

    fields = Walled(**vars(fields_of(generator, 4)))
    for times in (1, 2):
        for mesh in generator.extract(fields, grid=GridOptions(subdivisions=times)).meshes:
            assert len(mesh.faces) > 1000
            assert is_oriented(mesh)
            assert is_manifold(mesh)
            assert is_watertight(mesh)


def test_a_fallback_surface_is_on_the_coarse_grid() -> None:
    generator = make()
    fields = fields_of(generator, 2)

    class Lifted(Fields):
        """The second shape is inside everywhere."""

        def grid_sdf(self) -> Tensor:
            return super().grid_sdf() + torch.tensor([[0.0], [100.0]], dtype=torch.float64)

    lifted = Lifted(**vars(fields))
    surface = generator.extract(lifted, grid=GridOptions(subdivisions=1))
    assert surface.is_fallback.tolist() == [False, True]
    alone = generator.extract(fields, grid=GridOptions(subdivisions=1))
    coarse = generator.extract(lifted)
    assert torch.equal(surface.meshes[0].verts, alone.meshes[0].verts)
    assert torch.equal(surface.meshes[1].verts, coarse.meshes[1].verts)
    assert len(surface.meshes[1].faces) > 0


@pytest.mark.parametrize("architecture", ["unified", "separate"])
def test_a_batch_of_fallback_surfaces_alone(architecture: str) -> None:
    generator = make(architecture=architecture, sdf_base_radius=5.0, subdivisions=1)
    fields = fields_of(generator)
    surface = generator.extract(fields, for_training=True)
    assert surface.is_fallback.all()
    assert all(len(mesh.faces) > 0 for mesh in surface.meshes)
    assert (surface.sign_change_loss == 0).all()
    (surface.sign_change_loss + surface.empty_penalty).sum().backward()
    nothing = torch.zeros(0, 3, dtype=torch.float64), torch.zeros(0, dtype=torch.int64)
    assert fields.packed(fields.sdf, *nothing).shape == (0,)
    assert fields.packed(fields.deformation, *nothing).shape == (0, 3)


def test_rounding_that_turns_signs_moves_no_vertex_off_its_edge() -> None:
    generator = make()

    class Unsteady(Fields):
        """With a gradient, another value than without."""

        def sdf(self, points: Tensor) -> Tensor:
            sdf = super().sdf(points)
            return sdf + 0.004 if torch.is_grad_enabled() else sdf

    fields = fields_of(generator)
    first = generator.extract(fields, grid=GridOptions(subdivisions=1)).meshes
    second = generator.extract(Unsteady(**vars(fields)), grid=GridOptions(subdivisions=1)).meshes
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a.faces, b.faces)
        assert not torch.equal(a.verts, b.verts)
        assert (a.verts - b.verts).norm(
            dim=1
        ).max() < 0.5 / 5 * 1.01  # an edge of five cells, halved


def test_of_a_grid_that_is_no_lattice() -> None:
    generator = make()
    grid = generator.grid
    rng = torch.Generator().manual_seed(0)
    moved = grid.verts + 0.02 * torch.randn(grid.verts.shape, generator=rng)
    moved[grid.boundary] = grid.verts[grid.boundary].to(moved)
    own = Generator(generator.config, grid=make_grid(moved.float(), grid.tets, resolution=12))
    own = own.double()
    own.load_state_dict(generator.state_dict())
    options = GridOptions(grid_resolution=30)
    ours, theirs = (each.extract(fields_of(each), grid=options).meshes for each in (own, generator))
    for mesh, expected in zip(ours, theirs, strict=True):
        assert_same_surface(mesh, expected)


class TestFlexiCubes:
    def make(self, **changes: object) -> Generator:
        return make(iso_surface="flexicubes", **({"grid_resolution": 8} | changes))

    def test_of_its_own_resolution_is_the_surface_of_training(self) -> None:
        generator = self.make()
        fields = fields_of(generator)
        expected = generator.surface(fields)
        for options in (GridOptions(grid_resolution=8), GridOptions(subdivisions=0)):
            for mesh, plain in zip(
                generator.extract(fields, grid=options).meshes, expected, strict=True
            ):
                assert torch.equal(mesh.verts, plain.verts)

    def test_subdivided_training_is_that_of_the_whole_finer_grid(self) -> None:
        """Offsets and weights of cubes are then those of the finer grid: all must agree."""
        split = self.make(subdivisions=1)
        finer = with_config(split, grid_resolution=16, subdivisions=0)
        ours = split.extract(fields_of(split), for_training=True)
        theirs = finer.extract(fields_of(finer), for_training=True)
        for mesh, expected in zip(ours.meshes, theirs.meshes, strict=True):
            assert_same_surface(mesh, expected, atol=1e-5)
        for name in ("sign_change_loss", "deviation_loss", "magnitude_loss"):
            found, wanted = getattr(ours, name), getattr(theirs, name)
            torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)
        assert_same_gradients((split, ours.meshes), (finer, theirs.meshes))

    @pytest.mark.parametrize("resolution", [5, 13, 32])
    def test_at_another_resolution(self, resolution: int) -> None:
        generator = self.make(sdf_base_weight=0.01)
        fields = fields_of(generator)
        own = generator.surface(fields)
        meshes = generator.extract(fields, grid=GridOptions(grid_resolution=resolution)).meshes
        for mesh, trained in zip(meshes, own, strict=True):
            assert is_manifold(mesh)
            ratio = len(mesh.faces) / len(trained.faces)
            assert 0.6 < ratio / (resolution / 8) ** 2 < 1.6
            # The same shape, within the cells of the coarser of the two.
            gaps = torch.cdist(mesh.verts, trained.verts).amin(1)
            assert gaps.mean() < 0.5 / min(resolution, 8)
            middles = [each.verts.mean(0) for each in (mesh, trained)]
            assert (middles[0] - middles[1]).norm() < 0.05

    def test_weights_are_evaluated_on_cubes_as_large_as_in_training(self) -> None:
        generator = self.make()
        fields = fields_of(generator)
        evaluated = []

        class Watched(Fields):
            def flexi_weights(self, corners: Tensor) -> Tensor:
                evaluated.append(corners)
                return super().flexi_weights(corners)

        watched = Watched(**vars(fields))
        generator.extract(watched, grid=GridOptions(grid_resolution=19))
        diagonals = evaluated[0][:, :, 7] - evaluated[0][:, :, 0]
        is_cube = diagonals.abs().amax(2) > 0  # rows are padded with zeros
        torch.testing.assert_close(
            diagonals[is_cube], torch.full_like(diagonals[is_cube], 1 / 8), atol=1e-9, rtol=0
        )

    def test_fallback_surfaces(self) -> None:
        generator = self.make(sdf_base_radius=5.0, subdivisions=1)
        surface = generator.extract(fields_of(generator), for_training=True)
        assert surface.is_fallback.all()
        assert all(len(mesh.faces) > 0 for mesh in surface.meshes)
        regularizers = surface.sign_change_loss + surface.empty_penalty + surface.magnitude_loss
        regularizers.sum().backward()


@pytest.mark.parametrize("architecture", ["unified", "separate"])
@pytest.mark.parametrize("resolution", [3, 8])
def test_coarser_than_in_training(architecture: str, resolution: int) -> None:
    generator = make(architecture=architecture, sdf_base_radius=0.4)
    coarser = with_whole_grid(generator, resolution)
    ours = generator.extract(fields_of(generator), grid=GridOptions(grid_resolution=resolution))
    theirs = coarser.extract(fields_of(coarser))
    for mesh, expected in zip(ours.meshes, theirs.meshes, strict=True):
        assert_same_surface(mesh, expected, atol=1e-5)


class TestErrors:
    @pytest.mark.parametrize("resolution", [-1, 0, 2, 2049])
    def test_no_resolution(self, resolution: int) -> None:
        with pytest.raises(ValueError, match=f"from 3 to 2048, got {resolution}"):
            GridOptions(grid_resolution=resolution)

    def test_both(self) -> None:
        with pytest.raises(ValueError, match="grid_resolution or subdivisions, not both"):
            GridOptions(grid_resolution=64, subdivisions=1)

    def test_negative_subdivisions(self) -> None:
        with pytest.raises(ValueError, match="subdivisions must not be negative, got -1"):
            GridOptions(subdivisions=-1)

    @pytest.mark.parametrize("times", [8, 10**6])
    def test_too_many_subdivisions(self, times: int) -> None:
        with pytest.raises(ValueError, match="subdivisions must be from 0 to 7"):
            GridOptions(subdivisions=times).check(GeneratorConfig(grid_resolution=12))

    def test_of_configs(self) -> None:
        with pytest.raises(ValueError, match="subdivisions"):
            GeneratorConfig(**(TINY | {"subdivisions": -1}))
