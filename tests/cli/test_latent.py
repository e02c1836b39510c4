"""Commands of latent operations."""

import errno
import json
import sys
from pathlib import Path

import pytest
import trimesh
from PIL import Image

from get3d.apps import Model
from get3d.apps.latent import LatentShape, folder
from get3d.cli import interpolate, main
from get3d.core import MeshError, Styles
from get3d.models import Generator, GridOptions
from get3d.models.fields import Fields
from tests.interop.released_files import write_checkpoint

COMMANDS = {
    "interpolate": ["--seeds", "0", "1", "--frames", "4", "--image-size", "24"],
    "perturb": ["--seeds", "0.1", "--sizes", "0.1", "0.3", "--num", "2"],
    "swap": ["--geometry", "0", "1", "--texture", "2", "3"],
    "mix": ["--seeds", "0", "--columns", "1", "2", "--geometry-layers", "0-1"],
    "sweep": ["--seeds", "0", "1", "--truncations", "0", "0.5", "1"],
}
SHAPES = {
    "interpolate": ["frame_0000", "frame_0003"],
    "perturb": [
        "original",
        *(f"size_{size}_variant_{i:02d}" for size in (0.1, 0.3) for i in range(2)),
    ],
    "swap": [f"geometry_{g}_texture_{t}" for g in (0, 1) for t in (2, 3)],
    "mix": ["shape_0", "shape_0_with_1", "shape_0_with_2", "shape_1", "shape_2"],
    "sweep": [f"shape_{name}_truncation_{value}" for name in (0, 1) for value in (0.0, 0.5, 1.0)],
}


def call(command: str, model_folder: Path, out: Path, *flags: str) -> int:
    fixed = ["--out", str(out), "--device", "cpu"]
    size = [] if command == "turntable" else ["--texture-size", "64"]
    return main([command, str(model_folder), *fixed, *size, *COMMANDS.get(command, []), *flags])


def read(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_writes_shapes_a_contact_sheet_and_a_record(
    command: str, model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(command, model_folder, tmp_path / "one") == 0
    assert str(tmp_path / "one") in capsys.readouterr().out
    files = read(tmp_path / "one")
    assert sorted(name for name in files if name.endswith(".glb")) == [
        f"{name}.glb" for name in sorted(SHAPES[command])
    ]
    for name in SHAPES[command]:
        assert len(trimesh.load(tmp_path / "one" / f"{name}.glb", force="mesh").faces) > 0
    assert json.loads(files["generation.json"])["command"] == command
    with Image.open(tmp_path / "one" / "contact_sheet.png") as sheet:
        assert sheet.width > 50
    # Repeatable from the seed, and a second time nothing changes.
    assert call(command, model_folder, tmp_path / "two") == 0
    assert read(tmp_path / "two") == files
    assert call(command, model_folder, tmp_path / "one") == 0
    assert read(tmp_path / "one") == files
    assert call(command, model_folder, tmp_path / "one", "--texture-size", "32") == 1
    assert "texture_size 64, now 32" in capsys.readouterr().err
    assert read(tmp_path / "one") == files


def test_interpolation_is_a_video_of_all_frames(model_folder: Path, tmp_path: Path) -> None:
    assert call("interpolate", model_folder, tmp_path, "--frames", "5", "--video", "gif") == 0
    with Image.open(tmp_path / "walk.gif") as video:
        assert video.n_frames == 5
        assert video.size == (24, 24)


def test_key_frame_equals_the_generated_shape(model_folder: Path, tmp_path: Path) -> None:
    assert call("interpolate", model_folder, tmp_path / "walk", "--seeds", "0.2", "4") == 0
    assert call("generate", model_folder, tmp_path / "shapes", "--num", "3") == 0
    first = tmp_path / "walk" / "frame_0000.glb"
    other = (tmp_path / "shapes" / "shape_0002.glb").read_bytes()
    assert first.read_bytes() == other.replace(b"shape_0002", b"frame_0000")  # names inside


def test_turntables_of_seeds_and_of_files(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--frames", "4", "--image-size", "24"]
    assert call("turntable", model_folder, tmp_path / "a", "--seeds", "0", "1.2", *small) == 0
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "contact_sheet.png",
        "generation.json",
        "shape_0.webp",
        "shape_1.2.webp",
    ]
    with Image.open(tmp_path / "a" / "shape_0.webp") as video:
        assert video.n_frames == 4
    assert call("generate", model_folder, tmp_path / "shapes", "--num", "1") == 0
    mesh = tmp_path / "shapes" / "shape_0000.glb"
    flags = ["--out", str(tmp_path / "b"), "--video", "gif", *small]
    for _ in range(2):
        assert main(["turntable", str(mesh), *flags]) == 0
    with Image.open(tmp_path / "b" / "shape_0000.gif") as video:
        assert video.n_frames == 4
    capsys.readouterr()
    assert main(["turntable", str(mesh), *flags, "--subdivisions", "1"]) == 1
    assert "are for shapes of a model, not for mesh" in capsys.readouterr().err
    assert main(["turntable", str(mesh), *flags, "--truncation", "0.5"]) == 1
    assert "truncation is for shapes of a model, not for mesh" in capsys.readouterr().err
    assert main(["turntable", str(mesh), *flags, "--seeds", "1"]) == 1
    assert "give mesh files or seeds, not both" in capsys.readouterr().err


def test_generate_goes_on_and_grows(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("generate", model_folder, tmp_path, "--num", "2") == 0
    first = (tmp_path / "shape_0001.glb").stat().st_mtime_ns
    (tmp_path / "shape_0000.glb").unlink()
    assert call("generate", model_folder, tmp_path, "--num", "3") == 0
    assert "3 shapes (1 of them were there)" in capsys.readouterr().out
    assert (tmp_path / "shape_0001.glb").stat().st_mtime_ns == first


def test_generate_with_a_texture_seed(model_folder: Path, tmp_path: Path) -> None:
    for name, flags in {"a": [], "b": ["--texture-seed", "5"]}.items():
        assert call("generate", model_folder, tmp_path / name, "--num", "1", *flags) == 0
    a, b = (
        trimesh.load(tmp_path / name / "shape_0000.glb", force="mesh", process=False)
        for name in "ab"
    )
    assert (a.vertices == b.vertices).all()
    assert read(tmp_path / "a")["shape_0000.glb"] != read(tmp_path / "b")["shape_0000.glb"]


@pytest.mark.parametrize(
    ("command", "flags", "text"),
    [
        ("interpolate", ["--seeds", "1"], "at least two shapes, got 1"),
        ("interpolate", ["--frames", "0"], "frames must be at least 1, got 0"),
        ("interpolate", ["--frames", "1"], "frames must be at least 2"),
        ("interpolate", ["--texture", "1"], "as many textures as shapes"),
        ("interpolate", ["--seeds", "1", "x"], "a shape is named SEED"),
        ("interpolate", ["--video", "gif", "--fps", "99"], "fps must be from 1 to 50"),
        ("interpolate", ["--image-size", "0"], "image_size must be at least 1"),
        ("perturb", ["--num", "0"], "num must be at least 1"),
        ("perturb", ["--sizes", "-1"], "size must lie in 0 to 100"),
        ("perturb", ["--texture-size", "1"], "texture_size must be from 16"),
        ("mix", ["--geometry-layers", "0-99"], "geometry layers must lie within"),
        ("mix", ["--geometry-layers", "none"], "nothing to mix"),
        ("swap", ["--device", "toaster"], "device must be one that PyTorch can use"),
        ("sweep", ["--truncations", "nan"], "truncation must lie in"),
        *(
            (command, ["--truncation", "nan"], "truncation must lie in -100 to 100, got nan")
            for command in ("generate", "interpolate", "perturb", "swap", "mix")
        ),
        ("interpolate", ["--truncation", "inf"], "truncation must lie in -100 to 100, got inf"),
        ("interpolate", ["--turns", "nan"], "turns must be from -1000 to 1000, got nan"),
        ("turntable", ["--seeds", "1", "--turns", "inf"], "turns must be from -1000 to 1000, got"),
        ("turntable", ["--seeds", "1", "--truncation", "nan"], "truncation must lie in"),
        ("turntable", ["--seeds", "9" * 5000], "a shape is named SEED"),
        ("swap", ["--geometry", "\u0663"], "a shape is named SEED"),
        ("mix", ["--geometry-layers", "\u0660"], "geometry layers must be all, none"),
        ("generate", ["--texture-seed", "-1"], "texture_seed must not be negative"),
        ("generate", ["--truncation", "inf"], "truncation must lie in"),
        ("turntable", [], "nothing to render"),
        ("turntable", ["--seeds", "1", "1"], "two videos would be called shape_1"),
        ("turntable", ["--seeds", "1", "--texture", "1", "2"], "texture must be as many"),
        ("turntable", ["--seeds", "1", "--polar-deg", "200"], "polar_deg must lie within"),
        ("turntable", ["--seeds", "1", "--grid-resolution", "2"], "must be from 3 to 2048, got 2"),
        ("turntable", ["--seeds", "1", "--frames", "0"], "frames must be at least 1"),
    ],
)
def test_bad_options_are_one_line_and_write_nothing(
    command: str,
    flags: list[str],
    text: str,
    model_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    assert call(command, model_folder, out, *flags) == 1
    error = capsys.readouterr().err
    assert text in error
    assert error.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.xyz", "neither a model nor a mesh file"), ("a.glb", "cannot be read")],
)
def test_turntables_of_what_is_no_mesh(
    name: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text("no mesh")
    assert main(["turntable", str(tmp_path / name), "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert text in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "flags",
    [["--truncation", "0.5"], ["--device", "cpu"], ["--subdivisions", "1"]],
)
def test_options_of_models_are_an_error_for_mesh_files(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.glb").write_text("never read")
    out = tmp_path / "out"
    assert main(["turntable", str(tmp_path / "a.glb"), "--out", str(out), *flags]) == 1
    error = capsys.readouterr().err
    assert "for shapes of a model, not for mesh files; leave it out" in error
    assert flags[0].removeprefix("--").replace("-", "_") in error
    assert not out.exists()


def test_turntables_of_a_checkpoint(tmp_path: Path) -> None:
    """What is a model to `load` is one here."""
    checkpoint = write_checkpoint(tmp_path / "car.pt", "unified_small")
    flags = ["--seeds", "0", "--frames", "1", "--image-size", "16", "--device", "cpu"]
    assert main(["turntable", str(checkpoint), "--out", str(tmp_path / "out"), *flags]) == 0


def test_one_bad_mesh_does_not_stop_the_others_and_a_rerun_goes_on(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("generate", model_folder, tmp_path / "shapes", "--num", "2") == 0
    good = [tmp_path / "shapes" / f"shape_000{i}.glb" for i in range(2)]
    bad = tmp_path / "bad.glb"
    bad.write_text("no mesh")
    out = tmp_path / "out"
    flags = ["--out", str(out), "--frames", "2", "--image-size", "24"]
    command = ["turntable", str(good[0]), str(bad), str(good[1]), *flags]
    capsys.readouterr()
    assert main(command) == 1
    printed = capsys.readouterr().out
    assert "failed: bad.webp: " in printed
    assert "2 videos in" in printed
    videos = [out / f"shape_000{i}.webp" for i in range(2)]
    times = [video.stat().st_mtime_ns for video in videos]
    bad.write_bytes(good[0].read_bytes())
    good[1].write_bytes(good[0].read_bytes())  # another mesh of the same name
    assert main(command) == 0
    assert videos[0].stat().st_mtime_ns == times[0]
    assert videos[1].stat().st_mtime_ns > times[1]
    assert videos[1].read_bytes() == videos[0].read_bytes() == (out / "bad.webp").read_bytes()
    with Image.open(out / "contact_sheet.png") as sheet:
        assert sheet.height > 3 * 24


def test_what_lies_beside_an_obj_may_have_changed(model_folder: Path, tmp_path: Path) -> None:
    assert call("generate", model_folder, tmp_path, "--num", "1", "--format", "obj") == 0
    flags = ["--out", str(tmp_path / "out"), "--frames", "1", "--image-size", "24"]
    for is_first in (True, False):
        assert main(["turntable", str(tmp_path / "shape_0000.obj"), *flags]) == 0
        video = (tmp_path / "out" / "shape_0000.webp").read_bytes()
        if is_first:
            first = video
            with Image.open(tmp_path / "shape_0000.png") as texture:
                Image.new("RGB", texture.size).save(tmp_path / "shape_0000.png")
    assert video != first


@pytest.mark.parametrize("command", COMMANDS)
def test_unrecorded_file_is_not_replaced(
    command: str, model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "contact_sheet.png").write_text("mine")
    assert call(command, model_folder, tmp_path) == 1
    assert "already holds contact_sheet.png" in capsys.readouterr().err
    assert (tmp_path / "contact_sheet.png").read_text() == "mine"


def test_a_read_only_folder_is_one_line(
    model_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(path: Path, text: str, *, durable: bool = True) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(folder, "write_text", fail)  # root may write everywhere
    assert call("swap", model_folder, tmp_path) == 1
    error = capsys.readouterr().err
    assert "may not be written; choose another --out" in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_missing_encoder_fails_before_the_work(
    model_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    assert call("interpolate", model_folder, tmp_path / "out", "--video", "mp4") == 1
    error = capsys.readouterr().err
    assert "pip install 'get3d[video]'" in error
    assert "webp" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_frames_without_a_surface_are_counted(
    model_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make = interpolate.generate_shape
    calls: list[None] = []

    def fail_at_frames_1_and_2(model: Model, styles: Styles, *, grid: GridOptions) -> LatentShape:
        calls.append(None)
        if (len(calls) - 1) % 4 in (1, 2):
            raise MeshError("the signed distances have no surface")
        return make(model, styles, grid=grid)

    monkeypatch.setattr(interpolate, "generate_shape", fail_at_frames_1_and_2)
    assert call("interpolate", model_folder, tmp_path) == 0
    printed = capsys.readouterr().out
    assert "note: 2 frames are empty, the first of them 1: the signed distances" in printed


def test_videos_of_files_of_one_name_take_the_names_of_their_folders(tmp_path: Path) -> None:
    paths = [tmp_path / folder / "ball.glb" for folder in ("first", "second")]
    for path in paths:
        path.parent.mkdir()
        trimesh.creation.icosphere(subdivisions=1).export(path)
    out = tmp_path / "videos"
    flags = ["--frames", "2", "--image-size", "24", "--video", "gif", "--out", str(out)]
    assert main(["turntable", *map(str, paths), *flags]) == 0
    assert {path.name for path in out.glob("*.gif")} == {"first_ball.gif", "second_ball.gif"}


def test_turntables_of_files_say_what_was_not_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    triangle = "v 0 0 0\nv 1 0 0\nv 0 1 1\nf 1 2 3\n"
    (tmp_path / "lossy.obj").write_text(f"mtllib gone.mtl\nusemtl red\n{triangle}")
    (tmp_path / "plain.obj").write_text(triangle)
    flags = ["--out", str(tmp_path / "out"), "--frames", "1", "--image-size", "16"]
    assert main(["turntable", *(str(path) for path in tmp_path.glob("*.obj")), *flags]) == 0
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: ")]
    assert len(notes) == 1
    assert notes[0].startswith("note: lossy.webp: ")
    assert "gone.mtl" in notes[0]


def test_ctrl_c_reports_progress(
    model_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make, asked = Generator.fields, []

    def stop_at_the_third(generator: Generator, styles: Styles) -> Fields:
        asked.append(styles)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return make(generator, styles)

    monkeypatch.setattr(Generator, "fields", stop_at_the_third)
    assert call("generate", model_folder, tmp_path / "out", "--num", "5") == 130
    said = capsys.readouterr().err
    assert f"2 of 5 shapes are done in {tmp_path / 'out'}; the same command goes on" in said
    assert said.count("\n") == 1
