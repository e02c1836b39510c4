import json
import struct
from dataclasses import replace

import pytest
import torch

from get3d.core import Material, Mesh
from get3d.data import load_mesh
from get3d.export import EXPORT_SUFFIXES, encode_glb, save


@pytest.mark.parametrize("suffix", [*EXPORT_SUFFIXES, ".GLB"])
def test_suffix_picks_the_format(textured, tmp_path, suffix):
    path = tmp_path / "new folder" / f"square{suffix}"
    save(textured, path)
    start = {".glb": b"glTF", ".obj": b"mtllib", ".ply": b"ply", ".usdz": b"PK"}[suffix.lower()]
    assert path.read_bytes().startswith(start)


@pytest.mark.parametrize("name", ["square.fbx", "square"])
def test_unknown_suffix(textured, tmp_path, name):
    with pytest.raises(ValueError, match=r"accepted: \.glb, \.obj, \.ply, \.usdz"):
        save(textured, tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", EXPORT_SUFFIXES)
def test_meshes_that_no_file_should_hold(textured, tmp_path, suffix):
    empty = replace(
        textured,
        mesh=Mesh(textured.mesh.verts, textured.mesh.faces[:0]),
        uv_faces=textured.uv_faces[:0],
        face_material=textured.face_material[:0],
    )
    with pytest.raises(ValueError, match="no faces"):
        save(empty, tmp_path / f"a{suffix}")
    torn = replace(textured, mesh=Mesh(textured.mesh.verts.clone(), textured.mesh.faces))
    torn.mesh.verts[1, 2] = torch.nan
    with pytest.raises(ValueError, match="1 of 4 vertex positions are not finite"):
        save(torn, tmp_path / f"a{suffix}")
    with pytest.raises(ValueError, match="4 of 4 texture coordinates are not finite"):
        save(replace(textured, uvs=textured.uvs / 0), tmp_path / f"a{suffix}")
    assert not list(tmp_path.iterdir())


def with_material(**fields):
    return lambda mesh: {"materials": (Material(**fields),)}


WRONG = {
    "vertex positions reach 1e\\+39": lambda mesh: {
        "mesh": Mesh(mesh.mesh.verts.double() * 2e39, mesh.mesh.faces)
    },
    "vertex positions must be float32 or float64": lambda mesh: {
        "mesh": Mesh(mesh.mesh.verts.half(), mesh.mesh.faces)
    },
    "faces has index 4, but there are 4 vertices": lambda mesh: {
        "mesh": Mesh(mesh.mesh.verts, mesh.mesh.faces + 1)
    },
    "faces has index -1": lambda mesh: {"mesh": Mesh(mesh.mesh.verts, mesh.mesh.faces - 1)},
    "uv_faces has index 5, but there are 4 texture": lambda mesh: {"uv_faces": mesh.uv_faces + 2},
    "uv_faces has index -1": lambda mesh: {"uv_faces": mesh.uv_faces - 1},
    "uv_faces has 1 rows for 2 faces": lambda mesh: {"uv_faces": mesh.uv_faces[:1]},
    "uv_faces has index 3, but there are 1": lambda mesh: {"uvs": mesh.uvs[:0]},
    "normals has 3 rows for 4 vertices": lambda mesh: {"normals": torch.ones(3, 3)},
    "normal_faces has index 3, but there are 1": lambda mesh: {
        "normals": torch.ones(1, 3),
        "normal_faces": mesh.mesh.faces,
    },
    "normal_faces has 1 rows": lambda mesh: {
        "normals": torch.ones(1, 3),
        "normal_faces": mesh.mesh.faces[:1] * 0,
    },
    "4 of 4 vertex colours are not finite": lambda mesh: {"vert_colors": torch.ones(4, 4) / 0},
    "vert_colors has 3 rows for 4 vertices": lambda mesh: {"vert_colors": torch.ones(3, 4)},
    "no materials": lambda mesh: {"materials": ()},
    "face_material has index 1, but there are 1": lambda mesh: {
        "face_material": mesh.face_material + 1
    },
    "face_material has index -1": lambda mesh: {"face_material": mesh.face_material - 1},
    "face_material has 1 rows for 2 faces": lambda mesh: {"face_material": mesh.face_material[:1]},
    "base_color of material 'gold' must be four numbers": with_material(
        base_color=(float("nan"), 1.0, 1.0, 1.0), name="gold"
    ),
    "from 0 to 1, got .2": with_material(base_color=(2.0, 1.0, 1.0, 1.0)),
    "3 of 4 rows of texels of material 'gold' are not finite": with_material(
        texture=torch.ones(4, 4, 4) / torch.tensor([0.0, 0, 0, 1]).view(4, 1, 1), name="gold"
    ),
    "must be an image": with_material(texture=torch.ones(0, 4, 4)),
}


@pytest.mark.parametrize("suffix", EXPORT_SUFFIXES)
@pytest.mark.parametrize("message", WRONG)
def test_broken_meshes_make_no_file(textured, tmp_path, suffix, message):
    broken = replace(textured)
    for name, value in WRONG[message](textured).items():
        object.__setattr__(broken, name, value)  # the tests' type checker would refuse some first
    with pytest.raises(ValueError, match=message):
        save(broken, tmp_path / f"a{suffix}")
    assert not list(tmp_path.iterdir())


def test_json_of_a_glb_holds_nothing_but_json(two_materials):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    glb = encode_glb(replace(two_materials, normals=two_materials.mesh.verts / 0))
    (length,) = struct.unpack_from("<I", glb, 12)
    json.loads(glb[20 : 20 + length], parse_constant=refuse)


@pytest.mark.parametrize("suffix", [".glb", ".obj", ".ply"])
def test_notes_of_several_lines(textured, tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    save(replace(textured, notes=("first\nv 0 0 0", "second")), path)
    assert len(load_mesh(path).mesh.faces) == 2
    assert b"\nv 0 0 0" not in path.read_bytes()


@pytest.mark.parametrize("suffix", EXPORT_SUFFIXES)
def test_a_folder_in_the_way(textured, tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.mkdir()
    with pytest.raises(IsADirectoryError, match="move it away") as info:
        save(textured, path)
    assert info.value.filename == str(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", EXPORT_SUFFIXES)
def test_same_mesh_same_bytes(two_materials, tmp_path, suffix):
    for name in ("a", "b"):
        save(two_materials, tmp_path / name / f"ball{suffix}")
    for entry in (tmp_path / "a").iterdir():
        assert entry.read_bytes() == (tmp_path / "b" / entry.name).read_bytes()


def test_full_disk_leaves_the_old_file(textured, tmp_path, monkeypatch):
    path = tmp_path / "square.glb"
    save(textured, path)
    before = path.read_bytes()

    def fail(*_args):
        raise OSError(28, "no space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", fail)
    with pytest.raises(OSError, match=r"no space left on the disk for .*square\.glb"):
        save(textured, path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["square.glb"]


def test_jpeg_is_for_some_formats(textured, tmp_path):
    save(textured, tmp_path / "square.glb", jpeg_quality=90)
    assert b"image/jpeg" in (tmp_path / "square.glb").read_bytes()
    for suffix in (".obj", ".ply"):
        with pytest.raises(ValueError, match=f"for .glb and .usdz files only, not for {suffix}"):
            save(textured, tmp_path / f"square{suffix}", jpeg_quality=90)
    with pytest.raises(ValueError, match="jpeg_quality must be from 1 to 95, got 100"):
        save(textured, tmp_path / "other.glb", jpeg_quality=100)
    save(textured, tmp_path / "square.usdz", jpeg_quality=90)
    assert b"material.jpeg" in (tmp_path / "square.usdz").read_bytes()
    assert {entry.name for entry in tmp_path.iterdir()} == {"square.glb", "square.usdz"}


@pytest.mark.parametrize("suffix", EXPORT_SUFFIXES)
def test_a_folder_that_cannot_be_written_to(textured, tmp_path, monkeypatch, suffix):
    def refuse(path, *_args, **_kwargs):
        raise PermissionError(13, "Permission denied", str(path))

    for name in ("write_bytes", "write_text", "open"):
        monkeypatch.setattr(f"pathlib.Path.{name}", refuse)
    with pytest.raises(PermissionError, match="Permission denied"):
        save(textured, tmp_path / f"square{suffix}")
    assert not list(tmp_path.glob("square*"))
