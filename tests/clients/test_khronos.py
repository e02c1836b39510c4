"""The Khronos validator finds no error and no warning in our GLB files."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import trimesh

import get3d
from get3d.core import Material, Mesh, TexturedMesh
from get3d.export import AssetOptions, make_asset, save_glb
from get3d_shapes import CATEGORIES, build_shape
from tests.clients.clients import node_command, run

NUM_SHAPES = 50


@pytest.fixture
def command() -> list[str]:
    return node_command("validate_glb.mjs", "gltf-validator")


def check(command: list[str], paths: list[Path]) -> None:
    reports = run([*command, *paths])
    assert len(reports) == len(paths)
    bad = [report for report in reports if report["numErrors"] or report["numWarnings"]]
    assert not bad


def ball(**options: object) -> TexturedMesh:
    sphere = trimesh.creation.icosphere(subdivisions=3, radius=0.4)
    mesh = Mesh(torch.tensor(sphere.vertices).float(), torch.tensor(sphere.faces).long())
    return make_asset(
        mesh, lambda points: points.abs(), texture_size=100, options=AssetOptions(**options)
    )


def test_every_kind_of_file(command, tmp_path):
    baked = ball()
    glass = Material(base_color=(1.0, 0.0, 0.0, 0.5), name="red glass")
    half = (torch.arange(len(baked.mesh.faces)) % 2).long()
    see_through = replace(baked.materials[0], texture=baked.materials[0].texture * 0.5)
    shapes = {
        "baked": baked,
        "wrapped": replace(baked, uvs=baked.uvs * 3 - 1),
        "open": replace(
            baked,
            mesh=Mesh(baked.mesh.verts, baked.mesh.faces[5:]),
            uv_faces=baked.uv_faces[5:],
            face_material=baked.face_material[5:],
        ),
        "two materials": replace(baked, materials=(glass, see_through), face_material=half),
        "vertex colours": ball(colors="vertices"),
        "creases": ball(crease_deg=5.0, faces=200),
    } | {category: build_shape(category, 1, texture_size=256).mesh for category in CATEGORIES}
    for name, shape in shapes.items():
        save_glb(shape, tmp_path / f"{name}.glb")
        save_glb(shape, tmp_path / f"{name} as jpeg.glb", jpeg_quality=80)
    check(command, sorted(tmp_path.glob("*.glb")))


def test_the_validator_is_heard(command, tmp_path):
    """A file with an error is not passed over."""
    save_glb(ball(), tmp_path / "ball.glb")
    glb = (tmp_path / "ball.glb").read_bytes()
    (tmp_path / "ball.glb").write_bytes(glb.replace(b'"VEC2"', b'"VEC3"'))
    with pytest.raises(AssertionError, match="numErrors"):
        check(command, [tmp_path / "ball.glb"])


@pytest.mark.slow
def test_fifty_shapes_of_the_bundled_model(command, tmp_path):
    paths = [tmp_path / f"{index}.glb" for index in range(NUM_SHAPES)]
    shapes = get3d.load().iter_generate(NUM_SHAPES, texture_size=256)
    for shape, path in zip(shapes, paths, strict=True):
        save_glb(shape, path)
    check(command, paths)
