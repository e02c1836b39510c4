"""Contours of silhouettes: Fourier descriptors of their distance from the centroid.

As in Chen et al. 2003, the connected components of a silhouette are first joined by bridges one
pixel wide, so that every silhouette has one outer contour.
"""

from typing import no_type_check

import numpy as np
from jaxtyping import Bool, Float

from get3d.core import compiled

NUM_FOURIER = 10
NUM_SAMPLES = 256
SMOOTHING_PX = 2
"""Each point of a contour is averaged with this many neighbours before and after it."""
_INITIAL_POINTS = 2048


def trace_contours(
    silhouettes: Bool[np.ndarray, "images h w"],
) -> Float[np.ndarray, "images samples 2"]:
    """Trace the outer contour of each silhouette, sampled at equal arc lengths.

    Args:
        silhouettes: Covered pixels of each image, at least one; components are joined by bridges.

    Returns:
        256 points (column, row) in pixels; the first pixel's centre is at (0.5, 0.5).
    """
    padded = np.pad(silhouettes, ((0, 0), (1, 1), (1, 1)))
    contours = np.empty((len(silhouettes), NUM_SAMPLES, 2))
    for i in range(len(silhouettes)):
        _connect(padded[i])
        contours[i] = _resample(_trace(padded[i])) - 1
    return contours


def fourier_descriptors(
    contours: Float[np.ndarray, "images samples 2"],
) -> Float[np.ndarray, "images 10"]:
    """Compute the first ten Fourier magnitudes of the distance from the centroid.

    Relative to the mean distance, in [0, 1]. Magnitudes do not depend on the first point of the
    contour or its direction.

    Args:
        contours: Points at equal arc lengths, from `trace_contours`.
    """
    distances = np.linalg.norm(contours - contours.mean(1, keepdims=True), axis=-1)
    spectrum = np.abs(np.fft.rfft(distances, axis=1))
    return spectrum[:, 1 : NUM_FOURIER + 1] / spectrum[:, :1]


def circularity(
    contours: Float[np.ndarray, "images samples 2"],
) -> Float[np.ndarray, " images"]:
    """Compute the area of each contour relative to a circle of the same length: 0 to 1 (a disc)."""
    x, y = contours[..., 0], contours[..., 1]
    area = (x * np.roll(y, -1, axis=1) - y * np.roll(x, -1, axis=1)).sum(1) / 2
    steps = np.linalg.norm(contours - np.roll(contours, -1, axis=1), axis=-1)
    return np.clip(4 * np.pi * np.abs(area) / steps.sum(1) ** 2, 0, 1)


def _resample(points: Float[np.ndarray, "points 2"]) -> Float[np.ndarray, "samples 2"]:
    """Smooth a closed pixel contour, then sample it at equal arc lengths."""
    window = np.arange(-SMOOTHING_PX, SMOOTHING_PX + 1)
    nearby = (np.arange(len(points))[:, None] + window) % len(points)
    smooth = points[nearby].mean(1)
    closed = np.concatenate([smooth, smooth[:1]])
    lengths = np.concatenate([[0.0], np.linalg.norm(np.diff(closed, axis=0), axis=1).cumsum()])
    at = np.arange(NUM_SAMPLES) * (lengths[-1] / NUM_SAMPLES)
    return np.stack([np.interp(at, lengths, closed[:, i]) for i in range(2)], axis=1)


@compiled
@no_type_check
def _root(links, label):
    """Find the root label of a component (union-find, with path compression)."""
    while links[label] != label:
        links[label] = links[links[label]]
        label = links[label]
    return label


@compiled
@no_type_check
def _label(silhouette, labels):
    """Label the 8-connected components; returns the links between labels and their number."""
    height, width = silhouette.shape
    links = np.empty(height * width // 2 + 2, np.int32)
    num, num_components = 1, 0
    links[0] = 0
    for row in range(1, height - 1):
        for column in range(1, width - 1):
            if not silhouette[row, column]:
                continue
            label = 0
            for other in (
                labels[row, column - 1],
                labels[row - 1, column - 1],
                labels[row - 1, column],
                labels[row - 1, column + 1],
            ):
                if other == 0 or other == label:
                    continue
                if label == 0:
                    label = other
                    continue
                first, second = _root(links, label), _root(links, other)
                if first != second:
                    links[max(first, second)] = min(first, second)
                    num_components -= 1
            if label == 0:
                label = num
                links[num] = num
                num += 1
                num_components += 1
            labels[row, column] = label
    return links, num_components


@compiled
@no_type_check
def _connect(silhouette):
    """Join the components of a silhouette by bridges, in place; its border must be empty.

    Breadth-first search from all components at once. Where the fronts of two components meet that
    are not yet joined, the paths back to both are covered.
    """
    height, width = silhouette.shape
    labels = np.zeros((height, width), np.int32)
    links, num_components = _label(silhouette, labels)
    if num_components < 2:
        return
    origin = np.full(height * width, -1, np.int64)
    queue = np.empty(height * width, np.int64)
    begin, end = 0, 0
    for row in range(height):
        for column in range(width):
            if labels[row, column]:
                queue[end] = row * width + column
                end += 1
    while begin < end and num_components > 1:
        here = queue[begin]
        begin += 1
        row, column = here // width, here % width
        for step_row, step_column in ((0, 1), (0, -1), (1, 0), (-1, 0)):
            next_row, next_column = row + step_row, column + step_column
            if not (0 < next_row < height - 1 and 0 < next_column < width - 1):
                continue
            there = next_row * width + next_column
            if labels[next_row, next_column] == 0:
                labels[next_row, next_column] = labels[row, column]
                origin[there] = here
                queue[end] = there
                end += 1
                continue
            first = _root(links, labels[row, column])
            second = _root(links, labels[next_row, next_column])
            if first != second:
                links[max(first, second)] = min(first, second)
                num_components -= 1
                for pixel in (here, there):
                    while origin[pixel] >= 0:
                        silhouette[pixel // width, pixel % width] = True
                        pixel = origin[pixel]


@compiled
@no_type_check
def _next_step(silhouette, row, column, step_row, step_column):
    """Compute the next step of a contour along pixel edges, with the silhouette on its right.

    The contour is at the upper left corner of pixel (row, column). It turns left where possible, so
    that pixels that touch at a corner are connected.
    """
    # The pixels ahead, to the left and to the right.
    ahead_row = row + (step_row - 1) // 2 if step_row else row - 1
    ahead_column = column + (step_column - 1) // 2 if step_column else column - 1
    if step_column:  # along a row of corners: left is up for +1, down for -1
        upper, lower = silhouette[row - 1, ahead_column], silhouette[row, ahead_column]
        left, right = (upper, lower) if step_column > 0 else (lower, upper)
    else:
        before, after = silhouette[ahead_row, column - 1], silhouette[ahead_row, column]
        left, right = (after, before) if step_row > 0 else (before, after)
    if left:
        return -step_column, step_row
    if right:
        return step_row, step_column
    return step_column, -step_row


@compiled
@no_type_check
def _trace(silhouette):
    """List the midpoints (column, row) of the pixel edges on the outer contour."""
    width = silhouette.shape[1]
    start = 0
    while not silhouette[start // width, start % width]:
        start += 1
    points = np.empty((_INITIAL_POINTS, 2))
    num, row, column, step_row, step_column = 0, start // width, start % width, 0, 1
    while num == 0 or row * width + column != start or step_column != 1:
        if num == len(points):
            points = np.concatenate((points, np.empty_like(points)))
        points[num, 0], points[num, 1] = column + step_column / 2, row + step_row / 2
        num += 1
        row, column = row + step_row, column + step_column
        step_row, step_column = _next_step(silhouette, row, column, step_row, step_column)
    return points[:num]
