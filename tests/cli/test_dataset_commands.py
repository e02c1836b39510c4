from pathlib import Path

import pytest
import trimesh

from get3d.cli import main


@pytest.fixture
def meshes(tmp_path: Path) -> Path:
    folder = tmp_path / "meshes"
    folder.mkdir()
    trimesh.creation.box().export(folder / "box.ply")
    trimesh.creation.icosphere(subdivisions=1).export(folder / "ball.obj")
    return folder


def _render(meshes: Path, out: Path, *flags: str) -> int:
    sizes = ["--views", "4", "--image-size", "32", "--supersample", "2", "--workers", "1"]
    return main(["render", str(meshes), "--out", str(out), *sizes, *flags])


def test_rendered_images_are_valid(
    meshes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "data"
    assert _render(meshes, out) == 0
    assert "2 objects, 8 images" in capsys.readouterr().out
    overlay = tmp_path / "overlay.png"
    assert main(["validate", str(out), "--overlay", str(overlay)]) == 0
    assert "training can start" in capsys.readouterr().out
    assert overlay.stat().st_size > 0


def test_a_file_that_cannot_be_read_does_not_stop_the_others(
    meshes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (meshes / "broken.glb").write_bytes(b"glTF, but not really")
    assert _render(meshes, tmp_path / "data") == 0
    text = capsys.readouterr().out
    assert "skipped" in text
    assert "broken.glb" in text
    assert "2 objects" in text


def test_other_settings_do_not_mix_into_a_folder(
    meshes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _render(meshes, tmp_path / "data") == 0
    capsys.readouterr()
    assert _render(meshes, tmp_path / "data", "--seed", "5") == 1
    error = capsys.readouterr().err
    assert "seed: 0, now 5" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["validate", "nowhere"], "nowhere: no such folder"),
        (["render", "nowhere", "--out", "data"], "nowhere"),
        (["render", "--out", "data"], "no meshes named"),
        (["render", ".", "--out", "data"], "."),
        (["validate", "."], "no dataset here"),
    ],
)
def test_missing_and_empty_folders_are_one_line(
    args: list[str],
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(args) == 1
    error = capsys.readouterr().err
    assert text in error
    assert error.count("\n") == 1
    assert not (tmp_path / "data").exists()
