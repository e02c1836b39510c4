"""The [1, 3, 3, 1] low-pass filter around every change of resolution (StyleGAN2, appendix B).

The filter is symmetric, so each operation here is the adjoint of another one. Saying so spares the
derivation that torch would do one channel at a time in R1's second backward pass.
"""

from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from get3d.models.linear import apply_linear

_TAPS = (1 / 8, 3 / 8, 3 / 8, 1 / 8)


def blur(
    image: Float[Tensor, "n c h w"], *, padding: int, gain: float = 1.0
) -> Float[Tensor, "n c h2 w2"]:
    """Filter every channel by the outer product of the taps, which sum to `gain`.

    Args:
        image: Any number of channels.
        padding: Zeros added on every side before filtering, 0 to 3.
        gain: Factor on the result.
    """
    return apply_linear(
        image,
        partial(_filter, padding=padding, gain=gain),
        adjoint=partial(_filter, padding=3 - padding, gain=gain),
    )


def downsample(image: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
    """Halve an image of even sides: filter, then keep every second sample."""
    return apply_linear(image, partial(_halve, gain=1.0), adjoint=partial(_double, gain=1.0))


def upsample(image: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
    """Double an image: a zero after each sample, then the filter with gain 4."""
    return apply_linear(image, partial(_double, gain=4.0), adjoint=partial(_halve, gain=4.0))


def _filter(image: Tensor, padding: int, gain: float) -> Tensor:
    if image.is_cuda:
        return _average_pairs(image, padding, stride=1) * gain
    kernel = _kernel(image, gain)
    return F.conv2d(image, kernel, padding=padding, groups=len(kernel))


def _halve(image: Tensor, gain: float) -> Tensor:
    if image.is_cuda:
        return _average_pairs(image, 1, stride=2) * gain
    kernel = _kernel(image, gain)
    return F.conv2d(image, kernel, padding=1, stride=2, groups=len(kernel))


def _double(image: Tensor, gain: float) -> Tensor:
    if image.is_cuda:
        return _interpolate(image) * (gain / 4)
    kernel = _kernel(image, gain)
    return F.conv_transpose2d(image, kernel, padding=1, stride=2, groups=len(kernel))


def _kernel(image: Tensor, gain: float) -> Tensor:
    """Make the filter, once for each channel."""
    taps = image.new_tensor(_TAPS)
    return (torch.outer(taps, taps) * gain).expand(image.shape[1], 1, 4, 4)


# On CUDA a convolution of every channel by itself runs at a small share of the memory's speed
# (a third of a training step, measured on an H100); the same filters from pooling do not.


def _average_pairs(image: Tensor, padding: int, *, stride: int) -> Tensor:
    """Filter by [1, 3, 3, 1] / 8: as a polynomial it is ((1 + x) / 2) ** 3, so three means of two.

    Args:
        image: To filter.
        padding: Zeros on every side, 0 to 3: each mean adds one.
        stride: Keep every sample, or every second one.
    """
    for i in range(3):
        step = stride if i == 2 else 1
        image = F.avg_pool2d(image, 2, stride=step, padding=int(i < padding))
    return image


def _interpolate(image: Tensor) -> Tensor:
    """Double an image by the filter of gain 4: bilinear weights, with zeros around the image."""
    padded = F.pad(image, (1, 1, 1, 1))
    larger = F.interpolate(padded, scale_factor=2.0, mode="bilinear", align_corners=False)
    return larger[:, :, 2:-2, 2:-2]
