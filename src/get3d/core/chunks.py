"""Evaluation of networks at many points, in chunks of bounded size where no gradient is kept."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

CHUNK_POINTS = 2**17
"""Points per chunk, counted over all shapes of the batch."""


def in_chunks(
    function: Callable[[Tensor], Tensor],
    items: Shaped[Tensor, "..."],
    *,
    axis: int,
    num_shapes: int,
    points_per_item: int = 1,
) -> Float[Tensor, "b n *c"]:
    """Evaluate a function of points: in one call where gradients are recorded, else in chunks.

    Args:
        function: Returns values [b, n, ...] of items; each item's value depends on that item only.
        items: Points, or groups of points such as the corners of cubes.
        axis: Axis of `items` that is split into chunks.
        num_shapes: Shapes evaluated at each item.
        points_per_item: Points in each item.

    Returns:
        The values of all items, concatenated along axis 1.
    """
    size = max(CHUNK_POINTS // max(num_shapes * points_per_item, 1), 1)
    if torch.is_grad_enabled() or items.shape[axis] <= size:
        return function(items)
    return torch.cat([function(chunk) for chunk in items.split(size, dim=axis)], dim=1)
