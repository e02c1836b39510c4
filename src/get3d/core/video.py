"""Images that move: MP4 by an optional encoder, GIF and WebP by Pillow."""

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

from get3d.core.files import atomic_path

Frame = UInt8[np.ndarray, "h w 3"]

VIDEO_SUFFIXES = (".mp4", ".webp", ".gif")
_MAX_FPS = {".mp4": 240, ".webp": 240, ".gif": 50}  # browsers slow faster GIFs down
_WEBP_QUALITY = 85
_MP4_CRF = "18"  # of x264: looks like the original


def check_video(suffix: str, *, fps: float) -> None:
    """Refuse a video that cannot be written here, before the work starts.

    Args:
        suffix: Such as ".webp"; upper case will do.
        fps: Frames a second.

    Raises:
        ValueError: If the suffix is unknown or the format does not know this speed.
        ImportError: If the encoder is missing, naming what to install and what to take instead.
    """
    suffix = suffix.lower()
    if suffix not in VIDEO_SUFFIXES:
        raise ValueError(
            f"videos cannot be written as {suffix or 'a file without suffix'!r}; "
            f"accepted: {', '.join(VIDEO_SUFFIXES)}"
        )
    if not 1 <= fps <= _MAX_FPS[suffix]:
        raise ValueError(f"fps must be from 1 to {_MAX_FPS[suffix]} for {suffix}, got {fps:g}")
    if suffix == ".mp4":
        _mp4_encoder()
    if suffix == ".webp" and not features.check("webp"):
        raise ImportError("this build of Pillow cannot write WebP; take gif, or reinstall Pillow")


def save_video(path: Path | str, frames: Iterable[Frame], *, fps: float = 30.0) -> None:
    """Write a video that runs in a loop (MP4 players decide that themselves), whole or not at all.

    The same frames give the same bytes on the same machine. GIF and WebP keep all frames in memory
    and know the time of a frame to 10 and 1 milliseconds; MP4 is written frame by frame, and a
    last row or column of odd sizes is repeated.

    Args:
        path: Where the file goes; the suffix picks the format.
        frames: sRGB images of one size; each is asked for when its turn comes.
        fps: Frames a second.

    Raises:
        ValueError: As `check_video`; or if there is no frame, or one has another size.
        ImportError: As `check_video`.
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
    whole = chain([first], checked)
    with atomic_path(path) as temp_path:
        if suffix == ".mp4":
            _write_mp4(path, temp_path, whole, fps)
        else:
            _write_with_pillow(temp_path, suffix, whole, fps)


def _check_sizes(frames: Iterable[Frame]) -> Iterator[Frame]:
    shape = None
    for index, frame in enumerate(frames):
        shape = shape or frame.shape
        if frame.shape != shape:
            raise ValueError(
                f"all frames of a video have one size: frame {index} is {frame.shape}, "
                f"the first {shape}"
            )
        yield frame


def _write_with_pillow(path: Path, suffix: str, frames: Iterable[Frame], fps: float) -> None:
    first, *others = (Image.fromarray(frame) for frame in frames)
    options: dict[str, Any] = {"quality": _WEBP_QUALITY} if suffix == ".webp" else {}
    step_ms = 10 if suffix == ".gif" else 1
    duration_ms = max(step_ms, round(1000 / fps / step_ms) * step_ms)
    first.save(path, save_all=True, append_images=others, duration=duration_ms, loop=0, **options)


def _write_mp4(path: Path, temp_path: Path, frames: Iterator[Frame], fps: float) -> None:
    """Write a video with the bare encoder, for only its exit code tells a full disk."""
    first = next(frames)
    size = [side + side % 2 for side in first.shape[:2]]  # players want even sizes
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
            pass  # it has ended; its exit code says so
        except BaseException:
            encoder.kill()
            raise
        with suppress(BrokenPipeError):  # of what was kept back
            encoder.stdin.close()
        code = encoder.wait()
        log.seek(0)
        reason = " ".join(log.read(1000).decode(errors="replace").split())
    if "No space left" in reason:
        raise OSError(errno.ENOSPC, reason)
    if code or not temp_path.is_file() or temp_path.stat().st_size == 0:
        raise OSError(f"{path}: the encoder failed ({reason[:200]}); take webp or gif instead")


def _mp4_encoder() -> str:
    """Find the program that encodes."""
    try:
        return str(import_module("imageio_ffmpeg").get_ffmpeg_exe())
    except (ImportError, RuntimeError) as error:
        raise ImportError(
            "mp4 needs an encoder: pip install 'get3d[video]' (or imageio-ffmpeg); webp and gif "
            "need nothing more"
        ) from error
