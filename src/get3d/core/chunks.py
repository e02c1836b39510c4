"""Evaluation of networks at many points, a bounded number at a time where no gradient is kept."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

CHUNK_POINTS = 2**17
"""Points that are evaluated at a time, of all shapes together."""


def in_chunks(
    function: Callable[[Tensor], Tensor],
    items: Shaped[Tensor, "..."],
    *,
    axis: int,
    num_shapes: int,
    points_per_item: int = 1,
) -> Float[Tensor, "b n *c"]:
    """Evaluate a function of points: at once where gradients are recorded, else in chunks.

    Args:
        function: Returns the values of items [b, n, ...]; those of an item depend on no other.
        items: Points, or what is made of some, such as cubes.
        axis: Along which the items lie.
        num_shapes: How many shapes are evaluated at each item.
        points_per_item: How many points an item has.
    """
    size = max(CHUNK_POINTS // max(num_shapes * points_per_item, 1), 1)
    if torch.is_grad_enabled() or items.shape[axis] <= size:
        return function(items)
    return torch.cat([function(chunk) for chunk in items.split(size, dim=axis)], dim=1)
