"""Textures of files: the bytes of their images, decoded when they are sampled."""

import io
import warnings
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from get3d.core.errors import MeshError, is_out_of_memory

Wrap = Literal["repeat", "mirror", "clamp"]
_FORMATS = (
    "PNG",
    "JPEG",
    "WEBP",
    "BMP",
    "GIF",
    "TGA",
    "TIFF",
)  # not those whose plugins start programs


@dataclass(frozen=True)
class Sampler:
    """How a texture is looked up (glTF 2.0, section 3.8.4).

    Attributes:
        wrap_u: What lies beyond the left and right edge.
        wrap_v: What lies beyond the top and bottom edge.
        is_nearest: Whether lookups take the nearest texel instead of a bilinear mean of four.
    """

    wrap_u: Wrap = "repeat"
    wrap_v: Wrap = "repeat"
    is_nearest: bool = False


@dataclass(frozen=True)
class EncodedTexture:
    """An image as its file's bytes, some fifty times smaller than its texels.

    Attributes:
        encoded: Content of a PNG, JPEG or WebP file.
        name: For error messages.
        sampler: How it is looked up.
        is_opaque: Whether its alpha channel is ignored.
    """

    encoded: bytes = field(repr=False)
    name: str
    sampler: Sampler = Sampler()
    is_opaque: bool = False

    def decode(self) -> UInt8[Tensor, "h w 4"]:
        """Decode to RGBA bytes.

        Raises:
            MeshError: If the image is damaged.
        """
        try:
            texels = _decode(self.encoded).clone()  # the original stays in the cache
        except Exception as error:  # Pillow's plugins fail in every way there is
            if is_out_of_memory(error):
                raise
            reason = " ".join(str(error).split())
            raise MeshError(
                f"{self.name} is damaged ({reason}); export the file again, or without it"
            ) from error
        if not self.is_opaque or bool((texels[..., 3] == 255).all()):
            return texels
        return torch.cat([texels[..., :3], torch.full_like(texels[..., :1], 255)], 2)


def image_problem(encoded: bytes) -> str | None:
    """Read the header of an image.

    Args:
        encoded: Content of an image file.

    Returns:
        Why it cannot be used, or None.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of images that are large but not refused
            Image.open(io.BytesIO(encoded), formats=_FORMATS).close()
    except Image.DecompressionBombError:
        return "is too large"
    except Exception:
        return "is no image of a kind that is read"
    return None


@lru_cache(maxsize=1)  # materials with one image are sampled one after another
def _decode(encoded: bytes) -> UInt8[Tensor, "h w 4"]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image: Image.Image = Image.open(io.BytesIO(encoded), formats=_FORMATS)
        if image.mode.startswith("I"):  # 16 bits of grey, which Pillow's conversion clips
            values = np.asarray(image).astype(np.float64) / 257
            image = Image.fromarray(np.clip(values + 0.5, 0, 255).astype(np.uint8))
        return torch.from_numpy(np.array(image.convert("RGBA")))
