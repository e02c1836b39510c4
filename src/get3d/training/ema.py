"""The moving average of the generator's weights, which is what generates in the end."""

import torch
from torch import Tensor, nn


def ema_decay(batch_size: int, seen_images: int, *, half_life_images: int, ramp_up: float) -> float:
    """Share of the old average that one step keeps.

    The half-life is counted in images, so it does not depend on the batch size; early in a run it
    is at most `ramp_up` times the images seen, so the average does not remember the random start.
    """
    half_life = min(half_life_images, seen_images * ramp_up)
    return 0.5 ** (batch_size / half_life) if half_life > 0 else 0.0


@torch.no_grad()
def update_average(average: nn.Module, current: nn.Module, decay: float) -> None:
    """Move the average's parameters towards the current ones; saved buffers are copied."""
    parameters: list[Tensor] = list(current.parameters())
    averages: list[Tensor] = list(average.parameters())
    torch._foreach_lerp_(averages, parameters, 1.0 - decay)
    saved = current.state_dict()
    for name, averaged in average.named_buffers():
        if name in saved:  # the rest, tables of the grid, never changes
            averaged.copy_(saved[name])
