"""Vessels: mugs, cups, jugs, teapots, vases, bottles, jars, bowls and goblets."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from get3d_shapes.curves import ellipse, lengths, smooth
from get3d_shapes.design import Design, Part, Rng, article, pair, with_details
from get3d_shapes.finishes import (
    Color,
    Colors,
    Finish,
    Flat,
    Plain,
    blend,
    noise,
    pattern_fraction,
)
from get3d_shapes.palettes import COLORS, contrasting, draw_wood, pick, varied
from get3d_shapes.primitives import lathe, sweep, tube
from get3d_shapes.solids import Solid

Curve = Float[np.ndarray, "rows 2"]

_SEGMENTS = 32
_KINDS = {
    "mug": 0.17, "cup": 0.08, "jug": 0.13, "teapot": 0.1, "vase": 0.17, "bottle": 0.12,
    "jar": 0.08, "bowl": 0.07, "goblet": 0.04, "amphora": 0.04,
}  # fmt: skip
_GRIPS = {  # where handles start and end, as fractions of the height
    "mug": (0.2, 0.82), "cup": (0.3, 0.85), "jug": (0.35, 0.93), "teapot": (0.22, 0.78),
    "amphora": (0.66, 0.9), "vase": (0.45, 0.82), "bowl": (0.55, 0.85),
}  # fmt: skip
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
    """Glazed or printed ware: a ground, a band with a pattern between two lines, a rim."""

    color: Color  # of the ground
    second: Color  # of the pattern, the lines and the rim
    pattern: str  # one of `finishes.PATTERNS`, or "solid": all of the band
    repeat: float  # of the pattern, in metres; fits the round of the vessel
    band: tuple[float, float]  # where the pattern starts and ends along the profile, in metres
    rim: float  # from where on the profile the second colour covers all; infinity for nowhere
    color_name: str  # of the ground
    seed: int = 0  # of unevenness
    kind: Literal["ceramic", "glass"] = "ceramic"  # a label

    def paint(self, flat: Flat, shift: Flat) -> Colors:
        """Compute colours; see `Finish`."""
        s, t = flat.T
        low, high = self.band
        inside = (t > low) & (t < high)
        fraction = inside.astype(float)
        if self.pattern != "solid":
            fraction = np.where(
                inside, pattern_fraction(self.pattern, s, t - low, self.repeat), 0.0
            )
        line = 0.04 * self.repeat + 0.0015
        on_line = (np.abs(t - low) < line) | (np.abs(t - high) < line)
        fraction = np.where((on_line & (high > low)) | (t > self.rim), 1.0, fraction)
        u, v = s * 3 + shift[:, 0], t * 3 + shift[:, 1]
        shade = 1 + 0.025 * noise(u, v, seed=self.seed, grain=0.06)
        return blend(self.color, self.second, fraction) * shade[:, None].astype(np.float32)


@dataclass(frozen=True)
class _Body:
    """A hollow body of revolution."""

    solid: Solid  # the wall and the bottom
    outer: Curve  # outer curve, from the bottom's edge to the rim: (radius, y)
    along: tuple[float, float]  # where the outer curve starts and ends along the profile

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
    kind = pick(rng, list(_KINDS), list(_KINDS.values()))
    body = _body(kind, rng)
    finish, pattern = _finish(kind, body, rng)
    parts = [Part("body", body.solid, finish)]
    plain = finish  # of what is attached: the ground of a pattern
    if isinstance(finish, Glaze):
        plain = Plain(finish.color, finish.kind, finish.color_name, finish.seed)
    handles = _num_handles(kind, rng)
    if handles:
        parts += pair("handle", _handle(kind, body, rng), plain)[:handles]
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
    """Write the caption of a vessel from its labels."""
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
            neck, at = u(0.5, 0.8) * r, u(0.25, 0.45)
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
            points = [(0.8 * r, 0), (r, 0.12 * h), (r * u(1.0, 1.12), 0.5 * h)]
            points += [(0.95 * r, 0.85 * h), (0.72 * r, h)]
        case "bowl":
            r, h = u(0.08, 0.12), u(0.05, 0.09)
            points = [(0.42 * r, 0), (0.44 * r, 0.008), (0.8 * r, 0.4 * h), (r, h)]
        case _:  # goblet
            return _goblet(rng)
    return _hollow(smooth(points, 7))


def _hollow(outer: Curve) -> _Body:
    """Give an outer curve an inner side."""
    wall = 0.006
    tangent = np.gradient(outer, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    inner = outer + np.stack([-tangent[:, 1], tangent[:, 0]], 1) * wall
    inner = inner[(inner[:, 1] > wall * 1.2) & (inner[:, 0] > wall)][::-1]
    return _turn(outer, inner, rim=0.45 * wall, bottom=0.0)


def _goblet(rng: Rng) -> _Body:
    """A cup on a stem and a foot."""
    r, h, stem = rng.uniform(0.035, 0.048), rng.uniform(0.07, 0.1), rng.uniform(0.05, 0.08)
    cup = [(0.007, stem), (0.75 * r, stem + 0.2 * h), (r, stem + 0.55 * h), (0.85 * r, stem + h)]
    foot = np.array([(0.8 * r, 0.0), (0.78 * r, 0.005), (0.2 * r, 0.012), (0.006, 0.02)])
    knob = [(0.006, 0.02), (0.006, 0.4 * stem), (0.012, 0.55 * stem), (0.006, 0.7 * stem)]
    outer, wall = smooth(cup, 7), 0.005
    inner = (outer - np.array([wall, 0]))[outer[:, 0] > 3 * wall][::-1]
    outer = np.concatenate([foot, smooth(knob, 3)[1:], outer])
    return _turn(outer, inner, rim=0.002, bottom=0.001)


def _turn(
    outer: Curve, inner: Float[np.ndarray, "inner_rows 2"], *, rim: float, bottom: float
) -> _Body:
    """Revolve a profile: the outer curve, a rim `rim` higher, the inner curve, a bottom."""
    top = (outer[-1] + inner[0]) / 2 + np.array([0, rim])
    profile = np.concatenate([[[0, 0]], outer, [top], inner, [[0, inner[-1, 1] + bottom]]])
    along = lengths(profile)
    return _Body(lathe(profile, _SEGMENTS), outer, (along[1], along[len(outer)]))


# -- what is attached ------------------------------------------------------------------------------


def _num_handles(kind: str, rng: Rng) -> int:
    """Draw the number of handles."""
    if kind in ("vase", "jar", "bowl"):
        return 2 if rng.random() < 0.15 else 0
    return {"amphora": 2, "bottle": 0, "goblet": 0}.get(kind, 1)


def _handle(kind: str, body: _Body, rng: Rng) -> Solid:
    """Bend a handle from low to high on the side of +x."""
    low, high = _GRIPS.get(kind, (0.45, 0.8))
    h = body.height
    y0, y1 = h * (low + rng.uniform(-0.04, 0.04)), h * (high + rng.uniform(-0.04, 0.03))
    reach = (y1 - y0) * rng.uniform(0.42, 0.62)
    thick = rng.uniform(0.008, 0.012) * (1.3 if kind in ("jug", "teapot", "amphora") else 1.0)
    r0, r1 = body.radius(y0), body.radius(y1)
    square = rng.random() < 0.25
    far = max(r0, r1) + reach
    inside, near = 0.003, far * 0.97
    points = [(r0 - inside, y0), (near, y0 + (0.02 if square else 0.12) * (y1 - y0))]
    points += [(far, (y0 + y1) / 2), (near, y1 - (0.02 if square else 0.1) * (y1 - y0))]
    path = _path([*points, (r1 - inside, y1)])
    section = ellipse(thick * rng.uniform(1.3, 2.2), thick, 12)
    return sweep(path, section, up=(0.0, 0.0, 1.0))


def _path(points: list[tuple[float, float]]) -> Float[np.ndarray, "n 3"]:
    """Compute a smooth curve through points of the plane z = 0."""
    return np.pad(smooth(points, 6), ((0, 0), (0, 1)))


def _spout(body: _Body, rng: Rng) -> Solid:
    """A bent tube on the side of -x, thick at its foot."""
    h = body.height
    y0, y1 = 0.35 * h, h * rng.uniform(0.95, 1.1)
    r0 = body.radius(y0)
    far = body.radius(0.5 * h) + rng.uniform(0.05, 0.07)
    points = [(r0 - 0.012, y0), (r0 + 0.022, y0 + 0.12 * h), (far - 0.02, 0.7 * y1), (far, y1)]
    path = _path([(-x, y) for x, y in points])
    return tube(path, np.linspace(0.018, 0.0075, len(path)), segments=14)


def _lip(body: _Body, rng: Rng) -> Solid:
    """Pull the rim out to a lip on the side of -x."""
    h, reach = body.height, rng.uniform(0.018, 0.03)

    def pull(verts: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        angle = np.arctan2(verts[:, 2], -verts[:, 0])
        fraction = np.clip((verts[:, 1] / h - 0.72) / 0.28, 0, 1.05) ** 2
        fraction = fraction * np.exp(-((angle / 0.42) ** 2))
        fraction = fraction * np.clip(np.hypot(verts[:, 0], verts[:, 2]) / 0.02, 0, 1)
        return verts + fraction[:, None] * np.array([-reach, 0.25 * reach, 0.0])

    return body.solid.warped(pull)


def _closure(kind: str, body: _Body, rng: Rng, plain: Finish) -> list[Part]:
    """A lid, a cork or a cap."""
    r, h = float(body.outer[-1, 0]), body.height
    if kind == "teapot" or (kind == "jar" and rng.random() < 0.75):
        rise, knob = rng.uniform(0.012, 0.03), rng.uniform(0.008, 0.012)
        top = h + rise * 1.2
        curve = [
            (0.0, h - 0.004),
            (r * 1.03, h - 0.004),
            (r * 0.95, h + 0.006),
            (r * 0.5, h + rise),
        ]
        curve += [(0.5 * knob, top), (0.5 * knob, top + 0.004), (knob, top + 0.011)]
        curve += [(0.7 * knob, top + 0.019), (0.0, top + 0.021)]
        finish = plain if kind == "teapot" or rng.random() < 0.6 else draw_wood(rng)
        return [Part("lid", lathe(np.array(curve), _SEGMENTS), finish)]
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
    """Draw the finish of the body, and the name of its pattern."""
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
    patterns = ["plain", "stripes", "checks", "dots", "zigzag", "diamonds", "bands"]
    pattern = pick(rng, patterns, [0.27, 0.14, 0.08, 0.14, 0.12, 0.1, 0.15])
    start, end = body.along
    run = end - start
    low = start + run * rng.uniform(0.15, 0.4)
    band = (low, low + run * rng.uniform(0.25, 0.45)) if pattern != "plain" else (0.0, -1.0)
    around = 2 * np.pi * float(body.outer[:, 0].max())
    repeat = around / int(rng.integers(8, 16))
    rim = end - run * 0.06 if rng.random() < 0.4 else float("inf")
    ground, second = varied(rng, COLORS[name]), varied(rng, COLORS[partner])
    printed = "solid" if pattern == "bands" else pattern
    return Glaze(ground, second, printed, repeat, band, rim, name, seed), pattern


def _labelled(body: _Body, rng: Rng, color: Color, name: str, seed: int) -> Glaze:
    """Paper around a bottle."""
    start, end = body.along
    run = end - start
    paper = varied(rng, COLORS[pick(rng, ["white", "cream", "red", "yellow", "black", "navy"])])
    band = (start + 0.12 * run, start + rng.uniform(0.36, 0.46) * run)
    rim = start + 0.9 * run if rng.random() < 0.4 else float("inf")
    return Glaze(color, paper, "solid", 0.02, band, rim, name, seed, kind="glass")
