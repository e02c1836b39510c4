"""Parsing of ranges of style layers."""

import re

from get3d.core import ConfigError


def parse_layers(layers: str, num_layers: int, *, kind: str) -> slice:
    """Parse a range of style layers.

    Args:
        layers: "all", "none", one layer ("4") or first and last ("4-7"); they count from 0.
        num_layers: Number of layers.
        kind: Name of the layers for messages.

    Raises:
        ConfigError: If it is no range, is reversed, or exceeds the number of layers.

    Example:
        >>> parse_layers("4-7", 16, kind="geometry")
        slice(4, 8, None)
    """
    if layers in ("all", "none"):
        return slice(0, num_layers if layers == "all" else 0)
    match = re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", layers)
    if match is None:
        raise ConfigError(
            f"{kind} layers must be all, none, one layer such as 4, or a range such as 4-7, "
            f"got {layers!r}"
        )
    first, last = int(match[1]), int(match[2] or match[1])
    if not first <= last < num_layers:
        raise ConfigError(
            f"{kind} layers must lie within 0-{num_layers - 1} (this model has {num_layers}), "
            f"first and last in order, got {layers}"
        )
    return slice(first, last + 1)
