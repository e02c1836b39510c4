"""What chairs stand on."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from get3d_shapes.chair.frame import Frame
from get3d_shapes.chair.legs import four_legs
from get3d_shapes.curves import rectangle, rounded
from get3d_shapes.design import Part, Rng, pair
from get3d_shapes.finishes import Plain
from get3d_shapes.palettes import pick
from get3d_shapes.primitives import bar, box, lathe, sweep, tube
from get3d_shapes.solids import Solid

_RUBBER = Plain((0.12, 0.12, 0.13), "rubber", "black")
Made = tuple[list[Part], str]


def make_base(frame: Frame, rng: Rng) -> Made:
    """Make the base; returns its parts and the shape of its legs."""
    return _BASES[frame.base](frame, rng)


def _four_legs(frame: Frame, rng: Rng) -> Made:
    return four_legs(frame, rng)


def _rockers(frame: Frame, rng: Rng) -> Made:
    """Four legs on two runners."""
    parts, shape = four_legs(frame, rng, foot=0.055)
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
    """Where the foot of a leg stands."""
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
    for ahead in (1, -1):
        y = top * 0.16
        at = ahead * (reach * (1 - 0.16) - z * 0.16)
        parts.append(Part("stretcher", bar((-x, y, at), (x, y, at), size * 0.7), frame.main))
    middle = (0.0, top / 2, 0.0)
    beam = bar((-x, *middle[1:]), (x, *middle[1:]), size * 0.8, is_round=True)
    return [*parts, Part("stretcher", beam, frame.main)], "straight"


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
    foot = _castor(reach - 0.014) if has_castors else _glide(reach - 0.014)
    for angle in turn + np.arange(number) * 2 * np.pi / number:
        parts.append(Part("spoke", spoke.turned("y", angle), frame.main))
        parts += [Part(part.name, part.solid.turned("y", angle), part.finish) for part in foot]
    return parts, "castors" if has_castors else "glides"


def _castor(reach: float) -> list[Part]:
    profile = np.array([[0.0, -0.023], [0.026, -0.021], [0.034, -0.014], [0.034, 0.014]])
    profile = np.concatenate([profile, [[0.026, 0.021], [0.0, 0.023]]])
    wheel = lathe(profile, 14).turned("z", np.pi / 2)
    stem = lathe(np.array([[0.013, 0.04], [0.013, 0.1]]), 10)
    return [
        Part("castor", wheel.moved(0, 0.034, reach), _RUBBER),
        Part("castor", stem.moved(0, 0, reach), _RUBBER),
    ]


def _glide(reach: float) -> list[Part]:
    return [
        Part("foot", lathe(np.array([[0.024, 0.0], [0.018, 0.06]]), 12).moved(0, 0, reach), _RUBBER)
    ]


def _pedestal(frame: Frame, rng: Rng) -> Made:
    """One stem: a trumpet, a disc, or a turned column on a disc."""
    foot, neck = rng.uniform(0.2, 0.26), rng.uniform(0.022, 0.036)
    shape = pick(rng, ["trumpet", "disc", "column"], [0.5, 0.32, 0.18])
    top = frame.grip
    if shape == "trumpet":
        t = np.linspace(0, 1, 13)
        radius = neck + (foot - neck) * (1 - t) ** 4 + 0.06 * t**6
        profile = np.stack([radius, 0.012 + t * (top - 0.012)], 1)
        profile = np.concatenate([[[foot, 0.0]], profile])
    elif shape == "disc":
        profile = np.array(
            [[foot, 0], [foot, 0.014], [foot - 0.01, 0.024], [neck * 1.6, 0.034], [neck, 0.06]]
        )
        profile = np.concatenate([profile, [[neck, top - 0.04], [0.07, top - 0.02], [0.07, top]]])
    else:
        y = np.array([0, 0.04, 0.05, 0.1, 0.16, 0.3, 0.48, 0.62, 0.7, 0.74, 0.86, 0.94, 1.0]) * top
        r = np.array([1, 1, 0.9, 0.3, 0.24, 0.34, 0.3, 0.2, 0.2, 0.3, 0.2, 0.3, 0.45]) * foot
        profile = np.stack([r, y], 1)
    stem = lathe(profile, 28)
    return [Part("pedestal", stem, frame.main)], shape


def _cantilever(frame: Frame, rng: Rng) -> Made:
    """A bent tube without rear legs."""
    radius = rng.uniform(0.0135, 0.0185)
    x, front, rear = frame.corner(0.9, 1)[0], 0.46 * frame.depth, -0.5 * frame.depth
    x = min(x, frame.corner(0.9, -0.5)[0]) if frame.seat_shape != "round" else x
    top = frame.grip - 0.5 * radius
    path = rounded(
        [(x, top, 0.6 * rear), (x, top, front), (x, radius, front), (x, radius, rear)], 0.09, 6
    )
    parts = pair("tube", tube(path, radius), frame.main)
    for y, z in ((radius, rear + radius), (top, 0.5 * rear), (top, 0.3 * front)):
        bar_ = bar((-x, y, z), (x, y, z), 2 * radius, is_round=True)
        parts.append(Part("tube", bar_, frame.main))
    return parts, "tube"


def _sled(frame: Frame, rng: Rng) -> Made:
    """Two closed runners: tubes, or wooden frames."""
    size = rng.uniform(0.027, 0.038)
    x = min(frame.corner(0.86, 0.8)[0], frame.corner(0.86, -0.8)[0])
    front, rear = 0.4 * frame.depth, -0.4 * frame.depth
    top, low = frame.grip, size / 2
    inward = 0.03 if rng.random() < 0.5 else 0.0
    path = [
        (x, top, front - inward),
        (x, low, front + inward),
        (x, low, rear - inward),
        (x, top, rear + inward),
    ]
    parts = []
    if frame.is_metal:
        runner = tube(rounded(path, 0.08, 6), size / 2)
        parts += pair("runner", runner, frame.main)
    else:
        for start, end in pairwise(path):
            parts += pair("runner", _overlong(start, end, size), frame.main)
    for z in (front - inward, rear + inward):
        beam = bar((-x, top - size / 2, z), (x, top - size / 2, z), size, is_round=True)
        parts.append(Part("tube" if frame.is_metal else "apron", beam, frame.main))
    for y in (low,) if rng.random() < 0.4 else ():
        beam = bar((-x, y, rear - inward), (x, y, rear - inward), size, is_round=True)
        parts.append(Part("stretcher", beam, frame.main))
    return parts, "tube" if frame.is_metal else "straight"


def _overlong(
    start: tuple[float, float, float], end: tuple[float, float, float], size: float
) -> Solid:
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
