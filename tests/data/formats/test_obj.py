"""OBJ files as programs write them."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from get3d.core import TexturedMesh
from get3d.data import MeshFileError
from tests.data.formats.conftest import SQUARE, colors_of

RED, GREEN, BLUE, WHITE = (255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 255), (255,) * 4
QUARTERS = [RED, GREEN, BLUE, WHITE]
POSITIONS = "v -1 -1 0\nv 1 -1 0\nv 1 1 0\nv -1 1 0\n"
Obj = Callable[..., TexturedMesh]


@pytest.mark.parametrize(
    "text",
    [
        SQUARE,
        "\ufeff" + SQUARE,
        SQUARE.replace("\n", "\r\n"),
        SQUARE.replace("\n", "\r"),
        SQUARE.replace("f 1/1/1 2/2/1", "f 1/1/1 \\\n 2/2/1"),
        SQUARE.replace("f 1/1/1 3/3/1 4/4/1", "f -4/-4/-1 -2/-2/-1 -1/-1/-1"),
        SQUARE.replace("f 1/1/1 3/3/1 4/4/1", "f 1/1 3/3 4/4 # no normals"),
        SQUARE.replace("usemtl m", "usemtl M # a comment"),
        SQUARE.replace("usemtl m", "g a b\ns 1\no caf\xe9\nUSEMTL x\nusemtl\tm  "),
        POSITIONS + "vt 0 0\nvt 1 0 0\nvt 1 1\nvt 0 1\nusemtl m\nf 1/1 2/2 3/3 4/4\n",
    ],
)
def test_ways_to_write_one_square(obj: Obj, text: str) -> None:
    mesh = obj(text)
    assert colors_of(mesh) == QUARTERS
    assert mesh.losses == ()
    assert len(mesh.mesh.verts) == 4
    assert len(mesh.mesh.faces) == 2


def test_latin1_and_utf16(obj: Obj, folder: Path) -> None:
    (folder / "tex.png").rename(folder / "\xe9t\xe9.png")
    mtl = "newmtl m\xe9tal\nmap_Kd \xe9t\xe9.png\n"
    text = "# caf\xe9 \x85\n" + SQUARE.replace("usemtl m", "usemtl m\xe9tal")
    for obj_encoding in ("latin-1", "utf-8", "utf-16"):
        for mtl_encoding in ("latin-1", "utf-8-sig", "utf-16"):
            mesh = obj(text.encode("latin-1"), mtl.encode(mtl_encoding))
            assert (colors_of(mesh), mesh.losses) == (QUARTERS, ())
        data = f"mtllib model.mtl\n{text}".encode(obj_encoding)
        (folder / "model.obj").write_bytes(data)


def test_negative_indices_count_from_where_they_stand(obj: Obj) -> None:
    mesh = obj(
        "v -1 -1 0\nv 1 -1 0\nv 1 1 0\nf -3 -2 -1\nv -1 -1 0\nv 1 1 0\nv -1 1 0\nf -3 -2 -1\n"
    )
    assert colors_of(mesh) == [WHITE] * 4
    corners = mesh.mesh.verts[mesh.mesh.faces]
    areas = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert areas[:, 2].tolist() == [4.0, 4.0]


def test_faces_with_and_without_texture_coordinates(obj: Obj) -> None:
    mesh = obj(SQUARE.replace("f 1/1/1 3/3/1 4/4/1", "f 1 3 4"))
    # Without coordinates the corner at (0, 0), as in Blender: there all four colours meet.
    assert colors_of(mesh) == [(188, 188, 188, 255), GREEN, BLUE, WHITE]
    assert mesh.losses == ("faces with an image but no texture coordinates: 1",)
    assert mesh.normals is not None
    assert torch.allclose(mesh.normals, torch.tensor([0.0, 0.0, 1.0]).expand_as(mesh.normals))
    none = obj(POSITIONS + "usemtl m\nf 1 2 3 4\n", "newmtl m\nKd 1 0 0\nmap_Kd tex.png\n")
    assert colors_of(none) == [RED] * 4
    assert none.losses == ("material m has images, but there are no texture coordinates",)


@pytest.mark.parametrize("lines", ["", "usemtl gone\n"])
def test_coordinates_without_material_are_white(obj: Obj, lines: str) -> None:
    mesh = obj(SQUARE.replace("usemtl m\n", lines))
    assert colors_of(mesh) == [WHITE] * 4
    assert mesh.losses == (("material gone is missing",) if lines else ())


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ("255 128 0", (255, 128, 0, 255)),
        ("1 0.5 0", (255, 128, 0, 255)),
        ("1 0.5 0 0.2", (255, 128, 0, 51)),
        ("0 0 0 0", (0, 0, 0, 255)),  # alpha that nobody uses
        ("1", WHITE),  # a weight
    ],
)
def test_vertex_colours(obj: Obj, numbers: str, expected: tuple[int, ...]) -> None:
    text = "".join(f"{line} {numbers}\n" for line in POSITIONS.splitlines())
    assert colors_of(obj(f"{text}f 1 2 3 4\n", None)) == [expected] * 4


def test_zbrush_colours(obj: Obj) -> None:
    assert colors_of(
        obj(f"{POSITIONS}#MRGB ff008000ff008000\n#MRGB ff008000ff008000\nf 1 2 3 4\n")
    )[0] == (0, 128, 0, 255)
    broken = obj(f"{POSITIONS}#MRGB {'x' * 32}\nf 1 2 3 4\n")
    assert broken.losses == ("the vertex colours of ZBrush cannot be read",)


def test_libraries(obj: Obj, folder: Path) -> None:
    (folder / "my a.mtl").write_text("newmtl other\n")
    (folder / "b.MTL").write_text("newmtl m\nmap_Kd tex.png\n")
    for line in ("my a.mtl b.mtl", '"my a.mtl"\nmtllib ./b.mtl', "my a.mtl\nmtllib .\\B.mtl"):
        mesh = obj(f"mtllib {line}\n{SQUARE}", None)
        assert (colors_of(mesh), mesh.losses) == (QUARTERS, ()), line
    # The library of the same name counts although the file names another, as in Blender.
    (folder / "model.mtl").write_text("newmtl m\nKd 1 0 0\n")
    mesh = obj(f"mtllib gone.mtl\n{SQUARE}", None)
    assert colors_of(mesh) == [RED] * 4
    assert mesh.losses == ("material file gone.mtl is missing",)


def test_concave_polygons_cover_what_they_enclose(obj: Obj) -> None:
    outline = "v -1 -1 0\nv 1 -1 0\nv 1 1 0\nv 0.9 -0.9 0\n"  # a boomerang
    mesh = obj(f"{outline}f 1 2 3 4\nf 4 3 2 1\n", None)
    corners = mesh.mesh.verts[mesh.mesh.faces]
    areas = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2]
    assert (areas > 0).all()
    assert float(areas.sum()) / 2 == pytest.approx(0.2)


def test_both_sided_duplicates_are_one_face(obj: Obj) -> None:
    reverse = "v 1 1 0\nv -1 -1 0\nv 1 -1 0\nvn 0 0 -1\nf 7/1/2 6/2/2 5/3/2\n"
    mesh = obj(SQUARE + reverse + "usemtl n\nf 1 3 2\n", "newmtl m\nd 0.5\nnewmtl n\n")
    assert len(mesh.mesh.faces) == 3  # of another material it stays
    assert [material.double_sided for material in mesh.materials] == [True, None]


def test_what_is_lost_is_named(obj: Obj) -> None:
    mesh = obj(
        SQUARE.replace("4/4/1", "4/9/1").replace("vt 1 0", "vt nan 0")
        + "vn -nan(ind) 0 0\nf 1//2 2//2 3//2\nf 1 2\nl 1 2\ncurv 0 1 1 2\n"
    )
    assert mesh.losses == (
        "faces with fewer than 3 corners: 1",
        "free-form curves and surfaces are ignored",
        "faces whose texture coordinates are not in the file: 1",
        "faces whose texture coordinates are not finite: 1",
        "faces with an image but no texture coordinates: 1",
    )


@pytest.mark.parametrize(
    ("face", "reason"),
    [
        ("f 1 2 9", "number 9 of 4"),
        ("f 1 2 -5", "before the first of 4"),
        ("f 1 2 0", "'0' is no corner"),
        ("f 1 2 x", "invalid literal"),
        ("f 1/1/1/1 2 3", "no corner"),
        (f"f 1 2 {10**30}", "no corner"),
        ("v 0 0\nf 1 2 5", "1 of 3 vertex positions are not finite"),
        ("v 1,5 0 0\nf 1 2 5", "1 of 3 vertex positions are not finite"),
        ("f 1 2", "no faces"),
    ],
)
def test_damaged_files(obj: Obj, face: str, reason: str) -> None:
    with pytest.raises(MeshFileError, match=reason):
        obj(f"{POSITIONS}{face}\n", None)


def test_a_comment_ends_with_its_line(obj: Obj) -> None:
    text = "# saved in C:\\models\\\n" + SQUARE
    assert colors_of(obj(text)) == colors_of(obj())
