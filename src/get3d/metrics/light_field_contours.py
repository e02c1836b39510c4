"""How a silhouette's outline runs: Fourier descriptors of its distance from the centroid.

As Chen et al. 2003 advise, parts that do not touch are connected first, by one-pixel
bridges, so that every silhouette has one outer contour.
"""

from typing import no_type_check

import numpy as np
from jaxtyping import Bool, Float

from get3d.core import compiled

NUM_FOURIER = 10
NUM_SAMPLES = 256
SMOOTHING_PX = 2
"""A point of a contour becomes the mean of this many neighbours on either side and itself."""
_FIRST_SIDES = 2048


def trace_contours(
    silhouettes: Bool[np.ndarray, "images h w"],
) -> Float[np.ndarray, "images samples 2"]:
    """Walk along the outer contour of each silhouette, in steps of equal length.

    Each silhouette must cover a pixel; parts that do not touch are bridged.

    Returns:
        256 points (column, row) in pixels; the first pixel's centre is at (0.5, 0.5).
    """
    padded = np.pad(silhouettes, ((0, 0), (1, 1), (1, 1)))
    contours = np.empty((len(silhouettes), NUM_SAMPLES, 2))
    for i in range(len(silhouettes)):
        _connect(padded[i])
        contours[i] = _resample(_walk(padded[i])) - 1
    return contours


def fourier_descriptors(
    contours: Float[np.ndarray, "images samples 2"],
) -> Float[np.ndarray, "images 10"]:
    """First ten frequencies of the distance from the centroid, relative to its mean.

    Magnitudes, so that neither the first point nor the direction of the walk matters; in [0, 1].
    """
    distances = np.linalg.norm(contours - contours.mean(1, keepdims=True), axis=-1)
    spectrum = np.abs(np.fft.rfft(distances, axis=1))
    return spectrum[:, 1 : NUM_FOURIER + 1] / spectrum[:, :1]


def circularity(
    contours: Float[np.ndarray, "images samples 2"],
) -> Float[np.ndarray, " images"]:
    """Area inside the contour relative to a circle of the same length: 1 (a disc) to 0."""
    x, y = contours[..., 0], contours[..., 1]
    area = (x * np.roll(y, -1, axis=1) - y * np.roll(x, -1, axis=1)).sum(1) / 2
    steps = np.linalg.norm(contours - np.roll(contours, -1, axis=1), axis=-1)
    return np.clip(4 * np.pi * np.abs(area) / steps.sum(1) ** 2, 0, 1)


def _resample(points: Float[np.ndarray, "points 2"]) -> Float[np.ndarray, "samples 2"]:
    """Take the staircase out of a closed walk, then steps of equal length along it."""
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
    """Follow links to the label that stands for a connected set."""
    while links[label] != label:
        links[label] = links[links[label]]
        label = links[label]
    return label


@compiled
@no_type_check
def _label(silhouette, labels):
    """Number the connected parts (corners touch); return the links between numbers."""
    height, width = silhouette.shape
    links = np.empty(height * width // 2 + 2, np.int32)
    num, num_parts = 1, 0
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
                    num_parts -= 1
            if label == 0:
                label = num
                links[num] = num
                num += 1
                num_parts += 1
            labels[row, column] = label
    return links, num_parts


@compiled
@no_type_check
def _connect(silhouette):
    """Bridge the parts of a silhouette, in place; its border must be empty.

    A front grows from every part at the same pace, along rows and columns. Where the fronts of two
    parts meet that are not yet connected, the way back to either is covered.
    """
    height, width = silhouette.shape
    labels = np.zeros((height, width), np.int32)
    links, num_parts = _label(silhouette, labels)
    if num_parts < 2:
        return
    origin = np.full(height * width, -1, np.int64)
    queue = np.empty(height * width, np.int64)
    begin, end = 0, 0
    for row in range(height):
        for column in range(width):
            if labels[row, column]:
                queue[end] = row * width + column
                end += 1
    while begin < end and num_parts > 1:
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
                num_parts -= 1
                for pixel in (here, there):
                    while origin[pixel] >= 0:
                        silhouette[pixel // width, pixel % width] = True
                        pixel = origin[pixel]


@compiled
@no_type_check
def _turn(silhouette, row, column, step_row, step_column):
    """Next direction of a walk along pixel sides, the silhouette on its right.

    The walk stands at the upper left corner of pixel (row, column). It turns left where it can, so
    that pixels that touch at a corner belong together.
    """
    # The pixels ahead, to the left and to the right of the way.
    ahead_row = row + (step_row - 1) // 2 if step_row else row - 1
    ahead_column = column + (step_column - 1) // 2 if step_column else column - 1
    if step_column:  # along a row of corners: left of the way is up for +1, down for -1
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
def _walk(silhouette):
    """List the middles (column, row) of the pixel sides that the outer contour runs along."""
    width = silhouette.shape[1]
    start = 0
    while not silhouette[start // width, start % width]:
        start += 1
    points = np.empty((_FIRST_SIDES, 2))
    num, row, column, step_row, step_column = 0, start // width, start % width, 0, 1
    while num == 0 or row * width + column != start or step_column != 1:
        if num == len(points):
            points = np.concatenate((points, np.empty_like(points)))
        points[num, 0], points[num, 1] = column + step_column / 2, row + step_row / 2
        num += 1
        row, column = row + step_row, column + step_column
        step_row, step_column = _turn(silhouette, row, column, step_row, step_column)
    return points[:num]
