"""One clear line for every error that a user can cause and mend."""

import errno

# What a user can mend. Anything else is a bug of ours, and its report needs the traceback.
_EXPECTED = (ValueError, OSError, KeyboardInterrupt, MemoryError, ArithmeticError, ImportError)
_LINE_LENGTH = 1500


def is_expected(error: BaseException) -> bool:
    """Tell an error that one line explains from a bug.

    Args:
        error: Whatever was raised.

    Returns:
        Whether the user can mend it; PyTorch's ways to say "out of memory" count.
    """
    if isinstance(error, ImportError) and (error.name or "").startswith("get3d"):
        return False
    return isinstance(error, _EXPECTED) or _is_out_of_memory(error)


def describe(error: BaseException) -> str:
    """Say in one line what went wrong.

    Args:
        error: An expected one.

    Returns:
        The message, without line breaks.
    """
    if isinstance(error, KeyboardInterrupt):
        text = "stopped by Ctrl-C"
    elif _is_out_of_memory(error):
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


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    message = str(error)
    return isinstance(error, RuntimeError) and (
        "out of memory" in message or "can't allocate memory" in message
    )


def _describe_os_error(error: OSError) -> str:
    text = error.strerror or str(error)
    if error.filename is not None:
        text = f"{error.filename}: {text}"
    if isinstance(error, FileExistsError | NotADirectoryError):
        text += "; a file is where a folder is needed, so choose another folder"
    if error.errno == errno.ENOSPC and "free some" not in text:
        text += "; free some space and run the same command again"
    return text
