"""Files that are either the old one or the whole new one, whatever happens in between."""

import errno
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TEMP_MARK = ".get3d-tmp-"
_FULL_DISK = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_FULL_DISK_BYTES = 64 * 1024


@contextmanager
def atomic_path(path: Path | str, *, durable: bool = True) -> Iterator[Path]:
    """Give a temporary path to write to, which takes the place of `path` when the block ends well.

    The temporary file lies in the same folder and has the same suffix, so that writers which go by
    the suffix work. If the block raises, or the process is killed, `path` is as it was before.
    Missing parent folders are made.

    Args:
        path: Where the finished file goes; a file that is there is replaced.
        durable: Wait until the bytes are on the disk, so that the file survives a power cut too.
            Without it the file still survives the end of this process at any moment.

    Yields:
        The path to write to.

    Raises:
        OSError: If `path` is a folder, before the block begins; if the disk is full (naming the
            file and what to do); or as the block raised it.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with atomic_path(folder / "note.txt") as temp_path:
        ...     _ = temp_path.write_text("whole or not at all")
        >>> [entry.name for entry in folder.iterdir()]
        ['note.txt']
    """
    path = Path(path)
    if path.is_dir():
        message = "a folder is where a file is to be written; move it away"
        raise IsADirectoryError(errno.EISDIR, message, str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    temp_path = path.with_name(f".{path.stem}{_TEMP_MARK}{secrets.token_hex(4)}{path.suffix}")
    try:
        yield temp_path
        if durable:
            _flush_file(temp_path)
        temp_path.replace(path)
        if durable:
            _flush_folder(path.parent)
    except BaseException as error:
        is_full = _is_disk_full(error, path.parent)
        with suppress(OSError):  # what went wrong first is what to say
            temp_path.unlink(missing_ok=True)
        if isinstance(error, OSError) and str(error.filename) == str(temp_path):
            error.filename = str(path)  # the name that the user knows
        if is_full:
            raise OSError(
                errno.ENOSPC,
                f"no space left on the disk for {path}; free some space and run the same command "
                "again (what was there before is unchanged)",
            ) from error
        raise


def write_text(path: Path | str, text: str, *, durable: bool = True) -> None:
    """Write a UTF-8 text file atomically.

    Args:
        path: Where the file goes.
        text: Its content; line ends are written as they are.
        durable: As in `atomic_path`.
    """
    with atomic_path(path, durable=durable) as temp_path:
        temp_path.write_text(text, encoding="utf-8", newline="")


@contextmanager
def locked_folder(folder: Path | str) -> Iterator[None]:
    """Keep other processes from working in a folder; the lock ends with the process at the latest.

    Args:
        folder: Made if absent; holds the file `.lock` from then on.

    Raises:
        BlockingIOError: If another process has locked it.
    """
    path = Path(folder) / ".lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        try:
            if sys.platform == "win32":
                import msvcrt

                file.seek(0)
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BlockingIOError(
                errno.EWOULDBLOCK, "another process is at work in this folder", str(folder)
            ) from error
        yield


def remove_leftovers(folder: Path | str) -> None:
    """Delete temporary files that killed processes left in a folder (not in its subfolders).

    Only for folders that no other process is writing to.

    Args:
        folder: Where to look; may be missing.
    """
    for path in Path(folder).glob(f".*{_TEMP_MARK}*"):
        if path.is_file():
            path.unlink(missing_ok=True)


def _flush_file(path: Path) -> None:
    """Wait until a file's bytes are on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Wait until a folder's entries are on the disk, where the system can do that."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_disk_full(error: BaseException, folder: Path) -> bool:
    """Say whether a failure came from a full disk; torch reports that as a plain RuntimeError."""
    if isinstance(error, OSError):
        return error.errno in _FULL_DISK
    return isinstance(error, RuntimeError) and shutil.disk_usage(folder).free < _FULL_DISK_BYTES
