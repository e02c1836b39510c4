"""Errors that the user can fix: each message is one line that says what is wrong and what to do.

Any other exception is a bug of get3d, except OSError and running out of memory. The classes derive
from ValueError (or ImportError) too, for callers that handle only those.
"""


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
