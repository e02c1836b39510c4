"""Arms of chairs."""

import numpy as np

from get3d_shapes.chair.frame import Frame
from get3d_shapes.curves import rectangle, rounded, smooth
from get3d_shapes.design import Part, Rng, pair
from get3d_shapes.finishes import Finish
from get3d_shapes.palettes import pick
from get3d_shapes.primitives import bar, sweep, tube

_CHANCES = {"star": 0.55, "cantilever": 0.4, "rockers": 0.7, "pedestal": 0.2, "four legs": 0.3}


def make_arms(frame: Frame, rng: Rng) -> tuple[list[Part], str]:
    """Make arms, or none.

    Returns:
        The parts, and the kind: "none", "posts", "loops" or "brackets".
    """
    if rng.random() >= _CHANCES.get(frame.base, 0.25) or frame.back_height < 0.37:
        return [], "none"
    is_soft = frame.back == "upholstered" and rng.random() < 0.4
    pad = frame.soft if is_soft else frame.board  # what the hand lies on
    if frame.base == "star" or (frame.base == "pedestal" and rng.random() < 0.5):
        return _brackets(frame, rng, pad), "brackets"
    if frame.is_metal:
        return _loops(frame, rng, pad), "loops"
    return _on_posts(frame, rng, pad), "posts"


def _reach(frame: Frame, rng: Rng) -> tuple[float, float, float]:
    """Draw the height of the arms, and their extents to the side and to the front."""
    height = frame.top + rng.uniform(0.17, 0.23)
    return height, frame.width / 2 + 0.012, frame.depth / 2 * rng.uniform(0.5, 0.85)


def _rear(frame: Frame, height: float) -> tuple[float, float, float]:
    """Return where an arm at a height meets the back."""
    x = frame.back_width / 2 - 0.6 * frame.post_size
    if frame.back == "hoop":
        fraction = min(0.95, (height - frame.height) / frame.back_height)
        x = (frame.back_width / 2 - 0.02) * (1 - fraction**2.5) ** 0.4
    return frame.back_point(x, (height - frame.height) / np.cos(frame.lean_rad))


def _on_posts(frame: Frame, rng: Rng, pad: Finish) -> list[Part]:
    """A rail from the back to a post on the seat."""
    height, x, front = _reach(frame, rng)
    rear_x, _, rear_z = _rear(frame, height)
    start = (rear_x, height + 0.012, rear_z)
    if rng.random() < 0.5:
        points = [start, (x + 0.022, height + 0.012, 0.5 * (rear_z + front))]
        path = smooth([*points, (x + 0.012, height, front - 0.05), (x, height - 0.028, front)], 5)
    else:
        path = np.linspace(start, (x, height, front + 0.02), 5)
    wide = 0.055 if pad is frame.soft else rng.uniform(0.036, 0.05)
    rail = sweep(path, rectangle(wide, 0.028, 0.01, 2), up=(0, 1, 0))
    size = rng.uniform(0.028, 0.036)
    foot_x, foot_z = frame.corner(0.9, 2 * front / frame.depth)
    foot, head = (foot_x, frame.grip, foot_z), (x, height - 0.004, front - 0.02)
    is_round = rng.random() < 0.6
    post = bar(foot, head, size, is_round=is_round)
    return pair("arm", rail, pad) + pair("arm post", post, frame.main)


def _loops(frame: Frame, rng: Rng, pad: Finish) -> list[Part]:
    """A bent tube from the seat's front up and to the back, with a pad."""
    height, x, front = _reach(frame, rng)
    radius = 0.42 * frame.leg_size
    rear_x, _, rear_z = _rear(frame, height)
    foot_x, foot_z = frame.corner(0.88, 2 * front / frame.depth)
    low = frame.under + 0.35 * frame.seat_thickness
    path = [(foot_x, low, foot_z), (x, low + 0.03, foot_z), (x, height, front)]
    loop = tube(rounded([*path, (rear_x, height + 0.01, rear_z)], 0.06, 5), radius)
    cover = bar((x, height + 0.006, front - 0.05), (x, height + 0.01, 0.3 * rear_z), (0.045, 0.026))
    parts = pair("arm", loop, frame.main)
    return parts + pair("arm pad", cover, pad if pad.kind != "metal" else frame.soft)


def _brackets(frame: Frame, rng: Rng, pad: Finish) -> list[Part]:
    """Pads on brackets beside the seat, as office chairs have them."""
    height = frame.top + rng.uniform(0.17, 0.22)
    shape = pick(rng, ["T", "loop"], [0.6, 0.4])
    x, z = frame.width / 2 + 0.025, 0.02
    low = frame.under + 0.3 * frame.seat_thickness
    inner = frame.corner(0.6, 0.1)[0]
    if shape == "T":  # its broad side runs along z
        path = [(inner, low, z), (x, low, z), (x, height, z)]
        bracket = sweep(rounded(path, 0.05, 5), rectangle(0.05, 0.022, 0.006, 1), up=(0, 0, 1))
    else:
        path = [(inner, low, 0.13), (x, low, 0.13), (x, height, 0.13)]
        path += [(x, y, -z) for x, y, z in reversed(path)]
        bracket = tube(rounded(path, 0.055, 5), 0.015)
    parts = pair("arm post", bracket, frame.main)
    cover = bar((x, height + 0.006, z + 0.14), (x, height + 0.006, z - 0.13), (0.06, 0.03))
    return parts + pair("arm", cover, pad)
