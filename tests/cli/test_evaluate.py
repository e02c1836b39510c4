import json
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from get3d.apps.run_folder import write_run_data
from get3d.cli import main


@pytest.fixture
def data(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for split, num in (("test", 4), ("train", 9)):
        folder = tmp_path / "data" / split
        folder.mkdir(parents=True)
        for index in range(num):
            box = trimesh.creation.box(random.uniform(0.2, 1, 3))
            box.visual.vertex_colors = [*random.integers(60, 255, 3), 255]
            box.export(folder / f"box-{index}.glb")
    return tmp_path / "data"


def _evaluate(data: Path, out: Path, *flags: str) -> int:
    return main(["evaluate", "--data", str(data), "--out", str(out), "--workers", "1", *flags])


@pytest.mark.slow
def test_meshes_of_any_program(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    flags = ["--meshes", str(data / "train"), "--metrics", "cd", "--image-size", "48"]
    assert _evaluate(data, out, *flags) == 0
    text = capsys.readouterr().out
    assert "COV (CD) %" in text
    assert "of what training shapes score" not in text
    assert "note: no ratios to training shapes: with 4 references they would be chance" in text
    assert "note: 9 generated shapes for 4 references (published: 5 for each)" in text
    content = json.loads((out / "scores.json").read_text())
    assert content["protocol"]["points"]["num_points"] == 2048
    assert content["copying"]["nearer_than_the_nearest_percent_of_references"] == 1
    page = (out / "report.md").read_text()
    assert "| MMD (CD) x 1000 |" in page
    assert "Not as published" in page
    for name in ("samples", "nearest_training", "best_matches", "worst_matches"):
        with Image.open(out / f"{name}.png") as sheet:
            assert np.asarray(sheet).std() > 20
    assert "](samples.png)" in page
    assert _evaluate(data, out, *flags) == 0
    assert json.loads((out / "scores.json").read_text()) == content
    capsys.readouterr()
    assert _evaluate(data, out, *flags, "--seed", "5") == 1
    assert "scores of other settings (seed differs); choose another" in capsys.readouterr().err
    assert json.loads((out / "scores.json").read_text()) == content
    assert _evaluate(data, out, *flags, "--seed", "5", "--overwrite") == 0
    assert json.loads((out / "scores.json").read_text()) != content


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["model", "--meshes", "x"], "give a model or --meshes, not both"),
        (["nowhere", "--metrics", "cd"], "nowhere"),
        (["--meshes", "nowhere", "--metrics", "cd"], "nowhere"),
        (["--features", "weights.pth", "--metrics", "fd"], "weights.pth: no such file; download"),
        (["--num-images", "0"], "num_images must be at least 8"),
        (["--num", "1"], "num_shapes must be at least 2, got 1"),
        (["--num=1"], "num_shapes must be at least 2, got 1"),
    ],
)
def test_mistakes_are_one_line(
    flags: list[str], message: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _evaluate(data, tmp_path / "out", *flags) != 0
    text = capsys.readouterr().err
    assert message in text
    assert text.count("\n") == 1


def test_an_empty_folder_and_one_without_references(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert _evaluate(tmp_path / "empty", tmp_path / "out", "--metrics", "cd") == 1
    assert "must hold one with the reference shapes (get3d shapes" in capsys.readouterr().err
    assert _evaluate(data, tmp_path / "out", "--meshes", str(tmp_path / "empty")) == 1
    assert "empty" in capsys.readouterr().err


def test_unwritable_output_fails_before_the_work(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("in the way")
    assert _evaluate(data, tmp_path / "out", "--metrics", "cd") == 1
    assert "choose another folder" in capsys.readouterr().err


@pytest.mark.slow
def test_scores_of_a_version_with_fewer_settings_are_taken(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--meshes", str(data / "train"), "--metrics", "cd"]
    assert _evaluate(data, tmp_path, *flags) == 0
    path = tmp_path / "scores.json"
    content = json.loads(path.read_text())
    del content["settings"]["cull_backfaces"]
    path.write_text(json.dumps(content))
    assert _evaluate(data, tmp_path, *flags) == 0
    path.write_text(json.dumps(content))
    assert _evaluate(data, tmp_path, *flags, "--cull-backfaces") == 1
    assert "cull_backfaces differs" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_knows_its_data_and_the_settings_of_its_images(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Flags override what the dataset says."""
    images, out = tmp_path / "images", tmp_path / "out"
    flags = ["--views", "1", "--image-size", "16", "--supersample", "1", "--light", "none"]
    assert main(["render", str(data), "--out", str(images), "--workers", "1", *flags]) == 0
    assert "9 train, 4 test" in capsys.readouterr().out
    assert _evaluate(images, out, "--meshes", str(data / "train"), "--metrics", "cd") == 0
    config = json.loads((out / "scores.json").read_text())["protocol"]["config"]
    assert config["longest_side"] == 0.564
    assert config["light"] == "none"
    more = ["--light", "studio", "--longest-side", "0.8", "--overwrite"]
    assert _evaluate(images, out, "--meshes", str(data / "train"), "--metrics", "cd", *more) == 0
    config = json.loads((out / "scores.json").read_text())["protocol"]["config"]
    assert (config["longest_side"], config["light"]) == (0.8, "studio")
    capsys.readouterr()
    assert main(["evaluate", "vessel", "--out", str(tmp_path / "other")]) == 1
    assert "no data to compare with; name a dataset" in capsys.readouterr().err
    write_run_data(tmp_path / "run", images)
    command = ["evaluate", str(tmp_path / "run"), "--out", str(tmp_path / "other")]
    assert main([*command, "--metrics", "cd"]) == 1
    assert "holds no config.yaml" in capsys.readouterr().err  # so its data were found
