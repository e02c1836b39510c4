"""Ways through the latent space: from named shapes to the styles of new ones, one row a shape.

All of them happen in W, behind the mapping networks, where straight lines stay among likely shapes
(paper, section 4.4: interpolation, local perturbation, geometry and texture apart).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from get3d.apps.latent.layers import parse_layers
from get3d.apps.latent.names import Name, stack_styles, styles_of
from get3d.apps.model import Model
from get3d.core.types import Styles

Vary = Literal["both", "geometry", "texture"]
_NOISE_STREAM = 0x6E6F6973  # so that the noise of seed n is not the shapes of seed n


@dataclass(frozen=True)
class Interpolation:
    """A way through the latent space, frame by frame.

    Attributes:
        styles: One row a frame.
        key_frames: Which frames show the named shapes, in their order.
    """

    styles: Styles
    key_frames: tuple[int, ...]


@torch.no_grad()
def walk(
    model: Model,
    names: Sequence[Name],
    *,
    textures: Sequence[Name] | None = None,
    frames: int = 60,
    vary: Vary = "both",
    loop: bool = False,
    truncation: float = 0.7,
) -> Interpolation:
    """Go straight through W from each shape to the next, in even steps.

    Every named shape is a frame; where the frames cannot be shared out evenly, some ways have one
    more than others.

    Args:
        model: Where the shapes come from.
        names: At least two shapes.
        textures: Where their textures come from, one a shape; None: from the shapes themselves.
        frames: How many in all.
        vary: What changes; the rest stays that of the first shape.
        loop: Go back to the first shape in the end, so that a video in a loop has no jump.
        truncation: As for `Model.generate`.

    Raises:
        ValueError: If there are fewer than two shapes, fewer frames than shapes, or another number
            of textures.
    """
    if len(names) < 2:
        raise ValueError(f"a walk needs at least two shapes, got {len(names)}; name one more")
    if frames < len(names):
        raise ValueError(
            f"frames must be at least {len(names)}, one for each shape of the walk, got {frames}"
        )
    if textures is not None and len(textures) != len(names):
        raise ValueError(
            f"a walk needs as many textures as shapes, got {len(textures)} for {len(names)}"
        )
    keys = stack_styles(
        [
            styles_of(model, name, texture=textures[i] if textures else None, truncation=truncation)
            for i, name in enumerate(names)
        ]
    )
    last = frames if loop else frames - 1
    num_ways = len(names) if loop else len(names) - 1
    key_frames = [round(way * last / num_ways) for way in range(num_ways + 1)]
    # Frame f lies this many ways from the start.
    places = torch.from_numpy(np.interp(np.arange(frames), key_frames, np.arange(num_ways + 1)))
    start = places.floor().long().clamp(max=num_ways - 1)
    share = (places - start)[:, None, None].to(keys.geo)
    start = start.to(keys.geo.device)
    goal = (start + 1) % len(names)
    geo = keys.geo[start].lerp(keys.geo[goal], share)
    tex = keys.tex[start].lerp(keys.tex[goal], share)
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
    """Draw near variants of a shape: its place in W plus small noise.

    The noise is spread like W itself: `size` times what leads from the average to a random shape.
    So 1 is as far as shapes lie from the average, in any model, and directions that the model does
    not use are not disturbed. The same noise at another size goes the same way, less or more far.

    Args:
        model: Where the shape comes from.
        name: Of the shape.
        texture: Where its texture comes from; None: from the shape itself.
        num: How many variants.
        size: Of the noise; 0 leaves the shape as it is.
        noise_seed: Of the noise; variant i depends on it and on i, not on `num`.
        vary: What the noise changes.
        truncation: Of the shape, as for `Model.generate`; the noise is not truncated.

    Raises:
        ValueError: If a number is negative or not finite.
    """
    if num < 0 or noise_seed < 0:
        raise ValueError(f"num and noise_seed must not be negative, got {num} and {noise_seed}")
    if not (np.isfinite(size) and size >= 0):
        raise ValueError(f"size must be finite and not negative, got {size}")
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
    """Cross every shape with every other one: a range of its layers is taken from the other.

    Early layers decide the coarse form, late ones details and, in the texture, the final colours.

    Args:
        model: Where the shapes come from.
        names: The shapes, a row each.
        others: What they are crossed with, a column each.
        geometry_layers: Which geometry layers come from the column's shape: "all", "none", "4" or
            "4-7" (the first layer is 0, the last one counts).
        texture_layers: The same for texture.
        truncation: As for `Model.generate`.

    Returns:
        Styles of one shape, by row and column.

    Raises:
        ValueError: If there are no shapes or a range does not fit.
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
    """Put every texture on every geometry.

    Args:
        model: Where both come from.
        geometries: Shapes that give the geometry, a row each.
        textures: Shapes that give the texture, a column each.
        truncation: As for `Model.generate`.

    Returns:
        Styles of one shape, by row and column.

    Raises:
        ValueError: If there are no geometries or no textures.
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


def sweep(model: Model, names: Sequence[Name], truncations: Sequence[float]) -> list[list[Styles]]:
    """Show shapes at several truncations, from the average shape to their own and beyond.

    Args:
        model: Where the shapes come from.
        names: The shapes, a row each.
        truncations: A column each; 0 is the average shape, 1 the shape itself, more exaggerates.

    Returns:
        Styles of one shape, by row and column.

    Raises:
        ValueError: If there is no shape or no truncation, or one is not finite.
    """
    _check_some("names", names)
    _check_some("truncations", truncations)
    if not np.isfinite(truncations).all():
        raise ValueError(f"truncations must be finite, got {list(truncations)}")
    return [[styles_of(model, name, truncation=value) for value in truncations] for name in names]


def _check_some(what: str, given: Sequence[object]) -> None:
    if not given:
        raise ValueError(f"{what} is empty; name at least one")
