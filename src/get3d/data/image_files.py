"""Reading of training images with masks from image files."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageChops

from get3d.core import DataError
from get3d.data.undistort import Distortion, undistort

MAX_IMAGE_SIZE = 8192
"""Largest width of training images, in pixels; larger ones are taken for damage."""

_ALPHA_MODES = ("RGBA", "LA", "PA")
_MASK_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA")
_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF")  # not those that start other programs


@dataclass(frozen=True)
class ImageFile:
    """A training image on the disk.

    Attributes:
        path: Image file.
        mask_path: Grey image of the mask, white where the object is; None if alpha is the mask.
        distortion: Distortion of its lens, to be undone; None for a pinhole camera.
    """

    path: Path
    mask_path: Path | None = None
    distortion: Distortion | None = None

    def read(self, *, image_size: int | None = None) -> Image.Image:
        """Read the image with its mask, undistorted.

        Args:
            image_size: Width of all images of the dataset, in pixels; None takes any.

        Returns:
            The decoded square image, RGBA with straight alpha.

        Raises:
            DataError: If a file is missing or cut off, there is no mask, or a size does not fit.
        """
        image = read_image(self.path, image_size=image_size, mask_path=self.mask_path)
        return image if self.distortion is None else undistort(image, self.distortion)


def read_image(
    path: Path, *, image_size: int | None = None, mask_path: Path | None = None
) -> Image.Image:
    """Read a square image with alpha.

    Args:
        path: Image file.
        image_size: Width of all images of the dataset, in pixels; None takes any.
        mask_path: Grey image that alpha is multiplied by; None if alpha is the mask.

    Returns:
        The decoded image, RGBA with straight alpha.

    Raises:
        DataError: If a file is missing or cut off, there is no mask, or a size does not fit.
    """
    with _opened(path) as image:
        has_alpha = image.mode in _ALPHA_MODES or "transparency" in image.info
        _check_size(path, *image.size, image_size)  # before any pixel is unpacked
        rgba = image.convert("RGBA")
    if mask_path is not None:
        mask = _read_mask(mask_path, rgba.width)
        rgba.putalpha(ImageChops.multiply(rgba.getchannel("A"), mask) if has_alpha else mask)
    elif not has_alpha:
        raise DataError(
            f"{path}: has no alpha channel; GET3D needs masks, so save images as RGBA with alpha 0 "
            "outside the object (in transforms.json, or name a mask_path)"
        )
    return rgba


def read_size(path: Path) -> tuple[int, int]:
    """Read width and height of an image in pixels, without its pixels.

    Raises:
        DataError: If the file is missing or no image.
    """
    with _opened(path) as image:
        return image.size


def _read_mask(path: Path, image_size: int) -> Image.Image:
    """Read a mask as a grey image."""
    with _opened(path) as image:
        _check_size(path, *image.size, image_size)
        if image.mode not in _MASK_MODES:
            raise DataError(
                f"{path}: pixels of the kind {image.mode}, but masks must have 8 bits; save it as "
                "a grey image, white where the object is"
            )
        mask = image.convert("RGBA").convert("RGBa").convert("RGB").convert("L")
    if mask.getextrema()[1] == 1:  # 0 and 1, as arrays of truth values are saved
        mask = mask.point(lambda value: 255 * value)
    return mask


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open an image file; whatever is wrong with it becomes a DataError that names it."""
    if not path.exists():
        raise DataError(f"{path}: missing; render this object again")
    if not path.is_file():
        raise DataError(
            f"{path}: is no regular file, so it is not opened; render this object again"
        )
    try:
        with Image.open(path, formats=_FORMATS) as image:
            yield image
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, DataError | PermissionError):
            raise
        reason = " ".join(str(error).split())
        raise DataError(
            f"{path}: cannot be read ({reason}); the file is cut off or damaged, so delete it and "
            "render it again"
        ) from error


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
