"""Shapes by name: SEED.INDEX, as `get3d generate --seed SEED` numbers them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from get3d.apps.model import Model
from get3d.core import ConfigError, Styles


@dataclass(frozen=True)
class ShapeName:
    """Name of a shape that a model generates.

    Attributes:
        seed: Random seed, as for `Model.generate`.
        index: Index of the shape among those of the seed.
    """

    seed: int
    index: int = 0

    def __str__(self) -> str:
        """Format as 7 or 7.3."""
        return f"{self.seed}.{self.index}" if self.index else str(self.seed)


_NAME = re.compile(r"([0-9]{1,18})(?:\.([0-9]{1,18}))?")
Name = ShapeName | int | str


def parse_name(name: object) -> ShapeName:
    """Parse the name of a shape.

    Args:
        name: 7 or "7" is the first shape of seed 7, "7.3" its fourth. Not the number 7.3, which
            equals 7.30.

    Raises:
        ConfigError: If it is no such name.

    Example:
        >>> parse_name("7.10")
        ShapeName(seed=7, index=10)
    """
    if isinstance(name, ShapeName):
        return name
    match = _NAME.fullmatch(str(name)) if isinstance(name, int | str) else None
    if match is None:
        raise ConfigError(
            f"a shape is named SEED or SEED.INDEX, such as 7 or 7.3 (in Python a number or a "
            f"string), got {name!r}"
        )
    return ShapeName(int(match[1]), int(match[2] or 0))


@torch.no_grad()
def styles_of(
    model: Model,
    name: Name,
    *,
    texture: Name | None = None,
    truncation: float = 0.7,
) -> Styles:
    """Compute the styles of a named shape.

    Args:
        model: The model that generates the shape.
        name: Name of the shape.
        texture: Name of the shape that gives the texture; None: the same.
        truncation: Truncation, as for `Model.generate`.

    Returns:
        Geometry [1, n_geo, w] and texture styles [1, n_tex, w].

    Raises:
        ConfigError: If a name is no name of a shape.
    """
    shape = parse_name(name)
    styles = model.styles(shape.index, seed=shape.seed, truncation=truncation)
    if texture is None:
        return styles
    other = parse_name(texture)
    return Styles(styles.geo, model.styles(other.index, seed=other.seed, truncation=truncation).tex)


def stack_styles(styles: Sequence[Styles]) -> Styles:
    """Concatenate the styles of several shapes to one batch."""
    return Styles(torch.cat([one.geo for one in styles]), torch.cat([one.tex for one in styles]))


def split_styles(styles: Styles) -> list[Styles]:
    """Split a batch of styles into single shapes."""
    return [
        Styles(geo, tex) for geo, tex in zip(styles.geo.split(1), styles.tex.split(1), strict=True)
    ]
