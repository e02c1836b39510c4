"""Backs of chairs. Each is made upright, x across and y up from the seat, then bent and leant."""

from collections.abc import Callable

import numpy as np

from get3d_shapes.chair.frame import Frame
from get3d_shapes.chair.panels import panel_back, upholstered_back
from get3d_shapes.curves import Outline, smooth, subdivided
from get3d_shapes.design import Part, Rng
from get3d_shapes.finishes import Finish
from get3d_shapes.primitives import bar, board, panel, panel_in_place, tube
from get3d_shapes.solids import Solid


def make_back(frame: Frame, rng: Rng) -> list[Part]:
    """Make the back."""
    return _BACKS[frame.back](frame, rng)


def _posts(frame: Frame, rng: Rng, *, above: float = 0.0) -> list[Part]:
    """Make the two posts that carry a back; they end `above` its height."""
    size = frame.post_size
    is_round = frame.is_metal or rng.random() < 0.4
    right = frame.back_width / 2 - size / 2
    low = -0.85 * frame.seat_thickness if frame.seat != "slatted" else -0.05
    high, parts = frame.back_height + above, []
    for x in (right, -right):
        post = bar((x, low, 0), (x, high, 0), size, 0.85 * size, is_round=is_round, steps=5)
        parts.append(Part("back post", frame.on_back(post), frame.main))
    return parts


def _rail(
    frame: Frame,
    middle: float,
    height: float,
    finish: Finish,
    *,
    arch: float = 0.0,
    thickness: float = 0.024,
    over: float = 0.3,
) -> Part:
    """A board between the posts.

    Its top swells by `arch`; `over` is the fraction of a post's width it reaches over.
    """
    width = frame.back_width - frame.post_size * (2 - 2 * over)
    x = np.linspace(width / 2, -width / 2, 11)
    top = np.stack([x, height / 2 + arch * (1 - (2 * x / width) ** 2)], 1)
    bottom = np.stack([x[::-1], np.full(len(x), -height / 2)], 1)
    solid = panel(np.concatenate([top, bottom]), thickness, bevel=0.005)
    return Part("rail", frame.on_back(solid, middle), finish)


def _crest_rail(frame: Frame, rng: Rng, height: float, arch: float) -> Part:
    """The top rail: between the posts, or over them."""
    middle = frame.back_height - 0.42 * height
    over, thickness = (0.3, 0.028) if rng.random() < 0.5 else (1.15, frame.post_size * 0.95)
    return _rail(frame, middle, height, frame.main, arch=arch, thickness=thickness, over=over)


def _slats(frame: Frame, rng: Rng) -> list[Part]:
    """Make a back of upright slats."""
    number = int(rng.integers(3, 7))
    inner = frame.back_width - 2 * frame.post_size
    width = inner / number * rng.uniform(0.4, 0.62)
    height, arch = rng.uniform(0.05, 0.09), _arch(rng)
    low = (-0.01, rng.uniform(0.08, 0.14))[int(rng.integers(2))]
    parts = [*_posts(frame, rng), _crest_rail(frame, rng, height, arch)]
    if low > 0:
        parts.append(_rail(frame, low, 0.04, frame.main))
    length = frame.back_height - 0.6 * height - low
    for x in ((np.arange(number) + 0.5) / number - 0.5) * inner:
        slat = board(width, length, 0.017, radius=0, bevel=0.003).moved(x, 0, 0)
        parts.append(Part("slat", frame.on_back(slat, low), frame.main))
    return parts


def _ladder(frame: Frame, rng: Rng) -> list[Part]:
    """Make a back of horizontal rails."""
    number = int(rng.integers(2, 6))
    arch = _arch(rng)
    height = min(0.09, frame.back_height / number * rng.uniform(0.42, 0.6))
    low = frame.back_height * rng.uniform(0.18, 0.4) if number < 4 else 0.09
    places = np.linspace(low, frame.back_height - 0.45 * height, number)
    finish = frame.main if frame.main.kind != "metal" else frame.board
    rails = [_rail(frame, y, height, finish, arch=arch) for y in places]
    return [*_posts(frame, rng, above=0.02 if arch else 0.0), *rails]


def _spindles(frame: Frame, rng: Rng) -> list[Part]:
    """Make a back of spindles."""
    height, arch = rng.uniform(0.05, 0.085), _arch(rng)
    parts = [*_posts(frame, rng), _crest_rail(frame, rng, height, arch)]
    inner = frame.back_width - 2 * frame.post_size
    return parts + _sticks(frame, rng, inner, lambda x: frame.back_height - 0.5 * height)


def _hoop(frame: Frame, rng: Rng) -> list[Part]:
    """A Windsor back: a bow from the seat, with sticks in it."""
    half, top = frame.back_width / 2 - 0.02, frame.back_height
    power = rng.uniform(2.0, 3.2)
    angle = np.linspace(0, np.pi, 27)
    cos, sin = np.cos(angle), np.sin(angle)
    x = np.sign(cos) * np.abs(cos) ** (2 / power) * half
    y = sin ** (2 / power) * top
    low = -0.8 * frame.seat_thickness
    ends = np.array([[half, low, 0.0]]), np.array([[-half, low, 0.0]])
    path = np.concatenate([ends[0], np.stack([x, y, 0 * x], 1), ends[1]])
    bow = tube(path, rng.uniform(0.014, 0.019), segments=10)
    parts = [Part("hoop", frame.on_back(bow), frame.main)]
    return parts + _sticks(
        frame,
        rng,
        2 * half * 0.86,
        lambda x: float(top * (1 - (abs(x) / half) ** power) ** (1 / power)) + 0.003,
    )


def _sticks(frame: Frame, rng: Rng, inner: float, top: Callable[[float], float]) -> list[Part]:
    """Spindles from the seat to a height that depends on their place."""
    number = int(rng.integers(4, 9))
    size = rng.uniform(0.016, 0.023)
    swell = rng.uniform(1.0, 1.5)
    low = -0.8 * frame.seat_thickness
    parts = []
    for x in ((np.arange(number) + 0.5) / number - 0.5) * inner:
        high = top(x)
        y = np.array([low, low + 0.3 * (high - low), high])
        path = smooth(np.stack([np.full(3, x * 0.92), y, np.zeros(3)], 1), 4)
        path[:, 0] = np.linspace(x * 0.92, x, len(path))
        radius = size / 2 * (1 + (swell - 1) * np.sin(np.linspace(0, np.pi, len(path))))
        parts.append(Part("spindle", frame.on_back(tube(path, radius, segments=8)), frame.main))
    return parts


def _cross(frame: Frame, rng: Rng) -> list[Part]:
    """A cross between two rails, or a curved one."""
    height, arch = rng.uniform(0.05, 0.08), _arch(rng)
    low = rng.uniform(0.03, 0.1)
    x, high = frame.back_width / 2 - frame.post_size, frame.back_height - 0.7 * height
    bow = rng.uniform(0.0, 0.05)
    parts = [*_posts(frame, rng), _crest_rail(frame, rng, height, arch)]
    parts.append(_rail(frame, low, 0.042, frame.main))
    for side in (1, -1):
        points = [(-side * x, low), (side * bow, (low + high) / 2), (side * x, high)]
        path = smooth(points, 5)
        parts.append(Part("brace", frame.on_back(_strip(path, 0.034, 0.02)), frame.main))
    return parts


def _lattice(frame: Frame, rng: Rng) -> list[Part]:
    """Crossing bars, upright and level."""
    height = rng.uniform(0.05, 0.07)
    inner, low = frame.back_width - 2 * frame.post_size, 0.08
    parts = [*_posts(frame, rng), _crest_rail(frame, rng, height, 0.0)]
    for y in np.linspace(low, frame.back_height - height, int(rng.integers(3, 5)))[:-1]:
        parts.append(_rail(frame, float(y), 0.026, frame.main, thickness=0.02))
    number = int(rng.integers(2, 5))
    for x in ((np.arange(number) + 1) / (number + 1) - 0.5) * inner:
        upright = board(0.024, frame.back_height - 0.6 * height - low, 0.02, radius=0, bevel=0.003)
        parts.append(Part("slat", frame.on_back(upright.moved(x, 0, 0), low), frame.main))
    return parts


def _splat(frame: Frame, rng: Rng) -> list[Part]:
    """A shaped board in the middle, as a vase or a fiddle; some are pierced."""
    height, arch = rng.uniform(0.05, 0.08), rng.uniform(0.0, 0.035)
    top, low = frame.back_height - 0.6 * height, -0.6 * frame.seat_thickness
    wide = frame.back_width * rng.uniform(0.2, 0.3)
    fractions = np.array([0.8, 0.55, 0.45, 0.8, 1.0, 0.85, 0.6, 0.8])
    if rng.random() < 0.4:
        fractions = np.array([0.9, 0.75, 0.5, 0.42, 0.5, 0.8, 1.0, 1.0])
    profile = smooth(np.stack([fractions * wide, np.linspace(low, top, len(fractions))], 1), 3)
    outline = np.concatenate([profile, profile[::-1] * (-1, 1)])
    middle = (low + top) / 2
    solid = panel(outline - (0, middle), 0.018, bevel=0.003).moved(0, middle, 0)
    cuts = []
    if rng.random() < 0.5:
        hole = np.stack([0.3 * profile[5:-4, 0], profile[5:-4, 1] * 0.9 + 0.05 * top], 1)
        hole = np.concatenate([hole, hole[::-1] * (-1, 1)])
        cuts.append(panel_in_place(subdivided(hole, 0.05), 0.08))
    parts = [*_posts(frame, rng), _crest_rail(frame, rng, height, arch)]
    placed = tuple(frame.on_back(cut) for cut in cuts)
    return [*parts, Part("splat", frame.on_back(solid), frame.main, cuts=placed)]


def _split(frame: Frame, rng: Rng) -> list[Part]:
    """One broad board at the top, with air under it."""
    height = frame.back_height * rng.uniform(0.3, 0.52)
    solid = board(frame.back_width * 0.995, height, 0.03, radius=rng.uniform(0.02, 0.06))
    finish = frame.board if frame.seat in ("hard", "slatted") or rng.random() < 0.5 else frame.soft
    if finish is frame.soft:
        solid = board(frame.back_width, height, 0.05, radius=0.05, bevel=0.02, rounds=3)
    parts = _posts(frame, rng, above=-0.03)
    return [*parts, Part("back", frame.on_back(solid, frame.back_height - height), finish)]


def _strip(path: Outline, width: float, thickness: float) -> Solid:
    """A flat strip along an upright path, with its thickness along z."""
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], 1) * width / 2
    outline = np.concatenate([path + normal, (path - normal)[::-1]])
    return panel_in_place(outline, thickness, rings=0)


def _arch(rng: Rng) -> float:
    """Draw the arch of a rail, often none."""
    return rng.uniform(0.012, 0.035) if rng.random() < 0.45 else 0.0


_BACKS: dict[str, Callable[[Frame, Rng], list[Part]]] = {
    "panel": panel_back,
    "window": panel_back,
    "upholstered": upholstered_back,
    "slats": _slats,
    "ladder": _ladder,
    "spindles": _spindles,
    "hoop": _hoop,
    "cross": _cross,
    "lattice": _lattice,
    "splat": _splat,
    "split": _split,
}
