"""Contact sheets (grids of images) and PNG files."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from get3d.core.files import atomic_path

_LABEL_HEIGHT_PX, _LABEL_MARGIN_PX = 13, 3
_LABEL_COLOR = (40, 40, 40)


def images_to_u8(
    images: Float[Tensor, "n c h w"], *, low: float = -1.0
) -> UInt8[np.ndarray, "n h w c"]:
    """Convert network images to bytes, channels last; values outside the range are clipped.

    Args:
        images: Images with values in [low, 1].
        low: Value of black: -1 inside networks, 0 elsewhere.

    Returns:
        The same images as bytes.

    Example:
        >>> images_to_u8(torch.tensor([-1.0, 0.0, 3.0]).view(1, 3, 1, 1))[0, 0, 0].tolist()
        [0, 128, 255]
    """
    scaled = (images.detach() - low) * (255.0 / (1.0 - low))
    bytes_ = (scaled + 0.5).clamp(0.0, 255.0).to(torch.uint8)
    return bytes_.permute(0, 2, 3, 1).cpu().numpy()


def contact_sheet(
    images_u8: Iterable[UInt8[np.ndarray, "h w c"]],
    *,
    columns: int | None = None,
    labels: Sequence[str] | None = None,
    gap_px: int = 6,
) -> Image.Image:
    """Arrange images in a grid on a white background, row by row.

    Smaller images are placed at the top left of their cell.

    Args:
        images_u8: Grey, RGB or RGBA (straight alpha) images, such as an array `[n, h, w, c]`.
        columns: Images per row; by default about the number of rows.
        labels: One line of text under each image, cut to the image's width.
        gap_px: Space between images, in pixels.

    Returns:
        The contact sheet, RGB.

    Raises:
        ValueError: If there is no image, `columns` is below 1, or `labels` has another
            length than the images.

    Example:
        >>> contact_sheet(np.zeros((5, 8, 8, 3), np.uint8), columns=3, gap_px=0).size
        (24, 16)
    """
    images = [_from_bytes(image).convert("RGBA") for image in images_u8]
    if not images:
        raise ValueError("images_u8 is empty: a contact sheet needs at least one image")
    if columns is not None and columns < 1:
        raise ValueError(f"columns must be at least 1, got {columns}")
    if labels is not None and len(labels) != len(images):
        raise ValueError(
            f"labels must have one entry per image, got {len(labels)} for {len(images)}"
        )
    columns = columns or math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    width = max(image.width for image in images)
    height = max(image.height for image in images)
    step_x = width + gap_px
    step_y = height + gap_px + (_LABEL_HEIGHT_PX if labels else 0)
    sheet = Image.new("RGBA", (columns * step_x - gap_px, rows * step_y - gap_px), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default()
    for index, image in enumerate(images):
        left, top = index % columns * step_x, index // columns * step_y
        sheet.alpha_composite(image, (left, top))
        if labels:
            # Pillow's bitmap font has Latin letters only and raises for others.
            text = labels[index].encode("latin-1", "replace").decode("latin-1")
            while len(text) > 1 and font.getlength(text) > width - 2 * _LABEL_MARGIN_PX:
                text = text[:-1]
            place = (left + _LABEL_MARGIN_PX, top + height)
            draw.text(place, text, fill=_LABEL_COLOR, font=font)
    return sheet.convert("RGB")


def save_png(
    path: Path | str, image: Image.Image | UInt8[np.ndarray, "h w c"], *, durable: bool = True
) -> None:
    """Write a PNG file atomically.

    Args:
        path: Path of the file.
        image: A Pillow image, or a byte array with 1, 3 or 4 channels.
        durable: As in `get3d.core.files.atomic_path`.
    """
    if not isinstance(image, Image.Image):
        image = _from_bytes(image)
    with atomic_path(path, durable=durable) as temp_path:
        image.save(temp_path, format="PNG")


def _from_bytes(image_u8: UInt8[np.ndarray, "h w c"]) -> Image.Image:
    """Convert an array to a Pillow image; its number of channels determines the mode."""
    if image_u8.shape[-1] not in (1, 3, 4):
        raise ValueError(f"an image has 1, 3 or 4 channels, got {image_u8.shape[-1]}")
    return Image.fromarray(image_u8[..., 0] if image_u8.shape[-1] == 1 else image_u8)
