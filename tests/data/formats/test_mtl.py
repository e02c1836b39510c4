"""MTL libraries: options of image lines, colours, names of images."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from get3d.core import TexturedMesh
from get3d.data import load_mesh
from tests.data.formats.conftest import SQUARE, colors_of

RED, GREEN, BLUE, WHITE = (255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 255), (255,) * 4
QUARTERS = [RED, GREEN, BLUE, WHITE]
CLEAR = [(255, 0, 0, 255), (0, 255, 0, 0), (0, 0, 255, 255), (255, 255, 255, 0)]
Obj = Callable[..., TexturedMesh]


@pytest.mark.parametrize(
    "line",
    [
        "map_Kd tex.png",
        "map_kd\ttex.png  ",
        "map_Kd -s 1 1 1 -o 0 0 0 tex.png",
        "map_Kd -blendu on -blendv off -cc off -mm 0 1 -texres 256 -bm 0.5 tex.png",
        "map_Kd -s 1 tex.png",
        "map_Kd -o 1 1 tex.png",
        "map_Kd -unknown 3 tex.png",
        'map_Kd "tex.png"',
        "map_Kd .\\tex.png",
        "map_Kd TEX.PNG",
        "map_Kd C:\\Users\\me\\tex.png",
        "map_Kd /home/me/textures/tex.png",
        "map_Kd file:///home/me/tex.png",
        "map_Kd ..\\b\\tex.png",
        "map_Kd nowhere/tex.png",
        "map_Kd t%65x.png",
        "map_Kd tex.png # a comment",
    ],
)
def test_ways_to_name_an_image(obj: Obj, line: str) -> None:
    mesh = obj(mtl=f"newmtl m\n{line}\n")
    assert (colors_of(mesh), mesh.losses) == (QUARTERS, ())


@pytest.mark.parametrize("name", ["textures/my tex.png", "../images/tex.jpg.png", "Maps/tex.png"])
def test_images_in_other_folders(obj: Obj, folder: Path, name: str) -> None:
    path = folder / name
    path.parent.mkdir()
    (folder / "tex.png").rename(path.parent / path.name)
    for written in (name, name.replace("/", "\\"), f"D:/x/{path.name}", path.name):
        mesh = obj(mtl=f"newmtl m\nmap_Kd {written}\n")
        assert (colors_of(mesh), mesh.losses) == (QUARTERS, ()), written


def test_images_far_above_are_not_read(obj: Obj, folder: Path) -> None:
    (folder / "tex.png").rename(folder.parents[2] / "secret.png")
    for name in ("../../../secret.png", str(folder.parents[2] / "secret.png")):
        mesh = obj(mtl=f"newmtl m\nmap_Kd {name}\n")
        assert mesh.losses == (f"image {name} is missing",)


def test_scale_and_offset_move_the_image(obj: Obj) -> None:
    corner = obj(mtl="newmtl m\nmap_Kd -s 0.5 0.5 1 -o 0.5 0 0 tex.png\n")
    assert colors_of(corner) == [WHITE] * 4  # its lower right quarter
    twice = obj(mtl="newmtl m\nmap_Kd -s 2 2 1 tex.png\nmap_Ke -s 2 2 1 tex.png\n")
    assert twice.losses == ()
    assert sorted(set(twice.uvs[:, 0].tolist())) == [0.0, 2.0]
    other = obj(mtl="newmtl m\nmap_Kd -s 2 2 1 tex.png\nmap_Ke tex.png\n")
    assert other.losses == ("options -s and -o of map_ke are ignored",)


def test_two_materials_may_share_coordinates_and_differ_in_scale(obj: Obj) -> None:
    text = SQUARE.replace("f 1/1/1 3/3/1 4/4/1", "usemtl n\nf 1/1/1 3/3/1 4/4/1")
    mesh = obj(
        text, "newmtl m\nmap_Kd tex.png\nnewmtl n\nmap_Kd -s 0.25 0.25 1 -o 0.5 0.5 0 tex.png\n"
    )
    assert colors_of(mesh) == [GREEN, GREEN, BLUE, WHITE]


def test_alpha(obj: Obj, folder: Path) -> None:
    mask = np.repeat(np.array([[255, 0]], np.uint8), 8, axis=1)
    Image.fromarray(mask).save(folder / "mask.png")
    rgba = Image.open(folder / "tex.png").convert("RGBA")
    rgba.putalpha(Image.open(folder / "mask.png").resize(rgba.size, Image.Resampling.NEAREST))
    rgba.save(folder / "rgba.png")
    half = np.zeros((16, 16, 3), np.uint8)
    half[:, :8, 1] = 255
    Image.fromarray(half).save(folder / "green.png")
    for lines, expected in (
        ("map_Kd tex.png\nmap_d mask.png", CLEAR),
        ("map_Kd rgba.png\nmap_d rgba.png", CLEAR),
        ("map_Kd tex.png\nmap_d rgba.png", CLEAR),
        ("map_Kd tex.png\nmap_d -imfchan g green.png", CLEAR),
        ("map_Kd rgba.png", QUARTERS),  # unused alpha
        ("map_Kd tex.png\nmap_d tex.png", QUARTERS),
        ("map_d mask.png", [WHITE, (255, 255, 255, 0)] * 2),
    ):
        mesh = obj(mtl=f"newmtl m\n{lines}\n")
        assert (colors_of(mesh), mesh.losses) == (expected, ()), lines


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("Kd 1 0.5 0", (255, 128, 0, 255)),
        ("Kd 255 128 0", (255, 128, 0, 255)),
        ("Kd 0.5", (128, 128, 128, 255)),
        ("kd 0.5 0.5 0.5 # grey", (128, 128, 128, 255)),
        ("d 0.4", (255, 255, 255, 102)),
        ("d -halo 0.4", (255, 255, 255, 102)),
        ("Tr 0.6", (255, 255, 255, 102)),
        ("d 1\nTr 1", WHITE),  # d counts
        ("d x\nKd", WHITE),
    ],
)
def test_colours_and_transparency(obj: Obj, lines: str, expected: tuple[int, ...]) -> None:
    mesh = obj(mtl=f"newmtl m\n{lines}\n")
    assert (colors_of(mesh), mesh.losses) == ([expected] * 4, ())


def test_what_is_lost_is_named(obj: Obj, folder: Path) -> None:
    (folder / "bad.png").write_bytes(b"no image")
    mesh = obj(
        mtl="newmtl m\nKd spectral a.rfl\nKe 4 4 4\nd 0\nmap_Kd -mm 0.2 1 tex.png\n"
        "map_Ke gone.png\nmap_Pr bad.png\nmap_bump tex.png\n"
    )
    assert mesh.losses == (
        "map_bump is ignored",
        "material m is invisible (d 0)",
        "option -mm of tex.png is ignored",
        "image gone.png is missing",
        "image bad.png cannot be read",
        "Kd spectral a.rfl is ignored",
        "Ke is above 1",
    )


def test_missing_libraries_and_images_leave_white(obj: Obj) -> None:
    mesh = obj(SQUARE.replace("usemtl m", "usemtl m\nf 1 2 3\nusemtl n"), None)
    assert (colors_of(mesh), mesh.losses) == ([WHITE] * 4, ("all materials are missing",))
    mesh = obj(mtl="newmtl m\nKd 0 0 0\nmap_Kd gone.png\nmap_Ke gone.png\n")
    assert (colors_of(mesh), mesh.losses) == ([WHITE] * 4, ("image gone.png is missing",))
    assert mesh.materials[0].emissive == (0.0, 0.0, 0.0)


def test_bump_strength_and_images_of_pbr(obj: Obj, folder: Path) -> None:
    Image.fromarray(np.full((4, 2), 51, np.uint8)).save(folder / "rough.png")
    (material,) = obj(
        mtl="newmtl m\nnorm -bm 0.5 tex.png\nmap_Pr rough.png\nmap_Pm tex.png\nPr 0.5\n"
        "Ke 0 0 0\nmap_Ke tex.png\n"
    ).materials
    assert (material.normal_scale, material.roughness, material.metallic) == (0.5, 0.5, 1.0)
    assert material.emissive == (1.0, 1.0, 1.0)
    assert material.normal_texture is not None
    assert material.metallic_roughness_texture is not None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_only_regular_files_are_opened(obj: Obj, folder: Path) -> None:
    os.mkfifo(folder / "pipe.png")
    os.mkfifo(folder / "pipe.mtl")
    mesh = obj(f"mtllib pipe.mtl\n{SQUARE}", "newmtl m\nmap_Kd pipe.png\n")
    assert mesh.losses == ("material file pipe.mtl is missing", "image pipe.png is missing")
    os.mkfifo(folder / "pipe.obj")
    with pytest.raises(FileNotFoundError):
        load_mesh(folder / "pipe.obj")


def test_names_that_no_file_can_have(obj: Obj) -> None:
    for name in ("x" * 5000 + ".png", "a\0b.png", "..", "/", "-s", "C:\\"):
        mesh = obj(mtl=f"newmtl m\nmap_Kd {name}\n")
        assert len(mesh.losses) == 1
        assert "is missing" in mesh.losses[0]


def test_clamped_images_end_at_their_border(obj: Obj) -> None:
    shifted = SQUARE.replace("vt 0", "vt 1").replace("vt 1 0\nvt 1 0", "vt 1 0\nvt 2 0")
    shifted = shifted.replace("vt 1 1\nvt 1 1", "vt 2 1\nvt 1 1")  # u from 1 to 2
    assert colors_of(obj(shifted)) == QUARTERS
    clamped = obj(shifted, "newmtl m\nmap_Kd -clamp on tex.png\n")
    assert colors_of(clamped) == [GREEN, GREEN, WHITE, WHITE]


def test_images_of_other_kinds_and_cut_off_ones(obj: Obj, folder: Path) -> None:
    for suffix in ("bmp", "tga", "tif", "gif"):
        Image.open(folder / "tex.png").save(folder / f"t.{suffix}")
        assert colors_of(obj(mtl=f"newmtl m\nmap_Kd t.{suffix}\n")) == QUARTERS
    (folder / "cut.tga").write_bytes((folder / "t.tga").read_bytes()[:60])
    (folder / "cut.png").write_bytes((folder / "tex.png").read_bytes()[:60])
    mesh = obj(mtl="newmtl m\nmap_Kd cut.tga\nmap_d cut.png\nmap_Pm cut.png\n")
    assert mesh.losses == ("image cut.tga cannot be read", "image cut.png cannot be read")
