"""Files of others: Blender (Cycles) and our reader with our renderer show the same base colours.

Small files with what people's files have, made here; Blender's importers and renderer are an
implementation that shares nothing with ours. Base colours are shown flat, without light.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from get3d.core import Cameras
from get3d.data import load_mesh
from get3d.geometry import orbit_cameras
from get3d.render import render_textured
from tests.clients.clients import Client, blender_command, color_error, make_client, overlap
from tests.data.gltf.files import CORNERS, QUARTERS, UVS, Gltf, png

SIZE = 96
COLOR_TOLERANCE = 0.02
"""Mean difference: 16 samples a pixel, at other points of it, where quarters of textures meet."""

# Large, as programs differ in whether they interpolate texels in sRGB or in linear light.
FINE = np.kron(QUARTERS, np.ones((16, 16, 1), np.uint8))

TRANSFORM = "KHR_texture_transform"
TILTED = {"rotation": [0, math.sin(0.3), 0, math.cos(0.3)], "translation": [0.3, 0.2, -0.4]}


@pytest.fixture(scope="module")
def blender(tmp_path_factory: pytest.TempPathFactory) -> Client:
    return make_client(blender_command(), tmp_path_factory.mktemp("images"), flat=True)


@pytest.fixture
def cameras() -> Cameras:
    """From the front, and from behind and above."""
    return orbit_cameras(
        torch.tensor([math.pi + 0.3, 0.5]), torch.tensor([1.4, 0.8]), radius=6.0, fovy_rad=0.6
    )


def quarters(gltf: Gltf, **sampler: int) -> int:
    return gltf.material(texture=gltf.texture(FINE, **sampler))


def plain(gltf: Gltf) -> None:
    gltf.node(gltf.square(material=quarters(gltf)))


def factor_and_turned_node(gltf: Gltf) -> None:
    material = gltf.material([0.2, 0.7, 0.4, 1], texture=gltf.texture(FINE))
    child = gltf.node(gltf.square(material=material), scale=[0.5, 1, 1])
    gltf.add("nodes", children=[child], **TILTED)
    gltf.add("scenes", nodes=[child + 1])


def colours_of_vertices(gltf: Gltf) -> None:
    colors = gltf.accessor([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]])
    gltf.node(gltf.square(attributes={"COLOR_0": colors}, material=gltf.material()))


def normalised_integers(gltf: Gltf) -> None:
    uvs = gltf.accessor(np.array(UVS) * 65535, "u2", normalized=True)
    gltf.node(gltf.square(uvs=None, attributes={"TEXCOORD_0": uvs}, material=quarters(gltf)))


def second_coordinates(gltf: Gltf) -> None:
    second = gltf.accessor(np.array(UVS)[[1, 2, 3, 0]])
    material = gltf.material(texture=gltf.texture(FINE) | {"texCoord": 1})
    gltf.node(gltf.square(attributes={"TEXCOORD_1": second}, material=material))


def transformed_texture(gltf: Gltf) -> None:
    turned = {"offset": [0.25, 0.1], "rotation": 0.6, "scale": [1.5, 0.7]}
    material = gltf.material(texture=gltf.texture(FINE) | {"extensions": {TRANSFORM: turned}})
    gltf.root["extensionsUsed"] = [TRANSFORM]
    gltf.node(gltf.square(material=material))


def repeated(gltf: Gltf) -> None:
    gltf.node(gltf.square(uvs=np.array(UVS) * 3 - 1, material=quarters(gltf)))


def clamped(gltf: Gltf) -> None:
    material = quarters(gltf, wrapS=33071, wrapT=33071)
    gltf.node(gltf.square(uvs=np.array(UVS) * 3 - 1, material=material))


def nearest(gltf: Gltf) -> None:
    texels = np.random.default_rng(0).integers(0, 256, (4, 4, 3)).astype(np.uint8)
    material = gltf.material(texture=gltf.texture(texels, magFilter=9728, minFilter=9728))
    gltf.node(gltf.square(material=material))


def strip(gltf: Gltf) -> None:
    indices = gltf.accessor([0, 1, 3, 2], "u1")
    gltf.node(gltf.square(indices=indices, mode=5, material=quarters(gltf)))


def fan(gltf: Gltf) -> None:
    gltf.node(
        gltf.square(indices=gltf.accessor([0, 1, 2, 3], "u1"), mode=6, material=quarters(gltf))
    )


def sparse(gltf: Gltf) -> None:
    """One corner is moved by a sparse accessor."""
    primitive = gltf.square(material=quarters(gltf))
    gltf.root["accessors"][primitive["attributes"]["POSITION"]]["sparse"] = {
        "count": 1,
        "indices": {
            "bufferView": gltf.view(np.array([2], "<u2").tobytes()),
            "componentType": 5123,
        },
        "values": {"bufferView": gltf.view(np.array([0.3, 0.4, 0.5], "<f4").tobytes())},
    }
    gltf.node(primitive)


def masked(gltf: Gltf) -> None:
    """A square with a hole before another one."""
    texels = np.full((8, 8, 4), 255, np.uint8)
    texels[2:6, 2:6] = (0, 0, 0, 0)
    front = gltf.material(texture=gltf.texture(texels, magFilter=9728), alphaMode="MASK")
    gltf.node(gltf.square(material=front))
    gltf.node(gltf.square(material=quarters(gltf)), translation=[0, 0, -0.5])


def blended(gltf: Gltf) -> None:
    """Half of what is behind is seen."""
    gltf.node(gltf.square(material=gltf.material([1, 0.2, 0, 0.5], alphaMode="BLEND")))
    gltf.node(gltf.square(material=quarters(gltf)), translation=[0, 0, -0.5])


def opaque_with_alpha(gltf: Gltf) -> None:
    texels = np.concatenate([FINE, np.full((*FINE.shape[:2], 1), 60, np.uint8)], axis=2)
    gltf.node(gltf.square(material=gltf.material([1, 1, 1, 0.3], texture=gltf.texture(texels))))


def several(gltf: Gltf) -> None:
    """Two materials in one mesh, which occurs twice."""
    left = gltf.square(
        material=quarters(gltf), corners=np.array(CORNERS) * [0.4, 1, 1] - [0.6, 0, 0]
    )
    right = gltf.square(
        material=gltf.material([0.1, 0.5, 0.9, 1]), corners=np.array(CORNERS) * 0.4 + [0.6, 0, 0]
    )
    node = gltf.node(left, right)
    gltf.add("nodes", mesh=gltf.root["nodes"][node]["mesh"], **TILTED)


GLTF: list[Callable[[Gltf], None]] = [
    plain,
    factor_and_turned_node,
    colours_of_vertices,
    normalised_integers,
    second_coordinates,
    transformed_texture,
    repeated,
    clamped,
    nearest,
    strip,
    fan,
    sparse,
    masked,
    blended,
    opaque_with_alpha,
    several,
]

_QUAD = "v -1 -1 0\nv 1 -1 0\nv 1 1 0\nv -1 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n"
_BEHIND = "v -2 -2 -1\nv 2 -2 -1\nv 2 2 -1\nvt 1 0\nvt 1 1\nvt 0 1\n"
# Colours of 0 and 1 alone: Blender takes Kd for linear light, we and web viewers for sRGB.
OBJ = {
    "texture": (f"{_QUAD}usemtl m\nf 1/1 2/2 3/3 4/4\n", "newmtl m\nmap_Kd quarters.png\n"),
    "colour": (f"{_QUAD}usemtl m\nf 1 2 3 4\n", "newmtl m\nKd 0 1 1\n"),
    "negative indices": (
        f"{_QUAD}usemtl m\nf -4/-4 -3/-3 -2/-2 -1/-1\n{_BEHIND}f -3/-3 -2/-2 -1/-1\n",
        "newmtl m\nmap_Kd quarters.png\n",
    ),
    "options of the map": (
        f"{_QUAD}usemtl m\nf 1/1 2/2 3/3 4/4\n",
        "newmtl m\nmap_Kd -s 2 3 1 -o 0.25 0.1 0 quarters.png\n",
    ),
    "two materials": (
        f"{_QUAD}usemtl m\nf 1/1 2/2 3/3\nusemtl n\nf 1 3 4\n",
        "newmtl m\nmap_Kd quarters.png\nnewmtl n\nKd 1 0 1\n",
    ),
}


def write_files(folder: Path) -> list[Path]:
    paths = []
    for make in GLTF:
        gltf = Gltf()
        make(gltf)
        if "scenes" not in gltf.root:
            gltf.add("scenes", nodes=list(range(len(gltf.root["nodes"]))))
        gltf.root["scene"] = 0
        paths.append(gltf.glb(folder / f"{make.__name__}.glb"))
    (folder / "quarters.png").write_bytes(png(FINE))
    for name, (obj, mtl) in OBJ.items():
        path = folder / f"{name.replace(' ', '_')}.obj"
        path.write_text(f"mtllib {path.stem}.mtl\n{obj}")
        path.with_suffix(".mtl").write_text(mtl)
        paths.append(path)
    return paths


def our_images(path: Path, cameras: Cameras) -> np.ndarray:
    shape = load_mesh(path)
    assert shape.losses == ()
    images: np.ndarray = render_textured(shape, cameras, SIZE).numpy()
    return images


def test_the_files_can_be_told_apart(tmp_path: Path, cameras: Cameras) -> None:
    """Runs without Blender: every file is read without losses, and no two look the same."""
    images = {path.stem: our_images(path, cameras) for path in write_files(tmp_path)}
    seen: dict[str, Any] = {}
    for name, found in images.items():
        assert found[..., 3].max() == 1, name
        same = [other for other, image in seen.items() if np.abs(found - image).max() < 0.05]
        # The same by intention: other ways to write the plain square.
        assert set(same) <= {"plain", "normalised_integers", "strip", "fan", "opaque_with_alpha"}
        seen[name] = found


def test_blender_shows_the_same_base_colours(
    blender: Client, tmp_path: Path, cameras: Cameras
) -> None:
    paths = write_files(tmp_path)
    wrong = {}
    shown = blender(paths, cameras, SIZE).images_u8 / 255
    for path, found in zip(paths, shown, strict=True):
        ours = our_images(path, cameras)
        for view in range(len(cameras)):
            coverage = overlap(found[view, ..., 3], ours[view, ..., 3])
            error = color_error(found[view], ours[view])
            if coverage < 0.97 or not error < COLOR_TOLERANCE:
                wrong[f"{path.name} {view}"] = (round(coverage, 3), round(error, 3))
                for name, image in (("blender", found[view]), ("ours", ours[view])):
                    image_u8 = (image * 255).round().astype(np.uint8)
                    Image.fromarray(image_u8).save(tmp_path / f"{path.stem}-{view}-{name}.png")
    assert not wrong, f"{wrong}; images in {tmp_path}"
