"""Images of a set as feature networks get them: composited on the background of the scores."""

import torch
from jaxtyping import UInt8
from torch import Tensor

from get3d.core import DataError

BACKGROUND = (0, 0, 0)
"""Black, as in the published renders."""


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
