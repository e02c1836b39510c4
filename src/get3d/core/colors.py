"""Conversion between sRGB, as images and textures are stored, and linear light."""

import torch
from jaxtyping import Float
from torch import Tensor


def srgb_to_linear(color: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Decode sRGB values to linear light (IEC 61966-2-1); differentiable everywhere.

    Args:
        color: sRGB values in [0, 1].

    Returns:
        Linear light in [0, 1].

    Example:
        >>> srgb_to_linear(torch.tensor([0.0, 0.5, 1.0])).round(decimals=4)
        tensor([0.0000, 0.2140, 1.0000])
    """
    bright = ((color.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4
    return torch.where(color <= 0.04045, color / 12.92, bright)


def linear_to_srgb(color: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Encode linear light as sRGB values (IEC 61966-2-1); differentiable everywhere.

    Args:
        color: Linear light in [0, 1].

    Returns:
        sRGB values in [0, 1].
    """
    bright = 1.055 * color.clamp(min=0.0031308) ** (1.0 / 2.4) - 0.055
    return torch.where(color <= 0.0031308, color * 12.92, bright)
