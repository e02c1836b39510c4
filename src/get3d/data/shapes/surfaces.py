"""Procedural textures: sRGB colours as functions of flat coordinates in metres."""

from dataclasses import dataclass
from functools import cache

import numpy as np

Array = np.ndarray
_SIDE = 256


@cache
def _noise(seed: int, smoothness: float) -> Array:
    """Tileable smooth noise with mean 0 and variance 1."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft2(rng.standard_normal((_SIDE, _SIDE)))
    fy, fx = np.fft.fftfreq(_SIDE)[:, None], np.fft.rfftfreq(_SIDE)[None, :]
    spectrum *= np.exp(-((fx**2 + fy**2) * (smoothness * _SIDE) ** 2))
    values = np.fft.irfft2(spectrum, s=(_SIDE, _SIDE))
    return (values - values.mean()) / values.std()


def noise(s: Array, t: Array, *, seed: int, smoothness: float = 0.01) -> Array:
    """Read noise that repeats every unit, bilinearly."""
    table = _noise(seed % 8, smoothness)
    x, y = s * _SIDE, t * _SIDE
    i, j = np.floor(y).astype(np.int64), np.floor(x).astype(np.int64)
    a, b = y - i, x - j
    i, j = i % _SIDE, j % _SIDE
    i2, j2 = (i + 1) % _SIDE, (j + 1) % _SIDE
    return (table[i, j] * (1 - b) + table[i, j2] * b) * (1 - a) + (
        table[i2, j] * (1 - b) + table[i2, j2] * b
    ) * a


@dataclass(frozen=True)
class Surface:
    """A look.

    Attributes:
        kind: wood, painted, metal, plastic, leather, or fabric.
        colors: One or two sRGB colours in [0, 1].
        pattern: Of fabrics: plain, stripes, checks, dots, bands.
        size: Of the pattern, in metres.
        seed: Shifts noise.
        color_name: For captions.
    """

    kind: str
    colors: tuple[tuple[float, float, float], ...]
    pattern: str = "plain"
    size: float = 0.05
    seed: int = 0
    color_name: str = ""

    def paint(self, flat: Array) -> Array:
        """Give the colour at [..., 2] flat coordinates."""
        rng = np.random.default_rng(self.seed)
        s, t = flat[..., 0] + rng.uniform(), flat[..., 1] + rng.uniform()
        first = np.array(self.colors[0])
        second = np.array(self.colors[-1])
        if self.kind == "wood":
            wave = s + 0.012 * noise(s * 1.5, t * 0.7, seed=self.seed, smoothness=0.03)
            rings = 0.5 + 0.5 * np.sin(wave * 2 * np.pi / self.size)
            fine = noise(s * 6, t * 0.6, seed=self.seed + 1, smoothness=0.006)
            mix = np.clip(0.55 * rings**2 + 0.16 * fine + 0.15, 0, 1)
            return np.clip(first * (1 - mix[..., None]) + second * mix[..., None], 0, 1)
        if self.kind == "fabric":
            mix = self._pattern(s, t)
            color = first * (1 - mix[..., None]) + second * mix[..., None]
            weave = 0.05 * np.sin(s * 2 * np.pi / 0.012) * np.sin(t * 2 * np.pi / 0.012)
            shade = 1 + weave + 0.03 * noise(s * 4, t * 4, seed=self.seed)
            return np.clip(color * shade[..., None], 0, 1)
        strength = {"leather": 0.06, "metal": 0.03, "plastic": 0.01, "painted": 0.025}[self.kind]
        stretch = 8.0 if self.kind == "metal" else 2.0
        shade = 1 + strength * noise(s * stretch, t * 2.0, seed=self.seed)
        return np.clip(first * shade[..., None], 0, 1)

    def _pattern(self, s: Array, t: Array) -> Array:
        u, v = s / self.size, t / self.size
        match self.pattern:
            case "stripes":
                return _soft(np.abs(u % 1 - 0.5) - 0.25)
            case "bands":
                return _soft(np.abs(u % 1 - 0.5) - 0.12)
            case "checks":
                return 0.5 * _soft(np.abs(u % 1 - 0.5) - 0.25) + 0.5 * _soft(
                    np.abs(v % 1 - 0.5) - 0.25
                )
            case "dots":
                row = np.floor(v)
                du, dv = (u + 0.5 * (row % 2)) % 1 - 0.5, v % 1 - 0.5
                return 1 - _soft(np.hypot(du, dv) - 0.27)
        return np.zeros_like(u)


def _soft(value: Array) -> Array:
    return np.clip(value * 12 + 0.5, 0, 1)
