from dataclasses import replace

import pytest
import torch

from get3d.apps import load
from get3d.core import MeshError, TexturedMesh
from get3d.geometry import is_watertight
from get3d.models import Generator, GridOptions
from tests.geometry.surfaces import assert_same_surface


def same_shape(a: TexturedMesh, b: TexturedMesh) -> bool:
    return torch.equal(a.mesh.verts, b.mesh.verts) and torch.equal(a.mesh.faces, b.mesh.faces)


def same_look(a: TexturedMesh, b: TexturedMesh) -> bool:
    return torch.equal(a.materials[0].texture, b.materials[0].texture)


def test_shapes_are_textured_and_closed(model):
    shapes = model.generate(2, texture_size=64)
    assert len(shapes) == 2
    assert not same_shape(*shapes)
    for shape in shapes:
        assert is_watertight(shape.mesh)
        texture = shape.materials[0].texture
        assert texture.shape == (64, 64, 4)
        assert texture.min() >= 0
        assert texture.max() <= 1
        assert not texture.requires_grad


def test_a_shape_depends_on_seed_and_index_only(model):
    torch.manual_seed(1)
    three = model.generate(3, seed=5, texture_size=32)
    torch.manual_seed(2)
    iterator = model.iter_generate(2, seed=5, texture_size=32)
    for first, second in zip(iterator, three[:2], strict=True):
        assert same_shape(first, second)
        assert same_look(first, second)
    other = model.generate(1, seed=6, texture_size=32)[0]
    assert not any(same_shape(other, shape) for shape in three)


def test_global_random_numbers_are_left_alone(model):
    before = torch.get_rng_state()
    model.generate(texture_size=32)
    assert torch.equal(torch.get_rng_state(), before)


def test_texture_seed_changes_the_texture_codes_alone(model):
    latents = [model._latent(seed, 3, stream) for seed in (1, 2) for stream in (0, 1)]
    for i, first in enumerate(latents):
        for second in latents[i + 1 :]:
            assert not torch.equal(first, second)
    plain, same, other = (
        model.generate(1, seed=1, texture_seed=seed, texture_size=32)[0] for seed in (None, 1, 2)
    )
    assert same_shape(plain, same)
    assert same_look(plain, same)
    assert same_shape(plain, other)
    assert not same_look(plain, other)


@pytest.mark.parametrize("truncation", [float("nan"), float("inf")])
def test_styles_of_a_truncation_that_is_not_finite_raise(model, truncation):
    with pytest.raises(ValueError, match="truncation must lie in -100 to 100, got"):
        model.styles(0, truncation=truncation)


def test_truncation_0_gives_the_average_shape(model):
    first, second = model.generate(2, truncation=0.0, texture_size=32)
    assert same_shape(first, second)
    assert same_look(first, second)


def test_colors_are_those_of_the_field(model):
    """The network's [-1, 1] is sRGB's [0, 1]."""
    shape = model.generate(texture_size=128, seed=3, truncation=1.0)[0]
    z = [model._latent(3, 0, stream) for stream in (0, 1)]
    with torch.no_grad():
        fields = model.generator.fields(model.generator.map(*z))
        expected = (fields.color(shape.mesh.verts)[0] + 1) / 2
    uvs = torch.zeros(len(shape.mesh.verts), 2)
    uvs[shape.mesh.faces.flatten()] = shape.uvs[shape.uv_faces.flatten()]
    grid = torch.stack([uvs[:, 0] * 2 - 1, 1 - uvs[:, 1] * 2], dim=1)[None, None]
    texture = shape.materials[0].texture[..., :3].permute(2, 0, 1)[None]
    found = torch.nn.functional.grid_sample(texture, grid, align_corners=False)[0, :, 0].T
    assert (found - expected.clamp(0, 1)).abs().mean() < 0.01


def test_a_failed_shape_is_named_and_the_next_one_comes(model, monkeypatch):
    make = model._make_shape
    calls = []

    def fail_once(*args):
        calls.append(args)
        if len(calls) == 2:
            raise MeshError("the mesh has no faces")
        return make(*args)

    monkeypatch.setattr(type(model), "_make_shape", lambda _self, *args: fail_once(*args))
    shapes = model.iter_generate(3, seed=7, texture_size=32)
    next(shapes)
    with pytest.raises(ValueError, match="shape 1 of seed 7: the mesh has no faces"):
        next(shapes)
    assert len(list(shapes)) == 1


def test_field_without_a_surface_raises_instead_of_a_fallback_surface(model):
    with torch.no_grad():
        model.generator._grid_base.fill_(-100.0)
    with pytest.raises(ValueError, match="shape 0 of seed 0: the signed distances have no surface"):
        model.generate(texture_size=64)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num": -1}, "num must not be negative, got -1"),
        ({"seed": -3}, "seed must not be negative, got -3"),
        ({"texture_seed": -3}, "texture_seed must not be negative, got -3"),
        ({"texture_size": 8}, 'texture_size must be from 16 to 16384, or "auto", got 8'),
        ({"truncation": float("nan")}, "truncation must lie in -100 to 100, got nan"),
    ],
)
def test_arguments_out_of_range(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        model.iter_generate(**({"num": 1} | arguments))


def test_no_shapes(model):
    assert model.generate(0) == []


@pytest.mark.slow
def test_finer_surface_of_the_bundled_model_equals_that_of_the_dense_grid():
    bundled = load()
    generator = bundled.generator.requires_grad_(False)
    resolution = 64
    config = replace(
        generator.config,
        grid_resolution=resolution,
        # offsets stay as long as they were in training
        deformation_multiplier=generator.config.grid_resolution / resolution,
    )
    whole = Generator(config).requires_grad_(False)
    whole.load_state_dict(generator.state_dict())
    for index in range(2):
        styles = bundled.styles(index, seed=1)
        mesh = bundled.surface(
            generator.fields(styles), grid=GridOptions(grid_resolution=resolution)
        )
        assert is_watertight(mesh)
        assert_same_surface(mesh, whole.surface(whole.fields(styles))[0], atol=1e-5)


def test_generating_at_another_resolution(model):
    sizes = [
        len(model.generate(1, texture_size=128, grid=grid)[0].mesh.faces)
        for grid in (
            None,
            GridOptions(grid_resolution=24),
            GridOptions(subdivisions=1),
            GridOptions(grid_resolution=6),
        )
    ]
    assert sizes[0] * 3 < sizes[1] < sizes[0] * 5
    assert sizes[0] * 3 < sizes[2] < sizes[0] * 5
    assert 0 < sizes[3] < sizes[0] / 3


def test_more_subdivisions_than_possible_raise_at_once(model):
    with pytest.raises(ValueError, match="subdivisions must be from 0 to 7"):
        model.iter_generate(1, grid=GridOptions(subdivisions=8))
