"""One-piece backs of chairs: panels, panels with windows, upholstery."""

import numpy as np

from get3d_shapes.chair.frame import Frame
from get3d_shapes.curves import Outline, ellipse, inset, rectangle, subdivided
from get3d_shapes.design import Part, Rng
from get3d_shapes.palettes import pick
from get3d_shapes.primitives import bar, panel


def panel_back(frame: Frame, rng: Rng) -> list[Part]:
    """A board, plain or with windows."""
    outline, gap = _outline(frame, rng), _gap(frame, rng)
    low, high = outline.min(0), outline.max(0)
    solid = panel(outline, rng.uniform(0.02, 0.03), bevel=0.007).moved(0, -low[1], 0)
    width, height = (high - low).tolist()
    windows = _windows(rng, width, height) if frame.back == "window" else []
    cuts = tuple(
        frame.on_back(panel(hole, 0.1, bevel=0.0, rings=2).moved(x, y, 0), gap)
        for hole, x, y in windows
    )
    back = Part("back", frame.on_back(solid, gap), frame.board, cuts=cuts)
    return [back, *_stalks(frame, gap, height)]


def upholstered_back(frame: Frame, rng: Rng) -> list[Part]:
    """A pad, bare or on a board that shows around it."""
    outline, gap = _outline(frame, rng), _gap(frame, rng)
    low, high = outline.min(0), outline.max(0)
    lift = gap - float(low[1])
    thickness = rng.uniform(0.05, 0.085)
    parts = _stalks(frame, gap, float(high[1] - low[1]))
    if frame.main.kind in ("wood", "painted wood") and rng.random() < 0.35:
        board = panel(outline, 0.032, bevel=0.008)
        pad = panel(inset(outline, 0.032), thickness, bevel=0.02, rounds=3, crown=0.006)
        parts.append(Part("back", frame.on_back(board, lift), frame.main))
    else:
        pad = panel(outline, thickness, bevel=0.42 * thickness, rounds=3, crown=0.012)
    return [*parts, Part("back pad", frame.on_back(pad, lift), frame.soft)]


def _outline(frame: Frame, rng: Rng) -> Outline:
    """Outline of a back seen from the front, about the origin."""
    width, height = frame.back_width, frame.back_height
    shapes = ["rectangle", "rounded", "oval", "arch", "flared"]
    shape = pick(rng, shapes, [0.28, 0.3, 0.14, 0.18, 0.1])
    if shape == "oval":
        return ellipse(width, height * 0.85, 28, power=rng.uniform(2.0, 2.8))
    radius = rng.uniform(0.02, 0.05)
    if shape in ("rounded", "arch"):
        radius = rng.uniform(0.07, 0.15)
    outline = rectangle(width, height, min(radius, 0.4 * width, 0.4 * height), 5)
    outline = subdivided(outline, max(width, height) / 7)
    fraction = outline[:, 1] / height + 0.5
    if shape == "flared":
        outline[:, 0] *= 0.82 + 0.18 * fraction
    if shape == "arch":
        outline[:, 1] += fraction * 0.07 * (1 - (2 * outline[:, 0] / width) ** 2)
    return outline


def _gap(frame: Frame, rng: Rng) -> float:
    """Air between seat and back; without any the back stands on the seat."""
    return -0.5 * frame.seat_thickness if rng.random() < 0.4 else rng.uniform(0.04, 0.13)


def _stalks(frame: Frame, gap: float, height: float) -> list[Part]:
    """Make the supports of a back above the seat."""
    if gap <= 0:
        return []
    size, x = 0.85 * frame.post_size, 0.29 * frame.back_width
    places, section = [x, -x], (size, 0.018)
    if frame.base in ("star", "pedestal"):
        places, section = [0.0], (size * 2.2, 0.016)
    low, high = -0.8 * frame.seat_thickness, gap + 0.3 * height
    parts = []
    for place in places:
        stalk = bar((place, low, 0), (place, high, 0), section, steps=4)
        parts.append(Part("back post", frame.on_back(stalk), frame.main))
    return parts


def _windows(rng: Rng, width: float, height: float) -> list[tuple[Outline, float, float]]:
    """Holes of a panel that stands on y = 0: outlines about the origin, and where they go."""
    kinds = ["one", "handle", "slots", "upright slots", "grid"]
    kind = pick(rng, kinds, [0.3, 0.22, 0.2, 0.16, 0.12])
    middle = 0.55 * height
    if kind == "one":
        wide, high = width * rng.uniform(0.4, 0.62), height * rng.uniform(0.3, 0.5)
        if rng.random() < 0.4:
            return [(ellipse(wide, high, 20), 0.0, middle)]
        return [(rectangle(wide, high, 0.03, 3), 0.0, middle)]
    if kind == "handle":
        return [(rectangle(width * 0.42, 0.055, 0.027, 4), 0.0, height - 0.1)]
    if kind == "grid":
        count = int(rng.integers(2, 4))
        pitch = 0.72 * min(width, height) / count
        at = (np.arange(count) - (count - 1) / 2) * pitch
        hole = ellipse(0.62 * pitch, 0.62 * pitch, 14)
        return [(hole, float(x), middle + float(y)) for x in at for y in at]
    count = int(rng.integers(2, 5))
    if kind == "slots":
        pitch = 0.66 * height / count
        hole = rectangle(0.68 * width, 0.5 * pitch, 0.24 * pitch, 3)
        return [(hole, 0.0, middle + (n - (count - 1) / 2) * pitch) for n in range(count)]
    pitch = 0.74 * width / count
    hole = rectangle(0.5 * pitch, 0.6 * height, 0.24 * pitch, 3)
    return [(hole, (n - (count - 1) / 2) * pitch, middle) for n in range(count)]
