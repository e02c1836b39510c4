"""Linear maps with a given adjoint: autograd neither derives it nor keeps anything for it."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

_Map = Callable[[Tensor], Tensor]


class _Linear(torch.autograd.Function):
    """A linear map whose backward pass is its adjoint."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, apply: _Map, adjoint: _Map) -> Tensor:
        """Apply the map."""
        ctx.maps = apply, adjoint
        return apply(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        """Apply the adjoint, which is differentiable too."""
        apply, adjoint = ctx.maps
        return _Linear.apply(grad, adjoint, apply), None, None


def apply_linear(x: Float[Tensor, "..."], apply: _Map, *, adjoint: _Map) -> Float[Tensor, "..."]:
    """Compute `apply(x)`; differentiable in `x` any number of times.

    Args:
        x: Argument of the map.
        apply: Linear map that returns a new tensor.
        adjoint: Adjoint of `apply` that returns a new tensor.
    """
    return _Linear.apply(x, apply, adjoint)
