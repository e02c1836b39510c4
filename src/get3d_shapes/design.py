"""Designs of procedural shapes: parts with finishes, labels and a caption."""

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
        name: Name of the part.
        solid: Solid in metres; parts must overlap, not only touch.
        finish: Finish of its surface.
        cuts: Solids that are subtracted from this part; cuts have the same finish.
        sides: Finishes of sides of the solid that differ (see `Patch.side`).
    """

    name: str
    solid: Solid
    finish: Finish
    cuts: tuple[Solid, ...] = ()
    sides: Mapping[str, Finish] = field(default_factory=dict)


@dataclass(frozen=True)
class Design:
    """A shape before its parts are united.

    Attributes:
        parts: Solids with their finishes, in metres; y is up, the front looks along +z.
        labels: Attributes by name; each name has the same few values in the whole category.
        caption: Description in a few words.
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
