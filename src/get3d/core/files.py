"""Atomic writes (a file has either its old or its complete new content), locks, plain names."""

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
_NAME_LENGTH = 255


@contextmanager
def atomic_path(path: Path | str, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path that replaces `path` when the block ends without an error.

    The temporary file lies in the same folder and has the same suffix, so that writers which choose
    the format by suffix work. If the block raises, or the process is killed, `path` is unchanged.
    Missing parent folders are created.

    Args:
        path: Path of the finished file; an existing file is replaced.
        durable: Wait until the bytes are on the disk, so that the file survives a power cut too.
            Otherwise it survives only the end of this process.

    Yields:
        The path to write to.

    Raises:
        OSError: If `path` is a folder, before the block begins; if the disk is full (naming the
            file and what to do); or if the block raises it.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with atomic_path(folder / "note.txt") as temp_path:
        ...     _ = temp_path.write_text("complete or absent")
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
        with suppress(OSError):  # report the first error only
            temp_path.unlink(missing_ok=True)
        if isinstance(error, OSError) and str(error.filename) == str(temp_path):
            error.filename = str(path)  # the name that the user gave
        if is_full:
            raise OSError(
                errno.ENOSPC,
                f"no space left on the disk for {path}; free some space and run the same command "
                "again (the previous file is unchanged)",
            ) from error
        raise


def write_text(path: Path | str, text: str, *, durable: bool = True) -> None:
    """Write a UTF-8 text file atomically.

    Args:
        path: Path of the file.
        text: Content; line ends are not converted.
        durable: As in `atomic_path`.
    """
    with atomic_path(path, durable=durable) as temp_path:
        temp_path.write_text(text, encoding="utf-8", newline="")


@contextmanager
def locked_folder(folder: Path | str) -> Iterator[None]:
    """Lock a folder against other processes; the lock ends with the block or the process.

    Args:
        folder: Created if absent; the file `.lock` stays in it.

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

    No other process may be writing to the folder.

    Args:
        folder: The folder; may be missing.
    """
    for path in Path(folder).glob(f".*{_TEMP_MARK}*"):
        if path.is_file():
            path.unlink(missing_ok=True)


def is_plain_name(name: object) -> bool:
    r"""Return whether a name is that of a file or folder in a folder itself, on any system.

    Names that were read from a file are checked by this before they become part of a path.

    Args:
        name: The name, of any type.

    Example:
        >>> [is_plain_name(name) for name in ("chair 1", "..", "a/b", "a\\b", "C:", "a\0", 5)]
        [True, False, False, False, False, False, False]
    """
    return (
        isinstance(name, str)
        and bool(name.strip(" ."))
        and len(name) <= _NAME_LENGTH
        and name.isprintable()
        and not set(name) & set('/\\:*?"<>|')
    )


def _flush_file(path: Path) -> None:
    """Wait until a file's bytes are on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Wait until a folder's entries are on the disk, where the operating system supports that."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_disk_full(error: BaseException, folder: Path) -> bool:
    """Return whether a full disk caused an error; torch reports that as a plain RuntimeError."""
    if isinstance(error, OSError):
        return error.errno in _FULL_DISK
    return isinstance(error, RuntimeError) and shutil.disk_usage(folder).free < _FULL_DISK_BYTES
