from pathlib import Path

import pytest

from get3d.cli import main


def _shapes(out: Path, *flags: str, category: str = "chair") -> int:
    small = ["--num", "1", "--texture-size", "128", "--workers", "1"]
    return main(["shapes", category, "--out", str(out), *small, *flags])


def test_shapes_and_the_next_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _shapes(tmp_path, "--split", "test") == 0
    text = capsys.readouterr().out
    assert "1 shapes in" in text
    assert f"get3d evaluate MODEL --data {tmp_path}" in text
    assert (tmp_path / "test" / "chair-000000.glb").is_file()
    assert _shapes(tmp_path, "--split", "test", "--num", "2") == 0
    assert "2 shapes (1 of them were there)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "category", "message"),
    [
        ([], "sofa", "unknown category 'sofa'; known are chair"),
        (["--num", "0"], "chair", "num must be at least 1, got 0"),
        (["--workers", "0"], "chair", "workers must be at least 1, got 0"),
        (["--split", "dev"], "chair", "split must be one of train, validation, test"),
        (["--texture-size", "8"], "chair", "texture_size must lie in"),
    ],
)
def test_wrong_options_are_one_line(
    flags: list[str],
    category: str,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _shapes(tmp_path / "out", *flags, category=category) == 1
    text = capsys.readouterr().err
    assert message in text
    assert text.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_file_in_place_of_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").write_text("I am a file")
    assert _shapes(tmp_path / "out") == 1
    text = capsys.readouterr().err
    assert "choose another folder" in text
    assert text.count("\n") == 1


def test_other_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _shapes(tmp_path) == 0
    assert f"get3d render {tmp_path / 'train'} --out data" in capsys.readouterr().out
    assert _shapes(tmp_path, "--seed", "1") == 1
    assert "seed 0, now 1" in capsys.readouterr().err
