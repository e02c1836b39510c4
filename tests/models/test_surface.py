"""FlexiCubes of the generator: where fields are evaluated, regularisers, errors."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from get3d.geometry import VoxelGrid, bcc_grid, cube_corners, flexicubes, orbit_cameras
from get3d.models import Generator, GeneratorConfig
from get3d.models.fields import BaseShape, Fields
from tests.tiny import TINY

SIZES = {"plane_resolution": 16, "channel_base": 128, "grid_resolution": 8}
CONFIG = GeneratorConfig(**(TINY | SIZES), iso_surface="flexicubes")


@pytest.fixture
def generator() -> Generator:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Generator(CONFIG).double()


def fields_of(generator: Generator, num: int = 2) -> Fields:
    rng = torch.Generator().manual_seed(0)
    z = torch.randn(2, num, 8, generator=rng, dtype=torch.float64)
    return generator.fields(generator.map(z[0], z[1]))


def verts_evaluated_everywhere(generator: Generator, fields: Fields) -> list[Tensor]:
    """Offsets at every vertex and weights of every cube, shape by shape."""
    grid = generator.grid
    assert isinstance(grid, VoxelGrid)
    offsets = fields.deformation(grid.verts).tanh() / (8 * 2)
    corners = cube_corners(torch.arange(grid.num_cubes), grid.resolution)
    raw = fields.flexi_weights(grid.verts[corners])
    sdf = fields.sdf(grid.verts)
    return [
        flexicubes(
            grid, sdf[i], verts=grid.verts + offsets[i], raw_weights=raw[i], splits_in_four=True
        ).verts
        for i in range(len(fields))
    ]


def test_same_meshes_and_gradients_as_evaluated_everywhere(generator: Generator) -> None:
    results = []
    for everywhere in (True, False):
        generator.zero_grad()
        fields = fields_of(generator, 3)
        if everywhere:
            verts = verts_evaluated_everywhere(generator, fields)
        else:
            verts = [mesh.verts for mesh in generator.extract(fields, for_training=True).meshes]
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


def test_quads_are_split_in_four_for_training_only(generator: Generator) -> None:
    fields = fields_of(generator)
    fine = generator.extract(fields, for_training=True).meshes
    coarse = generator.surface(fields)
    for many, few in zip(fine, coarse, strict=True):
        assert len(many.faces) == 2 * len(few.faces)
        assert len(many.verts) == len(few.verts) + len(few.faces) // 2
        torch.testing.assert_close(many.verts[: len(few.verts)], few.verts)


def test_gradients_reach_every_weight(generator: Generator) -> None:
    fields = fields_of(generator)
    surface = generator.extract(fields, for_training=True)
    cameras = orbit_cameras(
        torch.tensor([0.0, 2.0]), torch.tensor([1.0, 1.5]), radius=1.2, fovy_rad=math.radians(49)
    )
    images = generator.render(fields, surface.meshes, cameras, 16)
    (images.rgb.sum() + images.mask.sum() + surface.sign_change_loss.sum()).backward()
    for name, parameter in generator.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    gradient = list(generator.network.geometry.weights.layers)[-1].bias.grad
    assert (gradient != 0).all()  # the mask alone moves beta, alpha and gamma


def test_regularisers(generator: Generator) -> None:
    fields = fields_of(generator)
    surface = generator.extract(fields)
    assert (surface.deviation_loss > 0).all()
    sdf = fields.grid_sdf() > 0
    corners = cube_corners(torch.arange(generator.grid.num_cubes), 8)
    inside = sdf[:, corners].sum(2)
    crossed = (inside > 0) & (inside < 8)
    raw = fields.flexi_weights(generator.grid.verts[corners])
    wanted = torch.stack([a[b][:, :20].abs().mean() for a, b in zip(raw, crossed, strict=True)])
    torch.testing.assert_close(surface.magnitude_loss, wanted)
    head = list(generator.network.geometry.weights.layers)[-1]
    generator.zero_grad()
    surface.magnitude_loss.sum().backward()
    assert (head.bias.grad[:20] != 0).all()
    assert head.bias.grad[20] == 0


def test_tetrahedra_have_no_such_regularisers() -> None:
    generator = Generator(replace(CONFIG, iso_surface="dmtet")).double()
    surface = generator.extract(fields_of(generator), for_training=True)
    assert not surface.deviation_loss.any()
    assert not surface.magnitude_loss.any()


def test_a_network_of_the_published_sign_makes_the_same_meshes(generator: Generator) -> None:
    turned = Generator(replace(CONFIG, sdf_inside="negative")).double()
    turned.load_state_dict(generator.state_dict())
    last = list(turned.network.geometry.sdf.layers)[-1]
    with torch.no_grad():
        last.weight.neg_()
        last.bias.neg_()
    ours, theirs = fields_of(generator), fields_of(turned)
    torch.testing.assert_close(ours.grid_sdf(), -theirs.grid_sdf())
    first, second = generator.extract(ours), turned.extract(theirs)
    torch.testing.assert_close(first.sdf, second.sdf)
    torch.testing.assert_close(first.sign_change_loss, second.sign_change_loss)
    for a, b in zip(first.meshes, second.meshes, strict=True):
        assert torch.equal(a.faces, b.faces)
        torch.testing.assert_close(a.verts, b.verts)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_shape_without_a_surface_has_a_fallback_and_a_penalty(
    generator: Generator, sign: float
) -> None:
    head = list(generator.network.geometry.sdf.layers)[-1]
    head.bias.data.fill_(sign * 100.0)
    surface = generator.extract(fields_of(generator), for_training=True)
    assert surface.is_fallback.all()
    assert all(len(mesh.faces) > 0 for mesh in surface.meshes)
    torch.testing.assert_close(surface.empty_penalty, surface.sdf.abs().mean(1))
    surface.empty_penalty.mean().backward()
    assert head.bias.grad.item() == pytest.approx(sign)


def test_a_surface_in_the_outermost_corner_has_no_face_but_can_be_drawn(
    generator: Generator,
) -> None:
    grid = generator.grid
    sdf = torch.full((1, len(grid.verts)), -1.0, dtype=torch.float64)
    sdf[0, 0] = 1.0
    fields = fields_of(generator, 1)
    base = BaseShape("sphere", 0.3, weight=0.0)
    corner = replace(fields, base=base, grid_base=sdf[0])
    surface = generator.extract(corner, for_training=True)
    assert not surface.is_fallback.any()
    assert len(surface.meshes[0].faces) == 0
    cameras = orbit_cameras(
        torch.tensor([0.0]), torch.tensor([1.0]), radius=1.2, fovy_rad=math.radians(49)
    )
    images = generator.render(fields, surface.meshes, cameras, 16)
    assert not images.mask.any()
    (images.mask.sum() + (surface.deviation_loss + surface.magnitude_loss).sum()).backward()


class TestErrors:
    def test_a_grid_of_tetrahedra(self) -> None:
        with pytest.raises(ValueError, match="flexicubes makes its own grid of cubes"):
            Generator(CONFIG, grid=bcc_grid(8))

    def test_a_base_shape_of_the_other_sign(self) -> None:
        with pytest.raises(ValueError, match='sdf_inside "negative" needs sdf_base "none"'):
            replace(CONFIG, sdf_inside="negative", sdf_base="sphere")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"iso_surface": "dmtet"}, "iso_surface is dmtet"),
            ({"iso_surface": "dmtet", "architecture": "separate"}, "unified generator"),
        ],
    )
    def test_weights_of_a_network_without_them(self, change: dict[str, str], message: str) -> None:
        generator = Generator(replace(CONFIG, **change)).double()
        fields = fields_of(generator)
        with pytest.raises(ValueError, match=message):
            fields.flexi_weights(torch.zeros(1, 8, 3, dtype=torch.float64))
        with pytest.raises(ValueError, match=message):
            fields.grid_flexi_weights(torch.zeros(2, 1, 8, dtype=torch.int64))
