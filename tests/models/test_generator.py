import math
from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor

from get3d.apps import Model, load, save_model
from get3d.core import Styles
from get3d.geometry import (
    bcc_grid,
    orbit_cameras,
    surface_meshes,
    surface_topology,
    with_fallback_surfaces,
)
from get3d.models import Generator, GeneratorConfig, TrainingRenderConfig
from get3d.models.fields import BaseShape, Fields
from tests.tiny import TINY


def codes(num: int, *, seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(2, num, 8, generator=rng, dtype=torch.float64)


def fields_of(generator: Generator, num: int = 2) -> Fields:
    return generator.fields(generator.map(*codes(num)))


class TestDeformationWhereTheSurfaceIs:
    """Offsets are evaluated only at the ends of crossed edges; nothing may depend on it."""

    def meshes_with_offsets_everywhere(self, generator: Generator, fields: Fields) -> list[Tensor]:
        grid = generator.grid
        sdf, _ = with_fallback_surfaces(fields.grid_sdf(), grid)
        positions = grid.verts + generator.offsets(fields.deformation(grid.verts))
        topology = surface_topology(grid, sdf.detach())
        active = positions[topology.active_shape, topology.active_verts]
        return [mesh.verts for mesh in surface_meshes(topology, sdf, active)]

    def test_same_meshes_and_gradients(self, generator: Generator) -> None:
        results = []
        for everywhere in (True, False):
            generator.zero_grad()
            fields = fields_of(generator)
            if everywhere:
                verts = self.meshes_with_offsets_everywhere(generator, fields)
            else:
                verts = [mesh.verts for mesh in generator.surface(fields)]
            assert min(len(each) for each in verts) > 0
            sum(each.square().sum() for each in verts).backward()
            grads = {name: p.grad for name, p in generator.named_parameters() if p.grad is not None}
            results.append((verts, grads))
        (verts_a, grads_a), (verts_b, grads_b) = results
        for a, b in zip(verts_a, verts_b, strict=True):
            # Grid coordinates are in single precision on the way to the lookup.
            torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-6)
        assert grads_a.keys() == grads_b.keys()
        for name, grad in grads_a.items():
            scale = float(grad.abs().max()) + 1e-3
            torch.testing.assert_close(grad, grads_b[name], atol=1e-4 * scale, rtol=1e-4)


def test_grid_sdf_is_the_field_at_the_vertices(generator: Generator) -> None:
    fields = fields_of(generator)
    expected = fields.sdf(generator.grid.verts)
    torch.testing.assert_close(fields.grid_sdf(), expected, atol=1e-5, rtol=1e-5)


def test_shapes_of_a_batch_are_independent(generator: Generator) -> None:
    fields = fields_of(generator, 3)
    alone = generator.fields(generator.map(*codes(3)[:, 1:2]))
    points = torch.rand(7, 3, generator=torch.Generator().manual_seed(0)).double() - 0.5
    assert len(fields) == 3
    for part in (fields[1:2], alone):
        assert len(part) == 1
        torch.testing.assert_close(part.sdf(points), fields.sdf(points)[1:2])
        torch.testing.assert_close(part.deformation(points), fields.deformation(points)[1:2])
        torch.testing.assert_close(part.color(points), fields.color(points)[1:2])
        torch.testing.assert_close(part.grid_sdf(), fields.grid_sdf()[1:2])


def test_packed_colours_are_those_of_each_shape(generator: Generator) -> None:
    fields = fields_of(generator, 3)
    points = torch.rand(5, 3, generator=torch.Generator().manual_seed(0)).double() - 0.5
    shape = torch.tensor([0, 0, 2, 2, 2])  # none of shape 1
    packed = fields.packed(fields.color, points, shape)
    every = fields.color(points)
    torch.testing.assert_close(packed, every[shape, torch.arange(5)])
    assert fields.packed(fields.color, points[:0], shape[:0]).shape == (0, 3)


def test_geometry_code_shapes_and_texture_code_only_colours(generator: Generator) -> None:
    first, second = codes(2), codes(2, seed=1)
    points = torch.rand(7, 3, generator=torch.Generator().manual_seed(0)).double() - 0.5
    before = generator.fields(generator.map(first[0], first[1]))
    after = generator.fields(generator.map(first[0], second[1]))
    torch.testing.assert_close(before.sdf(points), after.sdf(points))
    assert not torch.allclose(before.color(points), after.color(points))


class TestSphereBase:
    def test_starts_as_the_sphere(self) -> None:
        config = GeneratorConfig(
            **TINY, sdf_base="sphere", sdf_base_radius=0.3, sdf_base_weight=1e-6
        )
        generator = Generator(config).double()
        fields = fields_of(generator)
        points = torch.tensor([[0.0, 0, 0], [0.4, 0, 0]], dtype=torch.float64)
        torch.testing.assert_close(
            fields.sdf(points), torch.tensor([0.3, -0.1]).double().expand(2, 2), atol=1e-4, rtol=0
        )
        torch.testing.assert_close(
            fields.grid_sdf(),
            0.3 - generator.grid.verts.norm(dim=1).expand(2, -1),
            atol=1e-4,
            rtol=0,
        )

    def test_weight_scales_the_network(self) -> None:
        results = []
        for weight in (0.5, 1.0):
            with torch.random.fork_rng():
                torch.manual_seed(0)
                config = GeneratorConfig(**TINY, sdf_base="sphere", sdf_base_weight=weight)
                generator = Generator(config).double()
            base = config.sdf_base_radius - generator.grid.verts.norm(dim=1)
            results.append(fields_of(generator).grid_sdf() - base)
        torch.testing.assert_close(results[0] * 2, results[1], atol=1e-6, rtol=1e-6)


class TestSphereBaseLimit:
    CHANGE = {"sdf_base": "sphere", "sdf_base_radius": 0.3, "sdf_base_limit": 0.05}  # noqa: RUF012

    @pytest.fixture
    def points(self) -> Tensor:
        rng = torch.Generator().manual_seed(0)
        return 2 * torch.rand(1000, 3, generator=rng, dtype=torch.float64) - 1

    def test_base_within_the_limit_and_of_the_same_sign(self, points: Tensor) -> None:
        free, limited = (BaseShape("sphere", 0.3, limit=limit).sdf(points) for limit in (0.0, 0.05))
        assert limited.abs().max() <= 0.05
        assert limited.abs().max() > 0.0499
        assert torch.equal(limited.sign(), free.sign())
        is_near = free.abs() < 0.005
        assert is_near.any()
        torch.testing.assert_close(limited[is_near], free[is_near], rtol=0.01, atol=0)

    def test_no_limit_is_the_distance(self, points: Tensor) -> None:
        assert torch.equal(BaseShape("sphere", 0.3).sdf(points), 0.3 - points.norm(dim=1))

    def test_a_bowl_is_the_sphere_with_an_open_cavity(self) -> None:
        bowl = BaseShape("bowl", 0.3)
        up = torch.tensor([[0.0, y, 0.0] for y in (-0.31, -0.29, -0.125, -0.115, 0.1, 0.29)])
        # Below it, in the bottom (0.3 to 0.12 below the origin), in the cavity, above it.
        assert (bowl.sdf(up) > 0).tolist() == [False, True, True, False, False, False]
        walls = torch.tensor([[0.25, 0.0, 0.0], [0.19, 0.0, 0.0], [0.31, 0.0, 0.0]])
        assert (bowl.sdf(walls) > 0).tolist() == [True, False, False]

    @pytest.mark.parametrize("iso_surface", ["dmtet", "flexicubes"])
    def test_grid_values_are_the_field(self, iso_surface: str) -> None:
        config = GeneratorConfig(**TINY, **self.CHANGE, iso_surface=iso_surface)
        generator = Generator(config).double()
        fields = fields_of(generator)
        expected = fields.sdf(generator.grid.verts)
        torch.testing.assert_close(fields.grid_sdf(), expected, atol=1e-5, rtol=1e-5)
        part = fields[1:2]
        torch.testing.assert_close(part.sdf(generator.grid.verts), expected[1:2])

    def test_the_surface_starts_as_without(self) -> None:
        """The same edges of the grid are cut, so there are the same faces."""
        faces = []
        for limit in (0.0, 0.05, 1e3):
            change = self.CHANGE | {"sdf_base_limit": limit, "sdf_base_weight": 1e-6}
            generator = Generator(GeneratorConfig(**TINY, **change)).double()
            faces.append(generator.surface(fields_of(generator, 1))[0].faces)
        assert torch.equal(faces[0], faces[1])
        assert torch.equal(faces[0], faces[2])

    def test_saved_models_keep_it(self, tmp_path: Path) -> None:
        save_model(Model(Generator(GeneratorConfig(**TINY, **self.CHANGE))), tmp_path / "model")
        assert load(tmp_path / "model").generator.config.sdf_base_limit == 0.05

    def test_models_from_before_it_have_none(self, tmp_path: Path) -> None:
        save_model(Model(Generator(GeneratorConfig(**TINY))), tmp_path / "model")
        path = tmp_path / "model" / "config.yaml"
        content = yaml.safe_load(path.read_text())
        del content["generator"]["sdf_base_limit"]
        path.write_text(yaml.safe_dump(content))
        assert load(tmp_path / "model").generator.config.sdf_base_limit == 0

    @pytest.mark.parametrize("limit", [-0.1, float("inf"), float("nan")])
    def test_impossible_limits(self, limit: float) -> None:
        with pytest.raises(ValueError, match="sdf_base_limit"):
            GeneratorConfig(**TINY, sdf_base_limit=limit)


def test_a_shape_without_a_surface_has_a_fallback_and_a_penalty() -> None:
    generator = Generator(GeneratorConfig(**TINY)).double()
    head = list(generator.network.geometry.sdf.layers)[-1]
    head.bias.data.fill_(100.0)
    surface = generator.extract(fields_of(generator))
    assert surface.is_fallback.all()
    assert all(len(mesh.faces) > 0 for mesh in surface.meshes)
    torch.testing.assert_close(surface.empty_penalty, surface.sdf.abs().mean(1))
    surface.empty_penalty.mean().backward()
    assert head.bias.grad.item() == pytest.approx(1.0)


def test_moving_average_of_styles_moves_only_by_update_w_avg(generator: Generator) -> None:
    styles = generator.map(*codes(4))
    assert not generator.mapping_geo.w_avg.any()
    generator.update_w_avg(styles, beta=0.0)
    torch.testing.assert_close(generator.mapping_geo.w_avg, styles.geo[:, 0].mean(0))
    torch.testing.assert_close(generator.mapping_tex.w_avg, styles.tex[:, 0].mean(0))
    truncated = generator.map(*codes(4), truncation=0.0)
    torch.testing.assert_close(truncated.geo[2, 3], generator.mapping_geo.w_avg)


def test_only_weights_are_saved(generator: Generator) -> None:
    names = generator.state_dict().keys()
    assert not any("grid" in name or "lookup" in name for name in names)
    other = Generator(generator.config).double()
    other.load_state_dict(generator.state_dict())
    z = codes(1)
    ours, theirs = generator.map(*z), other.map(*z)
    torch.testing.assert_close(
        generator.fields(ours).grid_sdf(), other.fields(theirs).grid_sdf(), rtol=0, atol=0
    )


def test_gradients_reach_every_weight(generator: Generator) -> None:
    fields = fields_of(generator)
    surface = generator.extract(fields)
    cameras = orbit_cameras(
        torch.tensor([0.0, 2.0]), torch.tensor([1.0, 1.5]), radius=1.2, fovy_rad=math.radians(49)
    )
    images = generator.render(fields, surface.meshes, cameras, 16)
    (images.rgb.sum() + images.mask.sum() + surface.sign_change_loss.sum()).backward()
    for name, parameter in generator.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


class TestErrors:
    def test_wrong_number_of_styles(self, generator: Generator) -> None:
        styles = generator.map(*codes(1))
        with pytest.raises(ValueError, match="geometry and"):
            generator.fields(Styles(styles.geo[:, 1:], styles.tex))

    def test_grid_of_another_resolution(self) -> None:
        with pytest.raises(ValueError, match="resolution 10"):
            Generator(GeneratorConfig(**TINY), grid=bcc_grid(10))

    @pytest.mark.parametrize(
        "change",
        [
            {"plane_resolution": 48},
            {"channel_base": 4},
            {"w_dim": 0},
            {"mlp_hidden_layers": -1},
            {"grid_resolution": 2},
            {"scale": 0.0},
            {"iso_surface": "flexicubes", "architecture": "separate"},
        ],
    )
    def test_impossible_configurations(self, change: dict[str, object]) -> None:
        with pytest.raises(ValueError, match=next(iter(change))):
            GeneratorConfig(**(TINY | change))

    def test_supersampling_below_one(self) -> None:
        with pytest.raises(ValueError, match="mask_supersample"):
            TrainingRenderConfig(mask_supersample=0)


@pytest.mark.parametrize("hidden_layers", [0, 2])
def test_other_depths_of_the_point_networks(hidden_layers: int) -> None:
    generator = Generator(GeneratorConfig(**TINY, mlp_hidden_layers=hidden_layers)).double()
    fields = fields_of(generator)
    expected = fields.sdf(generator.grid.verts)
    torch.testing.assert_close(fields.grid_sdf(), expected, atol=1e-5, rtol=1e-5)
    assert len(generator.surface(fields)) == 2
