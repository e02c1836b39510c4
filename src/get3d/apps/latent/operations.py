"""Latent operations: styles of new shapes from those of named shapes.

All work in W, after the mapping networks, where linear interpolation stays among likely shapes
(paper, section 4.4: interpolation, local perturbation, disentanglement of geometry and texture).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from get3d.apps.latent.layers import parse_layers
from get3d.apps.latent.names import Name, stack_styles, styles_of
from get3d.apps.model import MAX_TRUNCATION, Model
from get3d.core import ConfigError, Styles

Vary = Literal["both", "geometry", "texture"]
_NOISE_STREAM = 0x6E6F6973  # so that the noise of seed n is not the shapes of seed n


@dataclass(frozen=True)
class Interpolation:
    """A path through the latent space.

    Attributes:
        styles: Styles of the frames, [frames, layers, w].
        key_frames: Indices of the frames that show the named shapes, in their order.
    """

    styles: Styles
    key_frames: tuple[int, ...]


@torch.no_grad()
def interpolate_styles(
    model: Model,
    names: Sequence[Name],
    *,
    textures: Sequence[Name] | None = None,
    frames: int = 60,
    vary: Vary = "both",
    loop: bool = False,
    truncation: float = 0.7,
) -> Interpolation:
    """Interpolate linearly in W from each shape to the next, in even steps.

    Every named shape is a frame; where the frames cannot be divided evenly, some segments have one
    more than others.

    Args:
        model: The model that generates the shapes.
        names: Names of at least two shapes.
        textures: Names of the shapes that give the textures, one per shape; None: `names`.
        frames: Number of frames.
        vary: What changes; the rest stays that of the first shape.
        loop: Return to the first shape at the end, so that a looped video has no jump.
        truncation: Truncation, as for `Model.generate`.

    Raises:
        ConfigError: If there are fewer than two shapes, fewer frames than shapes, or another number
            of textures.
    """
    if len(names) < 2:
        raise ConfigError(
            f"interpolation needs at least two shapes, got {len(names)}; name one more"
        )
    if frames < len(names):
        raise ConfigError(f"frames must be at least {len(names)}, one for each shape, got {frames}")
    if textures is not None and len(textures) != len(names):
        raise ConfigError(
            f"interpolation needs as many textures as shapes, got {len(textures)} for {len(names)}"
        )
    keys = stack_styles(
        [
            styles_of(model, name, texture=textures[i] if textures else None, truncation=truncation)
            for i, name in enumerate(names)
        ]
    )
    last = frames if loop else frames - 1
    num_segments = len(names) if loop else len(names) - 1
    key_frames = [round(segment * last / num_segments) for segment in range(num_segments + 1)]
    # Path parameter of each frame: its whole part is the segment.
    path = torch.from_numpy(np.interp(np.arange(frames), key_frames, np.arange(num_segments + 1)))
    start = path.floor().long().clamp(max=num_segments - 1)
    weight = (path - start)[:, None, None].to(keys.geo)
    start = start.to(keys.geo.device)
    end = (start + 1) % len(names)
    geo = keys.geo[start].lerp(keys.geo[end], weight)
    tex = keys.tex[start].lerp(keys.tex[end], weight)
    if vary == "texture":
        geo = keys.geo[:1].expand_as(geo)
    if vary == "geometry":
        tex = keys.tex[:1].expand_as(tex)
    return Interpolation(Styles(geo, tex), tuple(key_frames[: len(names)]))


@torch.no_grad()
def perturb(
    model: Model,
    name: Name,
    *,
    texture: Name | None = None,
    num: int = 7,
    size: float = 0.2,
    noise_seed: int = 0,
    vary: Vary = "both",
    truncation: float = 0.7,
) -> Styles:
    """Perturb a shape by small noise on its styles.

    The noise has the distribution of W: `size` times the difference of a random shape's styles from
    the average. So 1 is the distance of random shapes from the average, in any model, and unused
    directions of W are not disturbed. The same noise at another size has the same direction.

    Args:
        model: The model that generates the shape.
        name: Name of the shape.
        texture: Name of the shape that gives the texture; None: `name`.
        num: Number of variants.
        size: Size of the noise; 0 leaves the shape as it is.
        noise_seed: Random seed of the noise; variant i depends on it and on i, not on `num`.
        vary: What the noise changes.
        truncation: Truncation of the shape, as for `Model.generate`; the noise is not truncated.

    Returns:
        Styles of the variants, [num, layers, w].

    Raises:
        ConfigError: If a number is negative or not finite.
    """
    if num < 0 or noise_seed < 0:
        raise ConfigError(f"num and noise_seed must not be negative, got {num} and {noise_seed}")
    if not 0 <= size <= MAX_TRUNCATION:
        raise ConfigError(f"size must lie in 0 to {MAX_TRUNCATION:g}, got {size}")
    styles = styles_of(model, name, texture=texture, truncation=truncation)
    average = model.styles(0, truncation=0.0)
    seed = int(np.random.SeedSequence([noise_seed, _NOISE_STREAM]).generate_state(1)[0])
    geo, tex = [styles.geo[:0]], [styles.tex[:0]]
    for index in range(num):
        noise = model.styles(index, seed=seed, truncation=1.0)
        geo.append(styles.geo + size * (noise.geo - average.geo) * (vary != "texture"))
        tex.append(styles.tex + size * (noise.tex - average.tex) * (vary != "geometry"))
    return Styles(torch.cat(geo), torch.cat(tex))


def mix(
    model: Model,
    names: Sequence[Name],
    others: Sequence[Name],
    *,
    geometry_layers: str,
    texture_layers: str,
    truncation: float = 0.7,
) -> list[list[Styles]]:
    """Style mixing: every shape takes a range of style layers from every other shape.

    Early layers control the coarse form, late ones details and, in the texture, the final colours.

    Args:
        model: The model that generates the shapes.
        names: Names of the shapes, one per row.
        others: Names of the shapes that they are mixed with, one per column.
        geometry_layers: Geometry layers taken from the column's shape: "all", "none", "4" or "4-7"
            (from 0, the last one included).
        texture_layers: Texture layers taken from the column's shape, likewise.
        truncation: Truncation, as for `Model.generate`.

    Returns:
        Styles of one shape, by row and column.

    Raises:
        ConfigError: If there are no shapes or a range does not fit.
    """
    _check_some("names", names)
    _check_some("others", others)
    network = model.generator.network
    geo_layers = parse_layers(geometry_layers, network.num_geo, kind="geometry")
    tex_layers = parse_layers(texture_layers, network.num_tex, kind="texture")
    rows = [styles_of(model, name, truncation=truncation) for name in names]
    columns = [styles_of(model, name, truncation=truncation) for name in others]

    def cross(row: Styles, column: Styles) -> Styles:
        geo, tex = row.geo.clone(), row.tex.clone()
        geo[:, geo_layers] = column.geo[:, geo_layers]
        tex[:, tex_layers] = column.tex[:, tex_layers]
        return Styles(geo, tex)

    return [[cross(row, column) for column in columns] for row in rows]


def swap(
    model: Model,
    geometries: Sequence[Name],
    textures: Sequence[Name],
    *,
    truncation: float = 0.7,
) -> list[list[Styles]]:
    """Combine every geometry with every texture.

    Args:
        model: The model that generates the shapes.
        geometries: Names of the shapes that give the geometry, one per row.
        textures: Names of the shapes that give the texture, one per column.
        truncation: Truncation, as for `Model.generate`.

    Returns:
        Styles of one shape, by row and column.

    Raises:
        ConfigError: If there are no geometries or no textures.
    """
    _check_some("geometries", geometries)
    _check_some("textures", textures)
    return mix(
        model,
        geometries,
        textures,
        geometry_layers="none",
        texture_layers="all",
        truncation=truncation,
    )


def sweep_truncations(
    model: Model, names: Sequence[Name], truncations: Sequence[float]
) -> list[list[Styles]]:
    """Compute the styles of shapes at several truncations.

    Args:
        model: The model that generates the shapes.
        names: Names of the shapes, one per row.
        truncations: One per column; 0 is the average shape, 1 the shape itself, more exaggerates.

    Returns:
        Styles of one shape, by row and column.

    Raises:
        ConfigError: If there is no shape or no truncation, or one is out of range.
    """
    _check_some("names", names)
    _check_some("truncations", truncations)
    return [[styles_of(model, name, truncation=value) for value in truncations] for name in names]


def _check_some(what: str, given: Sequence[object]) -> None:
    """Raise ConfigError if a sequence is empty."""
    if not given:
        raise ConfigError(f"{what} is empty; name at least one")
