"""Zernike moments of silhouettes, invariant to rotation and mirroring.

Coordinates are relative to the silhouette's centroid, in units of its farthest point, so that it
fits the unit disc. A moment is the integral over the covered pixels of a Zernike function (Teague
1980); these are polynomials in x and y, so that 66 integrals of x^p y^q give all of them. Those are
exact for square pixels, and cost a few operations per run of covered pixels.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import comb, factorial
from typing import no_type_check

import numpy as np
from jaxtyping import Bool, Complex, Float

from get3d.core import compiled

ORDER = 10
NUM_ZERNIKE = 35
"""Moments (n, m) with 0 < n <= 10, 0 <= m <= n and n - m even."""
_POWERS = [(p, q) for p in range(ORDER + 1) for q in range(ORDER + 1 - p)]


@dataclass(frozen=True)
class Regions:
    """Moments of silhouettes about their centroid, in units of their farthest point.

    Attributes:
        area: Area, in squares of that unit.
        centroid: (column, row) in pixels; the first pixel's centre is at (0.5, 0.5).
        radius: Distance of the farthest corner of a covered pixel, in pixels.
        moments: Integrals of x^p y^q by (p, q); x grows with columns, y with rows. Zero where
            p + q exceeds 10.
    """

    area: Float[np.ndarray, " images"]
    centroid: Float[np.ndarray, "images 2"]
    radius: Float[np.ndarray, " images"]
    moments: Float[np.ndarray, "images 11 11"]


def measure_regions(silhouettes: Bool[np.ndarray, "images h w"]) -> Regions:
    """Compute the moments of silhouettes, each of which must cover a pixel."""
    num = len(silhouettes)
    frames, moments = np.empty((num, 3)), np.zeros((num, ORDER + 1, ORDER + 1))
    for i in range(num):
        _measure(silhouettes[i], frames[i], moments[i])
    return Regions(moments[:, 0, 0], frames[:, :2], frames[:, 2], moments)


def zernike_moments(regions: Regions) -> Float[np.ndarray, "images 35"]:
    """Compute the Zernike moments relative to the constant one: |A_nm| / A_00, up to n + 1.

    Ordered by n, then by m. That of (1, 1) is zero, since the centroid is at the origin.
    """
    packed = np.stack([regions.moments[:, p, q] for p, q in _POWERS], axis=1)
    factors = np.array([n + 1 for n, _ in zernike_indices()])
    return factors * np.abs(packed @ _zernike_polynomials().T) / regions.area[:, None]


def eccentricity(regions: Regions) -> Float[np.ndarray, " images"]:
    """Compute the eccentricity of silhouettes: 0 (a disc) to 1 (a line).

    It is (large - small) / (large + small) of the two principal second moments.
    """
    xx, xy, yy = (regions.moments[:, p, q] for p, q in ((2, 0), (1, 1), (0, 2)))
    return np.hypot(xx - yy, 2 * xy) / (xx + yy)


@lru_cache(maxsize=1)
def zernike_indices() -> list[tuple[int, int]]:
    """List the order n and the repetition m of the 35 moments."""
    return [(n, m) for n in range(1, ORDER + 1) for m in range(n % 2, n + 1, 2)]


@lru_cache(maxsize=1)
def _zernike_polynomials() -> Complex[np.ndarray, "35 66"]:
    """Compute the coefficients of x^p y^q in R_nm(r) exp(-i m angle)."""
    table = np.zeros((NUM_ZERNIKE, ORDER + 1, ORDER + 1), complex)
    for row, (n, m) in enumerate(zernike_indices()):
        for s in range((n - m) // 2 + 1):
            weight = (-1) ** s * factorial(n - s)
            weight //= factorial(s) * factorial((n + m) // 2 - s) * factorial((n - m) // 2 - s)
            half = (n - m) // 2 - s  # r^(n - 2 s) exp(-i m angle) = (x^2 + y^2)^half (x - i y)^m
            for a in range(half + 1):
                for b in range(m + 1):
                    x_power = 2 * (half - a) + m - b
                    table[row, x_power, 2 * a + b] += (
                        weight * comb(half, a) * comb(m, b) * (-1j) ** b
                    )
    return np.stack([table[:, p, q] for p, q in _POWERS], axis=1)


@compiled
@no_type_check
def _find_runs(silhouette):
    """List the runs of covered pixels as (row, begin, end)."""
    height, width = silhouette.shape
    runs = np.empty((height * (width + 1) // 2 + 1, 3), np.int64)
    num = 0
    for row in range(height):
        was_covered = False
        for column in range(width):
            is_covered = silhouette[row, column]
            if is_covered != was_covered:
                if is_covered:
                    runs[num, 0], runs[num, 1] = row, column
                else:
                    runs[num, 2] = column
                    num += 1
                was_covered = is_covered
        if was_covered:
            runs[num, 2] = width
            num += 1
    return runs[:num]


@compiled
@no_type_check
def _measure(silhouette, frame, moments):
    """Compute (centroid x, centroid y, radius) and the moments of one silhouette."""
    runs = _find_runs(silhouette)
    count, sum_x, sum_y = 0, 0, 0  # the sums are doubled, hence whole numbers
    for i in range(runs.shape[0]):
        row, begin, end = runs[i]
        count += end - begin
        sum_x += end * end - begin * begin
        sum_y += (end - begin) * (2 * row + 1)
    x0, y0 = sum_x / (2.0 * count), sum_y / (2.0 * count)
    radius = 0.0
    for i in range(runs.shape[0]):
        row, begin, end = runs[i]
        reach_x, reach_y = max(x0 - begin, end - x0), max(y0 - row, row + 1 - y0)
        radius = max(radius, reach_x * reach_x + reach_y * reach_y)
    radius = np.sqrt(radius)
    frame[0], frame[1], frame[2] = x0, y0, radius
    num = moments.shape[0]
    in_row = np.zeros(num)  # integrals of x^p over a row
    for i in range(runs.shape[0]):
        row, begin, end = runs[i]
        left, right = (begin - x0) / radius, (end - x0) / radius
        left_power, right_power = left, right
        for p in range(num):
            in_row[p] += (right_power - left_power) / (p + 1)
            left_power *= left
            right_power *= right
        if i + 1 == runs.shape[0] or runs[i + 1, 0] != row:
            low, high = (row - y0) / radius, (row + 1 - y0) / radius
            low_power, high_power = low, high
            for q in range(num):
                height = (high_power - low_power) / (q + 1)
                for p in range(num - q):
                    moments[p, q] += in_row[p] * height
                low_power *= low
                high_power *= high
            in_row[:] = 0.0
