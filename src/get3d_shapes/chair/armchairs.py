"""Upholstered armchairs: padded blocks on short legs, and barrels."""

import numpy as np

from get3d_shapes.chair.words import armchair_caption, chair_labels
from get3d_shapes.curves import ellipse, rectangle
from get3d_shapes.design import Design, Part, Rng, pair
from get3d_shapes.finishes import Finish
from get3d_shapes.palettes import draw_fabric, draw_leather, draw_metal, draw_wood, pick
from get3d_shapes.primitives import bar, board, lathe, panel_in_place, plate, shell
from get3d_shapes.solids import Solid


def make_armchair(rng: Rng) -> Design:
    """Make an armchair."""
    soft = draw_leather(rng) if rng.random() < 0.3 else draw_fabric(rng, repeat=(0.1, 0.18))
    legs = draw_wood(rng) if rng.random() < 0.75 else draw_metal(rng)
    kind = pick(rng, ["club", "wing", "barrel"], [0.5, 0.25, 0.25])
    parts = _barrel(rng, soft, legs) if kind == "barrel" else _club(rng, soft, legs, kind)
    labels = chair_labels("short legs", "short", kind, "padded", "padded", soft, legs)
    return Design(tuple(parts), labels, armchair_caption(kind, legs, soft))


def _pillow(rng: Rng, soft: Finish) -> Finish:
    """Draw the finish of a pillow."""
    return soft if rng.random() < 0.65 else draw_fabric(rng, repeat=(0.1, 0.16))


def _club(rng: Rng, soft: Finish, wood: Finish, kind: str) -> list[Part]:
    """Make an armchair of padded blocks."""
    is_wing = kind == "wing"
    width, depth = rng.uniform(0.66, 0.84), rng.uniform(0.66, 0.78)
    seat, arm = rng.uniform(0.38, 0.45), rng.uniform(0.56, 0.65)
    back = rng.uniform(0.98, 1.15) if is_wing else rng.uniform(0.76, 0.98)
    foot, thick = rng.uniform(0.06, 0.17), rng.uniform(0.11, 0.16)
    lean = np.radians(rng.uniform(5, 11))
    pillow, inner = _pillow(rng, soft), width - 2 * thick
    outline = rectangle(width - 0.012, depth, 0.03, 2)
    block = plate(outline, seat - 0.11 - foot, bevel=0.02, rounds=2)
    outline = rectangle(inner + 0.012, depth - 0.7 * thick, 0.05, 3)
    cushion = plate(outline, 0.15, bevel=0.05, rounds=3, crown=0.02)
    bevel = 0.055 if rng.random() < 0.5 else 0.02
    side = plate(rectangle(thick, depth, 0.05, 3), arm - foot, bevel=bevel, rounds=3)
    parts = [
        Part("seat base", block.moved(0, foot, 0), soft),
        Part("cushion", cushion.moved(0, seat - 0.14, 0.45 * thick), pillow),
        *pair("arm", side.moved(width / 2 - thick / 2, foot, 0), soft),
    ]
    back_width = inner + 2 * thick * (0.9 if is_wing else rng.uniform(0.1, 1.0))
    radius = rng.uniform(0.06, 0.2)
    pad = board(
        back_width, back - seat + 0.2, thick, radius=radius, crown=0.012, bevel=0.05, rounds=3
    )

    def lean_back(solid: Solid, ahead: float, lift: float) -> Solid:
        return solid.turned("x", -lean).moved(0, seat + lift, -depth / 2 + ahead)

    parts.append(Part("back", lean_back(pad, 0.62 * thick, -0.2), soft))
    if rng.random() < 0.5:
        loose = board(
            0.97 * inner, back - seat - 0.03, 0.13, radius=0.07, crown=0.02, bevel=0.05, rounds=3
        )
        parts.append(Part("back cushion", lean_back(loose, 1.25 * thick, -0.02), pillow))
    if is_wing:
        wing = _wing(rng, back_width, back - seat, thick)
        parts += pair("wing", lean_back(wing, 0.62 * thick, 0.0), soft)
    return parts + _short_legs(wood, rng, width, depth, foot)


def _wing(rng: Rng, width: float, height: float, thick: float) -> Solid:
    """A panel beside the head, upright, its rear edge at z = 0."""
    reach = rng.uniform(0.2, 0.28)
    outline = np.array(
        [(-0.02, 0.0), (reach * 0.9, 0.06), (reach, 0.5 * height), (0.85 * reach, 0.9 * height),
         (0.4 * reach, 0.97 * height), (-0.02, 0.96 * height)]
    )  # fmt: skip
    upright = panel_in_place(outline, 0.6 * thick, bevel=0.028, rounds=3).turned("y", -np.pi / 2)
    return upright.moved(width / 2 - 0.3 * thick, 0, 0)


def _short_legs(wood: Finish, rng: Rng, width: float, depth: float, foot: float) -> list[Part]:
    """Make four short legs."""
    splay, size = rng.uniform(0.0, 0.03), rng.uniform(0.04, 0.055)
    is_round = rng.random() < 0.6
    parts = []
    for ahead in (1, -1):
        x, z = width / 2 - 0.075, ahead * (depth / 2 - 0.075)
        start, end = (x + splay, 0, z + ahead * splay), (x, foot + 0.02, z)
        parts += pair("leg", bar(start, end, 0.6 * size, size, is_round=is_round), wood)
    return parts


def _barrel(rng: Rng, soft: Finish, legs: Finish) -> list[Part]:
    """A tub: a wall that falls from the back to the arms, around a round seat."""
    radius, thick = rng.uniform(0.33, 0.4), rng.uniform(0.07, 0.1)
    seat, foot = rng.uniform(0.38, 0.44), rng.uniform(0.07, 0.18)
    back, arm = rng.uniform(0.74, 0.9), rng.uniform(0.56, 0.66)
    around = np.radians(rng.uniform(108, 128))
    angle = np.linspace(-around, around, 25)
    fraction = np.clip(np.abs(angle) / around, 0, 1)
    top = back + (arm - back) * (3 * fraction**2 - 2 * fraction**3)
    rows = np.linspace(0, 1, 7)[:, None]
    low = foot + 0.03
    flare = 1 + 0.1 * rows * rng.uniform(0.2, 1.0)
    x, z = np.sin(angle) * radius * flare, -np.cos(angle) * radius * flare
    points = np.stack(np.broadcast_arrays(x, low + (top - low) * rows, z), -1)
    pillow = _pillow(rng, soft)
    outline = ellipse(2 * radius, 2 * radius, 28)
    base = plate(outline, seat - 0.1 - foot, bevel=0.02, rounds=2)
    outline = ellipse(2 * radius - 0.8 * thick, 2 * radius - 0.4 * thick, 28)
    cushion = plate(outline, 0.14, bevel=0.05, rounds=3, crown=0.02)
    parts = [
        Part("back", shell(points, thick), soft),
        Part("seat base", base.moved(0, foot, 0), soft),
        Part("cushion", cushion.moved(0, seat - 0.13, 0.02), pillow),
    ]
    if rng.random() < 0.25:
        stem = np.array([[0.24, 0], [0.24, 0.02], [0.06, 0.04], [0.05, foot + 0.02]])
        return [*parts, Part("pedestal", lathe(stem, 24), draw_metal(rng))]
    return parts + _short_legs(legs, rng, 1.55 * radius, 1.55 * radius, foot)
