"""The resampling filter as one CUDA pass: every input is read and every output written once.

Depthwise convolutions reach a small fraction of the memory bandwidth in the CUDA libraries; they
took a third of a training step. Imported only where there is Triton.
"""

from typing import no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

_BLOCK = 1024
MAX_SAMPLES = 2**31 - _BLOCK
"""Most values of image or result: indices have 32 bits, whose division is fast."""


@triton.jit
@no_type_check  # a wrapper would hide the globals from Triton
def _resample_kernel(
    image,
    result,
    total,
    channels,
    height,
    width,
    new_height,
    new_width,
    gain,
    UP: tl.constexpr,
    DOWN: tl.constexpr,
    PADDING: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
    BLOCK: tl.constexpr,
):
    index = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    is_inside = index < total
    rest = index
    if CHANNELS_LAST:
        channel = rest % channels
        rest = rest // channels
    column = rest % new_width
    rest = rest // new_width
    row = rest % new_height
    rest = rest // new_height
    if CHANNELS_LAST:
        start = rest * height * width * channels + channel
        step = channels
    else:
        start = rest * height * width
        step = 1
    value = tl.zeros([BLOCK], tl.float32)
    for i in tl.static_range(4):
        at_row = row * DOWN + i - PADDING
        row_tap = 0.375 if i == 1 or i == 2 else 0.125
        is_row = is_inside & (at_row >= 0) & (at_row < height * UP) & (at_row % UP == 0)
        for j in tl.static_range(4):
            at_column = column * DOWN + j - PADDING
            tap = row_tap * (0.375 if j == 1 or j == 2 else 0.125)
            is_here = is_row & (at_column >= 0) & (at_column < width * UP) & (at_column % UP == 0)
            place = start + ((at_row // UP) * width + at_column // UP) * step
            value += tap * tl.load(image + place, mask=is_here, other=0.0).to(tl.float32)
    tl.store(result + index, (value * gain).to(result.dtype.element_ty), mask=is_inside)


def resample(
    image: Float[Tensor, "n c h w"], *, up: int, down: int, padding: int, gain: float
) -> Float[Tensor, "n c h2 w2"]:
    """Upsample by zeros, pad, filter by [1, 3, 3, 1] / 8 along both axes, and downsample.

    Args:
        image: Stored channels last or channels first; so is the result.
        up: Upsampling factor, 1 or 2: `up - 1` zeros follow every sample.
        down: Downsampling factor, 1 or 2.
        padding: Zeros before the first row and column, and behind the last ones: up to where the
            filter still meets a sample.
        gain: Factor on the result.
    """
    n, c, h, w = image.shape
    behind = padding - (up - 1)  # the zero behind the last sample counts as padding
    new_h, new_w = ((size * up + padding + behind - 4) // down + 1 for size in (h, w))
    is_last = c > 1 and image.is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if is_last else torch.contiguous_format
    image = image.contiguous(memory_format=layout)
    result = torch.empty(
        (n, c, new_h, new_w), dtype=image.dtype, device=image.device, memory_format=layout
    )
    total = result.numel()
    _resample_kernel[(triton.cdiv(total, _BLOCK),)](
        image, result, total, c, h, w, new_h, new_w, gain, up, down, padding, is_last, _BLOCK
    )
    return result
