"""The exponential moving average (EMA) of the generator's weights, which is used to generate."""

import torch
from torch import Tensor, nn


def ema_decay(batch_size: int, seen_images: int, *, half_life_images: int, ramp_up: float) -> float:
    """Compute the decay of the average in one step: the fraction of the old average that is kept.

    The half-life is counted in images, so it does not depend on the batch size; early in a run it
    is at most `ramp_up` times the images seen, so that the random initialisation is forgotten.

    Args:
        batch_size: Images in the step.
        seen_images: Real images seen, the step included.
        half_life_images: Half-life, in images.
        ramp_up: Largest half-life as a fraction of `seen_images`.
    """
    half_life = min(half_life_images, seen_images * ramp_up)
    return 0.5 ** (batch_size / half_life) if half_life > 0 else 0.0


@torch.no_grad()
def update_average(average: nn.Module, current: nn.Module, decay: float) -> None:
    """Update the average's parameters by the current ones; persistent buffers are copied.

    Args:
        average: The averaged network, changed in place.
        current: The network in training.
        decay: Fraction of the old average that is kept.
    """
    parameters: list[Tensor] = list(current.parameters())
    averages: list[Tensor] = list(average.parameters())
    torch._foreach_lerp_(averages, parameters, 1.0 - decay)
    saved = current.state_dict()
    for name, averaged in average.named_buffers():
        if name in saved:  # the others, tables of the grid, are constant
            averaged.copy_(saved[name])
