"""Video files: MP4 by an optional encoder, GIF and animated WebP by Pillow."""

import errno
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, features

from get3d.core.errors import ConfigError, MissingDependencyError
from get3d.core.files import atomic_path

Frame = UInt8[np.ndarray, "h w 3"]

VIDEO_SUFFIXES = (".mp4", ".webp", ".gif")
_MAX_FPS = {".mp4": 240, ".webp": 240, ".gif": 50}  # browsers slow down faster GIFs
_WEBP_QUALITY = 85
_MP4_CRF = "18"  # x264: visually lossless


def check_video(suffix: str, *, fps: float) -> None:
    """Validate that a video format and frame rate can be written on this machine.

    Args:
        suffix: File suffix such as ".webp", in lower or upper case.
        fps: Frames per second.

    Raises:
        ConfigError: If the suffix is unknown or the format does not support the frame rate.
        MissingDependencyError: If the encoder is missing; names what to install.
    """
    suffix = suffix.lower()
    if suffix not in VIDEO_SUFFIXES:
        raise ConfigError(
            f"videos cannot be written as {suffix or 'a file without suffix'!r}; "
            f"accepted: {', '.join(VIDEO_SUFFIXES)}"
        )
    if not 1 <= fps <= _MAX_FPS[suffix]:
        raise ConfigError(f"fps must be from 1 to {_MAX_FPS[suffix]} for {suffix}, got {fps:g}")
    if suffix == ".mp4":
        _mp4_encoder()
    if suffix == ".webp" and not features.check("webp"):
        raise MissingDependencyError(
            "this build of Pillow cannot write WebP; take gif, or reinstall Pillow"
        )


def save_video(path: Path | str, frames: Iterable[Frame], *, fps: float = 30.0) -> None:
    """Write a looping video atomically (for MP4, looping is up to the player).

    The same frames give the same bytes on the same machine. GIF and WebP keep all frames in memory
    and round the duration of a frame to 10 ms and 1 ms; MP4 is written frame by frame, and for odd
    sizes the last row or column is repeated.

    Args:
        path: Path of the file; the suffix determines the format.
        frames: sRGB images of one size; consumed one at a time.
        fps: Frames per second.

    Raises:
        ConfigError: As in `check_video`.
        ValueError: If there is no frame, or the frames differ in size.
        MissingDependencyError: As in `check_video`.
        OSError: If the file cannot be written.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "grey.gif"
        >>> save_video(path, (np.full((8, 8, 3), 40 * i, np.uint8) for i in range(5)), fps=10.0)
        >>> with Image.open(path) as video:
        ...     video.n_frames
        5
    """
    path = Path(path)
    suffix = path.suffix.lower()
    check_video(suffix, fps=fps)
    checked = _check_sizes(frames)
    first = next(checked, None)
    if first is None:
        raise ValueError("a video needs at least one frame, got none")
    complete = chain([first], checked)
    with atomic_path(path) as temp_path:
        if suffix == ".mp4":
            _write_mp4(path, temp_path, complete, fps)
        else:
            _write_with_pillow(temp_path, suffix, complete, fps)


def _check_sizes(frames: Iterable[Frame]) -> Iterator[Frame]:
    """Yield the frames; raise ValueError if their sizes differ."""
    shape = None
    for index, frame in enumerate(frames):
        shape = shape or frame.shape
        if frame.shape != shape:
            raise ValueError(
                f"all frames of a video must have one size: frame {index} is {frame.shape}, "
                f"the first {shape}"
            )
        yield frame


def _write_with_pillow(path: Path, suffix: str, frames: Iterable[Frame], fps: float) -> None:
    """Write a GIF or WebP file."""
    first, *others = (Image.fromarray(frame) for frame in frames)
    options: dict[str, Any] = {"quality": _WEBP_QUALITY} if suffix == ".webp" else {}
    step_ms = 10 if suffix == ".gif" else 1
    duration_ms = max(step_ms, round(1000 / fps / step_ms) * step_ms)
    first.save(path, save_all=True, append_images=others, duration=duration_ms, loop=0, **options)


def _write_mp4(path: Path, temp_path: Path, frames: Iterator[Frame], fps: float) -> None:
    """Write an MP4 file through a pipe to ffmpeg, whose exit code reports a full disk."""
    first = next(frames)
    size = [length + length % 2 for length in first.shape[:2]]  # players require even sizes
    margin = [(0, after - before) for before, after in zip(first.shape, [*size, 3], strict=True)]
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[1]}x{size[0]}", "-r", f"{fps}"]
    codec = ["-vcodec", "libx264", "-pix_fmt", "yuv420p", "-crf", _MP4_CRF]
    command = [_mp4_encoder(), "-y", "-v", "error", *source, "-i", "-", *codec]
    command += ["-movflags", "+faststart", str(temp_path)]
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log) as encoder,
    ):
        assert encoder.stdin is not None
        try:
            for frame in chain([first], frames):
                encoder.stdin.write(np.pad(frame, margin, mode="edge").tobytes())
        except BrokenPipeError:
            pass  # the encoder has ended; its exit code is checked below
        except BaseException:
            encoder.kill()
            raise
        with suppress(BrokenPipeError):  # from flushing buffered frames
            encoder.stdin.close()
        code = encoder.wait()
        log.seek(0)
        reason = " ".join(log.read(1000).decode(errors="replace").split())
    if "No space left" in reason:
        raise OSError(errno.ENOSPC, reason)
    if code or not temp_path.is_file() or temp_path.stat().st_size == 0:
        raise OSError(f"{path}: the encoder failed ({reason[:200]}); take webp or gif instead")


def _mp4_encoder() -> str:
    """Return the path of the ffmpeg program; raise MissingDependencyError if there is none."""
    try:
        return str(import_module("imageio_ffmpeg").get_ffmpeg_exe())
    except (ImportError, RuntimeError) as error:
        raise MissingDependencyError(
            "mp4 needs an encoder: pip install 'get3d[video]' (or imageio-ffmpeg); webp and gif "
            "need nothing more"
        ) from error
