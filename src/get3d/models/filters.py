"""The [1, 3, 3, 1] low-pass filter around every change of resolution (StyleGAN2, appendix B)."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

_TAPS = (1 / 8, 3 / 8, 3 / 8, 1 / 8)


def blur(
    image: Float[Tensor, "n c h w"], *, padding: int, gain: float = 1.0, stride: int = 1
) -> Float[Tensor, "n c h2 w2"]:
    """Filter every channel by the outer product of the taps (sum 1, times `gain`).

    Args:
        image: Any number of channels.
        padding: Zeros added on every side before filtering.
        gain: Factor on the result.
        stride: Keep every `stride`-th sample.
    """
    kernel = _kernel(image, gain)
    return F.conv2d(image, kernel, padding=padding, stride=stride, groups=len(kernel))


def downsample(image: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
    """Halve an image: filter, then keep every second sample."""
    return blur(image, padding=1, stride=2)


def upsample(image: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
    """Double an image: a zero after each sample, then the filter with gain 4."""
    kernel = _kernel(image, 4.0)
    return F.conv_transpose2d(image, kernel, stride=2, padding=1, groups=len(kernel))


def _kernel(image: Float[Tensor, "n c h w"], gain: float) -> Float[Tensor, "c 1 4 4"]:
    """Make the filter, once for each channel."""
    taps = image.new_tensor(_TAPS)
    return (torch.outer(taps, taps) * gain).expand(image.shape[1], 1, 4, 4)
