"""Textures as bytes, and as the image files of every format."""

import io
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from get3d.core.errors import ConfigError
from get3d.core.types import Material


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


def has_textures(material: Material) -> bool:
    """Tell whether a material has any texture."""
    return material.texture is not None or bool(other_textures(material))


def other_textures(
    material: Material,
) -> list[tuple[Literal["metallic_roughness", "normal", "emissive"], UInt8[np.ndarray, "h w 3"]]]:
    """List the textures of a material besides the base colour, by name; see `Material`."""
    named: tuple[tuple[Literal["metallic_roughness", "normal", "emissive"], Tensor | None], ...] = (
        ("metallic_roughness", material.metallic_roughness_texture),
        ("normal", material.normal_texture),
        ("emissive", material.emissive_texture),
    )
    return [(name, image.cpu().numpy()) for name, image in named if image is not None]


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
    """Validate a quality; raise ConfigError if it is not from 1 to 95.

    Args:
        jpeg_quality: None: PNG.
    """
    if jpeg_quality is not None and not 1 <= jpeg_quality <= 95:
        raise ConfigError(f"jpeg_quality must be from 1 to 95, got {jpeg_quality}")
