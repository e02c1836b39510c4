"""Linear maps whose adjoint is known: autograd need not derive it, nor keep anything for it."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

_Map = Callable[[Tensor], Tensor]


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, apply: _Map, adjoint: _Map) -> Tensor:
        """Apply the map."""
        ctx.maps = apply, adjoint
        return apply(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        """Apply the adjoint, which is differentiable in its turn."""
        apply, adjoint = ctx.maps
        return _Linear.apply(grad, adjoint, apply), None, None


def apply_linear(x: Float[Tensor, "..."], apply: _Map, *, adjoint: _Map) -> Float[Tensor, "..."]:
    """Compute `apply(x)`; differentiable in `x` any number of times.

    Args:
        x: The argument.
        apply: A linear map that returns a new tensor.
        adjoint: Its adjoint, likewise.
    """
    return _Linear.apply(x, apply, adjoint)
