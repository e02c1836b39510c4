"""One clear line for every error that a user can cause and mend."""

import errno

# What a user can mend. Anything else is a bug of ours, and its report needs the traceback.
_EXPECTED = (ValueError, OSError, KeyboardInterrupt, MemoryError, ArithmeticError, ImportError)
_LINE_LENGTH = 1500
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "STATUS_ALLOC_FAILED")


class OutOfMemoryError(MemoryError):
    """Out of memory, with a message of our own that says what fits."""


def is_expected(error: BaseException) -> bool:
    """Tell an error that one line explains from a bug.

    Args:
        error: Whatever was raised.

    Returns:
        Whether the user can mend it; PyTorch's ways to say "out of memory" count.
    """
    if isinstance(error, ImportError) and (error.name or "").startswith("get3d"):
        return False
    return isinstance(error, _EXPECTED) or is_out_of_memory(error)


def describe(error: BaseException) -> str:
    """Say in one line what went wrong.

    Args:
        error: An expected one.

    Returns:
        The message, without line breaks.
    """
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
    r"""Make any text fit for one line of a terminal: no control characters, and not endless.

    Example:
        >>> one_line("two\nlines, \x1b[31mred")
        'two lines, ?[31mred'
    """
    text = "".join(char if char.isprintable() else "?" for char in " ".join(text.split()))
    if len(text) <= _LINE_LENGTH:
        return text
    return f"{text[: _LINE_LENGTH - 300]} ... {text[-300:]}"  # the end says what to do


def is_out_of_memory(error: BaseException | None) -> bool:
    """Tell whether there was not enough memory, on whatever device.

    Args:
        error: Whatever was raised. A RuntimeError of something else that was raised while one of
            these was handled counts too: so ends the recording of a CUDA graph.

    Example:
        >>> is_out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"))
        True
    """
    if isinstance(error, MemoryError):
        return True
    if not isinstance(error, RuntimeError):
        return False
    is_named = any(text in str(error) for text in _OUT_OF_MEMORY)
    return is_named or is_out_of_memory(error.__cause__ or error.__context__)


def _describe_os_error(error: OSError) -> str:
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
