"""Errors that the user can fix: each message is one line that says what is wrong and what to do.

Any other exception is a bug of get3d, except OSError and running out of memory. The classes derive
from ValueError (or ImportError) too, for callers that handle only those.
"""

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "STATUS_ALLOC_FAILED")


class Get3DError(Exception):
    """Base class of errors that the user can fix; the message is one line."""


class DataError(Get3DError, ValueError):
    """A data set, an image or another file is damaged or does not fit; repair or remove it."""


class MeshError(Get3DError, ValueError):
    """A mesh cannot be used: no faces, no area, not finite, indices out of range."""


class ModelError(Get3DError, ValueError):
    """A model folder, checkpoint or set of weights cannot be used; get another copy."""


class ConfigError(Get3DError, ValueError):
    """A setting is out of range or contradicts another setting."""


class MissingDependencyError(Get3DError, ImportError):
    """An optional package is missing; the message has the pip command that installs it."""


def is_out_of_memory(error: BaseException | None) -> bool:
    """Return whether an error means that memory ran out, on any device.

    Args:
        error: The error. Another RuntimeError raised while an out-of-memory error was handled
            counts too: the capture of a CUDA graph ends that way.

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
