"""Light-field distances of all pairs of shapes, from their descriptors."""

from collections.abc import Callable
from typing import no_type_check

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from get3d.core.compiled import compiled
from get3d.core.threads import run_jobs
from get3d.metrics.light_field_views import NUM_AXES, NUM_LIGHT_FIELDS, alignments

_TILE = 1024
"""Pairs of shapes in one job of a thread: some 50 ms."""


def light_field_matrix(
    descriptors_a: UInt8[Tensor, "g light_fields axes features"],
    descriptors_b: UInt8[Tensor, "r light_fields axes features"] | None = None,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> Float[Tensor, "g r"]:
    """Compare all pairs of shapes of two sets, or within one set at half the cost.

    A pair's distance is the least, over the light fields of one shape, those of the other and the
    60 rotations that bring their cameras together, of the sum over ten images of the descriptors'
    absolute differences (L1, in bytes). Compiled loops on the CPU; `torch.set_num_threads` decides
    how many threads run them.

    Args:
        descriptors_a: From `light_field_descriptor`, stacked.
        descriptors_b: Of the other set, by the same protocol; None: of the same set.
        on_progress: Called now and then with the pairs of shapes done, and their number.

    Raises:
        ValueError: If descriptors are not ten light fields of ten images, or differ in features.
    """
    a = _check(descriptors_a)
    b = a if descriptors_b is None else _check(descriptors_b)
    if a.shape[3] != b.shape[3]:
        raise ValueError(
            f"descriptors must have the same features, got {a.shape[3]} and {b.shape[3]}"
        )
    images, columns, order = a.reshape(len(a), -1, a.shape[3]), _columns(b), alignments()
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
    if tuple(descriptors.shape[1:3]) != (NUM_LIGHT_FIELDS, NUM_AXES):
        raise ValueError(
            f"descriptors must be [shapes, {NUM_LIGHT_FIELDS}, {NUM_AXES}, features], got "
            f"{list(descriptors.shape)}"
        )
    return descriptors.contiguous().cpu().numpy()


def _columns(
    descriptors: UInt8[np.ndarray, "shapes light_fields axes features"],
) -> UInt8[np.ndarray, "shapes features images"]:
    """Put a feature of all images side by side, the light field fastest.

    Then the compiled loops below run over neighbours in memory, many at once.
    """
    num, *_, features = descriptors.shape
    moved = descriptors.transpose(0, 3, 2, 1).reshape(num, features, -1)
    return np.ascontiguousarray(moved)


@compiled
@no_type_check
def _compare(images, columns, order, distances):
    """Compare one shape (images [100, features]) with several (columns)."""
    num_images, num_features = images.shape
    num_axes = order.shape[1]
    num_fields = num_images // num_axes
    apart = np.empty((num_images, num_images), np.uint16)  # at most 255 x features
    sums, best = np.empty(num_fields, np.int32), np.empty(num_fields, np.int32)
    for other in range(columns.shape[0]):
        apart[:] = 0
        for i in range(num_images):
            for feature in range(num_features):
                mine = images[i, feature]
                for j in range(num_images):
                    theirs = columns[other, feature, j]
                    apart[i, j] += max(mine, theirs) - min(mine, theirs)
        best[:] = np.iinfo(np.int32).max
        for field in range(num_fields):
            for alignment in range(order.shape[0]):
                sums[:] = 0
                for axis in range(num_axes):
                    first = order[alignment, axis] * num_fields
                    for j in range(num_fields):
                        sums[j] += apart[field * num_axes + axis, first + j]
                for j in range(num_fields):
                    best[j] = min(best[j], sums[j])
        distances[other] = best.min()
