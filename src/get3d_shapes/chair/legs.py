"""Four legs, with what joins them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from get3d_shapes.chair.frame import Frame
from get3d_shapes.design import Part, Rng, pair
from get3d_shapes.palettes import pick
from get3d_shapes.primitives import bar, box, lathe
from get3d_shapes.solids import Solid

Point = Float[np.ndarray, "3"]
_PROFILES = (  # (height, radius) of turned legs, as shares
    ((0, 0.28), (0.05, 0.34), (0.1, 0.5), (0.14, 0.3), (0.2, 0.36), (0.34, 0.5), (0.5, 0.56),
     (0.62, 0.42), (0.68, 0.62), (0.72, 0.42), (0.78, 0.6), (0.86, 0.62), (1.0, 0.62)),
    ((0, 0.3), (0.12, 0.36), (0.3, 0.5), (0.46, 0.58), (0.56, 0.44), (0.6, 0.62), (0.64, 0.44),
     (0.8, 0.5), (1.0, 0.6)),
    ((0, 0.42), (0.06, 0.5), (0.1, 0.36), (0.14, 0.5), (0.18, 0.36), (0.3, 0.42), (0.7, 0.52),
     (0.76, 0.38), (0.8, 0.6), (0.84, 0.4), (0.9, 0.58), (1.0, 0.6)),
)  # fmt: skip


@dataclass(frozen=True)
class _Legs:
    """Ends of the two right legs, front and rear."""

    feet: tuple[Point, Point]
    tops: tuple[Point, Point]

    def at(self, leg: int, share: float) -> Point:
        """A point of a leg; share 0 is its foot."""
        return self.feet[leg] * (1 - share) + self.tops[leg] * share


def four_legs(frame: Frame, rng: Rng, *, foot: float = 0.0) -> tuple[list[Part], str]:
    """Make four legs, and stretchers or an apron.

    Args:
        frame: Of the chair.
        rng: Source of the random numbers.
        foot: Height of the legs' lower ends.

    Returns:
        The parts, and the shape of the legs.
    """
    kinds = ["straight", "tapered", "turned"]
    shape = "tube" if frame.is_metal else pick(rng, kinds, [0.36, 0.42, 0.22])
    splay = rng.uniform(0.015, 0.075) if rng.random() < 0.6 else 0.0
    if frame.leg_inset < 1:
        splay = rng.uniform(0.09, 0.13)
    size = frame.leg_size
    legs = _place(frame, size, splay, foot)
    is_round = shape == "tube" or (shape == "tapered" and splay > 0.03)
    profile = int(rng.integers(len(_PROFILES)))
    parts = []
    for leg in (0, 1):
        start, end = legs.feet[leg], legs.tops[leg]
        if shape == "turned":
            solid = turned_leg(start, end, size, profile)
        else:
            low = size * (0.58 if shape == "tapered" else 1.0)
            solid = bar(start, end, low, size, is_round=is_round)
        parts += pair("leg", solid, frame.main)
    needs_bars = foot > 0 or frame.height > 0.55
    if needs_bars or rng.random() < 0.45:
        parts += _stretchers(frame, rng, legs, size * 0.72)
    elif not is_round and splay < 0.03 and frame.seat_shape != "round":
        parts += _apron(frame, legs)
    return parts, shape


def _place(frame: Frame, size: float, splay: float, foot: float) -> _Legs:
    """Stand the legs under the seat; rear ones under the posts, where the back has posts."""
    top = frame.grip
    inner = 0.0
    if frame.seat_shape != "round" and frame.leg_inset == 1:
        inner = max(0.62 * size, 0.3 * frame.corner_radius + 0.45 * size)
    x, z = frame.corner(frame.leg_inset, frame.leg_inset)
    front = np.array([x - inner, top, z - inner])
    x, z = frame.corner(frame.leg_inset, -frame.leg_inset)
    rear = np.array([x - inner, top, z + inner])
    if frame.has_posts and frame.seat_shape != "round":
        rear = np.array([frame.back_width / 2 - frame.post_size / 2, top, frame.back_z])
    front_foot = front + np.array([splay, foot - top, splay])
    rear_foot = rear + np.array([0.7 * splay, foot - top, -1.2 * splay])
    return _Legs((front_foot, rear_foot), (front, rear))


def turned_leg(foot: Point, top: Point, size: float, profile: int) -> Solid:
    """Turn a leg on a lathe, and lean it from its foot to its top."""
    shares = np.array(_PROFILES[profile])
    height = top[1] - foot[1]
    straight = lathe(np.stack([shares[:, 1] * size * 1.15, shares[:, 0] * height], 1), 14)
    lean = (top - foot) * (1, 0, 1) / height
    return straight.warped(lambda verts: verts + foot + verts[:, 1:2] * lean)


def _stretchers(frame: Frame, rng: Rng, legs: _Legs, size: float) -> list[Part]:
    """Join the legs by bars: a box of four, or an H."""
    low = rng.uniform(0.2, 0.42)
    front, rear = legs.at(0, low), legs.at(1, low)
    is_round = frame.is_metal or rng.random() < 0.6
    flip = np.array([-1.0, 1.0, 1.0])
    parts = pair("stretcher", bar(front, rear, size, is_round=is_round), frame.main)
    middle = (front + rear) / 2
    cross = [middle] if rng.random() < 0.5 else [legs.at(0, low + 0.14), legs.at(1, low + 0.1)]
    for point in cross:
        beam = bar(point * flip, point, size, is_round=is_round)
        parts.append(Part("stretcher", beam, frame.main))
    return parts


def _apron(frame: Frame, legs: _Legs) -> list[Part]:
    """Join the legs by boards right under the seat."""
    height = 0.065
    parts = []
    for leg in (0, 1):
        x, y, z = legs.at(leg, 0.97)
        board = box(2 * x, height, 0.022, 0.003).moved(0, y - height + 0.012, z)
        parts.append(Part("apron", board, frame.main))
    front, rear = legs.at(0, 0.97), legs.at(1, 0.97)
    lower = np.array([0.0, height / 2 - 0.012, 0.0])
    return parts + pair("apron", bar(front - lower, rear - lower, (0.022, height)), frame.main)
