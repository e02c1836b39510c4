"""PLY files: colours of any type, textures of MeshLab, text and bytes."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from get3d.core import TexturedMesh
from get3d.data import MeshFileError, load_mesh
from tests.data.formats.conftest import colors_of

RED, GREEN, BLUE, WHITE = (255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 255), (255,) * 4
ORANGE = (255, 128, 0, 255)
CORNERS = ((-1, -1), (1, -1), (1, 1), (-1, 1))
CODES = {"uchar": "B", "ushort": "H", "short": "h", "int": "i", "uint": "I", "float": "f"}


def ply(
    folder: Path,
    layout: str = "ascii",
    *,
    vertex: str = "",
    values: tuple = (),
    face: str = "property list uchar int vertex_indices",
    rows: tuple = ((4, 0, 1, 2, 3),),
    comments: tuple[str, ...] = (),
    end: str = "\n",
) -> TexturedMesh:
    """Write a square with further properties and read it."""
    lines = ["ply", f"format {layout} 1.0", *(f"comment {text}" for text in comments)]
    lines += ["element vertex 4", *(f"property float {axis}" for axis in "xyz")]
    lines += [*vertex.splitlines(), f"element face {len(rows)}", *face.splitlines(), "end_header"]
    data = end.join([*lines, ""]).encode("latin-1")
    verts = [(*corner, 0, *values) for corner in CORNERS]
    if layout == "ascii":
        table = [" ".join(map(str, row)) for row in (*verts, *rows)]
        data += end.join([*table, ""]).encode()
    else:
        order = "<" if layout == "binary_little_endian" else ">"
        kinds = "fff" + "".join(CODES[line.split()[1]] for line in vertex.splitlines())
        data += b"".join(struct.pack(order + kinds, *row) for row in verts)
        for row in rows:
            code, at = "", 0
            for line in face.splitlines():
                words = line.split()
                if words[1] == "list":
                    size = row[at]
                    code, at = code + CODES[words[2]] + CODES[words[3]] * size, at + 1 + size
                else:
                    code, at = code + CODES[words[1]], at + 1
            data += struct.pack(order + code, *row)
    (folder / "model.ply").write_bytes(data)
    return load_mesh(folder / "model.ply")


LAYOUTS = pytest.mark.parametrize("layout", ["ascii", "binary_little_endian", "binary_big_endian"])


@LAYOUTS
@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("ushort", (65535, 32768, 0)),
        ("uchar", (255, 128, 0)),
        ("int", (255, 128, 0)),
        ("uint", (65535, 32768, 0)),
        ("float", (1.0, 0.5, 0.0)),
        ("float", (255.0, 127.5, 0.0)),
        ("uchar", (255, 128, 0, 0)),  # alpha that nobody uses
    ],
)
def test_colours_of_any_type(folder: Path, layout: str, kind: str, values: tuple) -> None:
    names = ("red", "green", "blue", "alpha")[: len(values)]
    vertex = "\n".join(f"property {kind} {name}" for name in names)
    assert colors_of(ply(folder, layout, vertex=vertex, values=values)) == [ORANGE] * 4
    face = "property list uchar int vertex_index\n" + vertex
    mesh = ply(folder, layout, face=face, rows=((4, 0, 1, 2, 3, *values),))
    assert colors_of(mesh) == [ORANGE] * 4
    assert mesh.losses == ()


FACES = (
    "property list uchar int vertex_indices\nproperty list uchar float texcoord\n"
    "property int texnumber"
)


def two_images(folder: Path) -> tuple[str, str]:
    Image.new("RGB", (2, 2), RED[:3]).save(folder / "one.png")
    Image.new("RGB", (2, 2), GREEN[:3]).save(folder / "two \xe9.png")
    return "TextureFile one.png", "TextureFile two \xe9.png"


@LAYOUTS
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_face_gets_its_image(folder: Path, layout: str, end: str) -> None:
    rows = (
        (3, 0, 1, 2, 6, 0, 0, 1, 0, 1, 1, 0),
        (4, 0, 2, 3, 3, 8, 0, 0, 1, 1, 0, 1, 0, 1, 1),
    )
    mesh = ply(folder, layout, face=FACES, rows=rows, comments=two_images(folder), end=end)
    assert colors_of(mesh) == [GREEN, RED, RED, RED]
    assert mesh.losses == ()
    assert len(mesh.mesh.verts) == 4


@LAYOUTS
def test_coordinates_of_faces_beside_colours_of_vertices(folder: Path, layout: str) -> None:
    face = FACES.replace("\nproperty int texnumber", "")
    row = (4, 0, 1, 2, 3, 8, 0, 0, 1, 0, 1, 1, 0, 1)
    vertex = "\n".join(f"property uchar {name}" for name in ("red", "green", "blue", "alpha"))
    mesh = ply(
        folder,
        layout,
        vertex=vertex,
        values=(255, 0, 255, 255),
        face=face,
        rows=(row,),
        comments=("TextureFile tex.png",),
    )
    assert colors_of(mesh) == [RED, (0, 0, 0, 255), BLUE, (255, 0, 255, 255)]
    assert mesh.losses == ()


def test_coordinates_of_vertices(folder: Path) -> None:
    (folder / "model.ply").write_text(
        "ply\nformat ascii 1.0\ncomment TextureFile tex.png\nelement vertex 4\n"
        "property float x\nproperty float y\nproperty float z\nproperty float nx\n"
        "property float ny\nproperty float nz\nproperty float s\nproperty float t\n"
        "element face 1\nproperty list uchar int vertex_indices\nend_header\n"
        "-1 -1 0 0 0 2 0 0\n1 -1 0 0 0 2 1 0\n1 1 0 0 0 2 1 1\n-1 1 0 0 0 2 0 1\n4 0 1 2 3\n"
    )
    mesh = load_mesh(folder / "model.ply")
    assert colors_of(mesh) == [RED, GREEN, BLUE, WHITE]
    assert mesh.normals is not None
    assert mesh.normals[:, 2].tolist() == [1.0] * 4


def test_triangle_strips(folder: Path) -> None:
    (folder / "model.ply").write_text(
        "ply\nformat ascii 1.0\nelement vertex 5\nproperty float x\nproperty float y\n"
        "property float z\nelement tristrips 1\nproperty list int int vertex_indices\nend_header\n"
        "-1 -1 0\n1 -1 0\n-1 1 0\n1 1 0\n5 5 5\n8 0 1 2 3 -1 3 2 1\n"
    )
    mesh = load_mesh(folder / "model.ply")
    assert mesh.mesh.faces.tolist() == [[0, 1, 2], [2, 1, 3], [3, 2, 1]]


def test_what_is_lost_is_named(folder: Path) -> None:
    comments = two_images(folder)
    row = (3, 0, 1, 2, 6, 0, 0, 1, 0, 1, 1, 7)
    lost = ply(folder, face=FACES, rows=(row, (2, 0, 1, 0, 0)), comments=comments)
    assert lost.losses == (
        "faces with fewer than 3 corners: 1",
        "image number 7 is not among the 2 that it names",
    )
    face = FACES.replace("\nproperty int texnumber", "")
    lost = ply(folder, face=face, rows=(row[:-1],), comments=comments)
    assert lost.losses == ("no face says which of 2 images it has; all get the first",)
    lost = ply(folder, face=FACES, rows=((3, 0, 1, 2, 5, 0, 0, 1, 0, 1, 0),), comments=comments)
    assert lost.losses[0] == "texture coordinates that are not two a corner are ignored"
    (folder / "one.png").unlink()
    lost = ply(folder, face=face, rows=(row[:-1],), comments=comments[:1])
    assert lost.losses == ("image one.png is missing",)
    assert ply(folder, comments=comments).losses == (
        "it names images, but has no texture coordinates",
    )


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("end_header", "end", "no PLY header"),
        ("format ascii", "format zip", "has a line 'format zip"),
        ("float x", "quad x", "a type 'quad'"),
        ("element vertex 4", "element vertex 99999999999999", "ends within"),
        ("element face 1", "element face 9", "ends within its 9 rows of face"),
        ("element vertex 4", "element vertex -4", "has a line"),
        ("4 0 1 2 3", "4 0 1 2 9", "not among the 4"),
        ("4 0 1 2 3", "4 0 1 2 nan", "not among the 4"),
        ("4 0 1 2 3", "999999 0 1 2", "ends within"),
        ("4 0 1 2 3", "4 0 1 2 x", "not all numbers"),
        ("vertex_indices", "corners", "no vertex_indices"),
        ("property float z\n", "", "no x, y and z"),
        ("element face 1", "element faces 1", "no faces"),
    ],
)
def test_damaged_files(folder: Path, old: str, new: str, reason: str) -> None:
    ply(folder)
    text = (folder / "model.ply").read_text()
    assert old in text
    (folder / "model.ply").write_text(text.replace(old, new))
    with pytest.raises(MeshFileError, match=reason):
        load_mesh(folder / "model.ply")


def test_truncated_bytes(folder: Path) -> None:
    rows = ((3, 0, 1, 2), (4, 0, 1, 2, 3))
    ply(folder, "binary_little_endian", rows=rows)
    data = (folder / "model.ply").read_bytes()
    for missing in np.arange(1, 60, 7):
        (folder / "model.ply").write_bytes(data[:-missing])
        with pytest.raises(MeshFileError, match="ends within"):
            load_mesh(folder / "model.ply")
