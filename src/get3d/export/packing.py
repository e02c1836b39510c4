"""Packing of charts into a square: turned, mirrored and moved by whole texels, without overlap."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from get3d.export.packing_kernels import NUDGE, place_charts, turn_to_least_boxes

# Charts are at least two texels apart: one ring around the texels that each of them touches.
_BORDER_TEXELS = 1.0
_GRID = 512
_CELLS_A_CHART = 100
_ANGLES = 32
_USUAL_FRACTION = 0.75
_TRIALS, _TRIALS_OF_MANY, _MANY = 9, 2, 1500
_NOISE = 0.1  # of the charts' order, as a factor on the size that they are sorted by
_STEP = 0.006
_LEAST_FRACTION = 1 / 4096
# Charts less than a texel wide on average are shrunk to that length, and no further.
_MIN_LENGTH_TEXELS = 64.0  # where the charts cover the usual fraction
_MAX_LENGTH = 0.9


def pack_charts(
    corners: Float[np.ndarray, "faces 3 2"],
    chart_of: Int[np.ndarray, " faces"],
    texture_size: int,
) -> Float[np.ndarray, "faces 3 2"] | None:
    """Turn, mirror, scale and move charts so that they fill a square well.

    Masks of the charts are placed one after the other, each in the lowest free place of all eight
    orientations, at a scale that is raised as long as all find a place, in several orders.

    Args:
        corners: Flat positions of the faces' corners, counter-clockwise.
        chart_of: Chart of each face; none is left out.
        texture_size: Width and height of the texture, in texels.

    Returns:
        Texel coordinates of the faces' corners, from the texture's lower left on; None if the
        texture is too small for so many charts.
    """
    order = np.argsort(chart_of, kind="stable")
    num_charts = int(chart_of.max()) + 1
    starts = np.searchsorted(chart_of[order], np.arange(num_charts + 1))
    flat = corners[order]
    sizes = turn_to_least_boxes(flat, starts, _ANGLES)
    a, b = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
    face_areas = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / 2
    areas = np.bincount(chart_of[order], face_areas, minlength=num_charts)
    # Whole texels a cell, so that charts move by whole texels.
    side = max(_GRID, int((_CELLS_A_CHART * num_charts) ** 0.5))
    texels = max(1, texture_size // side)
    columns, border = texture_size // texels, _BORDER_TEXELS / texels
    if num_charts * (math.floor(2 * border + 2 * NUDGE) + 1) ** 2 > columns**2:
        return None
    found = _Search(flat, starts, sizes, areas, columns, border).best()
    if found is None:
        return None
    scales, places = found
    moved = _place(flat, chart_of[order], sizes, scales, border, places)
    texel_corners = np.empty_like(corners)
    texel_corners[order] = moved * texels
    return texel_corners


@dataclass(frozen=True)
class _Search:
    """A search for a large scale at which the charts find places.

    Attributes:
        corners: Turned to small boxes, from zero on, chart by chart.
        starts: Where each chart's faces start.
        sizes: Of the boxes.
        areas: Of the charts.
        columns: Width and height of the grid, in cells.
        border: Around each chart, in cells.
    """

    corners: Float[np.ndarray, "faces 3 2"]
    starts: Int[np.ndarray, " starts"]
    sizes: Float[np.ndarray, "charts 2"]
    areas: Float[np.ndarray, " charts"]
    columns: int
    border: float

    def scales(self, fraction: float) -> Float[np.ndarray, " charts"]:
        """Compute the cells a unit at which the charts cover a fraction of the texture.

        All are alike, but for those that are too long: room is for what has area, and charts that
        are thinner than a texel would need many times their fraction of it.
        """
        scale = self.columns * (fraction / max(float(self.areas.sum()), 1e-300)) ** 0.5
        longest = _MAX_LENGTH * self.columns
        lengths = np.maximum(self.sizes.max(axis=1) * scale, 1e-300)
        widths = self.areas * scale**2 / lengths / self.border  # in texels
        least = _MIN_LENGTH_TEXELS * self.border * (fraction / _USUAL_FRACTION) ** 0.5
        most = np.clip(longest * widths, min(least, longest), longest)
        return scale * np.minimum(1.0, most / lengths)

    def best(self) -> tuple[Float[np.ndarray, " charts"], Int[np.ndarray, "charts 5"]] | None:
        """Return scales and places of the largest charts found; None if none fit."""
        rng = np.random.default_rng(0)
        is_many = len(self.areas) > _MANY
        found: list[tuple[float, Float[np.ndarray, " charts"]]] = []
        for key in (self.sizes.min(axis=1), self.areas, self.sizes.prod(axis=1)):
            _, used = self._place(_USUAL_FRACTION, key, 2 * self.columns)
            found.append((_USUAL_FRACTION * self.columns / used, key))
        fraction, key = max(found, key=lambda entry: entry[0])
        best, best_key = None, key
        trial, trials = 0, _TRIALS_OF_MANY if is_many else _TRIALS
        while (trial < trials or best is None) and fraction > _LEAST_FRACTION:
            places, used = self._place(fraction, key, self.columns)
            if used <= self.columns:
                best, best_key = (self.scales(fraction), places), key
                fraction *= 1 + _STEP
            elif best is None:
                fraction *= 1 - _STEP if trial < trials else 0.75
            key = best_key * np.exp(rng.normal(0, _NOISE, len(key)))
            trial += 1
        return best

    def _place(
        self, fraction: float, key: Float[np.ndarray, " charts"], rows: int
    ) -> tuple[Int[np.ndarray, "charts 5"], int]:
        order = np.argsort(-key, kind="stable")
        return place_charts(
            self.corners, self.starts, self.sizes, order, self.scales(fraction), self.border,
            self.columns, rows,
        )  # fmt: skip


def _place(
    corners: Float[np.ndarray, "faces 3 2"],
    chart_of: Int[np.ndarray, " faces"],
    sizes: Float[np.ndarray, "charts 2"],
    scales: Float[np.ndarray, " charts"],
    border: float,
    places: Int[np.ndarray, "charts 5"],
) -> Float[np.ndarray, "faces 3 2"]:
    """Move charts to their places, in cells."""
    offset = border + NUDGE
    scaled = corners * scales[chart_of][:, None, None] + offset
    spans = np.floor(sizes * scales[:, None] + 2 * offset) + 1  # columns and rows of the masks
    swaps = places[:, 0].astype(bool)
    scaled = np.where(swaps[chart_of][:, None, None], scaled[..., ::-1], scaled)
    spans = np.where(swaps[:, None], spans[:, ::-1], spans)
    flips = places[:, [2, 1]].astype(bool)
    scaled = np.where(flips[chart_of][:, None], spans[chart_of][:, None] - scaled, scaled)
    return scaled + places[:, [4, 3]][chart_of][:, None]
