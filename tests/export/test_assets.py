import json
import math
import struct

import numpy as np
import pytest
import torch
import trimesh

from get3d.core import Mesh
from get3d.core.colors import linear_to_srgb
from get3d.data import load_mesh
from get3d.export import AssetOptions, color_vertices, encode_glb, make_asset, save
from get3d.geometry import face_normals, orbit_cameras, vertex_normals
from get3d.render import Light, render_textured


def shade(points):
    return points + 0.5


def box() -> Mesh:
    shape = trimesh.creation.box((0.8, 0.8, 0.8))
    return Mesh(torch.tensor(shape.vertices).float(), torch.tensor(shape.faces).long())


def document_of(glb: bytes) -> dict:
    (length,) = struct.unpack_from("<I", glb, 12)
    return json.loads(glb[20 : 20 + length])


@pytest.mark.parametrize("suffix", [".glb", ".obj", ".ply"])
def test_split_normals_are_in_every_file(tmp_path, suffix):
    asset = make_asset(box(), shade, texture_size=64, options=AssetOptions(crease_deg=40.0))
    assert len(asset.mesh.verts) == 8  # the surface itself stays closed
    path = tmp_path / f"box{suffix}"
    save(asset, path)
    found = load_mesh(path)
    corners = found.mesh.verts[found.mesh.faces]
    expected = face_normals(found.mesh)[:, None].expand(-1, 3, -1)
    normals = found.normals if found.normals is not None else vertex_normals(found.mesh)
    assert corners.shape == (12, 3, 3)
    corner = found.mesh.faces if found.normal_faces is None else found.normal_faces
    torch.testing.assert_close(normals[corner], expected, atol=1e-5, rtol=0)


def test_split_normals_are_in_our_images():
    """A box of split normals looks like one of flat faces; one of smooth normals does not."""
    cameras = orbit_cameras(
        torch.tensor([0.5]), torch.tensor([1.0]), radius=2.0, fovy_rad=math.radians(40)
    )
    look = {
        crease: render_textured(
            make_asset(
                box(), lambda p: p * 0 + 1, texture_size=64, options=AssetOptions(crease_deg=crease)
            ),
            cameras,
            64,
            light=Light(),
        )
        for crease in (None, 40.0, 180.0)
    }
    torch.testing.assert_close(look[40.0], look[None], atol=1e-4, rtol=0)
    assert (look[180.0] - look[None]).abs().max() > 0.05


def test_colors_at_vertices(ball, tmp_path):
    asset = make_asset(ball(2), shade, options=AssetOptions(colors="vertices"))
    assert len(asset.uvs) == 0
    assert asset.materials[0].texture is None
    for suffix in (".glb", ".ply", ".obj"):
        save(asset, tmp_path / f"ball{suffix}")
    assert not list(tmp_path.glob("*.png"))
    found = load_mesh(tmp_path / "ball.glb")
    assert found.vert_colors is not None
    srgb = linear_to_srgb(found.vert_colors[:, :3])
    torch.testing.assert_close(srgb, shade(found.mesh.verts), atol=0.04, rtol=0)
    from_ply = trimesh.load(tmp_path / "ball.ply", process=False)
    colors = np.asarray(from_ply.visual.vertex_colors)[:, :3] / 255
    np.testing.assert_allclose(colors, shade(from_ply.vertices), atol=0.003)
    lines = (tmp_path / "ball.obj").read_text().splitlines()
    rows = np.array([line.split()[1:] for line in lines if line.startswith("v ")], dtype=float)
    np.testing.assert_allclose(rows[:, 3:], shade(rows[:, :3]), atol=1e-5)


def test_images_of_vertex_colors_are_the_field(ball):
    asset = color_vertices(ball(4), shade)
    cameras = orbit_cameras(
        torch.tensor([0.5]), torch.tensor([1.0]), radius=1.2, fovy_rad=math.radians(49)
    )
    textured = make_asset(ball(4), shade, texture_size=256)
    first, second = (render_textured(each, cameras, 64) for each in (asset, textured))
    assert (first - second).abs().max() < 0.04


def test_notes_are_in_every_file(ball, tmp_path):
    options = AssetOptions(faces=200, crease_deg=30.0)
    asset = make_asset(ball(3), shade, texture_size=64, options=options)
    assert asset.notes[0] == "faces 200: simplified 1280 faces to 200"
    assert asset.notes[1].startswith("normals split at creases of 30 degrees: ")
    assert document_of(encode_glb(asset))["asset"]["extras"]["notes"] == list(asset.notes)
    for suffix, mark in ((".obj", "# "), (".ply", "comment ")):
        save(asset, tmp_path / f"ball{suffix}")
        lines = (tmp_path / f"ball{suffix}").read_bytes().split(b"\n")
        for note in asset.notes:
            assert f"{mark}{note}".encode() in lines
    plain = make_asset(ball(3), shade, texture_size=64)
    assert plain.notes == ()
    assert "extras" not in document_of(encode_glb(plain))["asset"]


def test_no_faces_and_bad_positions(ball):
    mesh = ball(1)
    with pytest.raises(ValueError, match="no faces"):
        color_vertices(Mesh(mesh.verts, mesh.faces[:0]), shade)
    mesh.verts[0] = torch.inf
    with pytest.raises(ValueError, match="not finite"):
        color_vertices(mesh, shade)


def test_colors_are_one_of_two():
    options = AssetOptions()
    object.__setattr__(options, "colors", "textures")  # the tests' type checker would refuse first
    with pytest.raises(ValueError, match="colors must be one of texture, vertices; got 'textures'"):
        options.__post_init__()
