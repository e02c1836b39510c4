"""Textures as bytes, and as the image files of every format."""

import io
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor


def material_image(texture: Float[Tensor, "h w 4"]) -> UInt8[np.ndarray, "h w c"]:
    """Turn a material's texture into bytes; alpha is left out where it is 1 everywhere.

    Args:
        texture: sRGB with alpha, in [0, 1].

    Returns:
        Three or four channels.
    """
    scaled = texture.detach().clamp(0, 1).mul_(255).add_(0.5)
    image_u8 = scaled.to(torch.uint8).cpu().numpy()
    is_opaque = bool((image_u8[..., 3] == 255).all())
    return np.ascontiguousarray(image_u8[..., :3] if is_opaque else image_u8)


def encode_image(
    image_u8: UInt8[np.ndarray, "h w c"], jpeg_quality: int | None
) -> tuple[bytes, Literal["png", "jpeg"]]:
    """Write an image's file and name its kind; JPEG has no alpha, so it is for opaque ones.

    Args:
        image_u8: From `material_image`.
        jpeg_quality: Of opaque images; None: PNG.
    """
    buffer = io.BytesIO()
    image = Image.fromarray(image_u8)
    if jpeg_quality is None or image_u8.shape[-1] == 4:
        image.save(buffer, format="PNG")
        return buffer.getvalue(), "png"
    image.save(buffer, format="JPEG", quality=jpeg_quality, subsampling=0)
    return buffer.getvalue(), "jpeg"


def check_jpeg_quality(jpeg_quality: int | None) -> None:
    """Refuse a quality that no file should have.

    Args:
        jpeg_quality: None: PNG.

    Raises:
        ValueError: If it is out of range.
    """
    if jpeg_quality is not None and not 1 <= jpeg_quality <= 95:
        raise ValueError(f"jpeg_quality must be from 1 to 95, got {jpeg_quality}")
