"""OFF files and their variants."""

from pathlib import Path

import pytest
import torch

from get3d.core import TexturedMesh
from get3d.data import MeshFileError, load_mesh
from tests.data.formats.conftest import colors_of

ORANGE, WHITE = (255, 128, 0, 255), (255,) * 4
CORNERS = ("-1 -1 0", "1 -1 0", "1 1 0", "-1 1 0")


def off(
    folder: Path, header: str = "OFF\n", tail: str = "", faces: str = "4 0 1 2 3"
) -> TexturedMesh:
    count = len(faces.splitlines())
    verts = "".join(f"{corner} {tail}\n" for corner in CORNERS)
    (folder / "model.off").write_text(f"{header}4 {count} 0\n{verts}{faces}\n", "latin-1")
    return load_mesh(folder / "model.off")


@pytest.mark.parametrize(
    ("header", "tail"),
    [
        ("COFF\n", "255 128 0 255"),
        ("COFF\n# caf\xe9\n\n", "255 128 0"),
        ("COFF\n", "1 0.5 0 1"),
        ("OFF\n", "255 128 0"),
        ("NCOFF\n", "0 0 1 255 128 0"),
        ("CNOFF ", "0 0 1 255 128 0 255"),
        ("STCOFF\n", "255 128 0 255 0.5 0.5"),
    ],
)
def test_colours_of_vertices(folder: Path, header: str, tail: str) -> None:
    header = header.replace("NC", "CN")
    mesh = off(folder, header, tail)
    assert colors_of(mesh) == [ORANGE] * 4
    if "N" in header:
        assert torch.equal(mesh.normals, torch.tensor([[0.0, 0.0, 1.0]] * 4))


def test_colours_of_faces(folder: Path) -> None:
    mesh = off(folder, faces="3 0 1 2 255 128 0\n3 0 2 3")
    assert colors_of(mesh) == [WHITE, ORANGE, ORANGE, ORANGE]
    assert colors_of(off(folder, faces="4 0 1 2 3 1.0 0.5 0.0 1.0")) == [ORANGE] * 4
    lost = off(folder, tail="255 128 0", faces="4 0 1 2 3 1 2 3\n2 0 1")
    assert lost.losses == (
        "faces with fewer than 3 corners: 1",
        "the colours of the faces are ignored",
    )
    assert off(folder, faces="4 0 1 2 3 7").losses == ("the colours of the faces are ignored",)
    assert "names no image" in off(folder, "STOFF\n", "0 0").losses[0]


def test_counts_behind_the_word(folder: Path) -> None:
    """ModelNet has such files."""
    assert len(off(folder, "OFF").mesh.faces) == 2
    assert len(off(folder, "").mesh.faces) == 2


@pytest.mark.parametrize(
    ("header", "faces", "reason"),
    [
        ("4OFF\n", "4 0 1 2 3", "variant 4OFF"),
        ("OFF BINARY\n", "4 0 1 2 3", "variant OFF BINARY"),
        ("OFF\n9", "4 0 1 2 3", "fewer lines"),
        ("NOFF\n", "4 0 1 2 3", "too few numbers"),
        ("OFF\n", "4 0 1 2", "fewer corners"),
        ("OFF\n", "4 0 1 2 4", "not among the 4"),
        ("OFF\n", "4 0 1 2 -1", "not among the 4"),
        ("OFF\n", "4 0 1 2 x", "invalid literal"),
        ("OFF\nOFF\n", "4 0 1 2 3", "invalid literal"),
    ],
)
def test_damaged_files(folder: Path, header: str, faces: str, reason: str) -> None:
    with pytest.raises(MeshFileError, match=reason):
        off(folder, header, faces=faces)


def test_faces_with_and_without_alpha(folder: Path) -> None:
    mesh = off(folder, faces="3 0 1 2 255 0 0\n3 0 2 3 255 0 0 128")
    assert sorted({color[3] for color in colors_of(mesh)}) == [128, 255]
