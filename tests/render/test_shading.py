from dataclasses import replace

import pytest
import torch

from get3d.core.colors import linear_to_srgb, srgb_to_linear
from get3d.core.types import Material, Mesh, TexturedMesh
from get3d.render import (
    Light,
    render_colored,
    render_mesh,
    render_textured,
    sample_texture,
)


def dressed(mesh: Mesh, **look) -> TexturedMesh:
    num_faces = mesh.faces.shape[0]
    defaults = {
        "uvs": torch.zeros(0, 2),
        "uv_faces": torch.zeros(num_faces, 3, dtype=torch.int64),
        "materials": (Material(),),
        "face_material": torch.zeros(num_faces, dtype=torch.int64),
    }
    return TexturedMesh(mesh=mesh, **(defaults | look))


def flat_texture(*color: float) -> torch.Tensor:
    return torch.tensor(color).expand(4, 4, 4).contiguous()


@pytest.mark.parametrize("supersample", [1, 3])
def test_unlit_flat_textures_come_through_unchanged(supersample, sphere, cameras) -> None:
    mesh = sphere(2)
    texture = flat_texture(37 / 255, 128 / 255, 211 / 255, 1.0)
    look = dressed(mesh, uvs=torch.rand(3, 2), materials=(Material(texture=texture),))
    image = render_textured(look, cameras(2), 24, supersample=supersample)
    covered = image[..., 3] > 0
    assert covered.any()
    assert (image[covered][:, :3] - texture[0, 0, :3]).abs().max() < 0.5 / 255
    assert (image[~covered] == 0).all()
    if supersample == 1:
        face_id = render_mesh(mesh, cameras(2), 24).face_id
        assert torch.equal(covered, face_id >= 0)
    else:
        assert ((image[..., 3] > 0.1) & (image[..., 3] < 0.9)).any()


def test_factor_texture_and_vertex_colour_multiply_linearly(sphere, cameras) -> None:
    mesh = sphere(1)
    look = dressed(
        mesh,
        uvs=torch.rand(3, 2),
        materials=(
            Material(base_color=(0.5, 1.0, 0.25, 0.5), texture=flat_texture(0.5, 0.5, 0.5, 0.8)),
        ),
        vert_colors=torch.tensor([1.0, 0.5, 1.0, 0.9]).expand(mesh.verts.shape[0], 4),
    )
    image = render_textured(look, cameras(1), 16, supersample=1)[0]
    seen = image[image[..., 3] > 0]
    linear = torch.tensor([0.5, 0.5, 0.25]) * srgb_to_linear(torch.tensor(0.5))
    assert (seen[:, :3] - linear_to_srgb(linear)).abs().max() < 1e-5
    # The far side of the ball is seen through the near one.
    assert (seen[:, 3] - (1 - (1 - 0.5 * 0.8 * 0.9) ** 2)).abs().max() < 1e-5


def test_materials_belong_to_faces(box, cameras) -> None:
    mesh = box(0.5, 0.5, 0.5)
    colors = [(1.0, 0.0, 0.0, 1.0), (0.0, 1.0, 0.0, 1.0), (0.0, 0.0, 1.0, 1.0)]
    face_material = torch.arange(12) % 3
    look = dressed(
        mesh,
        materials=tuple(Material(base_color=color) for color in colors),
        face_material=face_material,
    )
    views = cameras(3)
    image = render_textured(look, views, 20, supersample=1)
    face_id = render_mesh(mesh, views, 20).face_id
    covered = face_id >= 0
    expected = torch.tensor(colors)[face_material[face_id[covered]]]
    torch.testing.assert_close(image[covered], expected, atol=1e-5, rtol=0)


def test_textures_are_bilinear_repeat_and_have_v_up() -> None:
    texture = torch.rand(4, 6, 4, generator=torch.Generator().manual_seed(0))
    rows, columns = torch.meshgrid(torch.arange(4), torch.arange(6), indexing="ij")
    uv = torch.stack([(columns + 0.5) / 6, 1 - (rows + 0.5) / 4], -1).view(-1, 2)
    expected = torch.cat([srgb_to_linear(texture[..., :3]), texture[..., 3:]], -1)
    flat = expected.view(-1, 4)
    torch.testing.assert_close(sample_texture(texture, uv), flat, atol=1e-5, rtol=0)
    shifted = uv + torch.tensor([3.0, -2.0])
    torch.testing.assert_close(sample_texture(texture, shifted), flat, atol=1e-4, rtol=0)
    between = sample_texture(texture, uv + torch.tensor([0.5 / 6, 0.0])).view(4, 6, 4)
    wanted = (expected + expected.roll(-1, 1)) / 2  # the last column meets the first
    torch.testing.assert_close(between, wanted, atol=1e-5, rtol=0)
    corners = sample_texture(texture, torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
    mean = expected[[0, 0, 3, 3], [0, 5, 0, 5]].mean(0)
    torch.testing.assert_close(corners, mean.expand(2, 4), atol=1e-5, rtol=0)


def test_antialiasing_averages_linear_light_without_darkening_edges(sphere, cameras) -> None:
    white = dressed(sphere(2))
    image = render_textured(white, cameras(1), 20, supersample=4)[0]
    partial = (image[..., 3] > 0) & (image[..., 3] < 1)
    assert partial.any()
    assert (image[partial][:, :3] > 1 - 1e-5).all()
    mask = render_mesh(white.mesh, cameras(1), 20, supersample=4).mask[0]
    assert (image[..., 3] - mask).abs().max() < 0.1


def test_light_comes_from_above_and_from_the_camera(sphere, cameras) -> None:
    grey = dressed(sphere(3), materials=(Material(base_color=(0.5, 0.5, 0.5, 1.0)),))
    sky_only = Light(sky=1.0, ground=0.0, camera=0.0)
    image = render_textured(grey, cameras(1), 32, light=sky_only, supersample=2)[0, ..., 0]
    rows = torch.arange(32)[:, None].expand(32, 32)[image > 0]
    assert torch.corrcoef(torch.stack([rows.float(), image[image > 0]]))[0, 1] < -0.8
    lamp = Light(sky=0.0, ground=0.0, camera=1.0)
    image = render_textured(grey, cameras(1), 33, light=lamp, supersample=2)[0, ..., 0]
    assert image.argmax() // 33 == 16
    assert image.argmax() % 33 == 16
    # Faces that point inwards are lit from the side that is seen all the same.
    inside_out = replace(grey, mesh=Mesh(grey.mesh.verts, grey.mesh.faces.flip(1)))
    torch.testing.assert_close(
        render_textured(inside_out, cameras(1), 33, light=lamp, supersample=2)[0, ..., 0], image
    )
    smooth = replace(grey, normals=torch.nn.functional.normalize(grey.mesh.verts, dim=1))
    soft = render_textured(smooth, cameras(1), 33, light=lamp, supersample=2)[0, ..., 0]
    assert (soft - image).abs().max() < 0.2
    assert (soft - image).abs().max() > 0


def test_empty_and_bad_input(sphere, cameras) -> None:
    empty = dressed(Mesh(torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.int64)))
    assert (render_textured(empty, cameras(2), (4, 6), light=Light()) == 0).all()
    assert render_textured(empty, cameras(2)[:0], 4).shape == (0, 4, 4, 4)
    with pytest.raises(ValueError, match="supersample"):
        render_textured(empty, cameras(1), 4, supersample=0)


def test_colours_that_are_functions_of_space(sphere, cameras) -> None:
    """Every pixel shows the colour of the point that it sees."""
    mesh = sphere(2)

    def color(points):
        return (points / 4 + 0.5).clamp(0, 1)

    image = render_colored(mesh, color, cameras(2), 24, supersample=1)
    gbuffer = render_mesh(mesh, cameras(2), 24)
    covered = gbuffer.face_id >= 0
    assert torch.equal(image[..., 3] > 0, covered)
    assert (image[covered][:, :3] - color(gbuffer.position[covered])).abs().max() < 1e-5


def test_field_colours_are_lit_as_textures_are(sphere, cameras) -> None:
    mesh = sphere(2)
    flat = torch.tensor([0.2, 0.5, 0.7])
    look = dressed(
        mesh, uvs=torch.rand(3, 2), materials=(Material(texture=flat_texture(*flat, 1.0)),)
    )
    expected = render_textured(look, cameras(2), 24, light=Light(), supersample=2)
    found = render_colored(
        mesh,
        lambda points: flat.expand(len(points), 3),
        cameras(2),
        24,
        light=Light(),
        supersample=2,
    )
    assert (found - expected).abs().max() < 1e-5


def test_colours_of_nothing_are_nothing(cameras) -> None:
    empty = Mesh(torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.int64))
    image = render_colored(empty, lambda points: points, cameras(1), 8)
    assert image.shape == (1, 8, 8, 4)
    assert not image.any()
