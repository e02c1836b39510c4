"""Bases of chairs."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from get3d_shapes.chair.frame import Frame
from get3d_shapes.curves import rectangle, rounded
from get3d_shapes.design import Part, Rng, pair
from get3d_shapes.finishes import Plain
from get3d_shapes.palettes import pick
from get3d_shapes.primitives import bar, box, lathe, sweep, tube
from get3d_shapes.solids import Solid

Point = Float[np.ndarray, "3"]
Place = tuple[float, float, float]
_PROFILES = (  # (height, radius) of turned legs, as fractions
    ((0, 0.28), (0.05, 0.34), (0.1, 0.5), (0.14, 0.3), (0.2, 0.36), (0.34, 0.5), (0.5, 0.56),
     (0.62, 0.42), (0.68, 0.62), (0.72, 0.42), (0.78, 0.6), (0.86, 0.62), (1.0, 0.62)),
    ((0, 0.3), (0.12, 0.36), (0.3, 0.5), (0.46, 0.58), (0.56, 0.44), (0.6, 0.62), (0.64, 0.44),
     (0.8, 0.5), (1.0, 0.6)),
    ((0, 0.42), (0.06, 0.5), (0.1, 0.36), (0.14, 0.5), (0.18, 0.36), (0.3, 0.42), (0.7, 0.52),
     (0.76, 0.38), (0.8, 0.6), (0.84, 0.4), (0.9, 0.58), (1.0, 0.6)),
)  # fmt: skip
_POST_BACKS = ("slats", "ladder", "spindles", "cross", "splat", "split", "lattice")
_RUBBER = Plain((0.12, 0.12, 0.13), "rubber", "black")
Made = tuple[list[Part], str]


def make_base(frame: Frame, rng: Rng) -> Made:
    """Make the base; return its parts and the shape of its legs."""
    return _BASES[frame.base](frame, rng)


@dataclass(frozen=True)
class _Legs:
    """Ends of the two right legs, front and rear."""

    feet: tuple[Point, Point]
    tops: tuple[Point, Point]

    def at(self, leg: int, fraction: float) -> Point:
        """Return a point of a leg; fraction 0 is its foot."""
        return self.feet[leg] * (1 - fraction) + self.tops[leg] * fraction


def _four_legs(frame: Frame, rng: Rng, *, foot: float = 0.0) -> Made:
    """Make four legs whose lower ends are at the height `foot`, and stretchers or an apron."""
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
            solid = _turned_leg(start, end, size, profile)
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
    if frame.back in _POST_BACKS and frame.seat_shape != "round":
        rear = np.array([frame.back_width / 2 - frame.post_size / 2, top, frame.back_z])
    front_foot = front + np.array([splay, foot - top, splay])
    rear_foot = rear + np.array([0.7 * splay, foot - top, -1.2 * splay])
    return _Legs((front_foot, rear_foot), (front, rear))


def _turned_leg(foot: Point, top: Point, size: float, profile: int) -> Solid:
    """Turn a leg on a lathe, and lean it from its foot to its top."""
    fractions = np.array(_PROFILES[profile])
    height = top[1] - foot[1]
    straight = lathe(np.stack([fractions[:, 1] * size * 1.15, fractions[:, 0] * height], 1), 14)
    lean = (top - foot) * (1, 0, 1) / height
    return straight.warped(lambda verts: verts + foot + verts[:, 1:2] * lean)


def _stretchers(frame: Frame, rng: Rng, legs: _Legs, size: float) -> list[Part]:
    """Join the legs by bars: a box of four, or an H."""
    low = rng.uniform(0.2, 0.42)
    front, rear = legs.at(0, low), legs.at(1, low)
    is_round = frame.is_metal or rng.random() < 0.6
    parts = pair("stretcher", bar(front, rear, size, is_round=is_round), frame.main)
    middle = (front + rear) / 2
    cross = [middle] if rng.random() < 0.5 else [legs.at(0, low + 0.14), legs.at(1, low + 0.1)]
    return parts + [_cross_bar(frame, "stretcher", at, size, is_round=is_round) for at in cross]


def _apron(frame: Frame, legs: _Legs) -> list[Part]:
    """Join the legs by boards right under the seat."""
    height = 0.065
    front, rear = legs.at(0, 0.97), legs.at(1, 0.97)
    parts = []
    for x, y, z in (front, rear):
        board = box(2 * x, height, 0.022, 0.003).moved(0, y - height + 0.012, z)
        parts.append(Part("apron", board, frame.main))
    lower = np.array([0.0, height / 2 - 0.012, 0.0])
    return parts + pair("apron", bar(front - lower, rear - lower, (0.022, height)), frame.main)


def _cross_bar(
    frame: Frame, name: str, place: Place | Point, size: float, *, is_round: bool = False
) -> Part:
    """Make a bar from a place to its mirror image."""
    x, y, z = place
    return Part(name, bar((-x, y, z), (x, y, z), size, is_round=is_round), frame.main)


def _rockers(frame: Frame, rng: Rng) -> Made:
    """Four legs on two runners."""
    parts, shape = _four_legs(frame, rng, foot=0.055)
    legs = [part for part in parts if part.name == "leg"]
    feet = [_lowest(part) for part in legs if part.solid.patches[0].verts[:, 0].mean() > 0]
    (x_front, z_front), (x_back, z_back) = sorted(feet, key=lambda foot: -foot[1])
    reach = frame.depth / 2 + rng.uniform(0.16, 0.25)
    z = np.linspace(0.95 * reach, -1.2 * reach, 15)
    x = np.interp(z, [z_back, z_front], [x_back, x_front])
    rise = rng.uniform(0.16, 0.24) / reach
    middle = (z_front + z_back) / 2
    y = 0.028 + rise * (z - middle) ** 2
    y -= np.interp(z_front, z[::-1], y[::-1]) - 0.06  # the legs stand on it
    runner = sweep(np.stack([x, y, z], 1), rectangle(0.036, 0.055, 0.008, 1), up=(0, 1, 0))
    return [*parts, *pair("rocker", runner, frame.main)], shape


def _lowest(part: Part) -> tuple[float, float]:
    """Return the position of the foot of a leg."""
    verts = np.concatenate([patch.verts for patch in part.solid.patches])
    foot = verts[verts[:, 1] < verts[:, 1].min() + 0.005].mean(0)
    return float(foot[0]), float(foot[2])


def _crossed(frame: Frame, rng: Rng) -> Made:
    """Two crosses, joined by bars."""
    size, top = frame.leg_size * 0.85, frame.grip
    x, z = frame.corner(0.84, 0.8)
    x = min(x, frame.corner(0.84, -0.8)[0])
    reach = z + rng.uniform(0.0, 0.05)
    is_round = frame.is_metal
    first = bar((x, 0.0, reach), (x, top, -z), size, is_round=is_round)
    second = bar((x, 0.0, -reach), (x, top, z), size, is_round=is_round)
    parts = pair("leg", first, frame.main) + pair("leg", second, frame.main)
    at = reach * (1 - 0.16) - z * 0.16
    parts += [_cross_bar(frame, "stretcher", (x, top * 0.16, z), size * 0.7) for z in (at, -at)]
    middle = _cross_bar(frame, "stretcher", (x, top / 2, 0.0), size * 0.8, is_round=True)
    return [*parts, middle], "straight"


def _star(frame: Frame, rng: Rng) -> Made:
    """A column on spokes, with castors or feet."""
    number = 5 if rng.random() < 0.8 else 4
    reach, turn = rng.uniform(0.27, 0.33), rng.uniform(0, 2 * np.pi / number)
    neck = 0.22 + rng.uniform(0, 0.04)
    column = [[0.036, 0.07], [0.036, neck], [0.024, neck + 0.008], [0.024, frame.grip]]
    parts = [
        Part("column", lathe(np.array(column), 16), frame.main),
        Part("plate", box(0.22, 0.03, 0.22, 0.006).moved(0, frame.grip - 0.03, 0), _RUBBER),
    ]
    has_castors = rng.random() < 0.75
    hub = 0.115 if has_castors else 0.075
    spoke = bar((0, hub, 0), (0, hub - 0.022, reach), (0.052, 0.042), (0.034, 0.026))
    feet = _castor() if has_castors else [lathe(np.array([[0.024, 0.0], [0.018, 0.06]]), 12)]
    feet = [foot.moved(0, 0, reach - 0.014) for foot in feet]
    name = "castor" if has_castors else "foot"
    for angle in turn + np.arange(number) * 2 * np.pi / number:
        parts.append(Part("spoke", spoke.turned("y", angle), frame.main))
        parts += [Part(name, foot.turned("y", angle), _RUBBER) for foot in feet]
    return parts, "castors" if has_castors else "glides"


def _castor() -> list[Solid]:
    """Make the solids of a castor."""
    half = [[0.0, -0.023], [0.026, -0.021], [0.034, -0.014]]
    profile = np.array(half + [[radius, -y] for radius, y in reversed(half)])
    wheel = lathe(profile, 14).turned("z", np.pi / 2).moved(0, 0.034, 0)
    return [wheel, lathe(np.array([[0.013, 0.04], [0.013, 0.1]]), 10)]


def _pedestal(frame: Frame, rng: Rng) -> Made:
    """One stem: a trumpet, a disc, or a turned column on a disc."""
    foot, neck = rng.uniform(0.2, 0.26), rng.uniform(0.022, 0.036)
    shape = pick(rng, ["trumpet", "disc", "column"], [0.5, 0.32, 0.18])
    top = frame.grip
    if shape == "trumpet":
        t = np.linspace(0, 1, 13)
        radius = neck + (foot - neck) * (1 - t) ** 4 + 0.06 * t**6
        profile = np.stack([[foot, *radius], [0, *(0.012 + t * (top - 0.012))]], 1)
    elif shape == "disc":
        radii = [foot, foot, foot - 0.01, neck * 1.6, neck, neck, 0.07, 0.07]
        heights = [0, 0.014, 0.024, 0.034, 0.06, top - 0.04, top - 0.02, top]
        profile = np.stack([radii, heights], 1)
    else:
        y = np.array([0, 0.04, 0.05, 0.1, 0.16, 0.3, 0.48, 0.62, 0.7, 0.74, 0.86, 0.94, 1.0]) * top
        r = np.array([1, 1, 0.9, 0.3, 0.24, 0.34, 0.3, 0.2, 0.2, 0.3, 0.2, 0.3, 0.45]) * foot
        profile = np.stack([r, y], 1)
    return [Part("pedestal", lathe(profile, 28), frame.main)], shape


def _cantilever(frame: Frame, rng: Rng) -> Made:
    """A bent tube without rear legs."""
    radius = rng.uniform(0.0135, 0.0185)
    x, front, rear = frame.corner(0.9, 1)[0], 0.46 * frame.depth, -0.5 * frame.depth
    x = min(x, frame.corner(0.9, -0.5)[0]) if frame.seat_shape != "round" else x
    top = frame.grip - 0.5 * radius
    path = [(x, top, 0.6 * rear), (x, top, front), (x, radius, front), (x, radius, rear)]
    parts = pair("tube", tube(rounded(path, 0.09, 6), radius), frame.main)
    for y, z in ((radius, rear + radius), (top, 0.5 * rear), (top, 0.3 * front)):
        parts.append(_cross_bar(frame, "tube", (x, y, z), 2 * radius, is_round=True))
    return parts, "tube"


def _sled(frame: Frame, rng: Rng) -> Made:
    """Two closed runners: tubes, or wooden frames."""
    size = rng.uniform(0.027, 0.038)
    x = min(frame.corner(0.86, 0.8)[0], frame.corner(0.86, -0.8)[0])
    front, rear = 0.4 * frame.depth, -0.4 * frame.depth
    top, low = frame.grip, size / 2
    inward = 0.03 if rng.random() < 0.5 else 0.0
    path = [(x, top, front - inward), (x, low, front + inward)]
    path += [(x, low, rear - inward), (x, top, rear + inward)]
    runners = [tube(rounded(path, 0.08, 6), size / 2)] if frame.is_metal else []
    runners = runners or [_overlong(start, end, size) for start, end in pairwise(path)]
    parts = [part for runner in runners for part in pair("runner", runner, frame.main)]
    name = "tube" if frame.is_metal else "apron"
    for z in (front - inward, rear + inward):
        parts.append(_cross_bar(frame, name, (x, top - size / 2, z), size, is_round=True))
    if rng.random() < 0.4:
        place = (x, low, rear - inward)
        parts.append(_cross_bar(frame, "stretcher", place, size, is_round=True))
    return parts, "tube" if frame.is_metal else "straight"


def _overlong(start: Place, end: Place, size: float) -> Solid:
    """Make a bar that reaches half its thickness past both points, for corners."""
    first, last = np.array(start), np.array(end)
    step: Float[np.ndarray, 3] = (last - first) / np.linalg.norm(last - first) * size / 2
    keeps_top = np.array([1.0, 0.0, 1.0]) if start[1] > end[1] else np.ones(3)
    ends_low = np.array([1.0, 0.0, 1.0]) if end[1] > start[1] else np.ones(3)
    return bar(first - step * keeps_top, last + step * ends_low, size)


_BASES: dict[str, Callable[[Frame, Rng], Made]] = {
    "four legs": _four_legs,
    "crossed legs": _crossed,
    "star": _star,
    "pedestal": _pedestal,
    "cantilever": _cantilever,
    "sled": _sled,
    "rockers": _rockers,
}
