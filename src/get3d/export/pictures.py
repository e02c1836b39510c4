"""Textures as bytes, for the PNG files of every format."""

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
    scaled = texture.detach().clamp(0, 1).mul_(255).add_(0.5)
    picture_u8 = scaled.to(torch.uint8).cpu().numpy()
    is_opaque = bool((picture_u8[..., 3] == 255).all())
    return np.ascontiguousarray(picture_u8[..., :3] if is_opaque else picture_u8)
