"""Named colours, and finishes drawn from them."""

import colorsys
from collections.abc import Sequence
from typing import Literal

import numpy as np

from get3d_shapes.design import Rng
from get3d_shapes.finishes import PATTERNS, Color, Fabric, Plain, Wood

WOODS: dict[str, tuple[Color, Color]] = {
    "birch": ((0.93, 0.83, 0.66), (0.83, 0.68, 0.47)),
    "pine": ((0.91, 0.75, 0.50), (0.78, 0.56, 0.31)),
    "oak": ((0.80, 0.62, 0.41), (0.60, 0.41, 0.23)),
    "cherry": ((0.67, 0.37, 0.22), (0.47, 0.22, 0.12)),
    "walnut": ((0.47, 0.31, 0.19), (0.28, 0.17, 0.10)),
    "mahogany": ((0.47, 0.19, 0.12), (0.29, 0.10, 0.07)),
    "ebony": ((0.22, 0.18, 0.16), (0.12, 0.10, 0.09)),
}
COLORS: dict[str, Color] = {
    "white": (0.93, 0.92, 0.89),
    "cream": (0.90, 0.84, 0.70),
    "beige": (0.78, 0.69, 0.55),
    "grey": (0.52, 0.53, 0.55),
    "black": (0.13, 0.13, 0.14),
    "brown": (0.42, 0.26, 0.16),
    "red": (0.75, 0.14, 0.13),
    "orange": (0.91, 0.46, 0.14),
    "yellow": (0.94, 0.76, 0.20),
    "green": (0.20, 0.47, 0.28),
    "teal": (0.13, 0.52, 0.54),
    "blue": (0.16, 0.35, 0.67),
    "navy": (0.11, 0.16, 0.33),
    "purple": (0.43, 0.26, 0.54),
    "pink": (0.90, 0.55, 0.62),
}
METALS: dict[str, Color] = {
    "chrome": (0.76, 0.78, 0.81),
    "steel": (0.55, 0.57, 0.60),
    "black": (0.16, 0.16, 0.17),
    "brass": (0.80, 0.64, 0.32),
}
# What a pattern is printed in, by the colour of the cloth.
_PARTNERS: dict[str, tuple[str, ...]] = {
    "white": ("navy", "red", "green", "black", "teal", "pink"),
    "cream": ("red", "green", "brown", "navy", "orange"),
    "beige": ("white", "brown", "navy", "green"),
    "grey": ("white", "yellow", "black", "red"),
    "black": ("white", "yellow", "red", "grey"),
    "brown": ("cream", "orange", "beige"),
    "red": ("white", "cream", "navy", "black"),
    "orange": ("white", "brown", "cream"),
    "yellow": ("white", "grey", "navy", "black"),
    "green": ("white", "cream", "yellow"),
    "teal": ("white", "yellow", "cream"),
    "blue": ("white", "yellow", "red", "cream"),
    "navy": ("white", "red", "orange", "cream"),
    "purple": ("white", "yellow", "pink"),
    "pink": ("white", "red", "purple"),
}


def pick(rng: Rng, names: Sequence[str], weights: Sequence[float] | None = None) -> str:
    """Draw one of several names."""
    fraction = None if weights is None else np.array(weights, float) / np.sum(weights)
    return names[int(rng.choice(len(names), p=fraction))]


def draw_wood(rng: Rng, name: str | None = None) -> Wood:
    """Draw a wood, of a species or of any."""
    name = name or pick(rng, list(WOODS), [0.12, 0.14, 0.25, 0.14, 0.18, 0.1, 0.07])
    tone = rng.uniform(0.93, 1.06)
    light, dark = ((tone * r, tone * g, tone * b) for r, g, b in WOODS[name])
    return Wood(light, dark, rng.uniform(0.028, 0.055), name, _seed(rng))


def draw_plain(
    rng: Rng,
    kind: Literal["painted wood", "plastic", "leather", "ceramic"],
    names: Sequence[str] | None = None,
) -> Plain:
    """Draw a coat of one colour, of some named ones or of any."""
    name = pick(rng, names or list(COLORS))
    return Plain(varied(rng, COLORS[name]), kind, name, _seed(rng))


def draw_metal(rng: Rng) -> Plain:
    """Draw a metal, or black steel."""
    name = pick(rng, list(METALS), [0.42, 0.13, 0.32, 0.13])
    return Plain(METALS[name], "metal", name, _seed(rng))


def draw_leather(rng: Rng) -> Plain:
    """Draw a leather."""
    return draw_plain(rng, "leather", ("black", "brown", "brown", "beige", "red", "white", "navy"))


def draw_fabric(rng: Rng, *, repeat: tuple[float, float] = (0.07, 0.13)) -> Fabric:
    """Draw a cloth, half of them with a pattern whose repeat lies in a range of metres."""
    name = pick(rng, list(COLORS))
    pattern = pick(rng, PATTERNS, [0.5, 0.14, 0.07, 0.1, 0.09, 0.05, 0.05])
    partner = pick(rng, _PARTNERS[name])
    ground, second = varied(rng, COLORS[name]), varied(rng, COLORS[partner])
    return Fabric(ground, second, pattern, rng.uniform(*repeat), name, _seed(rng))


def contrasting(name: str, least: float) -> list[str]:
    """List the colours that differ from one by more than `least` in a channel."""
    return [c for c in COLORS if np.abs(np.subtract(COLORS[c], COLORS[name])).max() > least]


def varied(rng: Rng, color: Color) -> Color:
    """Vary a colour a little, so that no two reds are the same."""
    hue, saturation, value = colorsys.rgb_to_hsv(*color)
    return colorsys.hsv_to_rgb(
        (hue + rng.normal(0, 0.012)) % 1,
        float(np.clip(saturation * rng.uniform(0.88, 1.12), 0, 1)),
        float(np.clip(value * rng.uniform(0.9, 1.08), 0, 1)),
    )


def _seed(rng: Rng) -> int:
    """Draw a seed of noise."""
    return int(rng.integers(1 << 16))
