import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from PIL import Image

from get3d.apps import Model
from get3d.apps.latent import (
    RECORD_NAME,
    Cell,
    OutFolder,
    ShapeFiles,
    SheetLayout,
    WriteReport,
    generate_shape,
    open_folder,
    styles_of,
    turn_deg,
    write_contact_sheet,
    write_shapes,
    write_video,
)
from get3d.apps.latent import write as write_module
from get3d.core import MeshError
from get3d.geometry import make_grid
from get3d.models import Generator

SMALL = SheetLayout(columns=2, rows=1, view_size=16)


def cells(model, num: int, *, seed: int = 0) -> list[Cell]:
    return [
        Cell(f"shape_{i}", f"{seed}.{i}", partial(styles_of, model, f"{seed}.{i}"))
        for i in range(num)
    ]


def take(model, path: Path, *, seed: int = 0, names=("shape_0.glb",), **options) -> OutFolder:
    return open_folder(
        path, command="test", settings={"seed": seed}, model=model, names=list(names), **options
    )


def write(model, path: Path, num: int, *, suffix: str = ".glb", **options) -> WriteReport:
    files = ShapeFiles(suffix=suffix, texture_size=64)
    folder = take(model, path, **options)
    seed = options.get("seed", 0)
    return write_shapes(model, cells(model, num, seed=seed), folder, files=files, sheets=SMALL)


def contents(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


def test_resumed_run_equals_an_uninterrupted_one(model, tmp_path, monkeypatch) -> None:
    write(model, tmp_path / "unbroken", 5)
    made: list[str] = []
    save = write_module.save

    def stop_at_the_third(shape, path: Path, *, jpeg_quality) -> None:
        made.append(path.name)
        if len(made) == 3:
            raise KeyboardInterrupt
        save(shape, path, jpeg_quality=jpeg_quality)

    monkeypatch.setattr(write_module, "save", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        write(model, tmp_path / "stopped", 5)
    written = write(model, tmp_path / "stopped", 5)
    assert made == [f"shape_{i}.glb" for i in (0, 1, 2, 2, 3, 4)]
    assert (len(written.kept), len(written.made)) == (2, 3)
    assert contents(tmp_path / "stopped") == contents(tmp_path / "unbroken")


def test_shapes_missing_in_the_record_are_made_again(model, tmp_path) -> None:
    """As after a kill between a file and the record."""
    write(model, tmp_path, 4)
    whole = contents(tmp_path)
    record = json.loads((tmp_path / RECORD_NAME).read_text())
    del record["shapes"]["shape_1.glb"]
    (tmp_path / RECORD_NAME).write_text(json.dumps(record))
    (tmp_path / "shape_3.glb").write_bytes(whole["shape_3.glb"][:-1])
    written = write(model, tmp_path, 4)
    assert (len(written.kept), len(written.made)) == (2, 2)
    assert {name: whole[name] for name in whole if name != RECORD_NAME} == {
        name: data for name, data in contents(tmp_path).items() if name != RECORD_NAME
    }


def test_complete_folder_computes_nothing(model, tmp_path, monkeypatch) -> None:
    write(model, tmp_path, 3)
    monkeypatch.setattr(write_module, "generate_shape", lambda *_: pytest.fail("made a shape"))
    written = write(model, tmp_path, 3)
    assert (len(written.kept), len(written.made)) == (3, 0)
    assert written.sheets == ["contact_sheet.png", "contact_sheet_0002.png"]


def test_larger_num_adds_shapes(model, tmp_path) -> None:
    write(model, tmp_path / "grown", 3)
    written = write(model, tmp_path / "grown", 5)
    assert (len(written.kept), len(written.made)) == (3, 2)
    write(model, tmp_path / "at_once", 5)
    assert contents(tmp_path / "grown") == contents(tmp_path / "at_once")
    with Image.open(tmp_path / "grown" / "contact_sheet_0004.png") as sheet:
        assert sheet.width == 32  # one shape, from two sides


@pytest.mark.parametrize("change", ["seed", "model", "command"])
def test_folder_of_other_options_raises(model, tmp_path, change: str) -> None:
    write(model, tmp_path, 2)
    before = contents(tmp_path)
    if change == "model":
        with torch.no_grad():
            next(model.generator.parameters()).add_(1e-3)
    message = {
        "seed": r"seed 0, now 1\); add --overwrite to replace its files",
        "model": "another model",
        "command": "get3d test, now get3d other",
    }[change]
    with pytest.raises(ValueError, match=message):
        open_folder(
            tmp_path,
            command="other" if change == "command" else "test",
            settings={"seed": int(change == "seed")},
            model=model,
            names=[],
        )
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("config", "shift", "difference"),
    [
        ({"scale": 0.5}, 0.0, r": scale 1\.0, now 0\.5"),
        ({"deformation_multiplier": 3.0}, 0.0, r": deformation_multiplier 1\.0, now 3\.0"),
        ({"sdf_base": "none"}, 0.0, ": sdf_base sphere, now none"),
        ({"grid_resolution": 16}, 0.0, ": grid_resolution 12, now 16"),
        ({}, 1e-3, ", or another state of it"),
    ],
)
def test_the_same_weights_with_other_options_are_another_model(
    model, tmp_path, config, shift, difference
) -> None:
    """They make other shapes: a rerun must not mix both."""
    take(model, tmp_path)
    grid = model.generator.grid
    own = make_grid(grid.verts + shift, grid.tets, resolution=grid.resolution) if shift else None
    other = Generator(replace(model.generator.config, **config), grid=own)
    other.load_state_dict(model.generator.state_dict())
    with pytest.raises(ValueError, match=rf"made with other options \(another model{difference}\)"):
        take(Model(other, model.info), tmp_path)
    take(Model(other, model.info), tmp_path, overwrite=True)


def test_overwriting_deletes_what_was_recorded_and_nothing_else(model, tmp_path) -> None:
    write(model, tmp_path, 3, suffix=".obj")
    assert (tmp_path / "shape_2.mtl").exists()
    (tmp_path / "notes.txt").write_text("mine")
    write(model, tmp_path, 1, seed=1, overwrite=True)
    assert sorted(contents(tmp_path)) == [
        "contact_sheet.png",
        RECORD_NAME,
        "notes.txt",
        "shape_0.glb",
    ]


def test_obj_without_its_texture_is_not_complete(model, tmp_path) -> None:
    write(model, tmp_path, 1, suffix=".obj")
    (tmp_path / "shape_0.png").unlink()
    assert write(model, tmp_path, 1, suffix=".obj").made == ["shape_0.obj"]
    assert (tmp_path / "shape_0.png").exists()


@pytest.mark.parametrize(
    "record",
    [
        "",
        "[]",
        '{"shapes": 3}',
        "[" * 100_000,
        '{"shapes": {"a": {"files": ["b"]}}, "images": {}}',
        '{"shapes": {"a": {"files": {"b": "large"}}}, "images": {}}',
        '{"shapes": {"a": 3}, "images": {}}',
        '{"shapes": {"a": {"files": {"..": 1}}}, "images": {}}',
        None,
    ],
)
def test_files_without_a_valid_record_are_not_overwritten(model, tmp_path, record) -> None:
    (tmp_path / "shape_0.glb").write_text("mine")
    if record is not None:
        (tmp_path / RECORD_NAME).write_text(record)
    with pytest.raises(ValueError, match=r"already holds shape_0\.glb, without a record"):
        take(model, tmp_path)
    assert (tmp_path / "shape_0.glb").read_text() == "mine"
    take(model, tmp_path, overwrite=True)


def test_a_record_cannot_reach_out_of_its_folder(model, tmp_path) -> None:
    (tmp_path / "precious").write_text("mine")
    out = tmp_path / "out"
    write(model, out, 1)
    record = json.loads((out / RECORD_NAME).read_text())
    record["shapes"]["shape_0.glb"]["files"] = {"../precious": 4}
    (out / RECORD_NAME).write_text(json.dumps(record))
    write(model, out, 1, seed=1, overwrite=True)
    assert (tmp_path / "precious").exists()


def test_a_folder_where_a_file_was_is_not_deleted(model, tmp_path) -> None:
    write(model, tmp_path, 1)
    (tmp_path / "shape_0.glb").unlink()
    (tmp_path / "shape_0.glb").mkdir()
    take(model, tmp_path, seed=1, overwrite=True)
    assert (tmp_path / "shape_0.glb").is_dir()
    with pytest.raises(IsADirectoryError, match=r"move it away: .*shape_0\.glb"):
        write(model, tmp_path, 1, seed=1)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_in_place_of_the_record(model, tmp_path, overwrite) -> None:
    (tmp_path / RECORD_NAME).mkdir()
    with pytest.raises(IsADirectoryError, match=r"move it away: .*generation"):
        take(model, tmp_path, overwrite=overwrite)


def test_a_folder_that_cannot_be_written(model, tmp_path) -> None:
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(OSError, match="file"):
            take(model, path)


def test_a_failed_shape_does_not_stop_the_others(model, tmp_path, monkeypatch) -> None:
    def fail_once(model, styles, *, grid):
        if torch.equal(styles.geo, styles_of(model, "0.1").geo):
            raise MeshError("the signed distances have no surface")
        return generate_shape(model, styles, grid=grid)

    monkeypatch.setattr(write_module, "generate_shape", fail_once)
    written = write(model, tmp_path, 3)
    assert written.errors == {"shape_1.glb": "the signed distances have no surface"}
    assert sorted(path.name for path in tmp_path.glob("*.glb")) == ["shape_0.glb", "shape_2.glb"]
    record = json.loads((tmp_path / RECORD_NAME).read_text())
    assert record["shapes"]["shape_1.glb"] == {"error": "the signed distances have no surface"}


def test_a_bug_in_an_export_is_no_failed_shape(model, tmp_path, monkeypatch) -> None:
    def fail(*_args, **_options):
        raise ValueError("shapes do not match")

    monkeypatch.setattr(write_module, "save", fail)
    with pytest.raises(ValueError, match="shapes do not match"):
        write(model, tmp_path, 1)


def test_failure_of_every_shape_is_reported_for_each(model, tmp_path) -> None:
    with torch.no_grad():
        model.generator._grid_base.fill_(-100.0)
    written = write(model, tmp_path, 2)
    assert list(written.errors) == ["shape_0.glb", "shape_1.glb"]
    assert "no surface" in written.errors["shape_0.glb"]
    assert written.made == written.sheets == []
    with pytest.raises(ValueError, match="no surface to show"):
        video(model, tmp_path, [None, None])
    assert [path.name for path in tmp_path.iterdir()] == [RECORD_NAME]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"suffix": ".fbx"}, "accepted: .glb"), ({"texture_size": 8}, "texture_size must be from 16")],
)
def test_invalid_file_options_raise(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        ShapeFiles(**options)


def video(model, path: Path, subjects, on_progress=None) -> tuple[OutFolder, list]:
    folder = take(model, path)
    stills = write_video(
        lambda: iter(subjects),
        folder,
        "video.gif",
        rotations_deg=turn_deg(len(subjects), turns=0.0),
        image_size=24,
        fps=10.0,
        on_progress=on_progress,
    )
    return folder, stills


def test_a_video_shows_its_subjects_from_a_shared_distance(model, tmp_path) -> None:
    shapes = [generate_shape(model, styles_of(model, f"0.{i}", truncation=1.0)) for i in range(3)]
    done: list[tuple[int, int]] = []
    folder, stills = video(model, tmp_path, shapes, lambda *counts: done.append(counts))
    assert done == [(i, 6) for i in range(1, 7)]  # each is measured, then drawn
    assert len(stills) == 3
    for still in stills:
        assert (still[0] == 255).all()  # nothing touches the border
        assert (still[-1] == 255).all()
        assert (still < 255).any()
    write_contact_sheet(folder, stills)
    assert folder.is_complete(folder.images, "video.gif")
    assert folder.is_complete(folder.images, "contact_sheet.png")
    with Image.open(tmp_path / "video.gif") as opened:
        assert opened.n_frames == 3


def test_frame_without_a_subject_is_white(model, tmp_path) -> None:
    shape = generate_shape(model, styles_of(model, 0))
    _, stills = video(model, tmp_path, [shape, None])
    assert (stills[0] < 255).any()
    assert (stills[1] == 255).all()


def test_shape_in_two_cells_is_one_file(model, tmp_path) -> None:
    [one, other] = cells(model, 2)
    folder = take(model, tmp_path)
    files = ShapeFiles(texture_size=64)
    written = write_shapes(model, [one, None, one, other], folder, files=files, sheets=SMALL)
    assert written.made == ["shape_0.glb", "shape_1.glb"]
    assert written.kept == []
    again = write_shapes(model, [one, None, one, other], folder, files=files, sheets=SMALL)
    assert again.kept == ["shape_0.glb", "shape_1.glb"]
