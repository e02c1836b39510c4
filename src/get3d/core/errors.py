"""Errors that a user can mend: each message is one line that says what is wrong and what to do.

Any other exception is a bug of get3d. All derive from ValueError too, for handlers that know only
that.
"""


class Get3DError(Exception):
    """An error that a user can mend; the message is one line."""


class DataError(Get3DError, ValueError):
    """A data set, an image or another file that cannot be read as it is; mend or remove it."""


class MeshError(Get3DError, ValueError):
    """A mesh that cannot be used: no faces, not finite, without area; mend or leave it out."""


class ModelError(Get3DError, ValueError):
    """A model folder, checkpoint or set of weights that cannot be used; get another copy."""


class ConfigError(Get3DError, ValueError):
    """A setting out of its range or at odds with another; change it."""
