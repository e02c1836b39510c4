"""Reading of training images with masks from PNG files."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from get3d.core import DataError

MAX_IMAGE_SIZE = 8192
"""Largest width of training images, in pixels; larger ones are taken for damage."""

_ALPHA_MODES = ("RGBA", "LA", "PA")
_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF")  # not those that start other programs


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
    if not path.exists():
        raise DataError(f"{path}: missing; render this object again")
    if not path.is_file():
        raise DataError(
            f"{path}: is no regular file, so it is not opened; render this object again"
        )
    try:
        with Image.open(path, formats=_FORMATS) as image:
            has_alpha = image.mode in _ALPHA_MODES or "transparency" in image.info
            _check_size(path, *image.size, image_size)  # before any pixel is unpacked
            rgba = image.convert("RGBA")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, DataError | PermissionError):
            raise
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
    return rgba


def _check_size(path: Path, width: int, height: int, image_size: int | None) -> None:
    """Raise DataError if an image is not square, or of another size than the others."""
    if width != height:
        raise DataError(f"{path}: {width} x {height} pixels, but images must be square")
    if image_size is not None and width != image_size:
        raise DataError(
            f"{path}: {width} x {width} pixels, but the other images have {image_size} x "
            f"{image_size}; render this object again at that size"
        )
    if width > MAX_IMAGE_SIZE:
        raise DataError(
            f"{path}: {width} x {width} pixels, more than {MAX_IMAGE_SIZE}; save it smaller"
        )


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
