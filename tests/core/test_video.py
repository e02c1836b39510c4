import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from get3d.core import MissingDependencyError, check_video, save_video


def frames(num: int, size: tuple[int, int] = (16, 20)) -> Iterator[np.ndarray]:
    return (np.full((*size, 3), 20 * i, np.uint8) for i in range(num))


@pytest.mark.parametrize("suffix", ["gif", "webp", "WEBP"])
def test_frames_are_read_back_in_order(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"video.{suffix}"
    save_video(path, frames(6), fps=20.0)
    with Image.open(path) as video:
        assert video.n_frames == 6
        assert video.size == (20, 16)
        for index in range(6):
            video.seek(index)
            level = np.asarray(video.convert("RGB")).astype(int)
            assert abs(level - 20 * index).max() <= 2
        video.seek(1)
        video.load()
        assert video.info["duration"] == 50
        assert video.info["loop"] == 0


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_the_same_frames_give_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    paths = [tmp_path / f"{name}.{suffix}" for name in "ab"]
    for path in paths:
        save_video(path, frames(4), fps=10.0)
    assert paths[0].read_bytes() == paths[1].read_bytes()


# The encoder's own reader leaves its pipes to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_mp4_pads_odd_sizes(tmp_path: Path) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    path = tmp_path / "video.mp4"
    save_video(path, frames(5, (17, 21)), fps=10.0)
    read = ffmpeg.read_frames(path)
    about = next(read)
    assert about["source_size"] == (22, 18)
    assert about["fps"] == 10
    levels = [np.frombuffer(frame, np.uint8).astype(int) for frame in read]
    assert [round(float(level.mean()) / 20) for level in levels] == [0, 1, 2, 3, 4]
    assert np.ptp(levels[4]) <= 3  # no dark border


def test_a_missing_encoder_names_the_suggested_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)  # as if it were not installed
    with pytest.raises(MissingDependencyError, match=r"pip install 'get3d\[video\]'.*webp and gif"):
        save_video(tmp_path / "video.mp4", frames(2))
    assert not list(tmp_path.iterdir())


def test_an_encoder_without_its_program_names_the_suggested_fix(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Broken:
        def get_ffmpeg_exe(self) -> str:
            raise RuntimeError("No ffmpeg exe could be found")

    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", Broken())
    with pytest.raises(MissingDependencyError, match="mp4 needs an encoder"):
        check_video(".mp4", fps=30.0)


@pytest.mark.skipif(os.name != "posix", reason="the stand-in is a shell script")
@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            'head -c 900 > "$video"; echo No space left on device >&2; exit 1',
            "no space left on the",
        ),
        ('head -c 900 > "$video"; echo bad luck >&2; exit 1', r"video\.mp4: .*failed \(bad luck\)"),
        ('cat > "$video"; exit 187', r"video\.mp4: the encoder failed .*take webp or gif"),
        ("cat > /dev/null", r"video\.mp4: the encoder failed"),
    ],
)
@pytest.mark.parametrize("size", [(16, 16), (256, 256)])  # within one buffer, and beyond
def test_an_incomplete_mp4_is_removed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    message: str,
    size: tuple[int, int],
) -> None:
    """As on a full disk, where the encoder leaves a truncated file."""
    encoder = tmp_path / "encoder"
    encoder.write_text(f"#!/bin/sh\nfor video; do :; done\n{script}\n")
    encoder.chmod(0o755)
    stand_in = SimpleNamespace(get_ffmpeg_exe=lambda: str(encoder))
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", stand_in)
    (tmp_path / "video.mp4").write_text("the old one")
    with pytest.raises(OSError, match=message):
        save_video(tmp_path / "video.mp4", frames(12, size), fps=10.0)
    assert (tmp_path / "video.mp4").read_text() == "the old one"
    assert {path.name for path in tmp_path.iterdir()} == {"video.mp4", "encoder"}


@pytest.mark.parametrize(
    ("name", "count", "fps", "message"),
    [
        ("video.avi", 2, 10.0, "accepted: .mp4, .webp, .gif"),
        ("video", 2, 10.0, "a file without suffix"),
        ("video.gif", 0, 10.0, "at least one frame"),
        ("video.gif", 2, 60.0, "fps must be from 1 to 50 for .gif, got 60"),
        ("video.webp", 2, 0.0, "fps must be from 1"),
        ("video.webp", 2, float("nan"), "fps must be from 1"),
    ],
)
def test_bad_videos_leave_nothing(
    tmp_path: Path, name: str, count: int, fps: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        save_video(tmp_path / name, frames(count), fps=fps)
    assert not list(tmp_path.iterdir())


def test_frames_of_two_sizes_leave_nothing(tmp_path: Path) -> None:
    odd = iter([np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5, 3), np.uint8)])
    with pytest.raises(ValueError, match="frame 1 is"):
        save_video(tmp_path / "video.webp", odd, fps=10.0)
    assert not list(tmp_path.iterdir())
