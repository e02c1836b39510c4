"""The categories, and how a seed becomes a shape."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from torch import Tensor

from get3d.core.types import TexturedMesh
from get3d.data.shapes.assemble import DisconnectedError, Part, assemble
from get3d.data.shapes.chair import make_chair

Maker = Callable[[np.random.Generator], tuple[list[Part], dict[str, str]]]

CATEGORIES: dict[str, Maker] = {"chair": make_chair}
SPLITS = ("train", "validation", "test")
_TRIES = 20


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A procedural shape and the truth about it.

    Attributes:
        mesh: One closed surface, upright, centred, the longest side of its box 1.
        part_names: Of the parts it was made of.
        face_parts: Which part each face belongs to.
        labels: Attributes by name.
        caption: The labels as a sentence.
    """

    mesh: TexturedMesh
    part_names: tuple[str, ...]
    face_parts: Int[Tensor, " faces"]
    labels: dict[str, str]
    caption: str


def shape_seed(category: str, split: str, seed: int, index: int) -> int:
    """Number of a shape: another one for every category, split, base seed and index."""
    digest = hashlib.sha256(f"{category}/{split}/{seed}/{index}".encode()).digest()
    return int.from_bytes(digest[:8], "big")


def make_shape(category: str, seed: int, *, texture_size: int = 512) -> Shape:
    """Make a shape.

    Args:
        category: A name in `CATEGORIES`.
        seed: From `shape_seed`, or any other number.
        texture_size: Side of the atlas, in texels.

    Raises:
        ValueError: If the category is unknown.
    """
    if category not in CATEGORIES:
        raise ValueError(f"unknown category {category}; there are {', '.join(CATEGORIES)}")
    for attempt in range(_TRIES):
        rng = np.random.default_rng([seed, attempt])
        parts, labels = CATEGORIES[category](rng)
        try:
            mesh, face_parts = assemble(parts, texture_size=texture_size)
        except DisconnectedError:
            continue
        caption = f"a {category}: " + ", ".join(f"{key} {value}" for key, value in labels.items())
        names = tuple(part.name for part in parts)
        return Shape(
            mesh=mesh, part_names=names, face_parts=face_parts, labels=labels, caption=caption
        )
    raise DisconnectedError(f"{category} {seed}: no connected shape in {_TRIES} tries")
