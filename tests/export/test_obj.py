from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from get3d.core import Material, Mesh
from get3d.data import load_mesh
from get3d.export import save_obj


def corners(textured_mesh):
    """Positions and texture coordinates of every corner, whatever the indices."""
    mesh = textured_mesh.mesh
    return torch.cat([mesh.verts[mesh.faces], textured_mesh.uvs[textured_mesh.uv_faces]], dim=2)


def test_file_holds_what_the_mesh_holds(textured, tmp_path):
    path = tmp_path / "a square.obj"
    save_obj(textured, path)
    assert {entry.name for entry in tmp_path.iterdir()} == {
        "a square.obj",
        "a_square_caff8fda.mtl",
        "a_square_caff8fda.png",
    }
    lines = path.read_text().splitlines()
    assert lines[0] == "mtllib a_square_caff8fda.mtl"
    assert sum(line.startswith("v ") for line in lines) == 4
    assert sum(line.startswith("vn ") for line in lines) == 4
    assert [line for line in lines if line.startswith("f ")] == [
        "f 1/1/1 2/2/2 3/3/3",
        "f 1/1/1 3/3/3 4/4/4",
    ]
    image = np.asarray(Image.open(tmp_path / "a_square_caff8fda.png"))
    assert image.shape == (8, 8, 3)
    assert image[7, 0].tolist() == [255, 0, 0]


def test_our_reader_gets_it_back(textured, tmp_path):
    save_obj(textured, tmp_path / "square.obj")
    found = load_mesh(tmp_path / "square.obj")
    torch.testing.assert_close(corners(found), corners(textured))
    texture = found.materials[0].texture.decode() / 255
    torch.testing.assert_close(texture, textured.materials[0].texture)


def test_positions_come_back_exactly(textured, tmp_path):
    verts = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    mesh = Mesh(verts, textured.mesh.faces)
    save_obj(type(textured)(**{**vars(textured), "mesh": mesh}), tmp_path / "a.obj")
    lines = (tmp_path / "a.obj").read_text().splitlines()
    found = [list(map(float, line.split()[1:])) for line in lines if line.startswith("v ")]
    assert torch.equal(torch.tensor(found), verts)


def test_materials_have_names_and_images_of_their_own(two_materials, tmp_path):
    save_obj(two_materials, tmp_path / "ball.obj")
    library = (tmp_path / "ball.mtl").read_text()
    assert library.count("newmtl") == 3
    assert "newmtl red_glass\nKa 0 0 0\nKd 1 0 0" in library
    assert "d 0.5" in library
    assert "map_Kd ball_grey.png" in library
    assert (tmp_path / "ball_grey.png").is_file()
    text = (tmp_path / "ball.obj").read_text()
    assert text.index("usemtl red_glass") < text.index("usemtl grey")
    assert "usemtl unused" not in text


def test_nothing_is_left_of_a_failed_write(textured, tmp_path, monkeypatch):
    save_obj(textured, tmp_path / "square.obj")
    before = {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()}

    def fail(*_args, **_kwargs):
        raise OSError(5, "input/output error")

    monkeypatch.setattr("PIL.Image.Image.save", fail)
    moved = Mesh(textured.mesh.verts + 1, textured.mesh.faces)
    with pytest.raises(OSError, match="input/output"):
        save_obj(type(textured)(**{**vars(textured), "mesh": moved}), tmp_path / "square.obj")
    assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == before


def test_our_reader_gets_vertex_colours_back(textured, tmp_path):
    """They stand beside a material library, which names none."""
    colors = torch.rand(4, 4, generator=torch.Generator().manual_seed(0))
    colors[:, 3] = 1.0
    nothing = {"uvs": textured.uvs[:0], "uv_faces": textured.uv_faces * 0}
    plain = {"materials": (Material(),), "vert_colors": colors}
    save_obj(replace(textured, **nothing, **plain), tmp_path / "square.obj")
    found = load_mesh(tmp_path / "square.obj")
    torch.testing.assert_close(
        found.vert_colors[found.mesh.faces], colors[textured.mesh.faces], atol=1e-6, rtol=0
    )


def test_a_folder_in_the_way_of_one_file_changes_none(textured, tmp_path):
    save_obj(textured, tmp_path / "square.obj")
    (tmp_path / "square.mtl").unlink()
    (tmp_path / "square.mtl").mkdir()
    before = (tmp_path / "square.png").read_bytes()
    darker = Material(texture=textured.materials[0].texture / 2)
    with pytest.raises(IsADirectoryError, match="move it away"):
        save_obj(replace(textured, materials=(darker,)), tmp_path / "square.obj")
    assert (tmp_path / "square.png").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 3


def test_names_with_blanks_and_without_share_no_files(textured, tmp_path):
    plain = replace(textured, materials=(Material(base_color=(1.0, 0.0, 0.0, 1.0)),))
    for name in ("a b", "a  b", "a_b"):
        save_obj(textured if name == "a b" else plain, tmp_path / f"{name}.obj")
    assert len(list(tmp_path.glob("*.mtl"))) == 3
    assert load_mesh(tmp_path / "a b.obj").materials[0].texture is not None
    assert load_mesh(tmp_path / "a_b.obj").materials[0].texture is None
