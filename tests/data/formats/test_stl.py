"""STL files as text and as bytes."""

import struct
from pathlib import Path

import pytest

from get3d.data import MeshFileError, load_mesh

FACET = (
    "facet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nVERTEX 0 1 0\nendloop\nendfacet\n"
)
TRIANGLE = struct.pack("<12f", 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0)


@pytest.mark.parametrize("name", ["a", "Gr\xf6\xdfe", "\xe9\x85 b"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_text_in_any_encoding(tmp_path: Path, name: str, end: str) -> None:
    text = f"solid {name}\n{FACET}{FACET}endsolid {name}\n".replace("\n", end)
    for encoding in ("latin-1", "utf-8"):
        (tmp_path / "a.stl").write_bytes(text.encode(encoding))
        mesh = load_mesh(tmp_path / "a.stl")
        assert mesh.mesh.verts[mesh.mesh.faces[1]].tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0]]


def test_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.stl"
    for header in (bytes(80), b"solid made by a program".ljust(80)):
        path.write_bytes(header + struct.pack("<I", 2) + (TRIANGLE + b"\0\0") * 2)
        mesh = load_mesh(path)
        assert (len(mesh.mesh.faces), mesh.losses) == (2, ())
    path.write_bytes(header + struct.pack("<I", 1) + TRIANGLE + b"\x1f\x80")
    assert load_mesh(path).losses == ("the colours of the faces are ignored",)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "ends within"),
        (bytes(80) + struct.pack("<I", 2) + TRIANGLE + b"\0\0", "ends within its 2 triangles"),
        (bytes(80) + struct.pack("<I", 1 << 31), "ends within"),
        (b"solid\nendsolid\n", "no faces"),
        (f"solid\n{FACET}".encode()[:62], "cut off"),
        (f"solid\n{FACET}".encode()[:68], "cut off"),
        (f"solid\n{FACET}".replace("1 0 0", "1 x 0").encode(), "convert"),
    ],
)
def test_damaged_files(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "a.stl").write_bytes(data)
    with pytest.raises(MeshFileError, match=reason):
        load_mesh(tmp_path / "a.stl")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_capitals_names_and_marks(tmp_path: Path, encoding: str) -> None:
    text = f"solid single vertex test\n{FACET}endsolid single vertex test\n"
    for each in (text, text.upper()):
        (tmp_path / "a.stl").write_bytes(each.encode(encoding))
        assert len(load_mesh(tmp_path / "a.stl").mesh.faces) == 1


def test_the_words_of_text_in_the_header_of_bytes(tmp_path: Path) -> None:
    header = b"solid facet vertex binary".ljust(80) + struct.pack("<I", 1)
    (tmp_path / "a.stl").write_bytes(header + TRIANGLE + b"\0\0")
    assert len(load_mesh(tmp_path / "a.stl").mesh.faces) == 1
