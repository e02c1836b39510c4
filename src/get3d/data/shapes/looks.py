"""Palettes, and what makers draw from them."""

import colorsys

import numpy as np

from get3d.data.shapes.surfaces import Surface

WOODS = {
    "oak": ((0.80, 0.62, 0.41), (0.66, 0.47, 0.28)),
    "pine": ((0.90, 0.75, 0.52), (0.80, 0.60, 0.36)),
    "walnut": ((0.45, 0.29, 0.18), (0.30, 0.18, 0.10)),
    "cherry": ((0.66, 0.36, 0.22), (0.52, 0.25, 0.14)),
    "mahogany": ((0.46, 0.18, 0.12), (0.32, 0.11, 0.08)),
    "ebony": ((0.20, 0.16, 0.14), (0.12, 0.09, 0.08)),
    "birch": ((0.93, 0.83, 0.66), (0.85, 0.72, 0.52)),
}
PAINTS = {
    "white": (0.93, 0.92, 0.89),
    "black": (0.13, 0.13, 0.14),
    "red": (0.72, 0.14, 0.13),
    "blue": (0.16, 0.33, 0.62),
    "green": (0.22, 0.48, 0.30),
    "yellow": (0.92, 0.74, 0.18),
    "teal": (0.14, 0.52, 0.54),
    "orange": (0.90, 0.46, 0.14),
    "grey": (0.50, 0.51, 0.53),
    "purple": (0.42, 0.25, 0.52),
    "pink": (0.90, 0.56, 0.62),
    "beige": (0.84, 0.77, 0.64),
    "navy": (0.11, 0.16, 0.32),
    "brown": (0.42, 0.26, 0.16),
}
METALS = {
    "chrome": (0.74, 0.76, 0.79),
    "steel": (0.55, 0.57, 0.60),
    "black steel": (0.17, 0.17, 0.18),
    "brass": (0.80, 0.65, 0.33),
}


def wood(rng, name=None):
    name = name or rng.choice(list(WOODS))
    return Surface(
        "wood",
        WOODS[name],
        size=rng.uniform(0.03, 0.08),
        seed=int(rng.integers(1 << 30)),
        color_name=str(name),
    )


def painted(rng, kind="painted", name=None):
    name = name or rng.choice(list(PAINTS))
    return Surface(
        kind, (_vary(rng, PAINTS[name]),), seed=int(rng.integers(1 << 30)), color_name=str(name)
    )


def metal(rng):
    name = rng.choice(list(METALS), p=[0.4, 0.15, 0.3, 0.15])
    return Surface("metal", (METALS[name],), seed=int(rng.integers(1 << 30)), color_name=str(name))


def fabric(rng):
    if rng.random() < 0.25:
        name = rng.choice(["black", "brown", "beige", "red", "white", "navy"])
        return Surface(
            "leather",
            (_vary(rng, PAINTS[name]),),
            seed=int(rng.integers(1 << 30)),
            color_name=str(name),
        )
    name = rng.choice(list(PAINTS))
    pattern = str(
        rng.choice(["plain", "stripes", "bands", "checks", "dots"], p=[0.5, 0.17, 0.08, 0.13, 0.12])
    )
    first = _vary(rng, PAINTS[name])
    other = "white" if sum(first) < 1.7 else str(rng.choice(["navy", "red", "green", "brown"]))
    return Surface(
        "fabric",
        (first, PAINTS[other]),
        pattern=pattern,
        size=rng.uniform(0.07, 0.12),
        seed=int(rng.integers(1 << 30)),
        color_name=str(name),
    )


def _vary(rng, color):
    h, s, v = colorsys.rgb_to_hsv(*color)
    h, s, v = (
        (h + rng.normal(0, 0.012)) % 1,
        np.clip(s * rng.uniform(0.88, 1.12), 0, 1),
        np.clip(v * rng.uniform(0.9, 1.08), 0, 1),
    )
    return colorsys.hsv_to_rgb(h, s, v)
