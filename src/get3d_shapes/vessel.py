"""Vessels: mugs, cups, jugs, teapots, vases, bottles, jars, bowls and goblets."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from get3d_shapes.curves import ellipse, lengths, smooth
from get3d_shapes.design import Design, Part, Rng, article, with_details
from get3d_shapes.finishes import (
    Color,
    Colors,
    Finish,
    Flat,
    Plain,
    mix,
    noise,
    pattern_share,
)
from get3d_shapes.palettes import COLORS, contrasting, draw_wood, pick, varied
from get3d_shapes.primitives import lathe, sweep, tube
from get3d_shapes.solids import Solid

Curve = Float[np.ndarray, "rows 2"]

_SEGMENTS = 32
_KINDS = ("mug", "cup", "jug", "teapot", "vase", "bottle", "jar", "bowl", "goblet", "amphora")
_SHARES = (0.17, 0.08, 0.13, 0.1, 0.17, 0.12, 0.08, 0.07, 0.04, 0.04)
_PATTERN_WORDS = {
    "stripes": "stripes",
    "checks": "a checked band",
    "dots": "dots",
    "zigzag": "a zigzag band",
    "diamonds": "diamonds",
    "bands": "a broad band",
    "label": "a label",
}
_GLASS: dict[str, Color] = {
    "green glass": (0.13, 0.36, 0.20),
    "brown glass": (0.36, 0.19, 0.08),
    "blue glass": (0.16, 0.36, 0.62),
    "clear glass": (0.70, 0.80, 0.82),
}
_METALS: dict[str, Color] = {
    "copper": (0.76, 0.44, 0.28),
    "brass": (0.80, 0.64, 0.32),
    "pewter": (0.55, 0.57, 0.58),
}


@dataclass(frozen=True)
class Glaze:
    """Glazed or printed ware: a ground, a band with a pattern between two lines, a rim.

    Attributes:
        color: Of the ground.
        second: Of the pattern, the lines and the rim.
        pattern: One of `finishes.PATTERNS`, or "solid": all of the band.
        repeat: Of the pattern, in metres; fits the round of the vessel.
        band: Where the pattern starts and ends along the profile, in metres.
        rim: From where on the profile the second colour covers all; infinity for nowhere.
        color_name: Of the ground.
        seed: Of unevenness.
        kind: A label.
    """

    color: Color
    second: Color
    pattern: str
    repeat: float
    band: tuple[float, float]
    rim: float
    color_name: str
    seed: int = 0
    kind: str = "ceramic"

    def paint(self, flat: Flat, shift: Flat) -> Colors:
        """Colour points; see `Finish`."""
        s, t = flat.T
        low, high = self.band
        inside = (t > low) & (t < high)
        if self.pattern == "solid":
            share = inside.astype(float)
        else:
            share = np.where(inside, pattern_share(self.pattern, s, t - low, self.repeat), 0.0)
        line = 0.04 * self.repeat + 0.0015
        on_line = (np.abs(t - low) < line) | (np.abs(t - high) < line)
        share = np.where((on_line & (high > low)) | (t > self.rim), 1.0, share)
        shade = 1 + 0.025 * noise(
            s * 3 + shift[:, 0], t * 3 + shift[:, 1], seed=self.seed, grain=0.06
        )
        return mix(self.color, self.second, share) * shade[:, None].astype(np.float32)


@dataclass(frozen=True)
class _Body:
    """A hollow body of revolution.

    Attributes:
        solid: The wall and the bottom.
        outer: Outer curve, from the bottom's edge to the rim: (radius, y).
        along: Length along the whole profile where the outer curve starts and ends.
    """

    solid: Solid
    outer: Curve
    along: tuple[float, float]

    def radius(self, y: float) -> float:
        """Outer radius at a height."""
        order = np.argsort(self.outer[:, 1], kind="stable")
        return float(np.interp(y, self.outer[order, 1], self.outer[order, 0]))

    @property
    def height(self) -> float:
        """Height of the rim."""
        return float(self.outer[-1, 1])


def make_vessel(rng: Rng) -> Design:
    """Draw a vessel."""
    kind = pick(rng, _KINDS, _SHARES)
    body = _body(kind, rng)
    finish, pattern = _finish(kind, body, rng)
    parts = [Part("body", body.solid, finish)]
    plain = _plain_of(finish)
    handles = _handles(kind, rng)
    if handles:
        handle = _handle(kind, body, rng)
        both = [handle, handle.mirrored()]
        parts += [Part("handle", solid, plain) for solid in both[:handles]]
    spout = "none"
    if kind == "teapot" or (kind == "jug" and rng.random() < 0.25):
        spout = "tube"
        parts.append(Part("spout", _spout(body, rng), plain))
    elif kind == "jug":
        spout = "lip"
        parts[0] = Part("body", _lip(body, rng), finish)
    closure = _closure(kind, body, rng, plain)
    parts += closure
    labels = {
        "kind": kind,
        "handles": str(handles),
        "spout": spout,
        "closure": closure[0].name if closure else "none",
        "material": finish.kind,
        "color": finish.color_name,
        "pattern": pattern,
    }
    return Design(tuple(parts), labels, _caption(labels))


def _caption(labels: dict[str, str]) -> str:
    material = {"wood": " wood", "ceramic": " ceramic"}.get(labels["material"], "")
    details = []
    if labels["handles"] != "0":
        details.append("a handle" if labels["handles"] == "1" else "two handles")
    if labels["spout"] != "none":
        details.append("a spout" if labels["spout"] == "tube" else "a lip")
    if labels["closure"] != "none":
        details.append(f"a {labels['closure']}")
    if labels["pattern"] != "plain":
        details.append(_PATTERN_WORDS[labels["pattern"]])
    return with_details(f"{article(labels['color'])}{material} {labels['kind']}", details)


# -- bodies ----------------------------------------------------------------------------------------


def _body(kind: str, rng: Rng) -> _Body:
    """Draw the body's profile: control points (radius, y) of its outer side, in metres."""
    u = rng.uniform
    wall = 0.006
    match kind:
        case "mug":
            r, h = u(0.038, 0.05), u(0.085, 0.115)
            belly, foot = u(0.93, 1.12), u(0.72, 1.0)
            points = [(foot * r, 0), (r * belly, 0.35 * h), (r, 0.75 * h), (r * u(0.97, 1.08), h)]
        case "cup":
            r, h = u(0.045, 0.06), u(0.06, 0.075)
            points = [(0.5 * r, 0), (0.52 * r, 0.006), (0.85 * r, 0.4 * h), (r, h)]
        case "jug":
            r, h = u(0.055, 0.075), u(0.17, 0.24)
            neck = u(0.5, 0.8) * r
            at = u(0.25, 0.45)
            points = [(0.7 * r, 0), (r, at * h), (neck, 0.78 * h), (neck * u(1.05, 1.35), h)]
        case "teapot":
            r, h = u(0.07, 0.09), u(0.09, 0.14)
            points = [(0.6 * r, 0), (r, u(0.35, 0.5) * h), (0.85 * r, 0.78 * h), (0.45 * r, h)]
        case "vase" | "amphora":
            r, h = u(0.05, 0.085), u(0.2, 0.34)
            neck, at = u(0.3, 0.75) * r, u(0.3, 0.62)
            if kind == "amphora":
                points = [(0.35 * r, 0), (0.4 * r, 0.02), (r, 0.62 * h), (0.38 * r, 0.85 * h)]
                points.append((0.5 * r, h))
            else:
                flare = neck * u(1.1, 1.9)
                points = [(u(0.45, 0.8) * r, 0), (r, at * h), (neck, u(0.76, 0.86) * h), (flare, h)]
        case "bottle":
            r, h = u(0.035, 0.048), u(0.24, 0.32)
            shoulder, neck = u(0.5, 0.66), u(0.3, 0.4)
            points = [(0.96 * r, 0), (r, 0.02), (r, 0.3 * h), (r, shoulder * h)]
            points += [(neck * r, (shoulder + 0.16) * h), (neck * r, 0.9 * h), (neck * r * 1.12, h)]
        case "jar":
            r, h = u(0.05, 0.07), u(0.1, 0.17)
            points = [
                (0.8 * r, 0),
                (r, 0.12 * h),
                (r * u(1.0, 1.12), 0.5 * h),
                (0.95 * r, 0.85 * h),
            ]
            points.append((0.72 * r, h))
        case "bowl":
            r, h = u(0.08, 0.12), u(0.05, 0.09)
            points = [(0.42 * r, 0), (0.44 * r, 0.008), (0.8 * r, 0.4 * h), (r, h)]
        case _:  # goblet
            return _goblet(rng)
    return _hollow(smooth(points, 7), wall)


def _hollow(outer: Curve, wall: float) -> _Body:
    """Give an outer curve an inner side, a bottom and a round rim."""
    tangent = np.gradient(outer, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    inner = outer + np.stack([-tangent[:, 1], tangent[:, 0]], 1) * wall
    inner = inner[(inner[:, 1] > wall * 1.2) & (inner[:, 0] > wall)][::-1]
    rim = (outer[-1] + inner[0]) / 2 + np.array([0, 0.45 * wall])
    profile = np.concatenate([[[0, 0]], outer, [rim], inner, [[0, inner[-1, 1]]]])
    along = lengths(profile)
    return _Body(lathe(profile, _SEGMENTS), outer, (along[1], along[len(outer)]))


def _goblet(rng: Rng) -> _Body:
    """A cup on a stem and a foot."""
    r, h, stem = rng.uniform(0.035, 0.048), rng.uniform(0.07, 0.1), rng.uniform(0.05, 0.08)
    cup = smooth(
        [(0.007, stem), (0.75 * r, stem + 0.2 * h), (r, stem + 0.55 * h), (0.85 * r, stem + h)], 7
    )
    foot = np.array([(0.8 * r, 0.0), (0.78 * r, 0.005), (0.2 * r, 0.012), (0.006, 0.02)])
    knob = smooth(
        [(0.006, 0.02), (0.006, 0.4 * stem), (0.012, 0.55 * stem), (0.006, 0.7 * stem)], 3
    )
    outer = np.concatenate([foot, knob[1:], cup])
    wall = 0.005
    inner = (cup - np.array([wall, 0]))[cup[:, 0] > 3 * wall][::-1]
    rim = (outer[-1] + inner[0]) / 2 + np.array([0, 0.002])
    bottom = [[0, inner[-1, 1] + 0.001]]
    profile = np.concatenate([[[0, 0]], outer, [rim], inner, bottom])
    along = lengths(profile)
    return _Body(lathe(profile, _SEGMENTS), outer, (along[1], along[len(outer)]))


# -- what is attached ------------------------------------------------------------------------------


def _handles(kind: str, rng: Rng) -> int:
    match kind:
        case "mug" | "cup" | "jug" | "teapot":
            return 1
        case "amphora":
            return 2
        case "vase" | "jar" | "bowl":
            return 2 if rng.random() < 0.15 else 0
    return 0


def _handle(kind: str, body: _Body, rng: Rng) -> Solid:
    """Bend a handle from low to high on the side of +x."""
    low, high = {
        "mug": (0.2, 0.82),
        "cup": (0.3, 0.85),
        "jug": (0.35, 0.93),
        "teapot": (0.22, 0.78),
        "amphora": (0.66, 0.9),
        "vase": (0.45, 0.82),
        "bowl": (0.55, 0.85),
    }.get(kind, (0.45, 0.8))
    h = body.height
    y0, y1 = h * (low + rng.uniform(-0.04, 0.04)), h * (high + rng.uniform(-0.04, 0.03))
    reach = (y1 - y0) * rng.uniform(0.42, 0.62)
    thick = rng.uniform(0.008, 0.012) * (1.3 if kind in ("jug", "teapot", "amphora") else 1.0)
    r0, r1 = body.radius(y0), body.radius(y1)
    square = rng.random() < 0.25
    far = max(r0, r1) + reach
    inside = 0.003
    points = [(r0 - inside, y0), (far * 0.97, y0 + (0.02 if square else 0.12) * (y1 - y0))]
    points += [(far, (y0 + y1) / 2), (far * 0.97, y1 - (0.02 if square else 0.1) * (y1 - y0))]
    points.append((r1 - inside, y1))
    curve = smooth(points, 6)
    path = np.stack([curve[:, 0], curve[:, 1], np.zeros(len(curve))], 1)
    section = ellipse(thick * rng.uniform(1.3, 2.2), thick, 12)
    return sweep(path, section, up=(0.0, 0.0, 1.0))


def _spout(body: _Body, rng: Rng) -> Solid:
    """A bent tube on the side of -x, thick at its foot."""
    h = body.height
    y0, y1 = 0.35 * h, h * rng.uniform(0.95, 1.1)
    r0 = body.radius(y0)
    far = body.radius(0.5 * h) + rng.uniform(0.05, 0.07)
    curve = smooth(
        [(r0 - 0.012, y0), (r0 + 0.022, y0 + 0.12 * h), (far - 0.02, 0.7 * y1), (far, y1)], 6
    )
    path = np.stack([-curve[:, 0], curve[:, 1], np.zeros(len(curve))], 1)
    return tube(path, np.linspace(0.018, 0.0075, len(path)), segments=14)


def _lip(body: _Body, rng: Rng) -> Solid:
    """Pull the rim out to a lip on the side of -x."""
    h, reach = body.height, rng.uniform(0.018, 0.03)

    def pull(verts: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        angle = np.arctan2(verts[:, 2], -verts[:, 0])
        share = np.clip((verts[:, 1] / h - 0.72) / 0.28, 0, 1.05) ** 2 * np.exp(
            -((angle / 0.42) ** 2)
        )
        radius = np.hypot(verts[:, 0], verts[:, 2])
        share = share * np.clip(radius / 0.02, 0, 1)
        return verts + share[:, None] * np.array([-reach, 0.25 * reach, 0.0])

    return body.solid.warped(pull)


def _closure(kind: str, body: _Body, rng: Rng, plain: Finish) -> list[Part]:
    """A lid, a cork or a cap."""
    r, h = float(body.outer[-1, 0]), body.height
    if kind == "teapot" or (kind == "jar" and rng.random() < 0.75):
        rise = rng.uniform(0.012, 0.03)
        knob = rng.uniform(0.008, 0.012)
        curve = [
            (r * 1.03, h - 0.004),
            (r * 0.95, h + 0.006),
            (r * 0.5, h + rise),
            (0.5 * knob, h + rise * 1.2),
        ]
        top = [(0.5 * knob, h + rise * 1.2 + 0.004), (knob, h + rise * 1.2 + 0.011)]
        top += [(0.7 * knob, h + rise * 1.2 + 0.019), (0.0, h + rise * 1.2 + 0.021)]
        finish = plain if kind == "teapot" or rng.random() < 0.6 else draw_wood(rng)
        return [Part("lid", lathe(np.array([(0.0, h - 0.004), *curve, *top]), _SEGMENTS), finish)]
    if kind == "bottle" and rng.random() < 0.7:
        if rng.random() < 0.5:
            cork = np.array([(r * 0.88, h - 0.02), (r * 0.92, h + 0.014)])
            return [Part("cork", lathe(cork, 16), Plain((0.72, 0.55, 0.36), "rubber", "cork"))]
        cap = np.array([(r * 1.12, h - 0.018), (r * 1.12, h + 0.006), (r, h + 0.009)])
        name = pick(rng, ["black", "red", "white", "blue"])
        return [Part("cap", lathe(cap, 16), Plain(COLORS[name], "plastic", name))]
    return []


# -- finishes --------------------------------------------------------------------------------------


def _finish(kind: str, body: _Body, rng: Rng) -> tuple[Finish, str]:
    """Draw what covers the body, and the name of its pattern."""
    seed = int(rng.integers(1 << 16))
    if kind in ("bottle", "goblet") and rng.random() < 0.75:
        name = pick(rng, list(_GLASS))
        if kind == "bottle" and rng.random() < 0.7:
            return _labelled(body, rng, _GLASS[name], name, seed), "label"
        return Plain(varied(rng, _GLASS[name]), "glass", name, seed), "plain"
    if kind in ("jug", "goblet", "teapot", "amphora", "mug") and rng.random() < 0.14:
        name = pick(rng, list(_METALS))
        return Plain(_METALS[name], "metal", name, seed), "plain"
    if kind == "bowl" and rng.random() < 0.3:
        return draw_wood(rng), "plain"
    name = pick(rng, list(COLORS))
    partner = pick(rng, contrasting(name, 0.35))
    pattern: str = pick(
        rng,
        ["plain", "stripes", "checks", "dots", "zigzag", "diamonds", "bands"],
        [0.27, 0.14, 0.08, 0.14, 0.12, 0.1, 0.15],
    )
    start, end = body.along
    run = end - start
    low = start + run * rng.uniform(0.15, 0.4)
    band = (low, low + run * rng.uniform(0.25, 0.45)) if pattern != "plain" else (0.0, -1.0)
    around = 2 * np.pi * float(body.outer[:, 0].max())
    repeat = around / int(rng.integers(8, 16))
    rim = end - run * 0.06 if rng.random() < 0.4 else float("inf")
    glaze = Glaze(
        varied(rng, COLORS[name]),
        varied(rng, COLORS[partner]),
        "solid" if pattern == "bands" else pattern,
        repeat,
        band,
        rim,
        name,
        seed,
    )
    return glaze, pattern


def _labelled(body: _Body, rng: Rng, color: Color, name: str, seed: int) -> Glaze:
    """Paper around a bottle."""
    start, end = body.along
    run = end - start
    paper = varied(rng, COLORS[pick(rng, ["white", "cream", "red", "yellow", "black", "navy"])])
    band = (start + 0.12 * run, start + rng.uniform(0.36, 0.46) * run)
    rim = start + 0.9 * run if rng.random() < 0.4 else float("inf")
    return Glaze(color, paper, "solid", 0.02, band, rim, name, seed, kind="glass")


def _plain_of(finish: Finish) -> Finish:
    """Choose what handles are covered with: the ground of a pattern."""
    if isinstance(finish, Glaze):
        kind: Literal["glass", "ceramic"] = "glass" if finish.kind == "glass" else "ceramic"
        return Plain(finish.color, kind, finish.color_name, finish.seed)
    return finish
