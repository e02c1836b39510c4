"""Textures as bytes, and as the image files of every format."""

import io
from collections.abc import Collection
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from get3d.core.errors import ConfigError
from get3d.core.textures import EncodedTexture
from get3d.core.types import Material

OtherTexture = Literal["metallic_roughness", "normal", "emissive"]


def material_image(texture: Float[Tensor, "h w 4"] | EncodedTexture) -> UInt8[np.ndarray, "h w c"]:
    """Turn a material's texture into bytes; alpha is left out where it is 1 everywhere.

    Args:
        texture: sRGB with alpha, in [0, 1].

    Returns:
        Three or four channels.
    """
    if isinstance(texture, EncodedTexture):
        image_u8 = texture.decode().numpy()
    else:
        scaled = texture.detach().clamp(0, 1).mul_(255).add_(0.5)
        image_u8 = scaled.to(torch.uint8).cpu().numpy()
    is_opaque = bool((image_u8[..., 3] == 255).all())
    return np.ascontiguousarray(image_u8[..., :3] if is_opaque else image_u8)


def other_textures(
    material: Material, *, without: Collection[str] = ()
) -> list[tuple[OtherTexture, UInt8[Tensor, "h w 3"] | EncodedTexture]]:
    """List the textures of a material besides the base colour, by name; see `Material`.

    Args:
        material: Any.
        without: Fields of `Material` to leave out.
    """
    named: tuple[tuple[OtherTexture, Tensor | EncodedTexture | None], ...] = (
        ("metallic_roughness", material.metallic_roughness_texture),
        ("normal", material.normal_texture),
        ("emissive", material.emissive_texture),
    )
    return [
        (name, texture)
        for name, texture in named
        if texture is not None and f"{name}_texture" not in without
    ]


def rgb_image(texture: UInt8[Tensor, "h w 3"] | EncodedTexture) -> UInt8[np.ndarray, "h w 3"]:
    """Return the texels of a texture besides the base colour."""
    if isinstance(texture, EncodedTexture):
        return np.ascontiguousarray(texture.decode()[..., :3].numpy())
    return texture.cpu().numpy()


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
