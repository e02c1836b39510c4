import json
import logging
import zipfile
from pathlib import Path

import pytest
import trimesh

from get3d.cli import main


def _generate(model_folder: Path, out: Path, *flags: str) -> int:
    number = [] if "--seeds" in flags else ["--num", "2"]
    sizes = ["--texture-size", "64", "--device", "cpu"]
    return main(["generate", str(model_folder), "--out", str(out), *number, *sizes, *flags])


def test_writes_shapes_a_contact_sheet_and_a_record(model_folder: Path, tmp_path: Path) -> None:
    assert _generate(model_folder, tmp_path) == 0
    record = json.loads((tmp_path / "generation.json").read_text())
    assert record["settings"]["seed"] == 0
    assert list(record["shapes"]) == ["shape_0000.glb", "shape_0001.glb"]
    for name, counts in record["shapes"].items():
        mesh = trimesh.load(tmp_path / name, force="mesh")
        assert len(mesh.faces) == counts["faces"] > 0
    assert (tmp_path / "contact_sheet.png").stat().st_size > 0


def test_the_same_command_may_run_again_and_another_may_not(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _generate(model_folder, tmp_path) == 0
    first = (tmp_path / "shape_0001.glb").read_bytes()
    assert _generate(model_folder, tmp_path) == 0
    assert (tmp_path / "shape_0001.glb").read_bytes() == first
    capsys.readouterr()
    assert _generate(model_folder, tmp_path, "--seed", "1") == 1
    assert "--overwrite" in capsys.readouterr().err
    assert (tmp_path / "shape_0001.glb").read_bytes() == first
    assert _generate(model_folder, tmp_path, "--seed", "1", "--overwrite") == 0
    assert (tmp_path / "shape_0001.glb").read_bytes() != first


def test_overwriting_leaves_no_shape_of_the_former_command(
    model_folder: Path, tmp_path: Path
) -> None:
    assert _generate(model_folder, tmp_path, "--format", "obj") == 0
    (tmp_path / "notes.txt").write_text("mine")
    assert _generate(model_folder, tmp_path, "--num", "1", "--overwrite") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "contact_sheet.png",
        "generation.json",
        "notes.txt",
        "shape_0000.glb",
    ]


def test_a_file_in_place_of_the_folder_is_one_line(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in_the_way").write_text("mine")
    assert _generate(model_folder, tmp_path / "in_the_way") == 1
    assert "choose another folder" in capsys.readouterr().err


def test_unrecorded_file_is_not_replaced(model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "shape_0000.glb").write_text("mine")
    assert _generate(model_folder, tmp_path) == 1
    assert (tmp_path / "shape_0000.glb").read_text() == "mine"


def test_cleaning_is_logged_and_recorded(
    model_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    flags = ["--faces", "100", "--slivers", "0.05", "--floaters", "0.01", "--hidden"]
    flags += ["--crease-deg", "40", "--jpeg", "90"]
    with caplog.at_level(logging.INFO, logger="get3d"):
        assert _generate(model_folder, tmp_path, *flags) == 0
    record = json.loads((tmp_path / "generation.json").read_text())
    assert record["settings"]["asset"]["faces"] == 100
    for name, counts in record["shapes"].items():
        assert counts["faces"] <= 100
        assert len(counts["notes"]) == 5
        assert any("simplified" in note for note in counts["notes"])
        assert sum(note.endswith(": none found") for note in counts["notes"]) >= 2
        done = [note for note in counts["notes"] if not note.endswith(": none found")]
        assert f"{Path(name).stem}: {'; '.join(done)}" in caplog.messages
        assert b"image/jpeg" in (tmp_path / name).read_bytes()


def test_new_contact_sheet_shows_the_cleaned_shapes(model_folder: Path, tmp_path: Path) -> None:
    assert _generate(model_folder, tmp_path, "--faces", "60") == 0
    sheet = tmp_path / "contact_sheet.png"
    first = sheet.read_bytes()
    sheet.unlink()
    assert _generate(model_folder, tmp_path, "--faces", "60") == 0
    assert sheet.read_bytes() == first


def test_colors_at_vertices_need_no_atlas(model_folder: Path, tmp_path: Path) -> None:
    assert _generate(model_folder, tmp_path, "--colors", "vertices") == 0
    glb = (tmp_path / "shape_0000.glb").read_bytes()
    assert b"COLOR_0" in glb
    assert b"TEXCOORD_0" not in glb


@pytest.mark.parametrize("flags", [("--grid-resolution", "20"), ("--subdivisions", "1")])
def test_finer_surfaces(model_folder: Path, tmp_path: Path, flags: tuple[str, str]) -> None:
    for folder, more in (("coarse", ()), ("fine", flags)):
        assert _generate(model_folder, tmp_path / folder, *more) == 0
    coarse, fine = (
        json.loads((tmp_path / folder / "generation.json").read_text())
        for folder in ("coarse", "fine")
    )
    assert fine["settings"]["grid"] != coarse["settings"]["grid"]
    for name, counts in coarse["shapes"].items():
        assert 2.5 < fine["shapes"][name]["faces"] / counts["faces"] < 5


@pytest.mark.parametrize("suffix", ["obj", "ply"])
def test_other_formats(model_folder: Path, tmp_path: Path, suffix: str) -> None:
    assert _generate(model_folder, tmp_path, "--format", suffix) == 0
    assert len(trimesh.load(tmp_path / f"shape_0000.{suffix}", force="mesh").faces) > 0


def test_usdz(model_folder: Path, tmp_path: Path) -> None:
    assert _generate(model_folder, tmp_path, "--format", "usdz", "--jpeg", "90") == 0
    record = json.loads((tmp_path / "generation.json").read_text())
    assert list(record["shapes"]) == ["shape_0000.usdz", "shape_0001.usdz"]
    with zipfile.ZipFile(tmp_path / "shape_0000.usdz") as package:
        assert package.namelist() == ["scene.usda", "textures/material.jpeg"]


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--num", "0"], "num must be at least 1"),
        (["--texture-size", "1"], "texture_size must be"),
        (["--seed", "-1"], "seed must not be negative"),
        (["--device", "toaster"], "device must be one that PyTorch can use here, got toaster"),
        (["--faces", "2"], "faces must be at least 4, got 2"),
        (["--jpeg", "90", "--format", "obj"], "jpeg is for the textures in glb and usdz"),
        (
            ["--jpeg", "90", "--colors", "vertices"],
            "jpeg is for the textures in glb and usdz",
        ),
        (["--jpeg", "0"], "jpeg must be from 1 to 95, got 0"),
        (["--grid-resolution", "2"], "grid_resolution must be from 3 to 2048, got 2"),
        (["--grid-resolution", "0"], "grid_resolution must be from 3 to 2048, got 0"),
        (["--grid-resolution", "5000"], "grid_resolution must be from 3 to 2048, got 5000"),
        (["--subdivisions", "-1"], "subdivisions must not be negative, got -1"),
        (["--subdivisions", "9"], "subdivisions must be from 0 to 7"),
        (["--subdivisions", "1", "--grid-resolution", "20"], "subdivisions, not both"),
        (["--device", "meta"], "device must be one that PyTorch can use here, got meta"),
    ],
)
def test_bad_options_write_nothing(
    model_folder: Path,
    tmp_path: Path,
    flags: list[str],
    text: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    assert _generate(model_folder, out, *flags) == 1
    error = capsys.readouterr().err
    assert text in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_a_missing_model_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _generate(tmp_path / "nothing", tmp_path / "out") == 1
    assert "nothing" in capsys.readouterr().err


def test_named_shapes_are_those_of_their_seeds(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _generate(model_folder, tmp_path / "a", "--seed", "7", "--num", "2") == 0
    assert f"model: model ({model_folder})" in capsys.readouterr().out
    assert (
        _generate(model_folder, tmp_path / "b", "--seeds", "7.1", "7", "--texture", "7", "7") == 0
    )
    first, named = tmp_path / "a" / "shape_0000.glb", tmp_path / "b" / "shape_7.glb"
    old, new = (trimesh.load(path, force="mesh") for path in (first, named))
    assert (old.vertices == new.vertices).all()
    assert (tmp_path / "b" / "shape_7.1_texture_7.glb").is_file()
    for flags, message in (
        (["--seeds", "7", "--texture", "1", "2"], "texture must be as many as seeds, got 2 for 1"),
        (["--texture", "1"], "texture must be as many as seeds, got 1 for 0"),
        (["--seeds", "7", "7.0"], "two files would be called shape_7"),
        (["--seeds", "7", "--num", "3"], "leave --num, --seed and --texture-seed out"),
        (["--seeds", "seven"], "a shape is named SEED or SEED.INDEX"),
        (["--size", "0"], "size must be positive"),
        (["--pivot", "top"], "invalid choice 'top'"),
        (["--format", "usdz", "--up", "z"], "up must be y in usdz"),
    ):
        capsys.readouterr()
        assert _generate(model_folder, tmp_path / "c", *flags) in (1, 2)
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert not (tmp_path / "c").exists()


def test_files_are_placed_as_told(model_folder: Path, tmp_path: Path) -> None:
    flags = ["--num", "1", "--size", "2", "--pivot", "bottom"]
    assert _generate(model_folder, tmp_path / "y", *flags) == 0
    low, high = trimesh.load(tmp_path / "y" / "shape_0000.glb", force="mesh").bounds
    assert low[1] == pytest.approx(0, abs=1e-6)
    assert (high - low).max() == pytest.approx(2)
    assert low[0] == pytest.approx(-high[0], abs=1e-6)
    assert _generate(model_folder, tmp_path / "z", *flags, "--format", "ply") == 0
    for_blender = trimesh.load(tmp_path / "z" / "shape_0000.ply").bounds
    assert for_blender[0][2] == pytest.approx(0, abs=1e-6)
    assert for_blender[1][2] == pytest.approx(high[1], abs=1e-5)
    record = json.loads((tmp_path / "z" / "generation.json").read_text())
    notes = record["shapes"]["shape_0000.ply"]["notes"]
    assert notes == ["scaled to a longest side of 2 m", "origin at the bottom", "z is up"]
