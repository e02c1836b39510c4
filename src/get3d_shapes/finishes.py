"""Finishes: sRGB colours as functions of flat coordinates in metres; see palettes.py for some."""

from dataclasses import dataclass
from functools import cache
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

Color = tuple[float, float, float]
Flat = Float[np.ndarray, "n 2"]
Colors = Float[np.ndarray, "n 3"]
Scalars = Float[np.ndarray, " n"]
PATTERNS = ("plain", "stripes", "thin stripes", "checks", "dots", "zigzag", "diamonds")
_SIZE, _TABLES = 512, 8


@runtime_checkable
class Finish(Protocol):
    """Appearance of a part's surface. Finishes are hashable: equal ones are evaluated together."""

    @property
    def kind(self) -> str:
        """Kind of material for labels, such as "wood"."""

    @property
    def color_name(self) -> str:
        """Name of the colour for labels, such as "walnut"."""

    def paint(self, flat: Flat, shift: Flat) -> Colors:
        """Compute the colours of points of patches.

        Args:
            flat: Flat coordinates on the patch, in metres.
            shift: A random offset per patch, added for grain that differs from patch to patch.

        Returns:
            sRGB in [0, 1]; values outside are clipped.
        """


def noise(s: Scalars, t: Scalars, *, seed: int, grain: float) -> Scalars:
    """Sample smooth noise with mean 0, variance 1 and period 1.

    Args:
        s: First coordinate; scale it for finer or coarser noise.
        t: Second coordinate.
        seed: Random seed of the noise, modulo 8.
        grain: Width of its features, as a fraction of the period.
    """
    table = _table(seed % _TABLES, grain)
    column = (s * _SIZE).astype(np.int32) & (_SIZE - 1)
    row = (t * _SIZE).astype(np.int32) & (_SIZE - 1)
    return table[row, column]


@cache
def _table(seed: int, grain: float) -> Float[np.ndarray, "512 512"]:
    """Make a table of periodic noise by a Gaussian filter in frequency space."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft2(rng.standard_normal((_SIZE, _SIZE)))
    fy, fx = np.fft.fftfreq(_SIZE)[:, None], np.fft.rfftfreq(_SIZE)[None, :]
    spectrum *= np.exp(-((fx**2 + fy**2) * (2 * grain * _SIZE) ** 2))
    values = np.fft.irfft2(spectrum, s=(_SIZE, _SIZE))
    return ((values - values.mean()) / values.std()).astype(np.float32)


def blend(first: Color, second: Color, fraction: Scalars) -> Colors:
    """Blend two colours linearly; fraction 0 is the first."""
    start, end = np.array(first, np.float32), np.array(second, np.float32)
    return start + (end - start) * fraction[:, None].astype(np.float32)


def edge(distance: Scalars, softness: float) -> Scalars:
    """Step from 0 to 1 where a distance passes 0, over `softness`."""
    return np.clip(distance / softness + 0.5, 0, 1)


@dataclass(frozen=True)
class Wood:
    """Grain along the second axis: rings that widen and narrow, streaks, slow changes of tone."""

    light: Color  # colour of early wood
    dark: Color  # colour of late wood
    ring: float  # mean distance of the rings, in metres
    color_name: str  # the species
    seed: int = 0  # of the grain
    kind: str = "wood"  # a label

    def paint(self, flat: Flat, shift: Flat) -> Colors:
        """Compute colours; see `Finish`."""
        s, t = (flat + shift).T
        bend = noise(s * 0.8, t * 0.22, seed=self.seed, grain=0.05)
        tone = noise(s * 1.3, t * 0.4, seed=self.seed + 2, grain=0.08)
        streak = noise(s * 5.0, t * 0.35, seed=self.seed + 1, grain=0.02)
        phase = (s + 1.3 * self.ring * bend) / self.ring
        phase = phase - np.floor(phase)
        late = np.minimum(phase**1.6, (1 - phase) * 6)
        fraction = 0.10 + 0.62 * late + 0.13 * streak + 0.10 * tone
        return blend(self.light, self.dark, np.clip(fraction, 0, 1.15))


@dataclass(frozen=True)
class Fabric:
    """Woven cloth with a pattern."""

    color: Color  # of the ground
    second: Color  # of the pattern
    pattern: str  # one of `PATTERNS`
    repeat: float  # of the pattern, in metres
    color_name: str  # of the ground
    seed: int = 0  # of unevenness
    kind: str = "fabric"  # a label

    def paint(self, flat: Flat, shift: Flat) -> Colors:
        """Compute colours; see `Finish`."""
        s, t = flat.T
        color = blend(self.color, self.second, pattern_fraction(self.pattern, s, t, self.repeat))
        weave = np.sin(s * (2 * np.pi / 0.011)) * np.sin(t * (2 * np.pi / 0.011))
        worn = noise(s * 2 + shift[:, 0], t * 2 + shift[:, 1], seed=self.seed, grain=0.05)
        return color * (1 + 0.045 * weave + 0.016 * worn)[:, None]


def pattern_fraction(pattern: str, s: Scalars, t: Scalars, repeat: float) -> Scalars:
    """Return the fraction of the second colour of a pattern at each point, in [0, 1]."""
    u, v = s / repeat, t / repeat
    softness = 0.06

    def wave(x: Scalars) -> Scalars:  # distance from the middle of each repeat
        return np.abs(x - np.floor(x) - 0.5)

    match pattern:
        case "stripes":
            return edge(wave(u) - 0.25, softness)
        case "thin stripes":
            return edge(wave(u) - 0.38, softness)
        case "checks":
            return 0.5 * (edge(wave(u) - 0.25, softness) + edge(wave(v) - 0.25, softness))
        case "dots":
            odd = np.floor(v) % 2
            return edge(0.27 - np.hypot(wave(u + 0.5 * odd), wave(v)), softness)
        case "zigzag":
            return edge(wave(v + wave(u)) - 0.25, softness)
        case "diamonds":
            return edge(wave(u) + wave(v) - 0.62, softness)
    return np.zeros_like(u)


@dataclass(frozen=True)
class Plain:
    """One colour with the unevenness of its kind: paint, plastic, metal, leather, glaze."""

    color: Color  # the colour
    # a label, and how uneven it is.
    kind: Literal["painted wood", "plastic", "metal", "leather", "ceramic", "rubber", "glass"]
    color_name: str  # a label
    seed: int = 0  # of unevenness

    def paint(self, flat: Flat, shift: Flat) -> Colors:
        """Compute colours; see `Finish`."""
        s, t = (flat + shift).T
        match self.kind:
            case "painted wood":  # brush marks along the grain
                shade = 0.03 * noise(s * 6, t * 0.4, seed=self.seed, grain=0.02)
            case "metal":  # brushed along
                shade = 0.05 * noise(s * 8, t * 0.3, seed=self.seed, grain=0.015)
            case "leather":
                shade = 0.022 * noise(s * 2, t * 2, seed=self.seed, grain=0.04)
                shade = shade + 0.025 * noise(s * 9, t * 9, seed=self.seed + 1, grain=0.04)
            case "ceramic":
                shade = 0.025 * noise(s * 2, t * 2, seed=self.seed, grain=0.06)
            case _:
                shade = 0.012 * noise(s * 2, t * 2, seed=self.seed, grain=0.05)
        return np.array(self.color, np.float32) * (1 + shade[:, None])


@dataclass(frozen=True)
class _Covered:
    """A finish on top of another one, whose labels it has."""

    base: Finish

    @property
    def kind(self) -> str:
        """Kind of the base."""
        return self.base.kind

    @property
    def color_name(self) -> str:
        """Colour of the base."""
        return self.base.color_name


@dataclass(frozen=True)
class Banded(_Covered):
    """Bands of other finishes along the second axis: glazes of a vase, a striped body."""

    bands: tuple[tuple[float, float, Finish], ...]  # from and to along the second axis, in metres

    def paint(self, flat: Flat, shift: Flat) -> Colors:
        """Compute colours; see `Finish`."""
        colors = self.base.paint(flat, shift)
        for start, end, finish in self.bands:
            inside = (flat[:, 1] >= start) & (flat[:, 1] < end)
            colors[inside] = finish.paint(flat[inside], shift[inside])
        return colors


@dataclass(frozen=True)
class Decal(_Covered):
    """An image of letters in a place on another finish: a number, a name, a logo."""

    mask: tuple[str, ...]  # rows of "#" and other letters, from the largest second coordinate
    color: Color  # of "#"
    middle: tuple[float, float]  # flat coordinates of its middle, in metres
    height: float  # of the image, in metres; its letters are square

    def paint(self, flat: Flat, shift: Flat) -> Colors:
        """Compute colours; see `Finish`."""
        colors = self.base.paint(flat, shift)
        cell = self.height / len(self.mask)
        drawn = np.array([[letter == "#" for letter in row] for row in self.mask])
        column = np.floor((flat[:, 0] - self.middle[0]) / cell + drawn.shape[1] / 2).astype(int)
        row = np.floor((self.middle[1] - flat[:, 1]) / cell + drawn.shape[0] / 2).astype(int)
        inside = (column >= 0) & (column < drawn.shape[1]) & (row >= 0) & (row < drawn.shape[0])
        inside[inside] = drawn[row[inside], column[inside]]
        colors[inside] = self.color
        return colors
