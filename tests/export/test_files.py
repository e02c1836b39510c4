from dataclasses import replace

import pytest
import torch

from get3d.core import Mesh
from get3d.export import EXPORT_SUFFIXES, save


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
    with pytest.raises(ValueError, match="texture coordinates are not finite"):
        save(replace(textured, uvs=textured.uvs / 0), tmp_path / f"a{suffix}")
    assert not list(tmp_path.iterdir())


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
