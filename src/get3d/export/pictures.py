"""Textures as bytes, and colours between sRGB and linear light."""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor


def material_picture(texture: Float[Tensor, "h w 4"]) -> UInt8[np.ndarray, "h w c"]:
    """Turn a material's texture into bytes; alpha is left out where it is 1 everywhere.

    Args:
        texture: sRGB with alpha, in [0, 1].

    Returns:
        Three or four channels.
    """
    picture_u8 = (texture.detach().clamp(0, 1) * 255 + 0.5).to(torch.uint8).cpu().numpy()
    is_opaque = bool((picture_u8[..., 3] == 255).all())
    return np.ascontiguousarray(picture_u8[..., :3] if is_opaque else picture_u8)


def srgb_to_linear(color: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Undo the sRGB transfer curve (IEC 61966-2-1), values in [0, 1]."""
    return np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(color: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Apply the sRGB transfer curve (IEC 61966-2-1), values in [0, 1]."""
    return np.where(color <= 0.0031308, color * 12.92, 1.055 * color ** (1 / 2.4) - 0.055)
