"""Light-field distances of all pairs of shapes, from their descriptors."""

from collections.abc import Callable
from typing import no_type_check

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from get3d.core import compiled, run_jobs
from get3d.metrics.light_field_contours import NUM_FOURIER
from get3d.metrics.light_field_moments import NUM_ZERNIKE
from get3d.metrics.light_field_views import NUM_AXES, NUM_LIGHT_FIELDS, alignments

NUM_FEATURES = NUM_ZERNIKE + NUM_FOURIER + 2
"""Bytes of the descriptor of an image, with circularity and eccentricity."""

_NUM_IMAGES = NUM_LIGHT_FIELDS * NUM_AXES
_FARTHEST = np.iinfo(np.int32).max
_TILE = 1024
"""Pairs of shapes in one job of a thread: about 50 ms."""


def light_field_matrix(
    descriptors_a: UInt8[Tensor, "g light_fields axes features"],
    descriptors_b: UInt8[Tensor, "r light_fields axes features"] | None = None,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> Float[Tensor, "g r"]:
    """Compute the light-field distances of all pairs of shapes of two sets, or within one set.

    Within one set it costs half as much. A pair's distance is the least, over the light fields of
    both shapes and the 60 rotations that align their cameras, of the sum over ten images of the
    descriptors' absolute differences (L1, in bytes). Compiled loops on the CPU, in
    `torch.get_num_threads` threads.

    Args:
        descriptors_a: Descriptors of a set, from `light_field_descriptor`, stacked.
        descriptors_b: Descriptors of the other set, of the same protocol; None: the same set.
        on_progress: Called repeatedly with the number of pairs done and of all pairs.

    Raises:
        ValueError: If descriptors are not of ten light fields of ten images.
    """
    a = _check(descriptors_a)
    b = a if descriptors_b is None else _check(descriptors_b)
    images, columns, order = a.reshape(len(a), _NUM_IMAGES, NUM_FEATURES), _columns(b), alignments()
    distances = np.zeros((len(a), len(b)), np.float32)

    def compare(tile: tuple[int, int, int]) -> int:
        row, begin, end = tile
        _compare(images[row], columns[begin:end], order, distances[row, begin:end])
        return end - begin

    tiles = [
        (row, begin, min(begin + _TILE, len(b)))
        for row in range(len(a))
        for begin in range(row + 1 if descriptors_b is None else 0, len(b), _TILE)
    ]
    total, done = sum(end - begin for _, begin, end in tiles), 0
    threads = torch.get_num_threads()
    for start in range(0, len(tiles), 16 * threads):
        done += sum(run_jobs(compare, tiles[start : start + 16 * threads], threads=threads))
        if on_progress:
            on_progress(done, total)
    if descriptors_b is None:
        distances += distances.T
    return torch.from_numpy(distances)


def _check(
    descriptors: UInt8[Tensor, "shapes light_fields axes features"],
) -> UInt8[np.ndarray, "shapes light_fields axes features"]:
    """Convert descriptors to an array; raise ValueError if they have another shape."""
    expected = (NUM_LIGHT_FIELDS, NUM_AXES, NUM_FEATURES)
    if tuple(descriptors.shape[1:]) != expected:
        raise ValueError(
            f"descriptors must be [shapes, {', '.join(map(str, expected))}], got "
            f"{list(descriptors.shape)}; make them with light_field_descriptor"
        )
    return descriptors.contiguous().cpu().numpy()


def _columns(
    descriptors: UInt8[np.ndarray, "shapes light_fields axes features"],
) -> UInt8[np.ndarray, "shapes features images"]:
    """Transpose so that the compiled loops below run over contiguous memory, light fields last."""
    moved = descriptors.transpose(0, 3, 2, 1).reshape(len(descriptors), NUM_FEATURES, _NUM_IMAGES)
    return np.ascontiguousarray(moved)


@compiled
@no_type_check
def _compare(images, columns, order, distances):
    """Compute the distances of one shape (images [100, features]) to several (columns).

    The sizes of light fields are constants, so that their loops are unrolled.
    """
    apart = np.empty((_NUM_IMAGES, _NUM_IMAGES), np.uint16)  # at most 255 x 47
    sums, best = np.empty(NUM_LIGHT_FIELDS, np.int32), np.empty(NUM_LIGHT_FIELDS, np.int32)
    for other in range(columns.shape[0]):
        apart[:] = 0
        for i in range(_NUM_IMAGES):
            for feature in range(NUM_FEATURES):
                mine = images[i, feature]
                for j in range(_NUM_IMAGES):
                    theirs = columns[other, feature, j]
                    apart[i, j] += max(mine, theirs) - min(mine, theirs)
        best[:] = _FARTHEST
        for field in range(NUM_LIGHT_FIELDS):
            for alignment in range(order.shape[0]):
                sums[:] = 0
                for axis in range(NUM_AXES):
                    first = order[alignment, axis] * NUM_LIGHT_FIELDS
                    for j in range(NUM_LIGHT_FIELDS):
                        sums[j] += apart[field * NUM_AXES + axis, first + j]
                for j in range(NUM_LIGHT_FIELDS):
                    best[j] = min(best[j], sums[j])
        distances[other] = best.min()
