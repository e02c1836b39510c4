from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from get3d.apps import load, sources
from get3d.cli import main
from tests.interop.released_files import write_checkpoint
from tests.interop.test_checkpoints import Touch


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the published form, with a small network."""
    return write_checkpoint(tmp_path_factory.mktemp("release") / "car.pt", "unified_small")


def import_to(out: Path, checkpoint: Path | str, *flags: str) -> int:
    return main(["import", str(checkpoint), "--out", str(out), *flags])


def test_writes_a_model_folder_and_says_what_it_found(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "models" / "car"
    assert import_to(out, checkpoint) == 0
    text = capsys.readouterr().out
    assert "found: unified generator, dmtet, tri-planes of 32 texels, styles of width 64" in text
    assert "taken from flags: grid 90, scale 1, deformation multiplier 1" in text
    assert "non-commercial" in text
    assert {entry.name for entry in out.iterdir()} == {
        "README.md",
        "config.yaml",
        "model.safetensors",
    }
    assert load(out).info.name == "car"


def test_shapes_are_made_of_it(checkpoint: Path, tmp_path: Path) -> None:
    assert import_to(tmp_path / "car", checkpoint, "--grid", "12") == 0
    sizes = ["--num", "1", "--texture-size", "1024", "--device", "cpu"]
    assert main(["generate", str(tmp_path / "car"), "--out", str(tmp_path / "out"), *sizes]) == 0
    assert (tmp_path / "out" / "shape_0000.glb").stat().st_size > 0


def test_flags(checkpoint: Path, tmp_path: Path) -> None:
    flags = ["--grid", "16", "--scale", "0.8", "--deformation-multiplier", "2"]
    flags += ["--name", "small car", "--licence", "CC0-1.0"]
    assert import_to(tmp_path, checkpoint, *flags) == 0
    content = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert content["info"]["name"] == "small car"
    assert content["info"]["licence"] == "CC0-1.0"
    generator = content["generator"]
    assert (generator["grid_resolution"], generator["scale"]) == (16, 0.8)
    assert generator["deformation_multiplier"] == 2.0


def test_flexicubes_is_recognised(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_checkpoint(tmp_path / "car.pt", "unified_flexi_small")
    assert import_to(tmp_path / "car", path, "--grid", "16") == 0
    assert "unified generator, flexicubes" in capsys.readouterr().out
    assert load(tmp_path / "car").generator.config.iso_surface == "flexicubes"


def test_existing_model_is_kept(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.yaml").write_text("batch: 8")
    assert import_to(tmp_path, checkpoint, "--grid", "8") == 1
    error = capsys.readouterr().err
    assert "already holds config.yaml; choose another --out, or add --overwrite" in error
    assert [entry.name for entry in tmp_path.iterdir()] == ["config.yaml"]
    assert import_to(tmp_path, checkpoint, "--grid", "8", "--overwrite") == 0
    assert load(tmp_path).info.name == "car"


def test_from_the_hub(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "fetch_file", lambda name: checkpoint)
    assert import_to(tmp_path, "hf://maker/weights@v1/car.pt", "--grid", "8") == 0
    assert load(tmp_path).info.origin.startswith("`hf://maker/weights@v1/car.pt`, ")


def test_a_repository_is_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert import_to(tmp_path / "car", "hf://maker/weights") == 1
    assert "name a file in it: hf://maker/weights/file.pt" in capsys.readouterr().err


def hostile(path: Path) -> Path:
    torch.save({"G_ema": Touch(path.with_name("was_run"))}, path)
    return path


def truncated(path: Path) -> Path:
    write_checkpoint(path, "unified_small")
    path.write_bytes(path.read_bytes()[:-1000])
    return path


def of_another_type(path: Path) -> Path:
    weight = torch.ones(64, 64, dtype=torch.int8)
    return write_checkpoint(path, "unified_small", mapping__fc1__weight=weight)


def of_another_network(path: Path) -> Path:
    torch.save({"G_ema": torch.nn.Linear(3, 3).state_dict()}, path)
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (hostile, "would run code when it is read"),
        (truncated, "is cut short or damaged"),
        (of_another_type, "mapping.fc1.weight has the type torch.int8"),
        (of_another_network, "not the tensors of a published GET3D generator"),
        (lambda path: path, "no file"),
    ],
)
def test_bad_files_are_one_line_and_leave_nothing(
    make: Any, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = make(tmp_path / "bad.pt")
    out = tmp_path / "models" / "car"
    assert import_to(out, path) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("get3d import: ")
    assert error.count("\n") == 1
    assert not out.parent.exists()
    assert not (tmp_path / "was_run").exists()


def test_a_full_disk_leaves_nothing(
    checkpoint: Path,
    tmp_path: Path,
    no_space: Callable[[], AbstractContextManager[None]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with no_space():
        assert import_to(tmp_path / "car", checkpoint, "--grid", "8") == 1
    error = capsys.readouterr().err
    assert "File too large" in error
    assert error.count("\n") == 1
    assert not any((tmp_path / "car").iterdir())


def test_a_file_in_place_of_the_folder(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "car").write_text("mine")
    assert import_to(tmp_path / "car", checkpoint, "--grid", "8") == 1
    assert "choose another folder" in capsys.readouterr().err
    assert (tmp_path / "car").read_text() == "mine"
