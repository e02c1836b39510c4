"""Leaky ReLU and clamping, in place or with a short backward pass."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def activate(x: Float[Tensor, "..."], *, limit: float | None = None) -> Float[Tensor, "..."]:
    """Apply the leaky ReLU (slope 0.2), in place, without its gain.

    The gain sqrt(2) is positive, so callers multiply it into the map before: no extra pass.

    Args:
        x: Pre-activations, overwritten.
        limit: Clamp to [-limit, limit].
    """
    x = F.leaky_relu_(x, 0.2)
    if limit is None:
        return x
    # Hard tanh clamps, and its backward pass is one pass and not four.
    return F.hardtanh(x, -limit, limit) if torch.is_grad_enabled() else x.clamp_(-limit, limit)
