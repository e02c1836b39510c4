"""Protocol of image scores, and checks of image sets against it."""

from dataclasses import dataclass, fields
from typing import Literal

import torch
from jaxtyping import Shaped, UInt8
from torch import Tensor

from get3d.core import ConfigError, DataError
from get3d.metrics.features import check_images

BACKGROUND = (0, 0, 0)
"""Black, as in the published renders."""

_TOLERANCE = 16  # of 255: the background of generated images is approximate
_LEAST_FRACTION = 0.5  # of the corners; objects rarely extend to one
_COUNTS = ("num_generated", "num_reference")


@dataclass(frozen=True, kw_only=True)
class ImageProtocol:
    """Protocol of an image score, saved with it: scores of different protocols differ.

    The defaults are the published ones: 50 000 generated images from random cameras.

    Attributes:
        extractor: Name of the feature network.
        extractor_fingerprint: Hash of its weights.
        resize: Description of how images are resized to its input.
        image_size: Width and height of the images before that, in pixels.
        background: Colour of the background, in sRGB bytes.
        source: "field" renders the colour field of a generator (FID-Ori), "mesh" the exported
            textured mesh (FID-3D).
        light: Light on meshes, as in the settings of the renderer; fields are unlit.
        supersample: Samples of a pixel along each axis.
        radius: Distance of the cameras from the origin, in scene units.
        fovy_deg: Vertical field of view.
        rotation_deg: Range of the rotation about the y axis, sampled uniformly.
        polar_deg: Range of the angle from +y, sampled uniformly; 90 is the horizon.
        views_per_shape: Images of each generated shape.
        num_generated: Number of generated images.
        num_reference: Number of real images.
        seed: Seed of shapes and cameras.
    """

    extractor: str
    extractor_fingerprint: str
    resize: str
    image_size: int
    background: tuple[int, int, int] = BACKGROUND
    source: Literal["field", "mesh"]
    light: str = "none"
    supersample: int = 1
    radius: float = 1.2
    fovy_deg: float = 49.13
    rotation_deg: tuple[float, float] = (0.0, 360.0)
    polar_deg: tuple[float, float] = (60.0, 90.0)
    views_per_shape: int = 1
    num_generated: int = 50_000
    num_reference: int
    seed: int = 0

    def __post_init__(self) -> None:
        """Validate the values; raise ConfigError."""
        for name in ("image_size", "supersample", "views_per_shape"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in _COUNTS:
            if getattr(self, name) < 2:
                raise ConfigError(
                    f"{name} must be at least 2, since one image has no variance, "
                    f"got {getattr(self, name)}"
                )
        if not all(0 <= value <= 255 for value in self.background):
            raise ConfigError(f"background must be three bytes, got {self.background}")


def protocol_differences(first: ImageProtocol, second: ImageProtocol) -> list[str]:
    """List the settings that differ between the protocols of two scores, except the seed.

    Args:
        first: Protocol of the first score.
        second: Protocol of the second score.

    Returns:
        "name: value of the first, value of the second" of each differing setting.
    """
    return [
        f"{item.name}: {getattr(first, item.name)}, {getattr(second, item.name)}"
        for item in fields(ImageProtocol)
        if item.name != "seed" and getattr(first, item.name) != getattr(second, item.name)
    ]


def composite(
    rgba_u8: UInt8[Tensor, "n 4 h w"],
    background: tuple[int, int, int] = BACKGROUND,
    *,
    may_fill: bool = False,
) -> UInt8[Tensor, "n 3 h w"]:
    """Composite images with straight alpha on a background, in sRGB as viewers do.

    Args:
        rgba_u8: Images, RGB and alpha.
        background: Colour of the background, in sRGB bytes.
        may_fill: Accept images without a transparent pixel, such as those of our renderer.

    Raises:
        DataError: If an image has no transparent pixel and `may_fill` is false: its RGB contains
            another background.

    Example:
        >>> red = torch.tensor([[200, 0], [0, 0], [0, 0], [128, 0]], dtype=torch.uint8)
        >>> composite(red.view(1, 4, 1, 2))[0, 0].tolist()
        [[100, 0]]
    """
    is_opaque = (rgba_u8[:, 3] == 255).flatten(1).all(1)
    if is_opaque.any() and not may_fill:
        first = int(is_opaque.nonzero()[0])
        raise DataError(
            f"{int(is_opaque.sum())} of {len(rgba_u8)} images have no transparent pixel, the "
            f"first is {first}: their background is in the colours; render them with alpha"
        )
    alpha = rgba_u8[:, 3:].float() / 255.0
    behind = torch.tensor(background, device=rgba_u8.device).view(3, 1, 1)
    return (rgba_u8[:, :3] * alpha + behind * (1.0 - alpha)).round().to(torch.uint8)


def check_image_set(name: str, images_u8: Shaped[Tensor, "..."], protocol: ImageProtocol) -> None:
    """Validate the size, type and background of images against a protocol.

    The number of images is checked by `check_counts`, so that parts of a set can be checked.

    Args:
        name: Name of the set, for the message.
        images_u8: Images `[n, 3, h, w]`.
        protocol: Protocol of the score.

    Raises:
        ValueError: If they are not RGB bytes.
        DataError: If their size or background differs.
    """
    check_images(name, images_u8)
    size = protocol.image_size
    if tuple(images_u8.shape[2:]) != (size, size):
        height, width = images_u8.shape[2:]
        raise DataError(
            f"{name} have {width} x {height} pixels, but the protocol says {size} x {size}; "
            "render both sets at one size"
        )
    corners = images_u8[:, :, [0, 0, -1, -1], [0, -1, 0, -1]].permute(0, 2, 1).reshape(-1, 3)
    stated = torch.tensor(protocol.background, device=corners.device)
    fits = ((corners.int() - stated).abs() <= _TOLERANCE).all(1)
    fraction = float(fits.float().mean())
    if fraction < _LEAST_FRACTION:
        found = tuple(corners[~fits].median(0).values.tolist())
        raise DataError(
            f"{name} have another background than the protocol's {protocol.background}: "
            f"{1 - fraction:.0%} of their corners differ, mostly {found}; composite them anew"
        )


def check_counts(num_generated: int, num_reference: int, protocol: ImageProtocol) -> None:
    """Validate the numbers of images against a protocol.

    Args:
        num_generated: Number of generated images.
        num_reference: Number of real images.
        protocol: Protocol of the score.

    Raises:
        DataError: If a number differs.
    """
    for name, num in zip(_COUNTS, (num_generated, num_reference), strict=True):
        if num != getattr(protocol, name):
            raise DataError(
                f"{name}: there are {num} images, but the protocol says "
                f"{getattr(protocol, name)}; the score depends on it"
            )
