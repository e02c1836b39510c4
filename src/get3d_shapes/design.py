"""What the maker of a category hands over: parts with finishes, labels and a caption."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from get3d_shapes.finishes import Finish
from get3d_shapes.solids import Solid

Rng = np.random.Generator


@dataclass(frozen=True)
class Part:
    """A solid with its finish.

    Attributes:
        name: What people call it.
        solid: In metres; parts must overlap, not only touch.
        finish: What covers it.
        cuts: Solids that are taken away from this part; the cut shows the same finish.
        sides: Other finishes for some of its sides (see `Patch.side`).
    """

    name: str
    solid: Solid
    finish: Finish
    cuts: tuple[Solid, ...] = ()
    sides: Mapping[str, Finish] = field(default_factory=dict)


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


Maker = Callable[[Rng], Design]


def pair(name: str, solid: Solid, finish: Finish) -> list[Part]:
    """Make a part and its mirror image."""
    return [Part(name, solid, finish), Part(name, solid.mirrored(), finish)]


def article(words: str) -> str:
    """Put "a" or "an" before a word."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def with_details(name: str, details: Sequence[str]) -> str:
    """Join a name and any number of details: "a mug with a handle, a lid and dots"."""
    if not details:
        return name
    *most, last = details
    return f"{name} with {', '.join(most)}{' and ' if most else ''}{last}"
