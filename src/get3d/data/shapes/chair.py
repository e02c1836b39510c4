"""Chairs: legs, seats, backs and arms of many kinds, in metres; the front looks along +z."""

import numpy as np

from get3d.data.shapes.assemble import Part
from get3d.data.shapes.curves import ellipse, inset, rectangle, smooth
from get3d.data.shapes.design import Design
from get3d.data.shapes.finishes import Plain
from get3d.data.shapes.palettes import draw_fabric as fabric
from get3d.data.shapes.palettes import draw_metal, draw_plain, draw_wood
from get3d.data.shapes.primitives import box, lathe, plate, sweep, tube


def wood(rng):
    return draw_wood(rng)


def metal(rng):
    return draw_metal(rng)


def painted(rng, kind="painted wood"):
    return draw_plain(rng, kind)


def tapered(start, end, size0, size1, *, round_=False, steps=2):
    """A straight member between two points; sizes are (across x, across the rest)."""
    path = np.linspace(start, end, steps)
    section = ellipse(1, 1, 12) if round_ else rectangle(1, 1, 0.12, 1)
    sizes = np.linspace(np.broadcast_to(size0, 2), np.broadcast_to(size1, 2), steps)
    up = (
        (0, 0, 1)
        if abs(np.subtract(end, start)[2]) < 0.8 * np.linalg.norm(np.subtract(end, start))
        else (0, 1, 0)
    )
    return sweep(path, section * sizes[:, None, :], up=up)


class Chair:
    def __init__(self, rng):
        self.rng, self.parts, self.labels = rng, [], {}
        self.base = str(
            rng.choice(
                ["four legs", "star base", "cantilever", "pedestal", "sled", "rockers", "club"],
                p=[0.52, 0.12, 0.08, 0.07, 0.06, 0.07, 0.08],
            )
        )
        self.width, self.depth = rng.uniform(0.40, 0.52), rng.uniform(0.40, 0.50)
        self.height = rng.uniform(0.41, 0.49)
        self.lean = np.radians(rng.uniform(3, 14))
        self.back_height = rng.uniform(0.36, 0.62)
        self.frame = {
            "four legs": lambda: (
                wood(rng)
                if rng.random() < 0.68
                else (painted(rng) if rng.random() < 0.6 else metal(rng))
            ),
            "rockers": lambda: wood(rng) if rng.random() < 0.75 else painted(rng),
            "star base": lambda: metal(rng),
            "cantilever": lambda: metal(rng),
            "pedestal": lambda: metal(rng) if rng.random() < 0.6 else painted(rng, "plastic"),
            "sled": lambda: metal(rng) if rng.random() < 0.6 else wood(rng),
            "club": lambda: wood(rng),
        }[self.base]()
        self.soft = fabric(rng)

    def add(self, name, solid, surface=None):
        self.parts.append(Part(name, solid, surface or self.frame))

    def both(self, name, solid, surface=None):
        self.add(name, solid, surface)
        self.add(name, solid.mirrored(), surface)

    # seat ----------------------------------------------------------------------------------------
    def seat(self):
        rng, w, d, h = self.rng, self.width, self.depth, self.height
        kind = "wood" if self.frame.kind in ("wood", "painted wood") else "plastic"
        self.seat_kind = str(
            rng.choice(["hard", "cushion", "padded"], p=[0.42, 0.22, 0.36])
            if self.base in ("four legs", "rockers", "sled", "pedestal")
            else rng.choice(["hard", "padded"], p=[0.25, 0.75])
        )
        shape = str(rng.choice(["square", "round", "trapezoid"], p=[0.5, 0.2, 0.3]))
        if shape == "round":
            outline = ellipse(w, d, 28)
        else:
            outline = rectangle(w, d, rng.uniform(0.02, 0.10), 4)
            if shape == "trapezoid":
                outline = outline * np.stack(
                    [1 - 0.22 * (outline[:, 1] / d + 0.5), np.ones(len(outline))], 1
                )
        # plate's second axis is -z: outlines have the back at +.
        self.outline, self.seat_shape = outline, shape
        self.hard = self.frame if kind == "wood" else painted(rng, "plastic")
        thickness = rng.uniform(0.022, 0.04)
        if self.seat_kind == "hard":
            self.seat_top = h
            self.add(
                "seat",
                plate(outline, thickness, bevel=0.008, rounds=2)
                .warped(self._dish)
                .moved(0, h - thickness, 0),
                self.hard,
            )
        elif self.seat_kind == "padded":
            t = rng.uniform(0.055, 0.10)
            self.seat_top, thickness = h, t
            self.add(
                "seat", plate(outline, t, bevel=0.45 * t, rounds=3).moved(0, h - t, 0), self.soft
            )
        else:
            t = rng.uniform(0.03, 0.06)
            self.add(
                "seat", plate(outline, thickness, bevel=0.008).moved(0, h - thickness, 0), self.hard
            )
            self.add(
                "cushion",
                plate(inset(outline, 0.012), t + 0.01, bevel=0.45 * t, rounds=3).moved(
                    0, h - 0.01, 0
                ),
                self.soft,
            )
            self.seat_top = h + t
        self.under = h - thickness
        self.thickness = thickness

    def _dish(self, verts):
        return verts

    def corner(self, fx, fz):
        """A point under the seat, at shares of half its width and depth; fz > 0 is the front."""
        scale = 0.72 if self.seat_shape == "round" else 1.0
        x, z = fx * self.width / 2 * scale, fz * self.depth / 2 * scale
        if self.seat_shape == "trapezoid" and fz < 0:
            x *= 1 - 0.2 * -fz
        return x, z

    # base ----------------------------------------------------------------------------------------
    def legs(self):
        rng = self.rng
        is_metal = self.frame.kind == "metal"
        kinds = ["straight", "tapered", "turned"]
        kind = "tube" if is_metal else str(rng.choice(kinds, p=[0.38, 0.4, 0.22]))
        splay = rng.uniform(0.0, 0.07) if rng.random() < 0.6 else 0.0
        size = rng.uniform(0.022, 0.03) if is_metal else rng.uniform(0.034, 0.052)
        top = self.under + 0.012
        self.leg_tops, self.leg_feet = {}, {}
        for fz in (1, -1):
            x, z = self.corner(0.86, 0.84 * fz)
            foot = (x + splay, 0.0, z + fz * splay)
            self.leg_tops[fz], self.leg_feet[fz] = (x, top, z), foot
            if kind == "turned":
                leg = self._turned(top, size)
                shift = np.array([splay, 0, fz * splay])
                leg = leg.warped(
                    lambda v, s=shift, x=x, z=z: v + (x, 0, z) + s * (1 - v[:, 1:2] / top)
                )
            elif kind == "tube":
                leg = tapered(foot, (x, top, z), size, size, round_=True)
            else:
                low = size * (0.55 if kind == "tapered" else 1)
                leg = tapered(
                    foot, (x, top, z), low, size, round_=kind == "tapered" and splay > 0.03
                )
            self.both("leg", leg)
        self.labels["legs"] = kind
        self.leg_size = size
        if rng.random() < 0.5:
            self._stretchers(size * 0.72)
        elif kind in ("straight", "tapered") and splay < 0.02 and self.seat_shape != "round":
            self._apron(size)

    def _turned(self, top, size):
        y = np.array([0, 0.05, 0.10, 0.14, 0.2, 0.34, 0.5, 0.62, 0.68, 0.72, 0.78, 0.86, 1.0]) * top
        r = (
            np.array([0.28, 0.34, 0.5, 0.3, 0.36, 0.5, 0.56, 0.42, 0.62, 0.42, 0.6, 0.62, 0.62])
            * size
        )
        return lathe(np.stack([r * 1.15, y], 1), 14)

    def _at(self, fz, share):
        return np.array(self.leg_feet[fz]) * (1 - share) + np.array(self.leg_tops[fz]) * share

    def _stretchers(self, size):
        rng = self.rng
        low = rng.uniform(0.2, 0.45)
        a, b = self._at(1, low), self._at(-1, low)
        self.both("stretcher", tapered(a, b, size, size, round_=True))
        mid = (a + b) / 2
        if rng.random() < 0.5:
            self.add("stretcher", tapered(mid * (-1, 1, 1), mid, size, size, round_=True))
        else:
            for fz, share in ((1, low + 0.15), (-1, low + 0.1)):
                p = self._at(fz, share)
                self.add("stretcher", tapered(p * (-1, 1, 1), p, size, size, round_=True))

    def _apron(self, size):
        for fz in (1, -1):
            x, y, z = self._at(fz, 1.0)
            self.add("apron", box(2 * x, 0.065, 0.02, 0.003).moved(0, y - 0.07, z))
        (x, y, z), (x2, _, z2) = self._at(1, 1.0), self._at(-1, 1.0)
        self.both(
            "apron", tapered((x, y - 0.04, z), (x2, y - 0.04, z2), (0.02, 0.065), (0.02, 0.065))
        )

    def rockers(self):
        self.legs()
        x, x2 = self.leg_feet[1][0], self.leg_feet[-1][0]
        reach = self.depth / 2 + self.rng.uniform(0.14, 0.24)
        z = np.linspace(reach * 0.9, -reach * 1.15, 15)
        y = 0.42 * (z / reach) ** 2 * reach * 0.45 - 0.028
        xs = np.interp(z, [self.leg_feet[-1][2], self.leg_feet[1][2]], [x2, x])
        self.both(
            "rocker", sweep(np.stack([xs, y, z], 1), rectangle(0.036, 0.05, 0.008, 1), up=(0, 1, 0))
        )
        for fz in (1, -1):
            fx, _, fz_ = self.leg_feet[fz]
            low = float(np.interp(-fz_, -z, y))
            self.both("leg", box(0.04, 0.02 - low + 0.04, 0.04).moved(fx, low - 0.01, fz_))

    def star(self):
        rng = self.rng
        number = 5 if rng.random() < 0.75 else 4
        reach = rng.uniform(0.26, 0.32)
        self.add(
            "column",
            lathe(
                np.array([[0.035, 0.06], [0.035, 0.2], [0.022, 0.21], [0.022, self.under + 0.01]]),
                16,
            ),
        )
        self.add("plate", box(0.2, 0.025, 0.2).moved(0, self.under - 0.022, 0))
        dark = Plain((0.12, 0.12, 0.13), "plastic", "black")
        wheels = rng.random() < 0.7
        for i in range(number):
            a = 2 * np.pi * i / number + 0.3
            arm = tapered((0, 0.10, 0), (0, 0.075, reach), (0.05, 0.04), (0.032, 0.026)).turned(
                "y", a
            )
            self.add("spoke", arm)
            if wheels:
                wheel = lathe(
                    np.array([[0.016, -0.02], [0.03, -0.016], [0.03, 0.016], [0.016, 0.02]]), 14
                ).turned("z", np.pi / 2)
                self.add("castor", wheel.moved(0, 0.03, reach - 0.012).turned("y", a), dark)
                self.add(
                    "castor",
                    box(0.018, 0.05, 0.02).moved(0, 0.035, reach - 0.012).turned("y", a),
                    dark,
                )
            else:
                self.add(
                    "foot",
                    lathe(np.array([[0.02, 0.0], [0.02, 0.07]]), 12).moved(
                        *(np.array([np.sin(a), 0, np.cos(a)]) * (reach - 0.01))
                    ),
                    dark,
                )
        self.labels["legs"] = "star"

    def pedestal(self):
        rng = self.rng
        r = rng.uniform(0.19, 0.25)
        neck = rng.uniform(0.02, 0.035)
        if rng.random() < 0.6:
            t = np.linspace(0, 1, 12)
            prof = np.stack(
                [neck + (r - neck) * (1 - t) ** 4 + 0.05 * t**6, 0.012 + t * (self.under - 0.002)],
                1,
            )
            prof = np.concatenate([[[r, 0.0]], prof])
        else:
            prof = np.array(
                [[r, 0], [r, 0.018], [neck * 1.5, 0.035], [neck, 0.06], [neck, self.under + 0.01]]
            )
        self.add("pedestal", lathe(prof, 28))
        self.labels["legs"] = "pedestal"

    def cantilever(self):
        x, r = self.width / 2 * 0.9, self.rng.uniform(0.013, 0.018)
        zf, zb, top = self.depth / 2 * 0.92, -self.depth / 2 * 1.0, self.under + 0.004
        path = smooth(
            [
                (x, top, zb * 0.7),
                (x, top, 0),
                (x, top, zf - 0.05),
                (x, top - 0.05, zf),
                (x, 0.2, zf),
                (x, 0.06, zf),
                (x, r, zf - 0.05),
                (x, r, 0),
                (x, r, zb),
            ],
            4,
        )
        self.both("frame", tube(path, r, segments=10))
        self.add("frame", tapered((-x, r, zb + 0.01), (x, r, zb + 0.01), 2 * r, 2 * r, round_=True))
        self.add("frame", tapered((-x, top, 0.0), (x, top, 0.0), 2 * r, 2 * r, round_=True))
        self.labels["legs"] = "cantilever"

    def sled(self):
        x, r = self.width / 2 * 0.88, self.rng.uniform(0.013, 0.02)
        zf, zb, top = self.depth / 2 * 0.85, -self.depth / 2 * 0.85, self.under + 0.006
        path = smooth(
            [
                (x, top, zf),
                (x, top * 0.5, zf + 0.01),
                (x, 0.05, zf + 0.02),
                (x, r, zf - 0.03),
                (x, r, 0),
                (x, r, zb + 0.03),
                (x, 0.05, zb - 0.02),
                (x, top * 0.5, zb - 0.01),
                (x, top, zb),
            ],
            4,
        )
        self.both("frame", tube(path, r, segments=10))
        for z in (zf, zb):
            self.add("frame", tapered((-x, top - r, z), (x, top - r, z), 2 * r, 2 * r, round_=True))
        self.labels["legs"] = "sled"

    # back ----------------------------------------------------------------------------------------
    def place(self, solid, lift=0.0):
        """From upright back coordinates (x, height above the seat, z) to the chair's."""
        return solid.turned("x", -self.lean).moved(0, self.height + lift, self.back_z)

    def curved(self, solid, amount):
        half = self.back_width / 2
        return solid.warped(
            lambda v: (
                v + np.stack([0 * v[:, 0], 0 * v[:, 0], amount * (v[:, 0] / half) ** 2 - amount], 1)
            )
        )

    def board(self, width, height, thickness, *, bevel=0.006, radius=0.02, columns=9, rounds=1):
        """A board that stands on y = 0, fine enough across to be bent."""
        outline = rectangle(width, height, radius, 3)
        xs = np.linspace(-width / 2, width / 2, columns)[1:-1]
        outline = _refine(outline, xs)
        solid = plate(outline, thickness, bevel=bevel, rounds=rounds)
        # x-z plate to an upright board: its second outline axis becomes y, its thickness +z.
        return solid.warped(
            lambda v: np.stack([v[:, 0], -v[:, 2] + height / 2, v[:, 1] - thickness / 2], 1)
        )

    def back(self):
        rng = self.rng
        soft = self.seat_kind == "padded" and rng.random() < 0.55
        kinds = ["panel", "slats", "ladder", "spindles", "hoop", "cross", "split", "window"]
        p = np.array([0.14, 0.15, 0.16, 0.14, 0.12, 0.1, 0.08, 0.11])
        if self.base in ("star base", "cantilever", "pedestal"):
            kinds, p = (
                ["panel", "split", "window", "ladder", "shell"],
                np.array([0.35, 0.15, 0.15, 0.15, 0.2]),
            )
        kind = "upholstered" if soft else str(rng.choice(kinds, p=p / p.sum()))
        self.labels["back"] = kind
        shrink = (
            0.8 if self.seat_shape == "trapezoid" else (0.8 if self.seat_shape == "round" else 0.97)
        )
        w = self.back_width = self.width * shrink
        h, t = self.back_height, rng.uniform(0.022, 0.032)
        curve = rng.uniform(0.0, 0.05)
        self.back_z = -self.depth / 2 + 0.02
        if self.seat_shape == "round":  # the back follows the rim
            curve = self.depth / 2 * (1 - np.sqrt(1 - shrink**2)) * 0.9
            self.back_z += curve
        wood_like = self.frame.kind in ("wood", "painted wood")
        flat = self.frame if wood_like else self.hard
        size = rng.uniform(0.03, 0.042)
        low = -self.thickness * 0.8
        post = (size, size)

        def bend(solid):
            return self.place(self.curved(solid, curve))

        def posts(top):
            for sx in (1, -1):
                solid = tapered(
                    (sx * (w / 2 - size / 2), low, 0),
                    (sx * (w / 2 - size / 2), top, 0),
                    post,
                    (size * 0.8, size * 0.8),
                    round_=rng_round,
                    steps=4,
                )
                self.add("back post", bend(solid))

        rng_round = rng.random() < 0.5
        inner = w - size
        rail = rng.uniform(0.05, 0.09)
        if kind in ("upholstered", "panel", "window", "shell"):
            gap = rng.uniform(0.0, 0.12) if kind != "shell" else 0.0
            bh = h - gap
            thick = rng.uniform(0.05, 0.085) if kind == "upholstered" else t
            look = (
                self.soft
                if kind == "upholstered"
                else (self.hard if kind != "panel" or not wood_like else flat)
            )
            holes = []
            if kind == "window":
                holes = [
                    rectangle(w * rng.uniform(0.35, 0.6), bh * rng.uniform(0.25, 0.5), 0.03, 3)
                ]
            radius = rng.uniform(0.03, 0.16)
            bevel = 0.42 * thick if kind == "upholstered" else 0.007
            board = self.board(
                w,
                bh + 0.02,
                thick,
                bevel=bevel,
                radius=min(radius, 0.4 * w, 0.4 * bh),
                rounds=3 if kind == "upholstered" else 1,
            )
            amount = curve + (0.05 if kind == "shell" else 0.0)
            self.back_z += amount - curve
            self.add("back", self.place(self.curved(board, amount), gap - 0.02), look)
            if gap > 0:
                for sx in (1, -1):
                    x = sx * w * 0.3
                    stick = tapered(
                        (x, low, 0),
                        (x, gap + 0.03, 0),
                        size * 0.85,
                        size * 0.85,
                        round_=True,
                        steps=3,
                    )
                    self.add("back post", self.place(self.curved(stick, amount)))
        elif kind == "slats":
            posts(h)
            n = int(rng.integers(3, 7))
            sw = inner / n * rng.uniform(0.38, 0.6)
            start = rng.choice([0.0, 0.12])
            self.add("rail", bend(self.board(inner + size * 0.6, rail, t).moved(0, h - rail, 0)))
            if start:
                self.add(
                    "rail", bend(self.board(inner + size * 0.6, 0.04, t).moved(0, start - 0.02, 0))
                )
            for x in (np.arange(n) + 0.5) / n * inner - inner / 2:
                slat = self.board(
                    sw, h - rail * 0.5 - start + 0.03, 0.018, bevel=0.003, radius=0, columns=3
                )
                self.add("slat", bend(slat.moved(x, start - 0.02, 0)))
        elif kind == "ladder":
            posts(h)
            n = int(rng.integers(2, 5))
            for i in range(n):
                y = h * (i + 1) / n - rail
                self.add(
                    "rail",
                    bend(
                        self.board(
                            inner + size * 0.6, rail * min(1.0, 2.6 / n), t, radius=0.012
                        ).moved(0, y + 0.01, 0)
                    ),
                )
        elif kind in ("spindles", "hoop"):
            n = int(rng.integers(4, 8))
            thin = rng.uniform(0.017, 0.024)
            if kind == "hoop":
                a = np.linspace(0, np.pi, 25)
                ring = np.stack(
                    [np.cos(a) * (w / 2 - thin), np.sin(a) ** 0.8 * (h - thin), 0 * a], 1
                )
                ring = np.concatenate([[[w / 2 - thin, low, 0]], ring, [[-w / 2 + thin, low, 0]]])
                self.add("hoop", bend(tube(ring, rng.uniform(0.014, 0.018), segments=10)))
            else:
                posts(h)
                self.add(
                    "rail",
                    bend(
                        self.board(w * 0.99, rail, t * 1.1, radius=0.02).moved(0, h - rail * 0.6, 0)
                    ),
                )
            for x in ((np.arange(n) + 0.5) / n - 0.5) * inner * 0.92:
                top = (
                    h - rail * 0.4
                    if kind == "spindles"
                    else float(h - thin) * (1 - (abs(x) / (w / 2 - thin)) ** 2) ** 0.4 + 0.003
                )
                self.add(
                    "spindle",
                    bend(
                        tapered((x, low, 0), (x, top, 0), thin, thin * 0.85, round_=True, steps=3)
                    ),
                )
        elif kind == "cross":
            posts(h)
            self.add("rail", bend(self.board(inner + size * 0.6, rail, t).moved(0, h - rail, 0)))
            x, y0, y1 = inner / 2, 0.02, h - rail * 0.6
            self.add(
                "brace",
                bend(tapered((-x, y0, 0), (x, y1, 0), (0.034, 0.018), (0.034, 0.018), steps=5)),
            )
            self.add(
                "brace",
                bend(tapered((x, y0, 0), (-x, y1, 0), (0.034, 0.018), (0.034, 0.018), steps=5)),
            )
            self.add("rail", bend(self.board(inner + size * 0.6, 0.04, t).moved(0, 0.0, 0)))
        elif kind == "split":
            posts(h)
            top = h * rng.uniform(0.3, 0.5)
            self.add(
                "back",
                bend(
                    self.board(w * 0.99, top, t * 1.2, radius=0.03, bevel=0.008).moved(
                        0, h - top + 0.01, 0
                    )
                ),
                self.hard,
            )
        self.is_soft_back = kind == "upholstered"

    def arms(self):
        rng = self.rng
        chance = {"star base": 0.6, "cantilever": 0.4, "rockers": 0.7, "pedestal": 0.25}.get(
            self.base, 0.3
        )
        has = rng.random() < chance
        self.labels["arms"] = "yes" if has else "no"
        if not has:
            return
        h = self.seat_top + rng.uniform(0.16, 0.23)
        x = self.width / 2 + 0.012
        zf = self.depth / 2 * rng.uniform(0.45, 0.85)
        zb = self.back_z - np.sin(self.lean) * (h - self.height)
        xb = self.back_width / 2 - 0.012
        pad = (
            self.soft
            if self.is_soft_back and rng.random() < 0.5
            else (self.frame if self.frame.kind != "metal" else self.hard)
        )
        size = 0.05 if pad is self.soft else 0.036
        if rng.random() < 0.4:
            path = smooth(
                [
                    (xb, h + 0.015, zb),
                    (x + 0.02, h + 0.012, (zb + zf) / 2),
                    (x + 0.012, h, zf - 0.05),
                    (x, h - 0.03, zf),
                ],
                5,
            )
        else:
            path = np.array([(xb, h, zb - 0.004), (x, h, zb * 0.5), (x, h, 0), (x, h, zf + 0.02)])
        self.both("arm", sweep(path, rectangle(size, 0.026, 0.008, 1), up=(0, 1, 0)), pad)
        x0, z0 = self.corner(0.9, zf / (self.depth / 2))
        self.both(
            "arm post",
            tapered((x0, self.under + 0.008, z0), (x, h, zf - 0.015), 0.03, 0.026, round_=True),
        )

    def club(self):
        """An armchair: a padded block with arms and back down to short legs."""
        rng = self.rng
        w, d = rng.uniform(0.66, 0.86), rng.uniform(0.64, 0.78)
        seat, arm, back = rng.uniform(0.36, 0.44), rng.uniform(0.54, 0.64), rng.uniform(0.72, 1.0)
        foot, thick = rng.uniform(0.06, 0.16), rng.uniform(0.11, 0.16)
        soft = self.soft
        pillow = fabric(rng) if rng.random() < 0.35 else soft
        inner = w - 2 * thick
        self.add(
            "base",
            plate(rectangle(w - 0.01, d, 0.03, 2), seat - 0.12 - foot, bevel=0.02, rounds=2).moved(
                0, foot, 0
            ),
            soft,
        )
        self.add(
            "cushion",
            plate(
                rectangle(inner + 0.01, d - thick * 0.8, 0.05, 3), 0.15, bevel=0.05, rounds=3
            ).moved(0, seat - 0.14, thick * 0.45),
            pillow,
        )
        round_arm = rng.random() < 0.5
        side = plate(
            rectangle(thick, d, 0.05, 3), arm - foot, bevel=0.055 if round_arm else 0.02, rounds=3
        )
        self.both("arm", side.moved(w / 2 - thick / 2, foot, 0), soft)
        self.height, self.depth, self.lean = seat, d, np.radians(rng.uniform(4, 10))
        self.back_width = inner + 2 * thick * rng.uniform(0.0, 1.0)
        board = self.board(
            self.back_width,
            back - seat + 0.2,
            thick,
            bevel=0.05,
            radius=rng.uniform(0.05, 0.2),
            rounds=3,
        )
        self.add(
            "back", board.turned("x", -self.lean).moved(0, seat - 0.2, -d / 2 + thick * 0.62), soft
        )
        if rng.random() < 0.5:
            self.add(
                "back cushion",
                self.board(
                    inner * 0.96, back - seat - 0.02, 0.13, bevel=0.05, radius=0.06, rounds=3
                )
                .turned("x", -self.lean)
                .moved(0, seat - 0.01, -d / 2 + thick * 1.25),
                pillow,
            )
        for fz in (1, -1):
            self.both(
                "leg",
                tapered(
                    (w / 2 - 0.07, 0, fz * (d / 2 - 0.07)),
                    (w / 2 - 0.06, foot + 0.02, fz * (d / 2 - 0.06)),
                    0.03,
                    0.045,
                    round_=True,
                ),
            )
        self.labels |= {"legs": "short", "back": "upholstered", "arms": "yes", "seat": "padded"}

    def build(self):
        if self.base == "club":
            self.club()
        else:
            self.seat()
            {
                "four legs": self.legs,
                "star base": self.star,
                "cantilever": self.cantilever,
                "pedestal": self.pedestal,
                "sled": self.sled,
                "rockers": self.rockers,
            }[self.base]()
            self.back()
            self.arms()
            self.labels["seat"] = {"hard": self.hard.kind}.get(self.seat_kind, self.soft.kind)
        self.labels |= {
            "base": self.base,
            "frame colour": self.frame.color_name,
            "seat colour": self.soft.color_name,
        }
        return self.parts


def _refine(outline, xs):
    """Add points where the outline passes given x, so that it can be bent."""
    out = []
    for a, b in zip(outline, np.roll(outline, -1, 0)):
        out.append(a)
        if abs(b[0] - a[0]) > 1e-9:
            ts = sorted(t for t in (xs - a[0]) / (b[0] - a[0]) if 1e-6 < t < 1 - 1e-6)
            out += [a + (b - a) * t for t in ts]
    return np.array(out)


def make_chair(rng):
    """Draw a chair: its parts and labels."""
    chair = Chair(rng)
    parts = tuple(chair.build())
    return Design(parts, chair.labels, "a chair")
