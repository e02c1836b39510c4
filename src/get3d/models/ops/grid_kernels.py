"""The field's last layers at all grid vertices in one pass over memory, for CPUs.

They fuse the tensor code of `grid_sums.py`: intermediate values stay in registers.
"""

import numpy as np

from get3d.core import compiled

_SLOPE = 0.2
_CHUNK = 1024  # vertices whose gradients are summed before the total, to lose no precision


@compiled(reassociates=True)
def forward(
    rows: np.ndarray, index: np.ndarray, weight: np.ndarray, limit: float, out: np.ndarray
) -> None:
    """Compute the weighted sums of the activations into `out`.

    Args:
        rows: [rows, channels] of one shape.
        index: [verts, 3] rows that each vertex sums.
        weight: [channels].
        limit: Activations are clamped to [-limit, limit].
        out: [verts], overwritten.
    """
    channels = rows.shape[1]
    low, high = rows.dtype.type(-limit), rows.dtype.type(limit)
    slope = rows.dtype.type(_SLOPE)
    for vert in range(len(index)):
        a, b, c = rows[index[vert, 0]], rows[index[vert, 1]], rows[index[vert, 2]]
        total = rows.dtype.type(0)
        for i in range(channels):
            value = a[i] + b[i] + c[i]
            value = max(value, value * slope)
            total += min(max(value, low), high) * weight[i]
        out[vert] = total


@compiled(reassociates=True)
def _chunk_backward(
    rows: np.ndarray,
    index: np.ndarray,
    weight: np.ndarray,
    limit: float,
    grad: np.ndarray,
    grad_rows: np.ndarray,
) -> np.ndarray:
    """Differentiate a chunk of vertices; returns its part of the gradient of `weight`."""
    channels = rows.shape[1]
    low, high = rows.dtype.type(-limit), rows.dtype.type(limit)
    slope, zero = rows.dtype.type(_SLOPE), rows.dtype.type(0)
    one = rows.dtype.type(1)
    change = np.empty(channels, rows.dtype)
    sums = np.zeros(channels, rows.dtype)
    for vert in range(len(index)):
        first, second, third = index[vert, 0], index[vert, 1], index[vert, 2]
        a, b, c = rows[first], rows[second], rows[third]
        here = grad[vert]
        for i in range(channels):
            value = a[i] + b[i] + c[i]
            steep = one if value > zero else slope
            value *= steep
            sums[i] += here * min(max(value, low), high)
            change[i] = here * weight[i] * (steep if low < value < high else zero)
        a, b, c = grad_rows[first], grad_rows[second], grad_rows[third]
        for i in range(channels):
            a[i] += change[i]
        for i in range(channels):
            b[i] += change[i]
        for i in range(channels):
            c[i] += change[i]
    return sums


@compiled(reassociates=True)
def backward(
    rows: np.ndarray,
    index: np.ndarray,
    weight: np.ndarray,
    limit: float,
    grad: np.ndarray,
    grad_rows: np.ndarray,
    grad_weight: np.ndarray,
) -> None:
    """Add the gradients of `forward`.

    Args:
        rows: [rows, channels] of one shape.
        index: [verts, 3] rows that each vertex sums.
        weight: [channels].
        limit: As for `forward`.
        grad: [verts] gradient of the result.
        grad_rows: [rows, channels], added to.
        grad_weight: [channels], added to.
    """
    for start in range(0, len(index), _CHUNK):
        part = slice(start, start + _CHUNK)
        grad_weight += _chunk_backward(rows, index[part], weight, limit, grad[part], grad_rows)
