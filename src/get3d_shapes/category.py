"""The procedural categories, and their shapes by seed."""

import hashlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from torch import Tensor

from get3d.core import ConfigError
from get3d.core.types import TexturedMesh
from get3d_shapes.assemble import DisconnectedError, assemble
from get3d_shapes.chair import make_chair
from get3d_shapes.design import Maker
from get3d_shapes.vehicle import make_vehicle
from get3d_shapes.vessel import make_vessel

CATEGORIES: dict[str, Maker] = {"chair": make_chair, "vehicle": make_vehicle, "vessel": make_vessel}
GENERATOR_VERSION = 4
"""Version of the generator; increases whenever a seed gives another shape."""
SPLITS = ("train", "validation", "test")
_TRIES = 20


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A procedural shape with its ground truth.

    Attributes:
        mesh: One watertight surface, upright, centred, with a longest side of 1, front towards +z.
        part_names: Names of its parts; several may have the same name.
        face_parts: Index into `part_names` of each face.
        labels: Attributes by name.
        caption: Description in a few words.
    """

    mesh: TexturedMesh
    part_names: tuple[str, ...]
    face_parts: Int[Tensor, " faces"]
    labels: dict[str, str]
    caption: str


def shape_seed(category: str, split: str, seed: int, index: int) -> int:
    """Derive a shape's seed from category, split, base seed and index.

    Args:
        category: Category of the shape.
        split: One of `SPLITS`.
        seed: Base seed of the collection.
        index: Index of the shape in its split.

    Returns:
        52 bits of a hash of all four (any JSON reader keeps those), so that splits share no shape.
    """
    digest = hashlib.sha256(f"{category}/{split}/{seed}/{index}".encode()).hexdigest()
    return int(digest[:13], 16)


def build_shape(category: str, seed: int, *, texture_size: int = 512) -> Shape:
    """Make a shape; the same arguments give the same shape.

    Args:
        category: A name in `CATEGORIES`.
        seed: Random seed, from `shape_seed` or any other non-negative number.
        texture_size: Width and height of the texture, in texels.

    Raises:
        ConfigError: If the category is unknown, or the texture is too small.
        RuntimeError: If no design of several is connected, which is a bug of the category.
    """
    if category not in CATEGORIES:
        raise ConfigError(f"unknown category {category!r}; there are {', '.join(CATEGORIES)}")
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
