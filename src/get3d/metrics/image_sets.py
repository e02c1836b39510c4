"""How images for scores are taken, and what two sets must have in common to be compared."""

from dataclasses import dataclass, fields
from typing import Literal

import torch
from jaxtyping import Shaped, UInt8
from torch import Tensor

from get3d.metrics.features import check_images

BACKGROUND = (0, 0, 0)
"""Black, as in the published renders."""

_TOLERANCE = 16  # steps of 255: networks paint their background nearly, not exactly
_LEAST_SHARE = 0.5  # of the corners; objects rarely reach into one
_COUNTS = ("num_generated", "num_reference")


@dataclass(frozen=True, kw_only=True)
class ImageProtocol:
    """How images become a score: saved beside it, so that two numbers are comparable or not.

    The defaults are the published ones: 50 000 generated images from random cameras.

    Attributes:
        extractor: Name of the network that makes the features.
        extractor_fingerprint: Of its weights.
        resize: How it brings images to its own size.
        image_size: Side of the square images, in pixels, before that.
        background: sRGB bytes behind the objects.
        source: "field" renders the colour field of a generator (FID-Ori), "mesh" the exported
            textured mesh (FID-3D).
        light: How meshes are lit, as in the settings of the renderer; fields have no light.
        supersample: Samples along each side of a pixel.
        radius: Distance of the cameras from the origin, in scene units.
        fovy_deg: Vertical field of view.
        rotation_deg: Lowest and highest rotation about the upright axis, drawn uniformly.
        polar_deg: Lowest and highest angle from +y, drawn uniformly; 90 is the horizon.
        views_per_shape: Images of each generated shape.
        num_generated: Generated images.
        num_reference: Images of the data.
        seed: Of shapes and cameras.
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
        """Refuse what no set of images can be."""
        for name in ("image_size", "supersample", "views_per_shape"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in _COUNTS:
            if getattr(self, name) < 2:
                raise ValueError(
                    f"{name} must be at least 2, since one image has no spread, "
                    f"got {getattr(self, name)}"
                )
        if not all(0 <= value <= 255 for value in self.background):
            raise ValueError(f"background must be three bytes, got {self.background}")


def protocol_differences(first: ImageProtocol, second: ImageProtocol) -> list[str]:
    """Name what keeps two scores from being compared; empty if nothing does.

    Args:
        first: Protocol of a score.
        second: Of the other one.

    Returns:
        One "name: value of the first, value of the second" for each setting but the seed.
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
    """Put images with straight alpha on a background, in sRGB as viewers do.

    Args:
        rgba_u8: RGB, then alpha.
        background: sRGB bytes.
        may_fill: Objects may fill an image, since a renderer that is known made them.

    Raises:
        ValueError: If an image of unknown origin has no transparent pixel, so that its own
            background is painted in.

    Example:
        >>> red = torch.tensor([[200, 0], [0, 0], [0, 0], [128, 0]], dtype=torch.uint8)
        >>> composite(red.view(1, 4, 1, 2))[0, 0].tolist()
        [[100, 0]]
    """
    is_opaque = (rgba_u8[:, 3] == 255).flatten(1).all(1)
    if is_opaque.any() and not may_fill:
        first = int(is_opaque.nonzero()[0])
        raise ValueError(
            f"{int(is_opaque.sum())} of {len(rgba_u8)} images have no transparent pixel, the "
            f"first is {first}: their background is painted in; render them with alpha"
        )
    alpha = rgba_u8[:, 3:].float() / 255.0
    behind = torch.tensor(background, device=rgba_u8.device).view(3, 1, 1)
    return (rgba_u8[:, :3] * alpha + behind * (1.0 - alpha)).round().to(torch.uint8)


def check_image_set(name: str, images_u8: Shaped[Tensor, "..."], protocol: ImageProtocol) -> None:
    """Refuse images of another size, kind or background than the protocol says.

    A part of a set may be checked too: the number of images is `check_counts`'.

    Args:
        name: What the caller calls the set, for the message.
        images_u8: Images `[n, 3, h, w]`.
        protocol: What they are said to be.

    Raises:
        ValueError: If they are something else.
    """
    check_images(name, images_u8)
    size = protocol.image_size
    if tuple(images_u8.shape[2:]) != (size, size):
        height, width = images_u8.shape[2:]
        raise ValueError(
            f"{name} have {width} x {height} pixels, but the protocol says {size} x {size}; "
            "render both sets at one size"
        )
    corners = images_u8[:, :, [0, 0, -1, -1], [0, -1, 0, -1]].permute(0, 2, 1).reshape(-1, 3)
    stated = torch.tensor(protocol.background, device=corners.device)
    fits = ((corners.int() - stated).abs() <= _TOLERANCE).all(1)
    share = float(fits.float().mean())
    if share < _LEAST_SHARE:
        found = tuple(corners[~fits].median(0).values.tolist())
        raise ValueError(
            f"{name} have another background than the protocol's {protocol.background}: "
            f"{1 - share:.0%} of their corners differ, mostly {found}; composite them anew"
        )


def check_counts(num_generated: int, num_reference: int, protocol: ImageProtocol) -> None:
    """Refuse sets that are not as large as the protocol says.

    Raises:
        ValueError: If a number differs.
    """
    for name, num in zip(_COUNTS, (num_generated, num_reference), strict=True):
        if num != getattr(protocol, name):
            raise ValueError(
                f"{name}: there are {num} images, but the protocol says "
                f"{getattr(protocol, name)}; the score depends on it"
            )
