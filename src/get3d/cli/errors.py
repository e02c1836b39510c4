"""One line for every error that a user can mend; anything else is a bug and keeps its traceback."""

import errno

_LINE_LENGTH = 1500


class OutOfMemoryError(MemoryError):
    """Out of memory, with a message that says which settings fit."""


def is_expected(error: BaseException) -> bool:
    """Return whether the user can mend an error, so that one line explains it; others are bugs.

    Expected are `Get3DError`, OSError, KeyboardInterrupt, and out of memory as Python and PyTorch
    report it.
    """
    from get3d.core import Get3DError, is_out_of_memory  # PyTorch, which help must not wait for

    is_ours = isinstance(error, Get3DError | OSError | KeyboardInterrupt)
    return is_ours or is_out_of_memory(error)


def describe(error: BaseException) -> str:
    """Describe an expected error in one line."""
    from get3d.core import is_out_of_memory

    if isinstance(error, KeyboardInterrupt):
        text = "stopped by Ctrl-C" + (f"; {error}" if str(error) else "")
    elif is_out_of_memory(error) and not isinstance(error, OutOfMemoryError):
        text = (
            "out of memory; use smaller settings (batch, image or texture size) or another device"
        )
    elif isinstance(error, OSError) and error.errno is not None:
        text = _describe_os_error(error)
    else:
        text = str(error) or type(error).__name__
    return one_line(text)


def one_line(text: str) -> str:
    r"""Make a text fit one line of a terminal: no control characters, at most 1500 characters.

    Example:
        >>> one_line("two\nlines, \x1b[31mred")
        'two lines, ?[31mred'
    """
    text = "".join(char if char.isprintable() else "?" for char in " ".join(text.split()))
    if len(text) <= _LINE_LENGTH:
        return text
    return f"{text[: _LINE_LENGTH - 300]} ... {text[-300:]}"  # the end says what to do


def _describe_os_error(error: OSError) -> str:
    """Format an OSError with its file and what to do about it."""
    text = error.strerror or str(error)
    if error.filename is not None:
        text = f"{error.filename}: {text}"
    if isinstance(error, FileExistsError | NotADirectoryError):
        text += "; a file is where a folder is needed, so choose another folder"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        text += "; choose a place that you may write to, or read from"
    if error.errno == errno.ENOSPC and "free some" not in text:
        text += "; free some space and run the same command again"
    return text
