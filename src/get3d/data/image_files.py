"""Reading of training images with masks from PNG files."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from get3d.core import DataError

_ALPHA_MODES = ("RGBA", "LA", "PA")


def read_image(path: Path, *, image_size: int | None = None) -> Image.Image:
    """Read a square image with alpha.

    Args:
        path: PNG file.
        image_size: Width of all images of the dataset, in pixels; None takes any.

    Returns:
        The decoded image, RGBA with straight alpha.

    Raises:
        DataError: If the file is missing or cut off, has no alpha, or is of another size.
    """
    try:
        with Image.open(path) as image:
            has_alpha = image.mode in _ALPHA_MODES or "transparency" in image.info
            width, height = image.size
            rgba = image.convert("RGBA")
    except FileNotFoundError as error:
        raise DataError(f"{path}: missing; render this object again") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{path}: cannot be read ({reason}); the file is cut off or damaged, so delete it and "
            "render it again"
        ) from error
    if not has_alpha:
        raise DataError(
            f"{path}: has no alpha channel; GET3D needs masks, so save images as RGBA with alpha 0 "
            "outside the object"
        )
    if width != height:
        raise DataError(f"{path}: {width} x {height} pixels, but images must be square")
    if image_size is not None and width != image_size:
        raise DataError(
            f"{path}: {width} x {width} pixels, but the other images have {image_size} x "
            f"{image_size}; render this object again at that size"
        )
    return rgba


def premultiplied(
    image: Image.Image, *, image_size: int | None = None
) -> UInt8[np.ndarray, "4 h w"]:
    """Composite an image on black and optionally downsample it by area averaging.

    Averaging colours that are already multiplied by alpha keeps the hidden colours of transparent
    pixels out of the result.

    Args:
        image: RGBA with straight alpha.
        image_size: New width in pixels; None keeps it.

    Returns:
        RGB on black, then the mask.
    """
    result = image.convert("RGBa")
    if image_size is not None and image.size != (image_size, image_size):
        result = result.resize((image_size, image_size), Image.Resampling.BOX)
    return np.ascontiguousarray(np.asarray(result).transpose(2, 0, 1))
