"""The [1, 3, 3, 1] low-pass filter around every change of resolution (StyleGAN2, appendix B).

The filter is symmetric, so each operation here is the adjoint of another one. Given as such, it
replaces torch's derivative, which runs one channel at a time in R1's second backward pass.
"""

from functools import partial
from types import ModuleType

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from get3d.core.jit import has_triton
from get3d.models.ops.linear import apply_linear


def blur(
    image: Float[Tensor, "n c h w"], *, padding: int, gain: float = 1.0
) -> Float[Tensor, "n c h2 w2"]:
    """Filter every channel by the outer product of the taps, which sum to `gain`.

    Args:
        image: Any number of channels.
        padding: Zeros added at every border before filtering, 0 to 3.
        gain: Factor on the result.
    """
    return apply_linear(
        image,
        partial(_filter, padding=padding, gain=gain),
        adjoint=partial(_filter, padding=3 - padding, gain=gain),
    )


def downsample(image: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
    """Downsample an image of even size by two: filter, then keep every second sample."""
    return apply_linear(image, partial(_halve, gain=1.0), adjoint=partial(_double, gain=1.0))


def upsample(image: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
    """Upsample an image by two: a zero after each sample, then the filter with gain 4."""
    return apply_linear(image, partial(_double, gain=4.0), adjoint=partial(_halve, gain=4.0))


def _filter(image: Tensor, padding: int, gain: float) -> Tensor:
    """Filter an image at its resolution."""
    if kernels := _kernels_for(image):
        return kernels.resample(image, up=1, down=1, padding=padding, gain=gain)
    kernel = _kernel(image, gain)
    return F.conv2d(image, kernel, padding=padding, groups=len(kernel))


def _halve(image: Tensor, gain: float) -> Tensor:
    """Filter an image and downsample it by two."""
    if kernels := _kernels_for(image):
        return kernels.resample(image, up=1, down=2, padding=1, gain=gain)
    kernel = _kernel(image, gain)
    return F.conv2d(image, kernel, padding=1, stride=2, groups=len(kernel))


def _double(image: Tensor, gain: float) -> Tensor:
    """Upsample an image by two and filter it."""
    if kernels := _kernels_for(image):
        return kernels.resample(image, up=2, down=1, padding=2, gain=gain)
    kernel = _kernel(image, gain)
    return F.conv_transpose2d(image, kernel, padding=1, stride=2, groups=len(kernel))


def _kernel(image: Tensor, gain: float) -> Tensor:
    """Make the depthwise convolution kernel of the filter.

    Computed on the device: CUDA graphs cannot record a copy from the host.
    """
    distance = (torch.arange(4, device=image.device, dtype=image.dtype) - 1.5).abs()
    taps = (2 - distance) / 4  # 1/8, 3/8, 3/8, 1/8
    return (torch.outer(taps, taps) * gain).expand(image.shape[1], 1, 4, 4)


def _kernels_for(image: Tensor) -> ModuleType | None:
    """Return the Triton kernels if they can take the image, None otherwise."""
    if not image.is_cuda or not has_triton():
        return None
    from get3d.models.ops import filter_kernels

    return filter_kernels if 4 * image.numel() <= filter_kernels.MAX_SAMPLES else None
