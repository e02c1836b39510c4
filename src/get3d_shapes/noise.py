"""Smooth random fields for procedural textures."""

from functools import cache

import numpy as np
from jaxtyping import Float

_SIDE = 512
_TABLES = 8


def noise(
    s: Float[np.ndarray, "*shape"], t: Float[np.ndarray, "*shape"], *, seed: int, grain: float
) -> Float[np.ndarray, "*shape"]:
    """Read a smooth field with mean 0 and variance 1 that repeats every unit.

    Args:
        s: First coordinate; scale it for finer or coarser noise.
        t: Second coordinate.
        seed: Of one of a few fields.
        grain: Width of its features, as a share of the unit.
    """
    table = _table(seed % _TABLES, grain)
    column = (s * _SIDE).astype(np.int32) & (_SIDE - 1)
    row = (t * _SIDE).astype(np.int32) & (_SIDE - 1)
    return table[row, column]


@cache
def _table(seed: int, grain: float) -> Float[np.ndarray, "512 512"]:
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft2(rng.standard_normal((_SIDE, _SIDE)))
    fy, fx = np.fft.fftfreq(_SIDE)[:, None], np.fft.rfftfreq(_SIDE)[None, :]
    spectrum *= np.exp(-((fx**2 + fy**2) * (2 * grain * _SIDE) ** 2))
    values = np.fft.irfft2(spectrum, s=(_SIDE, _SIDE))
    return ((values - values.mean()) / values.std()).astype(np.float32)
