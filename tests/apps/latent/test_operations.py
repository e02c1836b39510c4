import pytest
import torch

from get3d.apps.latent import (
    generate_shape,
    interpolate_styles,
    mix,
    perturb,
    split_styles,
    styles_of,
    swap,
    sweep_truncations,
)
from get3d.apps.latent.layers import parse_layers
from get3d.core import Styles


def same(a: Styles, b: Styles) -> bool:
    return torch.equal(a.geo, b.geo) and torch.equal(a.tex, b.tex)


def test_interpolation_is_linear_between_the_named_shapes(model) -> None:
    names = ["0.1", 4, "2.5"]
    path = interpolate_styles(model, names, frames=9)
    steps = split_styles(path.styles)
    assert len(steps) == 9
    assert path.key_frames == (0, 4, 8)
    for name, frame in zip(names, path.key_frames, strict=True):
        assert same(steps[frame], styles_of(model, name))
    for first, middle, last in ((0, 1, 2), (1, 2, 3), (5, 6, 7)):
        mean = (steps[first].geo + steps[last].geo) / 2
        assert torch.allclose(steps[middle].geo, mean, atol=1e-6)


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("frames", [3, 4, 5, 10, 11])
def test_every_named_shape_is_a_frame(model, frames: int, loop: bool) -> None:
    names = [0, 1, 2]
    path = interpolate_styles(model, names, frames=frames, loop=loop)
    steps = split_styles(path.styles)
    assert len(steps) == frames
    for name, frame in zip(names, path.key_frames, strict=True):
        assert same(steps[frame], styles_of(model, name))
    if not loop:
        assert path.key_frames[-1] == frames - 1


def test_a_loop_ends_one_step_before_its_start(model) -> None:
    steps = interpolate_styles(model, [0, 1], frames=8, loop=True).styles.geo
    first_step, last_step = steps[1] - steps[0], steps[0] - steps[7]
    assert torch.allclose(first_step, -last_step, atol=1e-6)  # there and back the same path
    assert torch.allclose(steps[4], styles_of(model, 1).geo[0], atol=1e-6)


@pytest.mark.parametrize("vary", ["geometry", "texture"])
def test_vary_keeps_geometry_or_texture(model, vary: str) -> None:
    styles = interpolate_styles(model, [0, 1], frames=4, vary=vary).styles
    moving, held = (styles.geo, styles.tex) if vary == "geometry" else (styles.tex, styles.geo)
    assert (held == held[:1]).all()
    assert not torch.equal(moving[0], moving[1])


def test_interpolation_with_other_textures(model) -> None:
    path = interpolate_styles(model, [0, 1], textures=[5, 6], frames=2)
    assert same(split_styles(path.styles)[1], styles_of(model, 1, texture=6))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"names": [0]}, "at least two shapes, got 1"),
        ({"names": []}, "at least two shapes, got 0"),
        ({"frames": 0}, "frames must be at least 2"),
        ({"frames": 1}, "frames must be at least 2"),
        ({"textures": [1]}, "as many textures as shapes, got 1 for 2"),
        ({"names": [0, "x"]}, "a shape is named"),
    ],
)
def test_invalid_interpolations_raise(model, arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        interpolate_styles(model, **({"names": [0, 1]} | arguments))


def test_noise_scales_with_its_size_in_one_direction(model) -> None:
    shape = styles_of(model, 3)
    small, large = (perturb(model, 3, num=4, size=size) for size in (0.1, 0.3))
    for part in ("geo", "tex"):
        here = getattr(shape, part)
        little, much = getattr(small, part) - here, getattr(large, part) - here
        assert torch.allclose(3 * little, much, atol=1e-5)
        assert (little[0] - little[1]).abs().max() > 0
        assert (little.flatten(1).norm(dim=1) > 0).all()


def test_size_1_is_the_distance_of_shapes_from_the_average(model) -> None:
    average = model.styles(0, truncation=0.0).geo
    shapes = torch.cat([model.styles(i, seed=9, truncation=1.0).geo for i in range(64)])
    moved = (
        perturb(model, 0, num=64, size=1.0, truncation=1.0).geo
        - styles_of(model, 0, truncation=1.0).geo
    )
    spread, noise = (part.detach().norm(dim=2).mean() for part in (shapes - average, moved))
    assert (noise / spread).item() == pytest.approx(1, abs=0.1)


def test_noise_depends_on_its_seed_and_number_only(model) -> None:
    few, many, other = (
        perturb(model, 0, num=num, noise_seed=seed) for num, seed in ((2, 0), (5, 0), (2, 1))
    )
    assert torch.equal(few.geo, many.geo[:2])
    assert not torch.equal(few.geo, other.geo)


def test_noise_of_size_0_changes_nothing(model) -> None:
    shape = styles_of(model, 3)
    assert torch.equal(perturb(model, 3, num=2, size=0.0).geo, shape.geo.expand(2, -1, -1))
    assert len(perturb(model, 3, num=0).geo) == 0
    held = perturb(model, 3, num=2, size=0.5, vary="texture")
    assert torch.equal(held.geo, shape.geo.expand(2, -1, -1))
    assert not torch.equal(held.tex, shape.tex.expand(2, -1, -1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num": -1}, "num and noise_seed must not be negative, got -1"),
        ({"noise_seed": -1}, "num and noise_seed must not be negative"),
        ({"size": -0.1}, "size must lie in 0 to 100, got -0.1"),
        ({"size": float("inf")}, "size must lie in"),
    ],
)
def test_invalid_noise_raises(model, arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        perturb(model, 0, **arguments)


def test_swapping_textures_changes_no_vertex(model) -> None:
    """Geometry does not depend on the texture code at all: bit for bit."""
    for row in swap(model, [0, 1, 2], [0, 5, 9]):
        meshes = [generate_shape(model, styles).mesh for styles in row]
        assert all(torch.equal(mesh.verts, meshes[0].verts) for mesh in meshes)
        assert all(torch.equal(mesh.faces, meshes[0].faces) for mesh in meshes)


def test_a_swap_takes_geometry_from_rows_and_texture_from_columns(model) -> None:
    grid = swap(model, [0, 1], [2, 3, 4])
    assert [len(row) for row in grid] == [3, 3]
    assert same(grid[1][2], styles_of(model, 1, texture=4))


def test_only_the_named_layers_are_taken(model) -> None:
    [[mixed]] = mix(model, [0], [1], geometry_layers="2-4", texture_layers="1")
    row, column = styles_of(model, 0), styles_of(model, 1)
    taken = torch.zeros(model.generator.network.num_geo, dtype=torch.bool)
    taken[2:5] = True
    assert torch.equal(mixed.geo[:, taken], column.geo[:, taken])
    assert torch.equal(mixed.geo[:, ~taken], row.geo[:, ~taken])
    assert torch.equal(mixed.tex[:, 1], column.tex[:, 1])
    assert torch.equal(mixed.tex[:, 2:], row.tex[:, 2:])
    assert not torch.equal(row.geo, column.geo)


def test_truncations_lie_on_a_line_from_the_average(model) -> None:
    [row] = sweep_truncations(model, [4], [0.0, 0.5, 1.0])
    assert torch.allclose(row[1].geo, (row[0].geo + row[2].geo) / 2, atol=1e-6)
    assert torch.equal(row[0].geo, sweep_truncations(model, [7], [0.0])[0][0].geo)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: swap(model, [], [1]), "geometries is empty"),
        (lambda model: swap(model, [1], []), "textures is empty"),
        (lambda model: sweep_truncations(model, [1], []), "truncations is empty"),
        (lambda model: sweep_truncations(model, [1], [float("nan")]), "truncation must lie in"),
        (
            lambda model: mix(model, [0], [1], geometry_layers="0-99", texture_layers="none"),
            r"geometry layers must lie within 0-\d+",
        ),
    ],
)
def test_empty_rows_or_columns_raise(model, call, message) -> None:
    with pytest.raises(ValueError, match=message):
        call(model)


@pytest.mark.parametrize(
    ("text", "layers"),
    [("all", range(8)), ("none", []), ("0", [0]), ("7", [7]), ("2-4", [2, 3, 4])],
)
def test_layer_ranges(text: str, layers) -> None:
    assert list(range(8))[parse_layers(text, 8, kind="texture")] == list(layers)


@pytest.mark.parametrize("text", ["8", "3-8", "4-2"])
def test_layers_out_of_range_raise(text: str) -> None:
    with pytest.raises(ValueError, match=rf"within 0-7 \(this model has 8\).*got {text}"):
        parse_layers(text, 8, kind="texture")


@pytest.mark.parametrize("text", ["", "-1", "a", "1:3", "1-", "1,2"])
def test_invalid_layer_ranges_raise(text: str) -> None:
    with pytest.raises(ValueError, match="texture layers must be all, none"):
        parse_layers(text, 8, kind="texture")
