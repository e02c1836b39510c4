"""Ranges of style layers, as people write them."""

import re


def parse_layers(layers: str, num_layers: int, *, kind: str) -> slice:
    """Read a range of layers.

    Args:
        layers: "all", "none", one layer ("4") or first and last ("4-7"); they count from 0.
        num_layers: How many there are.
        kind: What to call them in an error.

    Raises:
        ValueError: If it is no range, is reversed, or leaves the layers there are.

    Example:
        >>> parse_layers("4-7", 16, kind="geometry")
        slice(4, 8, None)
    """
    if layers in ("all", "none"):
        return slice(0, num_layers if layers == "all" else 0)
    match = re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", layers)
    if match is None:
        raise ValueError(
            f"{kind} layers must be all, none, one layer such as 4, or a range such as 4-7, "
            f"got {layers!r}"
        )
    first, last = int(match[1]), int(match[2] or match[1])
    if not first <= last < num_layers:
        raise ValueError(
            f"{kind} layers must lie within 0-{num_layers - 1} (this model has {num_layers}), "
            f"first and last in order, got {layers}"
        )
    return slice(first, last + 1)
