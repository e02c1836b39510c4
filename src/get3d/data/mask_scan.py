"""Scan of all images of a dataset: whether they can be read, and properties of their masks."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from get3d.core import DataError
from get3d.data.image_files import ImageFile, premultiplied
from get3d.data.layouts import DatasetIndex
from get3d.data.silhouettes import MASK_SIZE

_NUM_THREADS = 8
_HALF = 128  # least alpha of a covered pixel


@dataclass(frozen=True, kw_only=True)
class MaskScan:
    """Properties of every image, in the order of the dataset.

    Attributes:
        masks: Coarse silhouettes; empty where an image could not be read.
        is_read: Whether the image could be read.
        is_touching: Whether the silhouette touches the border.
        is_empty: Whether the mask is empty.
        is_full: Whether the mask has no background.
        width_px: Width of the images, 0 if none could be read.
        errors: What is wrong with the images that could not be read.
    """

    masks: Bool[Tensor, "images s s"]
    is_read: Bool[Tensor, " images"]
    is_touching: Bool[Tensor, " images"]
    is_empty: Bool[Tensor, " images"]
    is_full: Bool[Tensor, " images"]
    width_px: int
    errors: list[str]


def scan_masks(index: DatasetIndex, on_progress: Callable[[int, int], None]) -> MaskScan:
    """Read all images, several at a time.

    Args:
        index: The dataset.
        on_progress: Called with the images read so far and their number.
    """
    images = [image for views in index.objects for image in views.images]
    masks = torch.zeros(len(images), MASK_SIZE, MASK_SIZE, dtype=torch.bool)
    flags = torch.zeros(4, len(images), dtype=torch.bool)
    width_px = index.image_size or _first_width(images)

    def read(number: int) -> str | None:
        try:
            image = images[number].read(image_size=width_px or None)
        except DataError as error:
            return str(error)
        alpha = np.asarray(image.getchannel("A"))
        border = (alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1])
        flags[0, number] = True
        flags[1, number] = bool(max(edge.max() for edge in border) >= _HALF)
        flags[2, number] = bool(alpha.max() < _HALF)
        flags[3, number] = bool(alpha.min() >= _HALF)
        small = premultiplied(image, image_size=min(MASK_SIZE, image.width))[3]
        rows = np.arange(MASK_SIZE) * small.shape[0] // MASK_SIZE
        masks[number] = torch.from_numpy(small[rows][:, rows] >= _HALF)
        return None

    errors = []
    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        for done, error in enumerate(pool.map(read, range(len(images))), start=1):
            if error is not None:
                errors.append(error)
            on_progress(done, len(images))
    return MaskScan(
        masks=masks,
        is_read=flags[0],
        is_touching=flags[1],
        is_empty=flags[2],
        is_full=flags[3],
        width_px=width_px,
        errors=errors,
    )


def _first_width(images: Iterable[ImageFile]) -> int:
    """Return the width of the first image that can be read; 0 if none can."""
    for image in images:
        try:
            return image.read().width
        except DataError:
            continue
    return 0
