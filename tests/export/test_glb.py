import io
import json
import struct
from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from get3d.core import Material, Mesh, TexturedMesh
from get3d.data import load_mesh
from get3d.export import encode_glb, save_glb, texture_mesh


def read_glb(glb: bytes) -> tuple[dict, bytes]:
    magic, number, total = struct.unpack_from("<4sII", glb)
    assert (magic, number, total) == (b"glTF", 2, len(glb))
    json_length, json_kind = struct.unpack_from("<I4s", glb, 12)
    assert json_kind == b"JSON"
    binary_length, binary_kind = struct.unpack_from("<I4s", glb, 20 + json_length)
    assert binary_kind == b"BIN\0"
    assert json_length % 4 == binary_length % 4 == 0
    return json.loads(glb[20 : 20 + json_length]), glb[28 + json_length :]


def read_accessor(document: dict, binary: bytes, index: int) -> np.ndarray:
    accessor = document["accessors"][index]
    view = document["bufferViews"][accessor["bufferView"]]
    dtype = {5126: "<f4", 5123: "<u2", 5125: "<u4"}[accessor["componentType"]]
    width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}[accessor["type"]]
    count = accessor["count"] * width
    return np.frombuffer(binary, dtype, count, view["byteOffset"]).reshape(-1, width)


def test_square_with_its_image(textured):
    document, binary = read_glb(encode_glb(textured))
    (primitive,) = document["meshes"][0]["primitives"]
    attributes = primitive["attributes"]
    positions = read_accessor(document, binary, attributes["POSITION"])
    assert len(positions) == 4
    assert document["accessors"][attributes["POSITION"]]["min"] == [-0.5, -0.5, 0.0]
    assert document["accessors"][attributes["POSITION"]]["max"] == [0.5, 0.5, 0.0]
    normals = read_accessor(document, binary, attributes["NORMAL"])
    np.testing.assert_allclose(normals, [[0, 0, 1]] * 4)
    uvs = read_accessor(document, binary, attributes["TEXCOORD_0"])
    # glTF's v runs from the top, ours from the bottom.
    np.testing.assert_allclose(uvs, positions[:, :2] * (1, -1) + 0.5)
    corners = read_accessor(document, binary, primitive["indices"]).reshape(-1, 3)
    assert {tuple(face) for face in positions[corners].reshape(2, -1).tolist()} == {
        tuple(face) for face in textured.mesh.verts[textured.mesh.faces].flatten(1).tolist()
    }
    view = document["bufferViews"][document["images"][0]["bufferView"]]
    png = binary[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
    image = np.asarray(Image.open(io.BytesIO(png)))
    expected = (textured.materials[0].texture[..., :3] * 255).byte().numpy()
    np.testing.assert_array_equal(image, expected)
    (material,) = document["materials"]
    assert material["doubleSided"] is True  # a square is not closed
    assert "alphaMode" not in material
    assert material["pbrMetallicRoughness"]["metallicFactor"] == 0


def test_vertices_are_split_at_seams_only(ball):
    textured = texture_mesh(ball(2), lambda points: points.abs(), texture_size=64)
    document, binary = read_glb(encode_glb(textured))
    (primitive,) = document["meshes"][0]["primitives"]
    positions = read_accessor(document, binary, primitive["attributes"]["POSITION"])
    pairs = torch.stack([textured.mesh.faces, textured.uv_faces], dim=2).flatten(0, 1)
    assert len(positions) == len(pairs.unique(dim=0)) < 3 * len(textured.mesh.faces) / 2
    normals = read_accessor(document, binary, primitive["attributes"]["NORMAL"])
    # The normals of a ball's vertices point away from its centre, at seams too.
    outward = positions / np.linalg.norm(positions, axis=1, keepdims=True)
    assert (normals * outward).sum(axis=1).min() > 0.99
    assert "doubleSided" not in document["materials"][0]


def test_materials_become_primitives(two_materials):
    document, _ = read_glb(encode_glb(two_materials))
    glass, grey = document["materials"]
    assert glass["name"] == "red glass"
    assert glass["alphaMode"] == "BLEND"
    assert glass["pbrMetallicRoughness"]["baseColorFactor"] == [1.0, 0.0, 0.0, 0.5]
    assert "baseColorTexture" not in glass["pbrMetallicRoughness"]
    assert "baseColorTexture" in grey["pbrMetallicRoughness"]
    first, second = document["meshes"][0]["primitives"]
    assert (first["material"], second["material"]) == (0, 1)
    assert "COLOR_0" in first["attributes"]


def test_many_vertices_get_wide_indices():
    side = 257
    row, column = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    corner = (row * side + column)[:-1, :-1].flatten()
    faces = torch.cat(
        [
            torch.stack([corner, corner + 1, corner + side], 1),
            torch.stack([corner + 1, corner + side + 1, corner + side], 1),
        ]
    )
    verts = torch.stack([row, column, 0 * row], dim=2).reshape(-1, 3).float()
    textured = _plain(Mesh(verts, faces))
    document, binary = read_glb(encode_glb(textured))
    (primitive,) = document["meshes"][0]["primitives"]
    corners = read_accessor(document, binary, primitive["indices"])
    assert document["accessors"][primitive["indices"]]["componentType"] == 5125
    positions = read_accessor(document, binary, primitive["attributes"]["POSITION"])
    np.testing.assert_array_equal(positions[corners[:, 0]], verts[faces.flatten()])


def _plain(mesh: Mesh) -> TexturedMesh:
    return TexturedMesh(
        mesh=mesh,
        uvs=torch.zeros(0, 2),
        uv_faces=torch.zeros_like(mesh.faces),
        materials=(Material(base_color=(0.2, 0.4, 0.6, 1.0)),),
        face_material=torch.zeros(len(mesh.faces), dtype=torch.int64),
    )


def test_vertices_that_nothing_uses_have_no_bad_normal(ball):
    mesh = ball(1)
    mesh = Mesh(torch.cat([mesh.verts, torch.zeros(2, 3)]), mesh.faces)
    textured = replace(_plain(mesh), normals=torch.zeros(len(mesh.verts), 3))
    document, binary = read_glb(encode_glb(textured))
    attributes = document["meshes"][0]["primitives"][0]["attributes"]
    normals = read_accessor(document, binary, attributes["NORMAL"])
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)


def test_our_reader_and_trimesh_get_it_back(textured, tmp_path):
    path = tmp_path / "square.glb"
    save_glb(textured, path)
    found = load_mesh(path)
    texture = found.materials[0].decoded().texture
    torch.testing.assert_close(texture, textured.materials[0].texture)
    for mesh in (found, textured):
        order = mesh.mesh.verts[:, 0] + 10 * mesh.mesh.verts[:, 1]
        uv_of_vert = torch.zeros(4, 2)
        uv_of_vert[mesh.mesh.faces.flatten()] = mesh.uvs[mesh.uv_faces.flatten()]
        torch.testing.assert_close(
            uv_of_vert[order.argsort()],
            torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]),
        )
    shape = trimesh.load_scene(path).to_mesh()
    left_bottom = shape.visual.material.baseColorTexture.getpixel((0, 7))
    assert left_bottom == (255, 0, 0)


def test_two_materials_come_back(two_materials, tmp_path):
    path = tmp_path / "ball.glb"
    save_glb(two_materials, path)
    found = load_mesh(path)
    assert len(found.mesh.faces) == len(two_materials.mesh.faces)
    factors = sorted(material.base_color for material in found.materials)
    # trimesh keeps factors as bytes.
    assert factors == [pytest.approx((1, 0, 0, 0.5), abs=0.5 / 255), (1, 1, 1, 1)]
    assert found.vert_colors is not None
    torch.testing.assert_close(found.vert_colors, torch.full_like(found.vert_colors, 0.75))


@pytest.mark.parametrize(("num_verts", "component_type"), [(0xFFFF, 5123), (0x10000, 5125)])
def test_index_65535_is_reserved(num_verts, component_type):
    """It restarts primitives, so 65,535 vertices are the most that fit into two bytes."""
    column = torch.arange(num_verts)
    verts = torch.stack([column // 2, column % 2, 0 * column], 1).float()
    faces = torch.stack([column[:-2], column[1:-1], column[2:]], 1)
    document, _ = read_glb(encode_glb(_plain(Mesh(verts, faces))))
    (primitive,) = document["meshes"][0]["primitives"]
    assert document["accessors"][primitive["indices"]]["componentType"] == component_type
    position = document["accessors"][primitive["attributes"]["POSITION"]]
    assert position["count"] == num_verts


def test_an_atlas_is_clamped_and_a_pattern_repeats(textured):
    for scale, wrap in ((1.0, 33071), (3.0, 10497)):
        document, _ = read_glb(encode_glb(replace(textured, uvs=textured.uvs * scale)))
        (sampler,) = document["samplers"]
        assert (sampler["wrapS"], sampler["wrapT"]) == (wrap, wrap)
