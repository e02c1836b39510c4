"""The examples run, with options that make them short, and write what they say."""

import runpy
import sys
from pathlib import Path

import pytest
from PIL import Image

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def run(name: str, *options: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run an example as its command line does."""
    monkeypatch.setattr(sys, "argv", [name, *options])
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")


def test_all_examples_are_short_and_have_a_test() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    scripts = sorted(EXAMPLES.glob("*.py"))
    assert scripts
    for script in scripts:
        assert f'run("{script.stem}"' in text.replace("\n        ", "")
        assert len(script.read_text(encoding="utf-8").splitlines()) <= 64
        assert f"({script.name})" in (EXAMPLES / "README.md").read_text(encoding="utf-8")


def test_generate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["--num", "1", "--texture-size", "128", "--image-size", "48"]
    run("01_generate", "--out", str(tmp_path), *options, monkeypatch=monkeypatch)
    assert {path.name for path in tmp_path.iterdir()} == {"shape_00.glb", "contact_sheet.png"}


def test_interpolate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["--frames", "3", "--image-size", "48"]
    run("02_interpolate", "--out", str(tmp_path), *options, monkeypatch=monkeypatch)
    with Image.open(tmp_path / "interpolation.gif") as video:
        assert getattr(video, "n_frames", 1) > 1  # equal frames are merged
    assert (tmp_path / "contact_sheet.png").exists()


@pytest.mark.slow
def test_own_data_and_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, folder = tmp_path / "data", tmp_path / "run"
    run("03_own_data", "--out", str(data), "--num", "3", "--views", "4", monkeypatch=monkeypatch)
    assert (data / "images" / "dataset.json").exists()
    assert (data / "overlay.png").exists()
    options = ["--data", str(data / "images"), "--out", str(folder), "--total-images", "16"]
    run("04_train", *options, monkeypatch=monkeypatch)
    assert (folder / "model" / "model.safetensors").exists()
    assert (folder / "log.csv").exists()


@pytest.mark.slow
def test_evaluate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["--num-references", "4", "--num-generated", "4"]
    run("05_evaluate", "--out", str(tmp_path), *options, monkeypatch=monkeypatch)
    assert (tmp_path / "report.md").exists()
    assert (tmp_path / "scores.json").exists()


def test_render_with_gradients(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--steps", "40", "--image-size", "64"]
    run("06_render_with_gradients", "--out", str(tmp_path), *options, monkeypatch=monkeypatch)
    errors = capsys.readouterr().out.split("mask error ")[1].split(",")[0]
    start, result = errors.split(" -> ")
    assert float(result) < float(start) / 10
    assert (tmp_path / "masks.png").exists()


@pytest.mark.slow
def test_fit_mesh_to_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run("07_fit_mesh_to_images", "--out", str(tmp_path), "--steps", "60", monkeypatch=monkeypatch)
    error = float(capsys.readouterr().out.split("mask error ")[1].split(",")[0])
    assert error < 0.05
    assert {path.name for path in tmp_path.iterdir()} == {"fitted.glb", "views.png"}
