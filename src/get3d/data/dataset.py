"""Training images with their masks and cameras."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from get3d.core import Cameras, ConfigError, DataError, run_jobs
from get3d.data.image_files import ImageFile, premultiplied
from get3d.data.layouts import (
    METADATA_NAME,
    DatasetIndex,
    join_cameras,
    read_get3d,
    read_published,
)
from get3d.data.transforms_json import find_transforms, read_transforms
from get3d.geometry.cameras import CameraDistribution

_NUM_THREADS = 8


@dataclass(frozen=True)
class Sample:
    """One training image.

    Attributes:
        rgb: Colour in [-1, 1], composited on black (-1).
        mask: Soft coverage in [0, 1].
        camera: Index of its camera in the dataset's `cameras`.
    """

    rgb: Float[Tensor, "3 h w"]
    mask: Float[Tensor, "1 h w"]
    camera: int


@dataclass(frozen=True, kw_only=True)
class ImageDataset:
    """All images of a dataset, read from disk on access.

    Attributes:
        root: The folder.
        images: Image files, object by object, each object's views in order.
        image_object: Index into `objects` of each image.
        objects: Names of the objects.
        cameras: Cameras, one per image.
        distribution: Camera distribution, from the metadata or estimated.
        image_size: Width and height of the images, in pixels.
        splits: Object names by split; empty if the dataset has none.
        light: Light on the images, as for `get3d render`: studio or none; None if unknown.
    """

    root: Path
    images: tuple[ImageFile, ...]
    image_object: Int[Tensor, " images"]
    objects: tuple[str, ...]
    cameras: Cameras
    distribution: CameraDistribution
    image_size: int
    splits: dict[str, tuple[str, ...]]
    light: str | None = None

    def __len__(self) -> int:
        """Count the images."""
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:
        """Read one image; raises DataError naming the file if it cannot be used."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"image {index} of {len(self)}")
        index %= len(self)
        pixels_u8 = premultiplied(self.images[index].read(image_size=self.image_size))
        pixels = torch.from_numpy(pixels_u8).float() / 255.0
        return Sample(rgb=pixels[:3] * 2 - 1, mask=pixels[3:], camera=index)

    def split(self, name: str) -> "ImageDataset":
        """Keep the objects of one split.

        Args:
            name: Name of the split, such as "train"; a dataset without splits is all "train".

        Returns:
            A dataset with fewer images; its cameras are indexed from zero.

        Raises:
            DataError: If there is no such split, or it is empty.
        """
        if not self.splits and name == "train":
            return self
        if name not in self.splits:
            accepted = ", ".join(self.splits) or "train"
            raise DataError(f"{self.root}: no split named {name!r}; it has {accepted}")
        if not self.splits[name]:
            raise DataError(
                f"{self.root}: the split {name!r} has no objects; render the data again"
            )
        return self.subset(self.splits[name])

    def subset(self, names: Sequence[str]) -> "ImageDataset":
        """Keep some objects.

        Args:
            names: Names of the objects; the dataset's own order is kept.

        Returns:
            A dataset with fewer images, without splits.

        Raises:
            DataError: If a name is unknown.
        """
        kept_names = set(names)
        unknown = sorted(kept_names - set(self.objects))
        if unknown:
            raise DataError(f"{self.root}: no object named {unknown[0]!r}")
        kept = [index for index, name in enumerate(self.objects) if name in kept_names]
        new_index = torch.full((len(self.objects),), -1, dtype=torch.int64)
        new_index[kept] = torch.arange(len(kept))
        kept_images = (new_index[self.image_object] >= 0).nonzero().squeeze(1)
        return ImageDataset(
            root=self.root,
            images=tuple(self.images[index] for index in kept_images.tolist()),
            image_object=new_index[self.image_object[kept_images]],
            objects=tuple(self.objects[index] for index in kept),
            cameras=self.cameras[kept_images],
            distribution=self.distribution,
            image_size=self.image_size,
            splits={},
            light=self.light,
        )

    def load_all(
        self, *, image_size: int | None = None, indices: Sequence[int] | None = None
    ) -> UInt8[Tensor, "n 4 h w"]:
        """Read many images into memory, several at a time.

        Args:
            image_size: Width in pixels to downsample to by area averaging; None keeps their size.
            indices: Indices of the images; None reads all.

        Returns:
            RGB composited on black, then the mask, as bytes.

        Raises:
            DataError: If an image cannot be used; the message names the file.
            ConfigError: If `image_size` is larger than the images.
        """
        size = self.image_size if image_size is None else image_size
        if not 0 < size <= self.image_size:
            raise ConfigError(
                f"image_size must lie between 1 and {self.image_size}, the size of the images in "
                f"{self.root}, got {size}; render the dataset at a larger size"
            )
        numbers = list(range(len(self))) if indices is None else list(indices)
        pixels = np.zeros((len(numbers), 4, size, size), dtype=np.uint8)

        def read(position: int) -> None:
            image = self.images[numbers[position]].read(image_size=self.image_size)
            pixels[position] = premultiplied(image, image_size=size)

        run_jobs(read, range(len(numbers)), threads=_NUM_THREADS)
        return torch.from_numpy(pixels)


def scan_dataset(path: Path | str) -> DatasetIndex:
    """Detect the layout of a folder and index its images and cameras.

    Args:
        path: The dataset's folder.

    Returns:
        The index; its `problems` lists what is wrong.

    Raises:
        FileNotFoundError: If there is no such folder, or no dataset in it.
        DataError: If its metadata cannot be read.
    """
    root = Path(path)
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder; make a dataset with `get3d render`")
    if (root / METADATA_NAME).is_file():
        return read_get3d(root)
    if (root / "img").is_dir():
        return read_published(root)
    if find_transforms(root):
        return read_transforms(root)
    raise FileNotFoundError(
        f"{root}: no dataset here; expected {METADATA_NAME} (from `get3d render`), img/ and "
        "camera/ (the published layout), or transforms.json in it or its subfolders (NeRF, Blender)"
    )


def open_dataset(path: Path | str) -> ImageDataset:
    """Open a dataset of any of the three layouts for training.

    Args:
        path: The dataset's folder.

    Returns:
        The dataset; images are read, and validated, on access.

    Raises:
        FileNotFoundError: If there is no such folder, or no dataset in it.
        DataError: If a file is missing or does not fit; the message has a suggested fix.
    """
    index = scan_dataset(path)
    if index.problems:
        more = len(index.problems) - 1
        also = f" (and {more} more; `get3d validate` lists them)" if more else ""
        raise DataError(index.problems[0] + also)
    if not index.objects or index.distribution is None:
        raise DataError(f"{index.root}: the dataset has no objects; render some into it")
    images = tuple(image for views in index.objects for image in views.images)
    counts = torch.tensor([len(views.images) for views in index.objects])
    return ImageDataset(
        root=index.root,
        images=images,
        image_object=torch.repeat_interleave(torch.arange(len(counts)), counts),
        objects=tuple(views.name for views in index.objects),
        cameras=join_cameras([views.cameras for views in index.objects]),
        distribution=index.distribution,
        image_size=index.image_size or images[0].read().width,
        splits=dict(index.splits),
        light=index.light,
    )
