"""What the maker of a category hands over."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from get3d_shapes.assemble import Part


@dataclass(frozen=True)
class Design:
    """A shape as it was drawn, before its parts are united.

    Attributes:
        parts: Solids with their finishes, in metres; y is up, the front looks along +z.
        labels: Attributes by name; each name has the same few values in the whole category.
        caption: What a person would call it, in a few words.
    """

    parts: tuple[Part, ...]
    labels: dict[str, str]
    caption: str


Maker = Callable[[np.random.Generator], Design]
