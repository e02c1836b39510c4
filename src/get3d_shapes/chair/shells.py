"""Chairs whose seat and back are one curved shell."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from get3d_shapes.chair.bases import make_base
from get3d_shapes.chair.frame import Frame
from get3d_shapes.chair.words import chair_caption, chair_labels
from get3d_shapes.curves import lengths, rectangle, smooth
from get3d_shapes.design import Design, Part, Rng
from get3d_shapes.palettes import draw_plain, draw_wood, pick
from get3d_shapes.primitives import plate, shell

_ROWS, _COLUMNS = 21, 13


def make_shell_chair(frame: Frame, rng: Rng) -> Design:
    """Make a bucket on a base: a plastic shell, bent plywood, or upholstered."""
    draw = rng.random()
    board = frame.soft
    if draw >= 0.3:
        board = draw_plain(rng, "plastic") if draw < 0.8 else draw_wood(rng)
    frame = replace(
        frame,
        board=board,
        back="shell",
        seat="shell",
        seat_shape="square",
        corner_radius=0.0,
        leg_inset=0.5,
        seat_thickness=0.03,
        pad=0.0,
        width=frame.width + 0.03,
        back_height=float(np.clip(frame.back_height, 0.34, 0.46)),
    )
    kind = pick(rng, ["side", "arm", "plywood"], [0.5, 0.3, 0.2])
    is_soft = frame.soft is frame.board
    thickness = rng.uniform(0.045, 0.06) if is_soft else rng.uniform(0.018, 0.026)
    points = _mid_surface(frame, rng, kind)
    # The mid-surface lies half the thickness below the seat's upper side.
    solid = shell(points, thickness).moved(0, -thickness / 2, 0)
    mount = plate(rectangle(0.3, 0.28, 0.05), 0.045).moved(0, frame.under - 0.03, 0)
    parts = [Part("shell", solid, frame.board), Part("mount", mount, frame.main)]
    arms = "shell" if kind == "arm" else "none"
    base, legs = make_base(frame, rng)
    labels = chair_labels(frame.base, legs, "shell", arms, "shell", frame.board, frame.main)
    return Design(tuple(parts + base), labels, chair_caption(frame, legs, arms))


def _mid_surface(frame: Frame, rng: Rng, kind: str) -> Float[np.ndarray, "rows columns 3"]:
    """Points of the shell: rows from the front lip to the top of the back."""
    depth, height, back = frame.depth, frame.height, frame.back_height
    lean = np.tan(0.6 * frame.lean_rad + 0.04)
    rear = -depth / 2
    side = [(depth / 2, height - 0.03), (depth / 2 - 0.06, height + 0.004), (0.0, height)]
    side += [(rear + 0.1, height + 0.006), (rear + 0.025, height + 0.06)]
    side += [(rear - 0.16 * lean, height + 0.2), (rear - back * lean, height + back)]
    profile = smooth(side, 8)
    run = lengths(profile)
    even = np.linspace(0, 1, _ROWS)
    at = run[-1] * (0.35 * even + 0.65 * (1 - np.cos(np.pi * even)) / 2)  # denser at the ends
    z, y = (np.interp(at, run, profile[:, axis]) for axis in (0, 1))
    fraction = at / run[-1]
    tangent = np.stack([np.gradient(z), np.gradient(y)], 1)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    normal = np.stack([tangent[:, 1], -tangent[:, 0]], 1)  # (z, y), towards the inside
    width, curl = _width_and_curl(frame, rng, kind, fraction)
    u = np.linspace(-1, 1, _COLUMNS)
    rise = np.abs(u) ** 2.2 * curl[:, None]
    x = u * width[:, None] / 2
    return np.stack([x, y[:, None] + rise * normal[:, 1:], z[:, None] + rise * normal[:, :1]], -1)


def _width_and_curl(
    frame: Frame, rng: Rng, kind: str, fraction: Float[np.ndarray, " rows"]
) -> tuple[Float[np.ndarray, " rows"], Float[np.ndarray, " rows"]]:
    """Width of each row, and how far its sides rise."""
    round_top, round_front = rng.uniform(0.16, 0.42), rng.uniform(0.06, 0.16)
    top = np.clip((fraction - (1 - round_top)) / round_top, 0, 1)
    front = np.clip((round_front - fraction) / round_front, 0, 1)
    width = frame.width * (1 - (0.975 * top) ** 2.6) ** 0.42 * (1 - (0.9 * front) ** 2.6) ** 0.42
    bend = np.exp(-(((fraction - 0.5) / 0.2) ** 2))
    match kind:
        case "plywood":
            width = width * (1 - 0.3 * np.exp(-(((fraction - 0.52) / 0.09) ** 2)))
            curl = 0.015 + 0.03 * fraction
        case "arm":
            width = width * (1 + 0.12 * bend)
            curl = 0.03 + rng.uniform(0.12, 0.17) * np.exp(-(((fraction - 0.47) / 0.22) ** 2))
        case _:
            curl = 0.02 + rng.uniform(0.03, 0.07) * bend
    return width, curl * (1 - 0.6 * front) * (1 - 0.9 * top**2)
