"""Names of materials that a file format can hold and tell apart."""

from collections import Counter
from collections.abc import Sequence


def unique_names(names: Sequence[str]) -> list[str]:
    """Number the names that several have, so that all differ.

    Args:
        names: Free of signs that the format cannot hold; may be empty.

    Example:
        >>> unique_names(["wood", "glass", "wood", ""])
        ['wood_0', 'glass', 'wood_2', 'material']
    """
    plain = [name or "material" for name in names]
    counts = Counter(plain)
    unique: list[str] = []
    taken = set(plain)
    for index, name in enumerate(plain):
        if counts[name] > 1:
            name = f"{name}_{index}"
            while name in taken:
                name += "_"
        taken.add(name)
        unique.append(name)
    return unique
