"""Road vehicles: saloons, hatchbacks, sports cars, off-roaders, vans, pickups, lorries, buses.

A vehicle is drawn from the side, as outlines of (z, y) in metres with the front at large z, and
extruded across; upper parts lean inwards.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from get3d_shapes.curves import Outline, counter_clockwise, inset, rounded, subdivided
from get3d_shapes.design import Design, Part, Rng, article, pair, with_details
from get3d_shapes.finishes import Banded, Color, Decal, Finish, Plain
from get3d_shapes.palettes import COLORS, pick, varied
from get3d_shapes.primitives import box, lathe, panel
from get3d_shapes.solids import Solid

Verts = Float[np.ndarray, "n 3"]
_KINDS = {
    "saloon": 0.17, "hatchback": 0.16, "estate": 0.1, "sports car": 0.12, "off-roader": 0.13,
    "van": 0.1, "pickup": 0.09, "lorry": 0.07, "bus": 0.06,
}  # fmt: skip
_SIZES = {  # ranges in metres: length, width, height, waist, floor, radius of the wheels
    "saloon": ((4.3, 5.0), (1.72, 1.9), (1.38, 1.5), (0.88, 0.96), (0.2, 0.26), (0.31, 0.36)),
    "hatchback": ((3.3, 4.1), (1.6, 1.78), (1.42, 1.58), (0.9, 1.0), (0.2, 0.26), (0.29, 0.34)),
    "estate": ((4.4, 4.9), (1.72, 1.88), (1.42, 1.55), (0.9, 0.98), (0.2, 0.27), (0.31, 0.36)),
    "sports car": ((3.9, 4.5), (1.75, 1.98), (1.12, 1.26), (0.76, 0.84), (0.14, 0.2), (0.32, 0.38)),
    "off-roader": ((3.7, 4.6), (1.75, 1.95), (1.7, 1.95), (1.08, 1.22), (0.36, 0.48), (0.38, 0.46)),
    "van": ((4.4, 5.4), (1.8, 2.0), (1.9, 2.4), (1.1, 1.25), (0.24, 0.32), (0.33, 0.38)),
    "pickup": ((4.7, 5.4), (1.8, 2.0), (1.65, 1.85), (1.02, 1.12), (0.34, 0.46), (0.38, 0.45)),
    "lorry": ((5.6, 7.2), (2.1, 2.4), (2.3, 2.7), (1.35, 1.55), (0.5, 0.6), (0.45, 0.52)),
    "bus": ((7.5, 9.5), (2.3, 2.5), (2.7, 3.1), (1.35, 1.55), (0.34, 0.42), (0.46, 0.52)),
}
_Range = tuple[float, float] | float
_SIDES: dict[str, tuple[_Range, ...]] = {
    # drops from the waist at nose and tail; z of hood, boot, front and rear of roof in half lengths
    "saloon": ((0.1, 0.2), (0.0, 0.07), (0.3, 0.38), (0.62, 0.7), (-0.02, 0.06), (0.34, 0.44)),
    "hatchback": ((0.08, 0.18), 0, (0.36, 0.46), 0.97, (0.0, 0.1), (0.6, 0.78)),
    "estate": ((0.1, 0.18), 0, (0.32, 0.4), 0.98, (0.0, 0.06), (0.8, 0.9)),
    "sports car": ((0.16, 0.26), (-0.02, 0.06), (0.2, 0.34), (0.66, 0.85), (0.02, 0.1), (0.28, 0.36)),  # noqa: E501
    "off-roader": ((0.0, 0.07), 0, (0.34, 0.44), 0.98, (0.2, 0.3), (0.86, 0.95)),
    "van": ((0.1, 0.3), 0, (0.68, 0.9), 0.985, (0.36, 0.52), (0.93, 0.97)),
    "bus": (0, 0, 0.985, 0.985, (0.9, 0.96), (0.93, 0.97)),
}  # fmt: skip
_DIGITS: dict[str, tuple[str, ...]] = {
    "1": (".#.", "##.", ".#.", ".#.", "###"),
    "2": ("##.", "..#", ".#.", "#..", "###"),
    "3": ("##.", "..#", ".#.", "..#", "##."),
    "4": ("#.#", "#.#", "###", "..#", "..#"),
    "5": ("###", "#..", "##.", "..#", "##."),
    "7": ("###", "..#", ".#.", ".#.", ".#."),
    "8": ("###", "#.#", "###", "#.#", "###"),
}
_GLASS = Plain((0.16, 0.20, 0.25), "glass", "dark")
_TYRE = Plain((0.10, 0.10, 0.11), "rubber", "black")
_RIM = Plain((0.70, 0.72, 0.75), "metal", "silver")
_DARK_RIM = Plain((0.18, 0.18, 0.19), "metal", "black")
_CHROME = Plain((0.72, 0.74, 0.77), "metal", "chrome")
_TRIM = Plain((0.20, 0.20, 0.21), "plastic", "black")
_LAMP = Plain((0.96, 0.94, 0.80), "glass", "white")
_REAR_LAMP = Plain((0.70, 0.08, 0.08), "glass", "red")
_AMBER = Plain((0.92, 0.55, 0.10), "glass", "amber")
_BLUE = Plain((0.12, 0.3, 0.85), "glass", "blue")


@dataclass(frozen=True)
class _Frame:
    """Sizes in metres: z runs from the tail at -length / 2 to the nose at length / 2."""

    kind: str  # one of `_KINDS`
    length: float  # bumper to bumper
    width: float  # at the doors
    floor: float  # height of the sills
    waist: float  # height where the windows begin
    roof: float  # height of the roof
    wheel: float  # radius of the wheels
    axles: tuple[float, ...]  # where the axles are along z, from the front
    lean: float  # fraction of its width by which the roof is narrower
    body: Finish  # finish of the lower body, its flat sides included
    top: Finish  # finish of the roof
    rim: Finish  # finish of the wheels' middles


def make_vehicle(rng: Rng) -> Design:
    """Draw a vehicle."""
    kind = pick(rng, list(_KINDS), list(_KINDS.values()))
    frame, look = _draw_frame(kind, rng)
    parts, cargo = {"lorry": _lorry, "pickup": _pickup}.get(kind, _car)(frame, rng)
    parts += _wheels(frame, rng) + _lamps(frame, rng)
    extras, extra = _extras(frame, rng, cargo)
    labels = {
        "kind": kind,
        "color": frame.body.color_name,
        "roof_color": frame.top.color_name,
        "look": look,
        "axles": str(len(frame.axles)),
        "cargo": cargo,
        "extra": extra,
    }
    return Design(tuple(parts + extras), labels, _caption(labels))


def _caption(labels: dict[str, str]) -> str:
    """Write the caption of a vehicle from its labels."""
    looks = {"two-tone": ["a broad stripe"], "number": ["a number on its doors"]}
    details = looks.get(labels["look"], [])
    if labels["roof_color"] != labels["color"]:
        details.append(f"{article(labels['roof_color'])} roof")
    if labels["cargo"] != "none":
        details.append({"open": "an open bed"}.get(labels["cargo"], f"a {labels['cargo']}"))
    if labels["extra"] != "none":
        details.append(article(labels["extra"]))
    return with_details(f"{article(labels['color'])} {labels['kind']}", details)


# -- sizes and paint -------------------------------------------------------------------------------


def _draw_frame(kind: str, rng: Rng) -> tuple[_Frame, str]:
    """Draw a vehicle's sizes and finishes."""
    u = rng.uniform
    # Every kind is drawn, so that a seed gives the same vehicle as ever.
    drawn = {name: [u(*limits) for limits in sizes] for name, sizes in _SIZES.items()}
    length, width, height, waist, floor, wheel = drawn[kind]
    reach = {"bus": 0.30, "lorry": 0.34}.get(kind, 0.315)
    axles: tuple[float, ...] = (length * (reach + u(-0.01, 0.02)), -length * (reach - u(0.0, 0.03)))
    if kind == "lorry" and length > 6.4:
        axles = (*axles, axles[1] + 2.25 * wheel)
    body, top, look = _paint(kind, rng, floor, waist, length)
    rim = _RIM if rng.random() < 0.75 else _DARK_RIM
    lean = {"bus": 0.05, "van": 0.1, "lorry": 0.06, "off-roader": 0.12}.get(kind, 0.22)
    frame = _Frame(kind, length, width, floor, waist, height, wheel, axles, lean, body, top, rim)
    return frame, look


def _paint(
    kind: str, rng: Rng, floor: float, waist: float, length: float
) -> tuple[Finish, Finish, str]:
    """Draw the paint of the body and of the roof; patterns have their places on the sides."""
    name = pick(rng, list(COLORS))
    plain = _coat(rng, name)
    other = pick(
        rng, [c for c in COLORS if np.abs(np.subtract(COLORS[c], COLORS[name])).max() > 0.4]
    )
    second = _coat(rng, other)
    top = second if rng.random() < (0.5 if kind in ("bus", "van") else 0.18) else plain
    draw = rng.random()
    tall = waist - floor
    if draw < (0.5 if kind in ("bus", "van") else 0.2):
        start = floor + tall * rng.uniform(0.25, 0.6)
        band = (start, start + tall * rng.uniform(0.18, 0.4), second)
        return Banded(plain, (band,)), top, "two-tone"
    if draw < 0.4 and kind in ("sports car", "hatchback", "saloon", "off-roader"):
        digits = [pick(rng, list(_DIGITS)) for _ in range(int(rng.integers(1, 3)))]
        rows = tuple(".".join(_DIGITS[d][row] for d in digits) for row in range(5))
        blank = "." * len(rows[0])
        inverse = str.maketrans(".#", "#.")
        mask = tuple(f".{row}.".translate(inverse) for row in (blank, *rows, blank))
        paper: Color = (0.95, 0.95, 0.92)
        if COLORS[name][0] > 0.85 and COLORS[name][2] > 0.6:
            paper = (0.12, 0.12, 0.13)
        middle = (-0.02 * length, floor + 0.56 * tall)
        return Decal(plain, mask, paper, middle, 0.72 * tall), top, "number"
    return plain, top, "plain"


def _coat(rng: Rng, name: str) -> Plain:
    """Draw a paint of a named colour."""
    return Plain(varied(rng, COLORS[name]), "plastic", name)


# -- bodies ----------------------------------------------------------------------------------------


def _car(frame: _Frame, rng: Rng) -> tuple[list[Part], str]:
    """Body, windows and roof of everything without a bed."""
    lower, cabin = _outlines(frame, rng)
    body = _arched(frame, _across(frame, lower, frame.width))
    body_part = Part("body", body, frame.body, cuts=_arches(frame))
    return [body_part, *_cabin(frame, cabin, rng)], "none"


def _outlines(frame: _Frame, rng: Rng) -> tuple[Outline, Outline]:
    """Side views of the lower body and of the cabin."""
    half, floor, waist, roof = frame.length / 2, frame.floor, frame.waist, frame.roof
    nose, tail, front, rear, top_front, top_rear = (
        rng.uniform(*value) if isinstance(value, tuple) else value for value in _SIDES[frame.kind]
    )
    nose, tail = waist - nose, waist - tail
    front, rear, top_rear = half * front, -half * rear, -half * top_rear
    top_front *= -half if frame.kind == "sports car" else half  # behind the middle
    below, lift = 0.06, rng.uniform(0.0, 0.1)
    lower = [(-half * 0.97, floor + lift), (-half, floor + 0.2), (-half * 0.985, tail)]
    lower += [(rear, waist), (front, waist), (half * 0.97, nose), (half, floor + 0.22)]
    lower += [(half * 0.96, floor)]
    cabin = [(rear, waist - below), (top_rear, roof), (top_front, roof), (front, waist - below)]
    return _closed(lower, 0.16), _closed(cabin, 0.14 if frame.kind != "bus" else 0.2)


def _cabin(frame: _Frame, outline: Outline, rng: Rng) -> list[Part]:
    """Glass all round, a roof on it, and pillars."""
    width, is_bus = frame.width * 0.94, frame.kind == "bus"
    parts = [Part("windows", _across(frame, outline, width), _GLASS)]
    z, y = outline.T
    eaves = frame.roof - (0.3 if is_bus else 0.09)
    back, front = _edge(outline, eaves, rear=True), _edge(outline, eaves, rear=False)
    roof = np.stack([np.clip(z, back, front), np.maximum(y, eaves)], 1)
    roof = _distinct(inset(counter_clockwise(roof), -0.012))
    parts.append(Part("roof", _across(frame, roof, width + 0.03), frame.top))
    low, high = float(z.min()), float(z.max())
    count = {"estate": 3, "sports car": 1, "bus": 6}.get(frame.kind, 2)
    has_blind = frame.kind == "van" and rng.random() < 0.6
    for i in range(count):
        is_blind = has_blind and i == 0
        fraction = (i + 0.55) / count
        wide = (high - low) * (0.42 if is_blind else 0.025 if is_bus else 0.045)
        middle = low + (high - low) * (fraction if is_bus else fraction * 0.62 + 0.12)
        if is_blind:
            middle = low + 0.27 * (high - low)
        strip = _slice(outline, middle - wide / 2, middle + wide / 2)
        if len(strip) >= 3:
            finish = frame.body if is_blind else frame.top
            parts.append(Part("pillar", _across(frame, strip, width + 0.02), finish))
    return parts


def _pickup(frame: _Frame, rng: Rng) -> tuple[list[Part], str]:
    """A cab and an open bed."""
    half, floor, waist = frame.length / 2, frame.floor, frame.waist
    nose = waist - rng.uniform(0.0, 0.1)
    rear = -half * rng.uniform(0.05, 0.2)
    lower = [(-half, floor + 0.1), (-half, waist), (half * 0.4, waist), (half * 0.97, nose)]
    lower += [(half, floor + 0.2), (half * 0.96, floor)]
    cabin = [(rear, waist - 0.06), (rear + 0.05, frame.roof), (half * 0.2, frame.roof)]
    cabin += [(half * rng.uniform(0.4, 0.46), waist - 0.06)]
    bed_start = rear - 0.06
    bed = box(0.86 * frame.width, 1.2, half + bed_start - 0.14, 0.01)
    bed = bed.moved(0, floor + 0.36 * (waist - floor) + 0.1, (bed_start - half + 0.14) / 2)
    body = _arched(frame, _across(frame, _closed(lower, 0.12), frame.width))
    parts = [Part("body", body, frame.body, cuts=(*_arches(frame), bed))]
    parts += _cabin(frame, _closed(cabin, 0.1), rng)
    return parts, "open"


def _lorry(frame: _Frame, rng: Rng) -> tuple[list[Part], str]:
    """A cab, a chassis, and what it carries."""
    half, floor, waist, roof = frame.length / 2, frame.floor, frame.waist, frame.roof
    rear = half - rng.uniform(1.45, 1.75)
    lower = [(rear, floor - 0.05), (rear, waist), (half * 0.985, waist)]
    lower += [(half, floor + 0.2), (half, floor - 0.1)]
    cabin = [(rear, waist - 0.06), (rear, roof), (half - 0.35, roof), (half - 0.04, waist - 0.06)]
    body = _across(frame, _closed(lower, 0.1), frame.width)
    parts = [Part("cab", body, frame.body, cuts=_arches(frame))]
    parts += _cabin(frame, _closed(cabin, 0.1), rng)
    beam = box(0.8, 0.24, frame.length - 0.5, 0.02).moved(0, floor + 0.02, -0.2)
    parts.append(Part("chassis", beam, _TRIM))
    end, start = -half, rear - 0.12
    deep, middle = start - end, (start + end) / 2
    cargo = pick(rng, ["box", "tank", "tipper"], [0.5, 0.25, 0.25])
    name = pick(rng, ["white", "cream", "grey", "blue", "red", "green", "yellow", "orange"])
    paint = _coat(rng, name)
    base = floor + 0.2
    if cargo == "box":
        solid = box(frame.width * 1.04, rng.uniform(1.7, 2.4), deep, 0.04).moved(0, base, middle)
        parts.append(Part("box", solid, paint))
    elif cargo == "tank":
        radius = frame.width * 0.45
        end_cap = [(0, 0), (radius * 0.8, 0.02), (radius, 0.16)]
        profile = end_cap + [(r, deep - y) for r, y in reversed(end_cap)]
        tank = lathe(np.array(profile), 28).turned("x", np.pi / 2)
        parts.append(Part("tank", tank.moved(0, base + radius * 0.96, end), paint))
    else:
        tall = rng.uniform(0.7, 1.0)
        hollow = box(frame.width * 0.9, tall, deep - 0.2, 0.02).moved(0, base + 0.14, middle)
        solid = box(frame.width, tall, deep, 0.03).moved(0, base, middle)
        parts.append(Part("tipper", solid, paint, cuts=(hollow,)))
    return parts, cargo


# -- wheels and lamps ------------------------------------------------------------------------------


def _wheels(frame: _Frame, rng: Rng) -> list[Part]:
    """Tyres, rims and the axles that hold them."""
    r, broad = frame.wheel, frame.wheel * rng.uniform(0.55, 0.7)
    hub = r * rng.uniform(0.55, 0.68)
    tyre = [(0, 0), (hub * 0.9, 0), (r * 0.93, 0), (r, broad * 0.15), (r, broad * 0.85)]
    tyre += [(r * 0.93, broad), (hub, broad), (hub * 0.96, broad * 0.86), (0, broad * 0.86)]
    dish = [(0, broad * 0.5), (hub * 0.99, broad * 0.5), (hub * 0.9, broad * 0.93)]
    dish += [(hub * 0.35, broad * 0.8), (hub * 0.25, broad * 0.97), (0, broad * 0.99)]
    parts = []
    outside = frame.width / 2 - broad * 0.9
    for z in frame.axles:
        for profile, name, finish in ((tyre, "tyre", _TYRE), (dish, "rim", frame.rim)):
            wheel = lathe(np.array(profile), 24).turned("z", -np.pi / 2)
            parts += pair(name, wheel.moved(outside, r, z), finish)
        axle = box(frame.width - broad, 0.16, 0.16, 0.0).moved(0, r - 0.08, z)
        parts.append(Part("axle", axle, _TRIM))
        if frame.floor > r - 0.1:  # the body hangs above the axle
            post = box(frame.width * 0.4, frame.floor + 0.2 - r, 0.2, 0.0)
            parts.append(Part("axle", post.moved(0, r - 0.04, z), _TRIM))
    return parts


def _arches(frame: _Frame) -> tuple[Solid, ...]:
    """Make the solids that are cut out of the body around the wheels."""
    radius, deep = frame.wheel * 1.16, frame.width * 0.26
    cuts = []
    for z in frame.axles:
        cut = lathe(np.array([(radius, 0), (radius, deep + 0.3)]), 28).turned("z", -np.pi / 2)
        cut = cut.moved(frame.width / 2 - deep, frame.wheel, z)
        cuts += [cut, cut.mirrored()]
    return tuple(cuts)


def _lamps(frame: _Frame, rng: Rng) -> list[Part]:
    """Head lamps, rear lamps, grille and bumpers."""
    half, width = frame.length / 2, frame.width
    low = frame.floor + 0.3 * (frame.waist - frame.floor)
    is_round = rng.random() < 0.35
    size, deep = 0.08 * width, 0.16
    parts = []
    tall = low + 0.22 * (frame.waist - frame.floor)
    for z, finish, name in ((half, _LAMP, "head lamp"), (-half, _REAR_LAMP, "rear lamp")):
        if is_round and name == "head lamp":
            profile = [(size, -deep), (size, deep * 0.3), (size * 0.7, deep * 0.42)]
            lamp = lathe(np.array(profile), 18).turned("x", np.pi / 2)
        else:
            lamp = box(2.4 * size, 1.4 * size, 2 * deep, 0.02)
            lamp = lamp.moved(0, -0.7 * size, -0.04 if z > 0 else 0.04)
        parts += pair(name, lamp.moved(width * 0.36, tall, z - np.sign(z) * 0.09), finish)
    grille = box(width * rng.uniform(0.3, 0.48), 0.16 + 0.1 * rng.random(), 0.3, 0.02)
    parts.append(Part("grille", grille.moved(0, tall - 0.12, half - 0.13), _TRIM))
    bumper = _TRIM if rng.random() < 0.6 else _CHROME
    for z in (half - 0.1, -half + 0.1):
        bar = box(width * 0.98, 0.16, 0.32, 0.05).moved(0, frame.floor + 0.06, z)
        parts.append(Part("bumper", bar, bumper))
    return parts


def _extras(frame: _Frame, rng: Rng, cargo: str) -> tuple[list[Part], str]:
    """Make parts on the roof or the tail."""
    draw = rng.random()
    if frame.kind in ("lorry", "bus") or draw < 0.7:
        return [], "none"
    width, length = frame.width, frame.length
    if frame.kind == "sports car":
        y = frame.waist
        wing = box(width * 0.86, 0.035, 0.26, 0.01).moved(0, y + 0.2, -length * 0.46)
        post = box(0.05, 0.32, 0.12, 0.005).moved(width * 0.3, y - 0.08, -length * 0.455)
        return [Part("wing", wing, frame.top), *pair("wing", post, _TRIM)], "rear wing"
    name, label, finish, size = (
        "roof box",
        "roof box",
        _TRIM,
        (width * 0.5, 0.24, length * 0.2, 0.05),
    )
    if draw < 0.8:
        name, label, finish, size = "sign", "taxi sign", _AMBER, (0.5, 0.17, 0.22, 0.04)
    elif draw < 0.9:
        name, label, finish, size = "beacon", "light bar", _BLUE, (width * 0.5, 0.14, 0.24, 0.04)
    z = length * {"pickup": 0.06, "van": 0.1}.get(frame.kind, -0.08)
    return [Part(name, box(*size).moved(0, frame.roof - 0.02, z), finish)], label


# -- from side views to solids ---------------------------------------------------------------------


def _closed(points: list[tuple[float, float]], radius: float) -> Outline:
    """Round all corners of a polygon."""
    given = _distinct(np.array(points, float))
    start = (given[-1] + given[0]) / 2
    line = rounded(np.concatenate([[start], given, [start]]), radius, 4)[:-1]
    return _distinct(line)


def _distinct(outline: Outline) -> Outline:
    """Drop corners that repeat the one before."""
    step = np.linalg.norm(outline - np.roll(outline, 1, 0), axis=1)
    return outline[step > 1e-4]


def _across(frame: _Frame, outline: Outline, width: float) -> Solid:
    """Extrude a side view across the vehicle; what is above the waist leans inwards."""
    fine = subdivided(counter_clockwise(outline), 0.35)
    bevel = 0.05 if width > 1 else 0.01
    solid = panel(fine, width, bevel=bevel, rounds=2).turned("y", -np.pi / 2)
    half = frame.length / 2

    def lean(verts: Verts) -> Verts:
        above = np.clip((verts[:, 1] - frame.waist) / (frame.roof - frame.waist), 0, 1)
        ends = np.clip(np.abs(verts[:, 2]) / half, 0, 1) ** 6
        return _widened(verts, (1 - frame.lean * above) * (1 - 0.1 * ends))

    return solid.warped(lean)


def _arched(frame: _Frame, solid: Solid) -> Solid:
    """Swell the body a little around the wheels."""

    def swell(verts: Verts) -> Verts:
        near = sum(np.exp(-(((verts[:, 2] - z) / (1.3 * frame.wheel)) ** 2)) for z in frame.axles)
        low = np.clip((frame.waist - verts[:, 1]) / (frame.waist - frame.floor), 0, 1)
        return _widened(verts, 1 + 0.03 * near * np.minimum(1, 2 * low))

    return solid.warped(swell)


def _widened(verts: Verts, factor: Float[np.ndarray, " n"]) -> Verts:
    """Scale vertices along x."""
    return verts * np.stack([factor, np.ones_like(factor), np.ones_like(factor)], 1)


def _edge(outline: Outline, y: float, *, rear: bool) -> float:
    """Return the z of one end of a side view at a height."""
    ahead = outline[:, 0]
    middle = (ahead.min() + ahead.max()) / 2
    chosen = outline[ahead < middle if rear else ahead > middle]
    chosen = chosen[np.argsort(chosen[:, 1], kind="stable")]
    return float(np.interp(y, chosen[:, 1], chosen[:, 0]))


def _slice(outline: Outline, low: float, high: float) -> Outline:
    """Cut a side view to low <= z <= high."""
    points = outline
    for sign, bound in ((1.0, low), (-1.0, -high)):
        kept = []
        for a, b in zip(points, np.roll(points, -1, 0), strict=True):
            da, db = sign * a[0] - bound, sign * b[0] - bound
            if da >= 0:
                kept.append(a)
            if da * db < 0:
                kept.append(a + (b - a) * da / (da - db))
        points = np.array(kept) if kept else np.zeros((0, 2))
        if len(points) < 3:
            return points
    return _distinct(inset(counter_clockwise(points), -0.008))
