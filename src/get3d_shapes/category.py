"""The categories, and how a seed becomes a shape."""

import hashlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from torch import Tensor

from get3d.core.types import TexturedMesh
from get3d_shapes.assemble import DisconnectedError, assemble
from get3d_shapes.chair import make_chair
from get3d_shapes.design import Maker
from get3d_shapes.vehicle import make_vehicle
from get3d_shapes.vessel import make_vessel

CATEGORIES: dict[str, Maker] = {"chair": make_chair, "vehicle": make_vehicle, "vessel": make_vessel}
GENERATOR_VERSION = 4
"""Counts up whenever a seed gives another shape than before."""
SPLITS = ("train", "validation", "test")
_TRIES = 20


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A procedural shape and the truth about it.

    Attributes:
        mesh: One closed surface, upright, centred, the longest side of its box 1, its front
            towards +z.
        part_names: Of the parts it was made of; several may have the same name.
        face_parts: Index into `part_names`, one a face.
        labels: Attributes by name.
        caption: What a person would call it.
    """

    mesh: TexturedMesh
    part_names: tuple[str, ...]
    face_parts: Int[Tensor, " faces"]
    labels: dict[str, str]
    caption: str


def shape_seed(category: str, split: str, seed: int, index: int) -> int:
    """Derive a shape's seed: another one for every category, split, base seed and index.

    Args:
        category: Of the shape.
        split: One of `SPLITS`.
        seed: Of the whole collection.
        index: Of the shape in its split.

    Returns:
        52 bits of a hash of all four (any JSON reader keeps those), so that splits share no shape.
    """
    digest = hashlib.sha256(f"{category}/{split}/{seed}/{index}".encode()).hexdigest()
    return int(digest[:13], 16)


def build_shape(category: str, seed: int, *, texture_size: int = 512) -> Shape:
    """Make a shape.

    Args:
        category: A name in `CATEGORIES`.
        seed: From `shape_seed`, or any other number that is not negative.
        texture_size: Side of the atlas, in texels.

    Returns:
        The same shape for the same arguments.

    Raises:
        ValueError: If the category is unknown.
        RuntimeError: If the maker fails again and again, which is a bug of the maker.
    """
    if category not in CATEGORIES:
        raise ValueError(f"unknown category {category!r}; there are {', '.join(CATEGORIES)}")
    for attempt in range(_TRIES):
        rng = np.random.default_rng([seed, attempt])
        design = CATEGORIES[category](rng)
        try:
            mesh, face_parts = assemble(design.parts, texture_size=texture_size, rng=rng)
        except DisconnectedError:
            continue
        return Shape(
            mesh=mesh,
            part_names=tuple(part.name for part in design.parts),
            face_parts=face_parts,
            labels=design.labels,
            caption=design.caption,
        )
    raise RuntimeError(f"{category} {seed}: no connected shape in {_TRIES} tries")
