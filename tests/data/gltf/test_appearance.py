"""Materials of glTF files, seen from the front; the right colours are known by hand."""

import io
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from get3d.core import EncodedTexture, MeshError, Sampler
from get3d.data import load_mesh
from get3d.export import save
from tests.data.gltf.files import (
    BLUE,
    CORNERS,
    GREEN,
    QUARTERED,
    QUARTERS,
    RED,
    UVS,
    WHITE,
    Gltf,
    look,
    png,
    rows,
)

TRANSFORM = "KHR_texture_transform"


def behind(gltf: Gltf, depth: float, material: int, **square) -> dict:
    """A square that lies behind z = 0."""
    return gltf.square(corners=np.array(CORNERS) - [0, 0, depth], material=material, **square)


def test_the_second_set_of_coordinates(tmp_path) -> None:
    gltf = Gltf()
    texture = gltf.texture() | {"texCoord": 1}
    second = gltf.accessor(np.array(UVS)[[1, 2, 3, 0]])  # a quarter turn
    square = gltf.square(attributes={"TEXCOORD_1": second})
    gltf.node(square | {"material": gltf.material(texture=texture)})
    seen = look(gltf.glb(tmp_path / "a.glb"))
    np.testing.assert_array_equal(seen, np.rot90(QUARTERED, -1))


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        ({"offset": [0.5, 0], "scale": [0.5, 0.5]}, rows(GREEN)),
        ({"offset": [1, 0], "scale": [-1, 1]}, QUARTERED[:, ::-1]),
        # Coordinates turn against the clock, so that the image turns with it.
        ({"rotation": np.pi / 2, "offset": [0, 1]}, np.rot90(QUARTERED, -1)),
        ({"texCoord": 1, "scale": [2, 2]}, QUARTERED),
    ],
)
def test_texture_transforms(tmp_path, transform, expected) -> None:
    gltf = Gltf()
    texture = gltf.texture() | {"extensions": {TRANSFORM: transform}}
    half = {"TEXCOORD_1": gltf.accessor(np.array(UVS) / 2)}
    gltf.node(gltf.square(attributes=half, material=gltf.material(texture=texture)))
    gltf.root["extensionsRequired"] = [TRANSFORM]
    np.testing.assert_array_equal(look(gltf.glb(tmp_path / "a.glb")), expected)


@pytest.mark.parametrize(
    ("sampler", "expected"),
    [
        ({}, [[WHITE, BLUE, WHITE, BLUE], [GREEN, RED, GREEN, RED]] * 2),
        ({"wrapS": 33071, "wrapT": 33071}, None),
        ({"wrapS": 33648, "wrapT": 33648}, None),
        ({"wrapS": 33071}, [[BLUE, BLUE, WHITE, WHITE], [RED, RED, GREEN, GREEN]] * 2),
    ],
)
def test_wrap_modes(tmp_path, sampler, expected) -> None:
    """Coordinates from -0.5 to 1.5: each place of the grid shows the middle of a quarter."""
    gltf = Gltf()
    texture = gltf.texture(**sampler)
    wide = np.array(UVS) * 2 - 0.5
    gltf.node(gltf.square(uvs=wide, material=gltf.material(texture=texture)))
    seen = look(gltf.glb(tmp_path / "a.glb"))[..., :3]
    np.testing.assert_array_equal(seen, QUARTERED[..., :3] if expected is None else expected)


@pytest.mark.parametrize(
    ("filters", "is_nearest"),
    [
        ({"magFilter": 9728}, True),
        ({"magFilter": 9728, "minFilter": 9987}, True),
        ({"minFilter": 9984}, True),
        ({"magFilter": 9729, "minFilter": 9728}, False),
        ({}, False),
    ],
)
def test_filters(tmp_path, filters, is_nearest) -> None:
    gltf = Gltf()
    texture = gltf.texture(QUARTERS[::8, ::8], **filters)
    gltf.node(gltf.square(material=gltf.material(texture=texture)))
    seen = look(gltf.glb(tmp_path / "a.glb"))
    assert (seen == QUARTERED).all() == is_nearest


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("MASK", rows(RED, GREEN, RED, GREEN)),
        ("OPAQUE", rows(BLUE, GREEN, BLUE, GREEN)),
        (None, rows(BLUE, GREEN, BLUE, GREEN)),
        ("BLEND", rows([225, 0, 137], GREEN, [225, 0, 137], GREEN)),
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_alpha_before_an_opaque_square(tmp_path, mode, expected, is_first) -> None:
    """Left half blue with alpha 0.25 (64 of 255), right half green: sRGB of 0.75 is 225."""
    gltf = Gltf()
    texels = np.array([[[*BLUE, 64], [*GREEN, 255]]] * 2, np.uint8)
    entry = {} if mode is None else {"alphaMode": mode}
    glass = gltf.material(texture=gltf.texture(texels, magFilter=9728), **entry)
    parts = [gltf.square(material=glass), behind(gltf, 0.3, gltf.material([1, 0, 0, 1]))]
    gltf.node(*(parts if is_first else parts[::-1]))
    seen = look(gltf.glb(tmp_path / "a.glb"), supersample=2)
    assert np.abs(seen - expected).max() <= 1


def test_layers_of_glass_and_nothing_behind(tmp_path) -> None:
    """Three panes of alpha 0.5 hide seven eighths: 1/2 red, 1/4 green, 1/8 blue of what is seen."""
    gltf = Gltf()
    panes = [
        behind(gltf, depth, gltf.material([*color, 0.5], alphaMode="BLEND"))
        for depth, color in ((0.2, (0, 0, 1)), (0, (1, 0, 0)), (0.1, (0, 1, 0)))
    ]
    gltf.node(*panes)
    linear = np.array([4, 2, 1]) / 7
    srgb = (1.055 * linear ** (1 / 2.4) - 0.055) * 255
    seen = look(gltf.glb(tmp_path / "a.glb"))
    assert np.abs(seen - [*srgb, 255 * 7 / 8]).max() <= 1


def test_leaf_cards_far_behind_one_another(tmp_path) -> None:
    """Seventeen cards whose left half is cut out, before a trunk."""
    gltf = Gltf()
    texels = np.array([[[*GREEN, 127], [*GREEN, 128]]] * 2, np.uint8)
    leaf = gltf.material(texture=gltf.texture(texels, magFilter=9728), alphaMode="MASK")
    cards = [behind(gltf, depth / 20, leaf) for depth in range(17)]
    gltf.node(*cards, behind(gltf, 1, gltf.material([1, 0, 0, 1])))
    np.testing.assert_array_equal(look(gltf.glb(tmp_path / "a.glb")), rows(RED, GREEN, RED, GREEN))


@pytest.mark.parametrize(("cull", "expected"), [(True, RED), (False, [0, 0, 0])])
def test_backs_of_single_sided_faces_are_culled_when_asked(tmp_path, cull, expected) -> None:
    """A toon outline: a black shell whose faces look inwards."""
    gltf = Gltf()
    shell = gltf.square(
        material=gltf.material([0, 0, 0, 1]), indices=gltf.accessor([2, 1, 0, 3, 2, 0], "u2")
    )
    gltf.node(shell, behind(gltf, 0.1, gltf.material([1, 0, 0, 1])))
    path = gltf.glb(tmp_path / "a.glb")
    np.testing.assert_array_equal(look(path, cull_backfaces=cull), rows(expected))
    gltf.root["materials"][0]["doubleSided"] = True
    path = gltf.glb(tmp_path / "a.glb")
    np.testing.assert_array_equal(look(path, cull_backfaces=cull), rows([0, 0, 0]))


def test_emitted_light_with_coordinates_of_its_own(tmp_path) -> None:
    gltf = Gltf()
    texture = gltf.texture(np.full((2, 2, 3), 255, np.uint8))
    emissive = gltf.texture() | {"extensions": {TRANSFORM: {"offset": [1, 0], "scale": [-1, 1]}}}
    strength = {"KHR_materials_emissive_strength": {"emissiveStrength": 2}}
    material = gltf.material(
        [0, 0, 0, 1], texture, emissiveTexture=emissive, emissiveFactor=[0.5] * 3,
        extensions=strength,
    )  # fmt: skip
    gltf.node(gltf.square(material=material))
    loaded = load_mesh(gltf.glb(tmp_path / "a.glb"))
    assert loaded.losses == ()
    np.testing.assert_array_equal(look(loaded), QUARTERED[:, ::-1])
    save(loaded, tmp_path / "b.glb")
    np.testing.assert_array_equal(look(tmp_path / "b.glb"), QUARTERED[:, ::-1])


def test_specular_glossiness(tmp_path) -> None:
    gltf = Gltf()
    look_entry = {"diffuseTexture": gltf.texture(), "glossinessFactor": 0.75}
    red = gltf.texture(np.array([[RED]], np.uint8))
    extensions = {"KHR_materials_pbrSpecularGlossiness": look_entry}
    gltf.node(gltf.square(material=gltf.material(texture=red, extensions=extensions)))
    loaded = load_mesh(gltf.glb(tmp_path / "a.glb"))
    np.testing.assert_array_equal(look(loaded), QUARTERED)
    assert (loaded.materials[0].metallic, loaded.materials[0].roughness) == (0, 0.25)
    assert loaded.losses == ()
    look_entry["specularFactor"] = [1, 0, 0]
    losses = load_mesh(gltf.glb(tmp_path / "a.glb")).losses
    assert losses == ("colours of specular reflection are ignored",)


def test_images_of_every_kind(tmp_path) -> None:
    """16 bits, grey, a palette with a transparent entry, JPEG and WebP; one after another."""
    grey = Image.fromarray(np.full((4, 4), 128 * 257, np.uint16))
    palette = Image.fromarray(np.full((4, 4, 3), 128, np.uint8)).quantize(2)
    flat = Image.fromarray(np.full((8, 8, 3), 128, np.uint8))
    for image, kind in (
        (grey, "PNG"), (palette, "PNG"), (flat.convert("L"), "PNG"), (flat, "JPEG"), (flat, "WEBP"),
    ):  # fmt: skip
        gltf = Gltf()
        buffer = io.BytesIO()
        image.save(buffer, format=kind)
        source = gltf.add("images", bufferView=gltf.view(buffer.getvalue()))
        webp = {"extensions": {"EXT_texture_webp": {"source": source}}}
        texture = gltf.add("textures", **(webp if kind == "WEBP" else {"source": source}))
        gltf.node(gltf.square(material=gltf.material(texture={"index": texture})))
        path = gltf.glb(tmp_path / "a.glb")
        assert np.abs(look(path)[..., :3] - 128).max() <= 2, (image.mode, kind)
        assert load_mesh(path).losses == ()


@pytest.mark.parametrize(("channels", "color"), [(1, 0), (2, 4), (3, 2), (4, 6)])
def test_images_of_16_bits_a_channel(tmp_path, channels, color) -> None:
    texels = np.full((2, 2, channels), 128 * 257, ">u2")
    raw = b"".join(b"\0" + row.tobytes() for row in texels)
    content = b"\x89PNG\r\n\x1a\n"
    for name, data in (
        (b"IHDR", struct.pack(">IIBBBBB", 2, 2, 16, color, 0, 0, 0)),
        (b"IDAT", zlib.compress(raw)),
        (b"IEND", b""),
    ):
        content += struct.pack(">I", len(data)) + name + data
        content += struct.pack(">I", zlib.crc32(name + data))
    gltf = Gltf()
    texture = gltf.add("textures", source=gltf.add("images", bufferView=gltf.view(content)))
    gltf.node(gltf.square(material=gltf.material(texture={"index": texture})))
    np.testing.assert_array_equal(look(gltf.glb(tmp_path / "a.glb")), rows([128] * 3))


def test_what_is_lost_is_said(tmp_path) -> None:
    gltf = Gltf()
    textures = {
        "gone": {"index": gltf.add("textures", source=gltf.add("images", uri="gone.png"))},
        "odd": {"index": gltf.add("textures", source=1)},
        "ktx": {"index": gltf.add("textures", extensions={"KHR_texture_basisu": {"source": 0}})},
    }
    gltf.add("images", bufferView=gltf.view(b"KTX"))
    material = gltf.material(
        texture=textures["gone"],
        emissiveTexture=textures["odd"],
        normalTexture=textures["ktx"] | {"scale": 0.5},
        occlusionTexture=gltf.texture(),
        extensions={"KHR_materials_unlit": {}, "KHR_materials_clearcoat": {}},
    )
    bare = gltf.material(texture=gltf.texture())
    gltf.node(gltf.square(material=material), gltf.square(uvs=None, material=bare))
    loaded = load_mesh(gltf.glb(tmp_path / "a.glb"))
    assert loaded.materials[0].normal_scale == 0.5
    assert sorted(loaded.losses) == [
        "KHR_materials_clearcoat is ignored",
        "KHR_materials_unlit is ignored: light shines on every material",
        "a texture has no PNG, JPEG or WebP image (KTX2 and others are not read)",
        "an image gone.png is missing, no regular file or too far above the mesh file",
        "image 1 is no image of a kind that is read",
        "parts without texture coordinates are shown without textures",
        "the occlusion texture is ignored",
    ]


def test_textures_stay_bytes_and_are_written_as_they_are(tmp_path) -> None:
    gltf = Gltf()
    texture = gltf.texture(wrapS=33071, wrapT=33648, magFilter=9728)
    wide = np.array(UVS) * 2 - 0.5
    gltf.node(gltf.square(uvs=wide, material=gltf.material(texture=texture)))
    loaded = load_mesh(gltf.glb(tmp_path / "a.glb"))
    found = loaded.materials[0].texture
    assert isinstance(found, EncodedTexture)
    assert found.encoded == png(QUARTERS)
    assert found.sampler == Sampler("clamp", "mirror", is_nearest=True)
    for suffix in (".glb", ".obj", ".ply", ".usdz"):
        save(loaded, tmp_path / f"b{suffix}")
    again = load_mesh(tmp_path / "b.glb").materials[0].texture
    assert isinstance(again, EncodedTexture)
    assert (again.encoded, again.sampler) == (found.encoded, found.sampler)
    save(loaded, tmp_path / "c.glb", jpeg_quality=90)
    smaller = load_mesh(tmp_path / "c.glb").materials[0].texture
    assert isinstance(smaller, EncodedTexture)
    assert smaller.encoded.startswith(b"\xff\xd8")


def test_a_damaged_image_is_named(tmp_path) -> None:
    gltf = Gltf()
    content = png(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    source = gltf.add("images", bufferView=gltf.view(content[:2000]), name="bark")
    texture = {"index": gltf.add("textures", source=source)}
    gltf.node(gltf.square(material=gltf.material(texture=texture)))
    loaded = load_mesh(gltf.glb(tmp_path / "a.glb"))
    with pytest.raises(MeshError, match=r"image bark is damaged .*export the file again"):
        look(loaded)


def test_colours_of_wide_coordinates_stay_finite(tmp_path: Path) -> None:
    gltf = Gltf()
    texture = gltf.texture(wrapS=33071, wrapT=33648)
    wide = np.array(UVS) * 1e30
    gltf.node(gltf.square(uvs=wide, material=gltf.material(texture=texture)))
    loaded = load_mesh(gltf.glb(tmp_path / "a.glb"))
    assert torch.from_numpy(look(replace(loaded, normals=None)).astype(float)).isfinite().all()
