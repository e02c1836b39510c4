"""USD's own checks find nothing in our USDZ files, and USD reads what was written."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh

import get3d
from get3d.core import Material, Mesh, TexturedMesh
from get3d.export import AssetOptions, make_asset, save_usdz
from get3d.export.split import SplitMesh, split_corners
from get3d.geometry import is_watertight
from get3d_shapes import CATEGORIES, build_shape
from tests.clients.clients import run, usd_command

NUM_SHAPES = 20
NOTES = ('say "hi"\nback\\slash,\ttab, ünï 漢, \x07f', "'''\"\"\" # } @a@", "")


@pytest.fixture
def command() -> list[str]:
    return usd_command()


def check(command: list[str], shapes: list[TexturedMesh], paths: list[Path]) -> None:
    reports = run([*command, *paths])
    assert [report["problems"] for report in reports] == [[]] * len(paths)
    for shape, path in zip(shapes, paths, strict=True):
        found = path.with_suffix(".json").read_text(encoding="utf-8")
        assert_same(json.loads(found), shape)


def ball(**options: object) -> TexturedMesh:
    sphere = trimesh.creation.icosphere(subdivisions=3, radius=0.4)
    mesh = Mesh(torch.tensor(sphere.vertices).float(), torch.tensor(sphere.faces).long())
    return make_asset(
        mesh, lambda points: points.abs(), texture_size=100, options=AssetOptions(**options)
    )


def of_every_kind() -> dict[str, TexturedMesh]:
    baked, vertices = ball(), ball(colors="vertices")
    assert vertices.vert_colors is not None
    glass = Material(base_color=(1.0, 0.0, 0.0, 0.5), name="9 red glass: ä")
    half = (torch.arange(len(baked.mesh.faces)) % 2).long()
    see_through = replace(baked.materials[0], texture=baked.materials[0].texture * 0.5)
    return {
        "baked": replace(baked, notes=NOTES),
        "tinted": replace(
            baked, materials=(replace(baked.materials[0], base_color=(0.5, 1.0, 0.2, 1.0)),)
        ),
        "wrapped": replace(baked, uvs=baked.uvs * 3 - 1),
        "open": replace(
            baked,
            mesh=Mesh(baked.mesh.verts, baked.mesh.faces[5:]),
            uv_faces=baked.uv_faces[5:],
            face_material=baked.face_material[5:],
        ),
        "two materials": replace(baked, materials=(glass, see_through), face_material=half),
        "vertex colours": vertices,
        "clear vertices": replace(vertices, vert_colors=vertices.vert_colors * 0.5),
        "creases": ball(crease_deg=5.0, faces=200),
    } | {category: build_shape(category, 1, texture_size=256).mesh for category in CATEGORIES}


def test_every_kind_of_file(command, tmp_path):
    shapes = of_every_kind()
    for jpeg_quality in (None, 80):
        paths = [tmp_path / f"{name} {jpeg_quality}.usdz" for name in shapes]
        for shape, path in zip(shapes.values(), paths, strict=True):
            save_usdz(shape, path, jpeg_quality=jpeg_quality)
        check(command, list(shapes.values()), paths)


def assert_same(found: dict[str, Any], shape: TexturedMesh) -> None:
    """What USD reads is what the writers split; float32 values come back exactly."""
    assert (found["default"], found["up"], found["metres"]) == ("shape", "Y", 1)
    assert found["notes"] == list(shape.notes)
    for (index, part), mesh in zip(split_corners(shape), found["meshes"], strict=True):
        np.testing.assert_array_equal(np.float32(mesh["points"]), part.verts)
        np.testing.assert_allclose(mesh["normals"], part.normals, atol=1e-6)
        np.testing.assert_array_equal(np.reshape(mesh["corners"], (-1, 3)), part.faces)
        assert mesh["counts"] == [3] * len(part.faces)
        assert mesh["extent"] == mesh["expected_extent"]
        assert mesh["subdivision"] == "none"
        assert mesh["double_sided"] is not is_watertight(shape.mesh)
        assert ("st" in mesh) == (part.uvs is not None)
        if part.uvs is not None:
            np.testing.assert_array_equal(np.float32(mesh["st"]), part.uvs)
        assert_same_look(mesh, found["materials"][mesh["material"]], shape.materials[index], part)


def assert_same_look(
    mesh: dict[str, Any], inputs: dict[str, Any], material: Material, part: SplitMesh
) -> None:
    color, opacity = inputs["surface.diffuseColor"], inputs["surface.opacity"]
    if material.texture is not None:
        assert color == "texture.rgb"
        scale = inputs.get("texture.scale", (1, 1, 1, 1))
        np.testing.assert_array_equal(np.float32(scale), np.float32(material.base_color))
        assert opacity == (1 if material.texture[..., 3].min() == 1 else "opacity.a")
        wrap = "repeat" if part.is_repeating else "clamp"
        assert (inputs["texture.wrapS"], inputs["texture.wrapT"]) == (wrap, wrap)
    elif part.colors is None:
        np.testing.assert_array_equal(np.float32([*color, opacity]), material.base_color)
    else:
        assert color == "color.result"
        np.testing.assert_array_equal(np.float32(mesh["displayColor"]), part.colors[:, :3])
        is_clear = part.colors[:, 3].min() < 1
        assert opacity == ("opacity.result" if is_clear else 1)
        if is_clear:
            np.testing.assert_array_equal(mesh["displayOpacity"], part.colors[:, 3])


def test_the_checks_are_heard(command, tmp_path):
    """A file with errors is not passed over."""
    save_usdz(ball(), tmp_path / "ball.usdz")
    with zipfile.ZipFile(tmp_path / "ball.usdz") as package:
        contents = {name: package.read(name) for name in package.namelist()}
    contents["scene.usda"] = contents["scene.usda"].replace(b'upAxis = "Y"', b"")
    with zipfile.ZipFile(tmp_path / "bad.usdz", "w") as package:
        for name, content in contents.items():
            package.writestr(name, content)
    (report,) = run([*command, tmp_path / "bad.usdz"])
    problems = "\n".join(report["problems"])
    assert "invalid offset" in problems  # not at a multiple of 64 bytes
    assert "upAxis" in problems


@pytest.mark.slow
def test_shapes_of_the_bundled_model(command, tmp_path):
    paths = [tmp_path / f"{index}.usdz" for index in range(NUM_SHAPES)]
    shapes = list(get3d.load().iter_generate(NUM_SHAPES, texture_size=256))
    for shape, path in zip(shapes, paths, strict=True):
        save_usdz(shape, path)
    check(command, shapes, paths)
