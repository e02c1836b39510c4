"""Chairs of many kinds."""

from dataclasses import replace

import numpy as np

from get3d_shapes.chair.armchairs import make_armchair
from get3d_shapes.chair.arms import make_arms
from get3d_shapes.chair.backs import make_back
from get3d_shapes.chair.bases import make_base
from get3d_shapes.chair.frame import Frame, draw_frame
from get3d_shapes.chair.seats import make_seat
from get3d_shapes.chair.shells import make_shell
from get3d_shapes.chair.words import armchair_caption, chair_caption
from get3d_shapes.design import Design, Rng
from get3d_shapes.finishes import Fabric, Finish
from get3d_shapes.palettes import draw_plain, draw_wood

__all__ = ["make_chair"]

_ARMCHAIRS, _SHELLS = 0.11, 0.12


def make_chair(rng: Rng) -> Design:
    """Draw a chair."""
    kind = rng.random()
    if kind < _ARMCHAIRS:
        return _armchair(rng)
    frame = draw_frame(rng)
    if kind < _ARMCHAIRS + _SHELLS and frame.base in ("four legs", "star", "pedestal"):
        return _shell_chair(frame, rng)
    parts = make_seat(frame, rng)
    base, legs = make_base(frame, rng)
    parts += base + make_back(frame, rng)
    arms, arm_kind = make_arms(frame, rng)
    return Design(
        tuple(parts + arms),
        _labels(frame.base, legs, frame.back, arm_kind, frame.seat, frame.seat_finish, frame.main),
        chair_caption(frame, legs, arm_kind, is_shell=False),
    )


def _armchair(rng: Rng) -> Design:
    parts, labels, legs, soft = make_armchair(rng)
    return Design(
        tuple(parts),
        _labels("short legs", "short", labels["back"], "padded", "padded", soft, legs),
        armchair_caption(labels["back"], legs, soft),
    )


def _shell_chair(frame: Frame, rng: Rng) -> Design:
    draw = rng.random()
    if draw < 0.3:
        frame = replace(frame, board=frame.soft)
    else:
        board = draw_plain(rng, "plastic") if draw < 0.8 else draw_wood(rng)
        frame = replace(frame, board=board)
    frame = replace(
        frame,
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
    parts, arms = make_shell(frame, rng)
    base, legs = make_base(frame, rng)
    return Design(
        tuple(parts + base),
        _labels(frame.base, legs, "shell", arms, "shell", frame.board, frame.main),
        chair_caption(frame, legs, arms, is_shell=True),
    )


def _labels(
    base: str, legs: str, back: str, arms: str, seat: str, seat_finish: Finish, frame: Finish
) -> dict[str, str]:
    pattern = seat_finish.pattern if isinstance(seat_finish, Fabric) else "plain"
    return {
        "base": base,
        "legs": legs,
        "back": back,
        "arms": arms,
        "seat": seat,
        "seat_material": seat_finish.kind,
        "seat_color": seat_finish.color_name,
        "seat_pattern": "plain" if seat == "woven" else pattern,
        "frame_material": frame.kind,
        "frame_color": frame.color_name,
    }
