import zipfile
from dataclasses import replace

import pytest
import torch

from get3d.core import Appearance, ConfigError, Material, TexturedMesh
from get3d.data import load_mesh
from get3d.export import color_vertices, encode_glb, make_material, save, texture_mesh

SIZES = {"base_color": 3, "metallic": 1, "roughness": 1, "emissive": 3, "normal": 3}


def channels(points):
    """Values that differ from channel to channel and from place to place."""
    scale = torch.linspace(0.2, 0.9, 11)
    return (points[:, :1] + 0.5) * scale


APPEARANCE = Appearance(SIZES, channels)


def full(textured: TexturedMesh) -> TexturedMesh:
    """The square of the fixtures with every property of a material set."""
    rng = torch.Generator().manual_seed(0)
    images = [torch.randint(0, 256, (8, 8, 3), generator=rng, dtype=torch.uint8) for _ in range(3)]
    images[0][..., 0] = 255  # what glTF keeps for occlusion
    material = replace(
        textured.materials[0],
        base_color=(1.0, 0.8, 0.6, 1.0),
        metallic=0.4,
        roughness=0.7,
        metallic_roughness_texture=images[0],
        normal_texture=images[1],
        emissive=(0.2, 1.0, 0.5),
        emissive_texture=images[2],
        alpha_mode="MASK",
        alpha_cutoff=0.25,
        double_sided=True,
        name="everything",
    )
    return replace(textured, materials=(material,))


def assert_same(found: Material, expected: Material, *, is_gltf: bool) -> None:
    found = found.decoded()
    for name in ("metallic_roughness_texture", "normal_texture", "emissive_texture"):
        assert torch.equal(getattr(found, name), getattr(expected, name)), name
    torch.testing.assert_close(found.texture, expected.texture)
    for name in ("base_color", "emissive", "metallic", "roughness"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=3e-3), name
    if is_gltf:
        for name in ("alpha_mode", "alpha_cutoff", "double_sided", "name"):
            assert getattr(found, name) == getattr(expected, name), name


@pytest.mark.parametrize("suffix", [".glb", ".obj"])
def test_every_property_comes_back(textured, tmp_path, suffix):
    square = full(textured)
    save(square, tmp_path / f"square{suffix}")
    found = load_mesh(tmp_path / f"square{suffix}")
    assert_same(found.materials[0], square.materials[0], is_gltf=suffix == ".glb")
    again = tmp_path / f"again{suffix}"
    save(found, again)
    assert_same(load_mesh(again).materials[0], square.materials[0], is_gltf=suffix == ".glb")


def test_usdz_has_every_property(textured, tmp_path):
    save(full(textured), tmp_path / "square.usdz")
    with zipfile.ZipFile(tmp_path / "square.usdz") as package:
        scene = package.read("scene.usda").decode()
        names = set(package.namelist())
    path = "</shape/materials/everything"
    for line in (
        f"float inputs:metallic.connect = {path}/metallic_roughness.outputs:b>",
        f"float inputs:roughness.connect = {path}/metallic_roughness.outputs:g>",
        f"normal3f inputs:normal.connect = {path}/normal.outputs:rgb>",
        f"color3f inputs:emissiveColor.connect = {path}/emissive.outputs:rgb>",
        "float inputs:opacityThreshold = 0.25",
        "float4 inputs:scale = (1, 0.7, 0.4, 1)",
        "float4 inputs:bias = (-1, -1, -1, 0)",
        "uniform bool doubleSided = 1",
    ):
        assert line in scene, line
    images = {f"textures/everything{end}.png" for end in ("", ".metallic_roughness", ".normal")}
    assert images | {"textures/everything.emissive.png"} < names


def test_an_appearance_is_baked_channel_by_channel(ball, tmp_path):
    baked = texture_mesh(ball(2), APPEARANCE, texture_size=64)
    plain = texture_mesh(ball(2), lambda points: channels(points)[:, :3], texture_size=64)
    (material,) = baked.materials
    assert torch.equal(material.texture, plain.materials[0].texture)
    roughness = material.metallic_roughness_texture[..., 1].float() / 255
    expected = material.texture[..., 0] * torch.linspace(0.2, 0.9, 11)[4] / 0.2
    torch.testing.assert_close(roughness, expected, atol=0.003, rtol=0)
    assert (material.metallic, material.roughness) == (1.0, 1.0)
    save(baked, tmp_path / "ball.glb")
    found = load_mesh(tmp_path / "ball.glb").materials[0].decoded()
    assert torch.equal(found.metallic_roughness_texture, material.metallic_roughness_texture)
    assert torch.equal(found.normal_texture, material.normal_texture)
    assert torch.equal(found.emissive_texture, material.emissive_texture)


def test_alpha_of_an_appearance_goes_into_the_base_colour():
    image = torch.full((4, 4, 3), 0.5)
    material = make_material({"base_color": image, "alpha": image[..., :1] / 2})
    assert torch.equal(material.texture[..., 3], image[..., 0] / 2)
    assert material.metallic_roughness_texture is None


def test_channels_without_a_place_are_refused(ball):
    with pytest.raises(ValueError, match="no channel velvet of 2 values; it has: color"):
        texture_mesh(ball(1), Appearance({"color": 3, "velvet": 2}, channels), texture_size=32)
    with pytest.raises(ValueError, match="either the channel color or base_color, got roughness"):
        make_material({"roughness": torch.zeros(4, 4, 1)})
    with pytest.raises(ConfigError, match="vertices hold a colour alone"):
        color_vertices(ball(1), APPEARANCE)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metallic": 1.5}, "metallic of material 'material' must be a number from 0 to 1"),
        ({"emissive": (0.0, -1.0, 0.0)}, "emissive .* must be three numbers from 0 to 1"),
        ({"alpha_cutoff": float("nan")}, "alpha_cutoff .* must not be negative, got nan"),
        ({"normal_scale": float("inf")}, "normal_scale .* must be finite"),
        (
            {"normal_texture": torch.zeros(4, 4, 3, dtype=torch.uint8)[:0]},
            r"normal_texture .* three channels, got \[0, 4, 3\]",
        ),
    ],
)
def test_wrong_materials_are_refused(textured, changes, message):
    wrong = replace(textured, materials=(replace(textured.materials[0], **changes),))
    with pytest.raises(ValueError, match=message):
        encode_glb(wrong)


def test_a_material_without_coordinates_has_its_factors_alone(two_materials, tmp_path):
    bare = replace(
        two_materials,
        uvs=torch.zeros(0, 2),
        uv_faces=torch.zeros_like(two_materials.uv_faces),
        materials=tuple(
            replace(each, normal_texture=torch.zeros(4, 4, 3, dtype=torch.uint8), roughness=0.25)
            for each in two_materials.materials
        ),
    )
    for suffix in (".glb", ".obj", ".usdz", ".ply"):
        save(bare, tmp_path / f"bare{suffix}")
    found = load_mesh(tmp_path / "bare.glb").materials[0]
    assert (found.roughness, found.normal_texture) == (0.25, None)


def test_obj_keeps_what_the_maps_mean(textured, tmp_path):
    """A dielectric stays one, a dark emission map stays dark, alpha stays where it counts."""
    map_u8 = torch.full((4, 4, 3), 255, dtype=torch.uint8)
    glass = textured.materials[0].texture.clone()
    glass[..., 3] = 0.5
    material = Material(
        texture=glass,
        metallic_roughness_texture=map_u8,
        emissive_texture=map_u8,
        alpha_mode="BLEND",
    )
    save(replace(textured, materials=(material,)), tmp_path / "glass.obj")
    found = load_mesh(tmp_path / "glass.obj").materials[0]
    assert (found.metallic, found.roughness, found.emissive) == (0.0, 1.0, (0.0, 0.0, 0.0))
    alpha = found.texture.decode()[..., 3] / 255
    torch.testing.assert_close(alpha, glass[..., 3], atol=0.003, rtol=0)
    opaque = Material(base_color=(1.0, 1.0, 1.0, 0.5), alpha_mode="OPAQUE")
    save(replace(textured, materials=(opaque,)), tmp_path / "opaque.obj")
    assert load_mesh(tmp_path / "opaque.obj").materials[0].base_color[3] == 1.0


def test_file_names_of_textures_do_not_collide(textured, tmp_path):
    map_u8 = torch.full((4, 4, 3), 128, dtype=torch.uint8)
    first = replace(textured.materials[0], name="a", normal_texture=map_u8)
    second = replace(textured.materials[0], name="a_normal")
    both = replace(textured, materials=(first, second), face_material=torch.tensor([0, 1]))
    save(both, tmp_path / "both.usdz")
    with zipfile.ZipFile(tmp_path / "both.usdz") as package:
        assert len(package.namelist()) == len(set(package.namelist())) == 4
    save(both, tmp_path / "both.obj")
    assert len(list(tmp_path.glob("both*.png"))) == 3
