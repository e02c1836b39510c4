"""Properties that all parts of a chair share: proportions, finishes, position of the back."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from get3d_shapes.curves import Number, Outline, ellipse, rectangle
from get3d_shapes.design import Rng
from get3d_shapes.finishes import Fabric, Finish
from get3d_shapes.palettes import draw_fabric, draw_leather, draw_metal, draw_plain, draw_wood, pick
from get3d_shapes.solids import Solid

_BASES = {
    "four legs": 0.50, "crossed legs": 0.04, "star": 0.12, "pedestal": 0.08, "cantilever": 0.09,
    "sled": 0.08, "rockers": 0.09,
}  # fmt: skip
_BACKS = {
    "panel": 0.09, "window": 0.1, "split": 0.07, "slats": 0.16, "ladder": 0.16, "spindles": 0.13,
    "hoop": 0.11, "cross": 0.08, "splat": 0.09, "lattice": 0.05,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Proportions in metres, and finishes."""

    base: str  # kind of base
    back: str  # kind of back
    seat: str  # hard, slatted, woven, padded or cushion
    seat_shape: str  # square, round or trapezoid
    width: float  # of the seat
    depth: float  # of the seat
    height: float  # of the top of the seat's board, without a cushion
    seat_thickness: float  # of the board, or of the pad
    pad: float  # thickness of a cushion that lies on the board
    corner_radius: float  # of the seat
    lean_rad: float  # how far the back leans
    back_width: float  # across
    back_height: float  # along the back, from the seat's top
    back_z: float  # where the back meets the seat
    curve: float  # how far the back's middle lies behind its sides
    leg_size: float  # thickness of legs
    post_size: float  # thickness of the back's posts
    main: Finish  # finish of legs and posts
    board: Finish  # finish of hard seats and of panels
    soft: Finish  # finish of cushions and upholstery
    leg_inset: float = 1.0  # where legs meet the seat; 1: at its corners

    @property
    def under(self) -> float:
        """Height of the seat's underside."""
        return self.height - self.seat_thickness

    @property
    def grip(self) -> float:
        """Height up to which legs reach into the seat; pads are round below."""
        return self.under + (0.3 if self.seat in ("padded", "woven") else 0.4) * self.seat_thickness

    @property
    def top(self) -> float:
        """Height of the seat's upper side."""
        return self.height + self.pad

    @property
    def is_metal(self) -> bool:
        """Whether legs and posts are metal tubes."""
        return self.main.kind == "metal"

    def outline(self) -> Outline:
        """Outline of the seat seen from above, its front at the bottom."""
        if self.seat_shape == "round":
            return ellipse(self.width, self.depth, 28)
        outline = rectangle(self.width, self.depth, self.corner_radius, 4)
        if self.seat_shape == "trapezoid":
            narrower = 1 - 0.2 * (outline[:, 1] / self.depth + 0.5)
            outline = outline * np.stack([narrower, np.ones(len(outline))], 1)
        return outline

    def corner(self, across: Number, ahead: Number) -> tuple[float, float]:
        """Return x and z of a point of the seat.

        Args:
            across: Fraction of half the width.
            ahead: Fraction of half the depth; positive: towards the front.
        """
        inner = 0.64 if self.seat_shape == "round" else 1.0
        x, z = across * self.width / 2 * inner, ahead * self.depth / 2 * inner
        if self.seat_shape == "trapezoid":
            x *= 1 - 0.2 * (0.5 - ahead / 2)
        return x, z

    def on_back(self, solid: Solid, lift: float = 0.0) -> Solid:
        """Bend, lean and place an upright solid at the origin as part of the back."""
        half = self.back_width / 2

        def bend(verts: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
            depth = self.curve * ((verts[:, 0] / half) ** 2 - 1)
            return np.stack([verts[:, 0], verts[:, 1] + lift, verts[:, 2] + depth], 1)

        leant = solid.warped(bend).turned("x", -self.lean_rad)
        return leant.moved(0, self.height, self.back_z)

    def back_point(self, x: float, y: float) -> tuple[float, float, float]:
        """Return the position on the chair of a point of the upright back."""
        depth = self.curve * ((x / (self.back_width / 2)) ** 2 - 1)
        cos, sin = np.cos(self.lean_rad), np.sin(self.lean_rad)
        height = float(self.height + y * cos + depth * sin)
        return x, height, float(self.back_z + depth * cos - y * sin)


def draw_frame(rng: Rng) -> Frame:
    """Draw the proportions of a chair with a seat, a base and a back."""
    base = pick(rng, list(_BASES), list(_BASES.values()))
    main = _draw_main(rng, base)
    is_wooden = main.kind in ("wood", "painted wood")
    board = main
    if not is_wooden:
        board = draw_plain(rng, "plastic") if rng.random() < 0.6 else draw_wood(rng)
    soft = draw_leather(rng) if rng.random() < 0.25 else draw_fabric(rng)
    seat = _draw_seat(rng, base, is_wooden=is_wooden)
    back = _draw_back(rng, base, seat)
    seat_shape = pick(rng, ["square", "trapezoid", "round"], [0.5, 0.32, 0.18])
    if seat == "slatted" or (base == "sled" and seat_shape == "round"):
        seat_shape = "square"
    is_bar = base in ("four legs", "sled", "pedestal") and rng.random() < 0.09
    width, depth = rng.uniform(0.40, 0.53), rng.uniform(0.40, 0.51)
    if seat == "woven":
        soft = _rush(rng)
    padded, hard = rng.uniform(0.06, 0.105), rng.uniform(0.024, 0.042)
    fraction = {"square": 0.97, "trapezoid": 0.8, "round": 0.8}[seat_shape]
    back_width = width * fraction
    curve = rng.uniform(0.0, 0.05) if rng.random() < 0.7 else 0.0
    post_size = rng.uniform(0.026, 0.034) if not is_wooden else rng.uniform(0.032, 0.044)
    back_z = -depth / 2 + post_size * 0.62
    if seat_shape == "round":  # the back follows the rim
        curve = depth / 2 * (1 - np.sqrt(1 - fraction**2)) * 0.92
    back_z += curve if seat_shape == "round" else 0.85 * curve
    return Frame(
        base=base,
        back=back,
        seat=seat,
        seat_shape=seat_shape,
        width=width,
        depth=depth,
        height=rng.uniform(0.60, 0.74) if is_bar else rng.uniform(0.41, 0.48),
        seat_thickness={"padded": padded, "woven": 0.05}.get(seat, hard),
        pad=rng.uniform(0.035, 0.065) if seat == "cushion" else 0.0,
        corner_radius=rng.uniform(0.02, 0.11),
        lean_rad=np.radians(rng.uniform(3, 15)),
        back_width=back_width,
        back_height=rng.uniform(0.22, 0.36) if is_bar else rng.uniform(0.36, 0.62),
        back_z=back_z,
        curve=curve,
        leg_size=rng.uniform(0.035, 0.055) if is_wooden else rng.uniform(0.025, 0.033),
        post_size=post_size,
        main=main,
        board=board,
        soft=soft,
    )


def _draw_main(rng: Rng, base: str) -> Finish:
    """Draw the finish of legs and posts: metal where only metal holds."""
    fractions = {"star": 0.0, "cantilever": 0.0, "pedestal": 0.3, "sled": 0.5, "four legs": 0.85}
    if rng.random() >= fractions.get(base, 1.0):
        return draw_metal(rng)
    return draw_wood(rng) if rng.random() < 0.72 else draw_plain(rng, "painted wood")


def _draw_seat(rng: Rng, base: str, *, is_wooden: bool) -> str:
    """Draw the kind of the seat."""
    if base in ("star", "cantilever"):
        return pick(rng, ["padded", "hard"], [0.75, 0.25])
    if not is_wooden:
        return pick(rng, ["padded", "hard", "cushion"], [0.5, 0.35, 0.15])
    fractions = [0.32, 0.32, 0.22, 0.08, 0.0 if base == "pedestal" else 0.06]
    return pick(rng, ["hard", "padded", "cushion", "woven", "slatted"], fractions)


def _draw_back(rng: Rng, base: str, seat: str) -> str:
    """Draw the kind of the back."""
    if seat in ("padded", "cushion") and rng.random() < 0.42:
        return "upholstered"
    if base in ("star", "cantilever", "pedestal"):
        return pick(rng, ["panel", "window", "split", "ladder"], [0.4, 0.3, 0.2, 0.1])
    return pick(rng, list(_BACKS), list(_BACKS.values()))


def _rush(rng: Rng) -> Fabric:
    """Draw a woven rush seat."""
    tone = rng.uniform(0.92, 1.05)
    light, dark = (0.80 * tone, 0.68 * tone, 0.44 * tone), (0.62 * tone, 0.49 * tone, 0.29 * tone)
    return Fabric(light, dark, "stripes", 0.028, "straw", int(rng.integers(1 << 16)), kind="rush")
