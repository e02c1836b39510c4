import ast
import io
import re
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from get3d.core import Material, Mesh, TexturedMesh
from get3d.export import save_usdz, texture_mesh
from get3d.export.names import unique_names
from get3d.export.split import split_corners


def read_package(path: Path) -> dict[str, bytes]:
    """The files of a package, none of them compressed, each at a multiple of 64 bytes."""
    package_bytes = path.read_bytes()
    contents = {}
    with zipfile.ZipFile(path) as package:
        assert package.testzip() is None
        for entry in package.infolist():
            assert entry.compress_type == zipfile.ZIP_STORED
            assert entry.flag_bits == 0
            name_length, extra_length = np.frombuffer(
                package_bytes, "<u2", 2, entry.header_offset + 26
            )
            start = entry.header_offset + 30 + int(name_length) + int(extra_length)
            assert start % 64 == 0
            contents[entry.filename] = package.read(entry)
            assert package_bytes[start : start + entry.file_size] == contents[entry.filename]
    assert next(iter(contents)) == "scene.usda"
    return contents


def save_and_read(textured_mesh: TexturedMesh, path: Path, **options) -> str:
    save_usdz(textured_mesh, path, **options)
    return read_package(path)["scene.usda"].decode()


def prims(scene: str, kind: str) -> dict[str, str]:
    """The texts of all prims of a kind, by name."""
    found = re.findall(rf'^( *)def {kind} "(\w+)"(.*?)^\1}}', scene, re.MULTILINE | re.DOTALL)
    return {name: text for _, name, text in found}


def values(prim: str, attribute: str) -> np.ndarray:
    """An array as numpy reads it, float32 where it holds floats."""
    (text,) = re.findall(rf"^ *\w+\[\] {attribute} = (\[.*\])", prim, re.MULTILINE)
    array = np.array(ast.literal_eval(text))
    return array if array.dtype.kind == "i" and "face" in attribute else np.float32(array)


def setting(prim: str, name: str) -> str:
    (text,) = re.findall(rf"^ *(?:\w+ )*{name} = (.*)$", prim, re.MULTILINE)
    return text


def test_square_with_its_image(textured, tmp_path):
    scene = save_and_read(textured, tmp_path / "square.usdz")
    assert scene.startswith("#usda 1.0\n(\n")
    assert setting(scene, "defaultPrim") == '"shape"'
    assert setting(scene, "upAxis") == '"Y"'
    assert setting(scene, "metersPerUnit") == "1"
    (mesh,) = prims(scene, "Mesh").values()
    points = values(mesh, "points")
    assert len(points) == 4
    np.testing.assert_array_equal(values(mesh, "extent"), [[-0.5, -0.5, 0], [0.5, 0.5, 0]])
    np.testing.assert_array_equal(values(mesh, "normals"), [[0, 0, 1]] * 4)
    # USD counts v from the bottom, as we do.
    np.testing.assert_array_equal(values(mesh, "primvars:st"), points[:, :2] + 0.5)
    np.testing.assert_array_equal(values(mesh, "faceVertexCounts"), [3, 3])
    corners = values(mesh, "faceVertexIndices").reshape(-1, 3)
    assert {tuple(face) for face in points[corners].reshape(2, -1).tolist()} == {
        tuple(face) for face in textured.mesh.verts[textured.mesh.faces].flatten(1).tolist()
    }
    assert setting(mesh, "doubleSided") == "1"  # a square is not closed
    assert setting(mesh, "subdivisionScheme") == '"none"'
    assert setting(mesh, "material:binding") == "</shape/materials/material>"


def test_material_of_an_image(textured, tmp_path):
    scene = save_and_read(textured, tmp_path / "square.usdz")
    png = read_package(tmp_path / "square.usdz")["textures/material.png"]
    expected = (textured.materials[0].texture[..., :3] * 255).byte().numpy()
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png))), expected)
    (material,) = prims(scene, "Material").values()
    path = "/shape/materials/material"
    assert setting(material, "outputs:surface.connect") == f"<{path}/surface.outputs:surface>"
    assert setting(material, "inputs:diffuseColor.connect") == f"<{path}/texture.outputs:rgb>"
    assert setting(material, "inputs:file") == "@textures/material.png@"
    assert setting(material, "inputs:sourceColorSpace") == '"sRGB"'
    assert setting(material, "inputs:st.connect") == f"<{path}/coordinates.outputs:result>"
    assert setting(material, "inputs:varname") == '"st"'
    assert setting(material, "inputs:wrapS") == setting(material, "inputs:wrapT") == '"clamp"'
    assert setting(material, "inputs:opacity") == "1"
    assert setting(material, "inputs:metallic") == "0"
    assert setting(material, "inputs:roughness") == "1"
    assert "inputs:scale" not in material


def test_every_connection_leads_somewhere(two_materials, tmp_path):
    """Prims are told apart by their indentation; paths name outputs that are there."""
    scene = save_and_read(two_materials, tmp_path / "ball.usdz")
    found, path = set(), []
    for line in scene.splitlines():
        depth = (len(line) - len(line.lstrip())) // 4
        if named := re.match(r' *def \w+ "(\w+)"', line):
            path = [*path[:depth], named[1]]
            found.add("/" + "/".join(path))
        elif output := re.match(r" *\w+ (outputs:\w+)$", line):
            found.add("/" + "/".join(path) + "." + output[1])
    targets = re.findall(r"<(.*?)>", scene)
    assert len(targets) > 5
    assert set(targets) <= found


def test_positions_come_back_exactly(textured, tmp_path):
    generator = torch.Generator().manual_seed(0)
    size = 10.0 ** torch.arange(-6, 6, 3)[:, None]
    verts = torch.randn(4, 3, generator=generator) * size
    uvs = torch.rand(4, 2, generator=generator)
    moved = replace(textured, mesh=Mesh(verts, textured.mesh.faces), uvs=uvs)
    (mesh,) = prims(save_and_read(moved, tmp_path / "a.usdz"), "Mesh").values()
    ((_, part),) = split_corners(moved)
    np.testing.assert_array_equal(values(mesh, "points"), part.verts)
    np.testing.assert_array_equal(values(mesh, "primvars:st"), part.uvs)
    np.testing.assert_allclose(values(mesh, "normals"), part.normals, atol=1e-6)
    np.testing.assert_array_equal(values(mesh, "extent")[1], verts.max(dim=0).values)


def test_vertices_are_split_at_seams_only(ball, tmp_path):
    textured = texture_mesh(ball(2), lambda points: points.abs(), texture_size=64)
    (mesh,) = prims(save_and_read(textured, tmp_path / "ball.usdz"), "Mesh").values()
    points = values(mesh, "points")
    pairs = torch.stack([textured.mesh.faces, textured.uv_faces], dim=2).flatten(0, 1)
    assert len(points) == len(pairs.unique(dim=0)) < 3 * len(textured.mesh.faces) / 2
    outward = points / np.linalg.norm(points, axis=1, keepdims=True)
    assert (values(mesh, "normals") * outward).sum(axis=1).min() > 0.99
    assert setting(mesh, "doubleSided") == "0"


def test_materials_become_meshes(two_materials, tmp_path):
    # A surface cannot multiply a texture with the colours of the vertices: their mean stands in.
    scene = save_and_read(two_materials, tmp_path / "ball.usdz")
    meshes, materials = prims(scene, "Mesh"), prims(scene, "Material")
    assert list(materials) == ["red_glass", "grey"]
    assert list(meshes) == ["mesh_0", "mesh_1"]
    for mesh, name, (_, part) in zip(
        meshes.values(), materials, split_corners(two_materials), strict=True
    ):
        assert setting(mesh, "material:binding") == f"</shape/materials/{name}>"
        np.testing.assert_array_equal(values(mesh, "points"), part.verts)
        corners = values(mesh, "faceVertexIndices").reshape(-1, 3)
        np.testing.assert_array_equal(corners, part.faces)
    assert setting(materials["grey"], "inputs:scale") == "(0.75, 0.75, 0.75, 1)"
    path = "</shape/materials/grey/opacity.outputs:a>"
    assert setting(materials["grey"], "inputs:opacity.connect") == path
    png = read_package(tmp_path / "ball.usdz")["textures/grey.png"]
    expected = [[[128, 128, 128, round(0.5 * 0.75 * 255)]]]  # alpha takes its factor
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png)))[:1, :1], expected)
    # Factor and vertex colours are one.
    colors = values(meshes["mesh_0"], "primvars:displayColor")
    np.testing.assert_array_equal(colors, [[0.75, 0, 0]] * len(colors))
    opacities = values(meshes["mesh_0"], "primvars:displayOpacity")
    np.testing.assert_array_equal(opacities, [0.375] * len(colors))


def test_texture_with_colours_of_the_vertices_is_said_to_lose(two_materials, tmp_path, caplog):
    save_usdz(two_materials, tmp_path / "ball.usdz")
    assert not caplog.messages
    colors = torch.rand(len(two_materials.mesh.verts), 4, generator=torch.manual_seed(0))
    save_usdz(replace(two_materials, vert_colors=colors), tmp_path / "ball.usdz")
    assert caplog.messages == [
        "USDZ cannot multiply a texture with vertex colours: 'grey' takes their mean"
    ]


def plain(mesh: Mesh, *materials: Material, **more) -> TexturedMesh:
    return TexturedMesh(
        mesh=mesh,
        uvs=torch.zeros(0, 2),
        uv_faces=torch.zeros_like(mesh.faces),
        materials=materials,
        face_material=torch.arange(len(mesh.faces)) % len(materials),
        **more,
    )


def test_flat_colours(ball, tmp_path):
    blue = Material(base_color=(0.2, 0.4, 0.6, 1.0), name="blue")
    glass = Material(base_color=(1.0, 1.0, 1.0, 0.25), name="glass")
    scene = save_and_read(plain(ball(1), blue, glass), tmp_path / "ball.usdz")
    assert list(read_package(tmp_path / "ball.usdz")) == ["scene.usda"]
    materials = prims(scene, "Material")
    assert setting(materials["blue"], "inputs:diffuseColor") == "(0.2, 0.4, 0.6)"
    assert setting(materials["blue"], "inputs:opacity") == "1"
    assert setting(materials["glass"], "inputs:opacity") == "0.25"
    assert "primvars" not in scene


def test_colours_of_the_vertices(ball, tmp_path):
    mesh = ball(1)
    colors = torch.rand(len(mesh.verts), 4, generator=torch.Generator().manual_seed(0))
    colors[:, 3] = 1
    textured = plain(mesh, Material(), vert_colors=colors)
    scene = save_and_read(textured, tmp_path / "ball.usdz")
    ((_, part),) = split_corners(textured)
    found = values(scene, "primvars:displayColor")
    np.testing.assert_array_equal(found, part.colors[:, :3])
    (material,) = prims(scene, "Material").values()
    path = "</shape/materials/material/color.outputs:result>"
    assert setting(material, "inputs:diffuseColor.connect") == path
    assert setting(material, "inputs:varname") == '"displayColor"'
    assert setting(material, "inputs:opacity") == "1"
    assert "displayOpacity" not in scene


def test_base_colour_multiplies_the_texture(textured, tmp_path):
    tinted = replace(textured.materials[0], base_color=(0.5, 1.0, 0.25, 0.75))
    scene = save_and_read(replace(textured, materials=(tinted,)), tmp_path / "square.usdz")
    assert setting(scene, "inputs:scale") == "(0.5, 1, 0.25, 0.75)"
    assert setting(scene, "inputs:opacity") == "0.75"  # the image has no alpha


def test_textures_that_repeat(textured, tmp_path):
    scene = save_and_read(replace(textured, uvs=textured.uvs * 3 - 1), tmp_path / "square.usdz")
    assert setting(scene, "inputs:wrapS") == setting(scene, "inputs:wrapT") == '"repeat"'
    np.testing.assert_array_equal(np.unique(values(scene, "primvars:st")), [-1, 2])


def test_jpeg(textured, two_materials, tmp_path):
    scene = save_and_read(textured, tmp_path / "square.usdz", jpeg_quality=90)
    assert setting(scene, "inputs:file") == "@textures/material.jpeg@"
    jpeg = read_package(tmp_path / "square.usdz")["textures/material.jpeg"]
    assert Image.open(io.BytesIO(jpeg)).format == "JPEG"
    # JPEG has no alpha.
    save_usdz(two_materials, tmp_path / "ball.usdz", jpeg_quality=90)
    assert "textures/grey.png" in read_package(tmp_path / "ball.usdz")
    with pytest.raises(ValueError, match="jpeg_quality must be from 1 to 95, got 0"):
        save_usdz(textured, tmp_path / "square.usdz", jpeg_quality=0)


def test_notes(textured, tmp_path):
    notes = ('say "hi"\nthere', "back\\slash", "ünï 漢 \x07f", "''' } # @", "", "bad \udc80")
    scene = save_and_read(replace(textured, notes=notes), tmp_path / "square.usdz")
    text = setting(scene, r"string\[\] notes")
    assert ast.literal_eval(text) == [*notes[:-1], "bad ?"]
    assert "notes" not in save_and_read(textured, tmp_path / "square.usdz")


def test_odd_names(ball, tmp_path):
    names = ("9 lives", "ä/b", "red glass", "red_glass", "", "materials", 'a"b@{<', "x" * 80)
    image = torch.rand(4, 4, 4, generator=torch.Generator().manual_seed(0))
    materials = [Material(name=name, texture=image) for name in names]
    mesh = ball(1)
    textured = replace(plain(mesh, *materials), uvs=mesh.verts[:, :2], uv_faces=mesh.faces)
    scene = save_and_read(textured, tmp_path / "a ball, 漢.usdz")
    found = list(prims(scene, "Material"))
    assert len(set(found)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) for name in found)
    assert found[0] == "_9_lives"
    package = read_package(tmp_path / "a ball, 漢.usdz")
    assert list(package)[1:] == [f"textures/{name}.png" for name in found]


def test_names_stay_apart():
    assert unique_names(["a", "a", "a_0", "a_0_"]) == ["a_0__", "a_1", "a_0", "a_0_"]


@pytest.mark.parametrize("name", ["vert_colors", "verts"])
def test_numbers_that_are_none(two_materials, tmp_path, name):
    mesh, colors = two_materials.mesh, two_materials.vert_colors.clone()
    if name == "verts":
        mesh = Mesh(mesh.verts / 0, mesh.faces)
    else:
        colors[3, 1] = torch.nan
    with pytest.raises(ValueError, match="are not finite"):
        save_usdz(replace(two_materials, mesh=mesh, vert_colors=colors), tmp_path / "ball.usdz")
    assert not list(tmp_path.iterdir())


def test_nothing_is_left_of_a_failed_write(textured, tmp_path, monkeypatch):
    save_usdz(textured, tmp_path / "square.usdz")
    before = (tmp_path / "square.usdz").read_bytes()

    def fail(*_args, **_kwargs):
        raise OSError(5, "input/output error")

    monkeypatch.setattr("pathlib.Path.write_bytes", fail)
    with pytest.raises(OSError, match="input/output"):
        save_usdz(replace(textured, uvs=textured.uvs / 2), tmp_path / "square.usdz")
    assert (tmp_path / "square.usdz").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_many_faces_take_no_minutes(ball, tmp_path):
    mesh = ball(6)
    start = time.process_time()
    save_usdz(plain(mesh, Material()), tmp_path / "ball.usdz")
    assert len(mesh.faces) == 81_920
    assert time.process_time() - start < 10  # about one second
