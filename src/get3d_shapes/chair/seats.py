"""Seats of chairs."""

import numpy as np

from get3d_shapes.chair.frame import Frame
from get3d_shapes.curves import inset
from get3d_shapes.design import Part, Rng
from get3d_shapes.primitives import bar, box, plate


def make_seat(frame: Frame, rng: Rng) -> list[Part]:
    """Make the seat, and the cushion on it."""
    outline, thickness = frame.outline(), frame.seat_thickness
    match frame.seat:
        case "padded":
            pad = plate(outline, thickness, bevel=0.42 * thickness, rounds=3, crown=0.012)
            return [Part("seat", pad.moved(0, frame.under, 0), frame.soft)]
        case "woven":
            mat = plate(inset(outline, 0.008), thickness, bevel=0.02, rounds=2, crown=-0.008)
            return [Part("seat", mat.moved(0, frame.under, 0), frame.soft)]
        case "slatted":
            return _slatted(frame, rng)
    dish = -rng.uniform(0.004, 0.012) if frame.seat == "hard" and rng.random() < 0.6 else 0.0
    seat = plate(outline, thickness, bevel=0.009, rounds=2, crown=dish)
    parts = [Part("seat", seat.moved(0, frame.under, 0), frame.board)]
    if frame.seat == "cushion":
        cushion = plate(
            inset(outline, 0.014), frame.pad + 0.01, bevel=0.45 * frame.pad, rounds=3, crown=0.014
        )
        parts.append(Part("cushion", cushion.moved(0, frame.height - 0.01, 0), frame.soft))
    return parts


def _slatted(frame: Frame, rng: Rng) -> list[Part]:
    """Lay boards across two rails."""
    number = int(rng.integers(4, 7))
    pitch = (frame.depth + 0.02) / number
    slat = box(frame.width, 0.022, pitch - 0.022, 0.004)
    places = (np.arange(number) + 0.5) * pitch - (frame.depth + 0.02) / 2
    slats = [Part("seat", slat.moved(0, frame.height - 0.022, z), frame.board) for z in places]
    x, y = frame.width / 2 - 0.03, frame.under - 0.002
    rail = bar((x, y, -frame.depth / 2 + 0.004), (x, y, frame.depth / 2 - 0.004), (0.035, 0.05))
    return [*slats, Part("rail", rail, frame.main), Part("rail", rail.mirrored(), frame.main)]
