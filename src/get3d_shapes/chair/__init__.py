"""Chairs of many kinds."""

from get3d_shapes.chair.armchairs import make_armchair
from get3d_shapes.chair.arms import make_arms
from get3d_shapes.chair.backs import make_back
from get3d_shapes.chair.bases import make_base
from get3d_shapes.chair.frame import draw_frame
from get3d_shapes.chair.seats import make_seat
from get3d_shapes.chair.shells import make_shell_chair
from get3d_shapes.chair.words import chair_caption, chair_labels
from get3d_shapes.design import Design, Rng

__all__ = ["make_chair"]

_ARMCHAIRS, _SHELLS = 0.11, 0.12


def make_chair(rng: Rng) -> Design:
    """Draw a chair."""
    kind = rng.random()
    if kind < _ARMCHAIRS:
        return make_armchair(rng)
    frame = draw_frame(rng)
    if kind < _ARMCHAIRS + _SHELLS and frame.base in ("four legs", "star", "pedestal"):
        return make_shell_chair(frame, rng)
    parts = make_seat(frame, rng)
    base, legs = make_base(frame, rng)
    parts += base + make_back(frame, rng)
    arms, arm_kind = make_arms(frame, rng)
    seat = frame.board if frame.seat in ("hard", "slatted") else frame.soft
    labels = chair_labels(frame.base, legs, frame.back, arm_kind, frame.seat, seat, frame.main)
    return Design(tuple(parts + arms), labels, chair_caption(frame, legs, arm_kind))
