from dataclasses import replace

import pytest
import torch

from get3d.core import Appearance, Material, Mesh, TexturedMesh
from get3d.core.colors import srgb_to_linear
from get3d.render import Light, diffuse, material_channels, render_colored, render_textured

WEIGHTS = torch.full((2, 3), 1 / 3)
BYTES = torch.tensor([255, 51, 102], dtype=torch.uint8).expand(4, 4, 3)


def square(*materials: Material, colors: float | None = None) -> TexturedMesh:
    """Two triangles, each with a material."""
    corners = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    return TexturedMesh(
        mesh=Mesh(torch.cat([corners, torch.zeros(4, 1)], 1), faces),
        uvs=corners,
        uv_faces=faces,
        materials=materials,
        face_material=torch.arange(2) % len(materials),
        vert_colors=None if colors is None else torch.full((4, 4), colors),
    )


def test_factors_multiply_textures():
    shiny = Material(metallic=0.5, roughness=0.5, metallic_roughness_texture=BYTES)
    glowing = Material(emissive=(1.0, 0.5, 0.0), emissive_texture=BYTES)
    found = material_channels(square(shiny, glowing), torch.tensor([0, 1]), WEIGHTS)
    torch.testing.assert_close(found["metallic"], torch.tensor([[0.2], [0.0]]))
    torch.testing.assert_close(found["roughness"], torch.tensor([[0.1], [1.0]]))
    green = 0.5 * float(srgb_to_linear(torch.tensor(0.2)))
    torch.testing.assert_close(found["emissive"], torch.tensor([[0.0] * 3, [1.0, green, 0.0]]))


def test_plain_materials_have_colour_and_alpha_alone():
    found = material_channels(square(Material()), torch.tensor([0, 1]), WEIGHTS)
    assert {name: list(each.shape) for name, each in found.items()} == {
        "base_color": [2, 3],
        "alpha": [2, 1],
    }


@pytest.mark.parametrize(
    ("mode", "cutoff", "alpha"),
    [("OPAQUE", 0.5, 1.0), ("MASK", 0.3, 1.0), ("MASK", 0.32, 0.0), ("BLEND", 0.5, 0.31)],
)
def test_alpha_modes_count_vertex_colours(mode, cutoff, alpha):
    """Factor 0.62 and vertex alpha 0.5: 0.31."""
    glass = Material(base_color=(1.0, 1.0, 1.0, 0.62), alpha_mode=mode, alpha_cutoff=cutoff)
    mesh = square(glass, Material(), colors=0.5)
    found = material_channels(mesh, torch.tensor([0, 1]), WEIGHTS)["alpha"]
    torch.testing.assert_close(found, torch.tensor([[alpha], [0.5]]))


def test_emitted_light_is_added(sphere, cameras):
    dark = Material(base_color=(0.0, 0.0, 0.0, 1.0), emissive=(0.0, 1.0, 0.0))
    ball = sphere(3)
    textured = replace(
        square(dark),
        mesh=ball,
        uvs=torch.zeros(0, 2),
        uv_faces=torch.zeros_like(ball.faces),
        face_material=torch.zeros(len(ball.faces), dtype=torch.int64),
    )
    lit = render_textured(textured, cameras(1), 16, light=Light())[0, 8, 8]
    base = render_textured(textured, cameras(1), 16)[0, 8, 8]
    torch.testing.assert_close(lit, torch.tensor([0.0, 1.0, 0.0, 1.0]))
    torch.testing.assert_close(base, torch.tensor([0.0, 1.0, 0.0, 1.0]))


def test_a_shading_gets_position_normal_view_channels_and_light(sphere, cameras):
    """Roughness as a function of space, shown as a colour where the surface faces the camera."""
    seen = {}

    def show_roughness(position, normal, to_camera, channels, light):
        seen.update(channels=set(channels), light=light)
        torch.testing.assert_close(normal.norm(dim=1), torch.ones(len(normal)))
        facing = (normal * to_camera).sum(1, keepdim=True)
        assert (facing > -1e-3).all()
        torch.testing.assert_close(channels["roughness"], position[:, 1:2].abs())
        return channels["roughness"].expand(-1, 3) * facing.clamp(min=0)

    appearance = Appearance(
        {"base_color": 3, "roughness": 1},
        lambda points: torch.cat([points.abs(), points[:, 1:2].abs()], 1),
    )
    light = Light()
    image = render_colored(
        sphere(3), appearance, cameras(1), 16, light=light, shading=show_roughness
    )
    assert seen["channels"] == {"base_color", "roughness"}
    assert seen["light"] is light
    plain = render_colored(sphere(3), appearance, cameras(1), 16, light=light, shading=diffuse)
    color = render_colored(sphere(3), lambda points: points.abs(), cameras(1), 16, light=light)
    assert torch.equal(plain, color)
    assert not torch.allclose(image, plain)
