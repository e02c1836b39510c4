"""Randomness without state: every draw is a function of (seed, what it is for, how far the run is).

Nothing has to be saved for a resumed run to continue bit by bit as an unbroken one.
"""

import torch
from jaxtyping import Int
from torch import Tensor

_MASK = (1 << 63) - 1


def step_generator(seed: int, stream: int, step: int, device: torch.device) -> torch.Generator:
    """A generator for one use in one step.

    Args:
        seed: Of the run.
        stream: Tells apart uses within a step.
        step: Optimiser step.
        device: Where the numbers are drawn.
    """
    mixed = seed
    for part in (stream, step):  # the finaliser of splitmix64 decorrelates neighbouring inputs
        mixed = (mixed + 0x9E3779B97F4A7C15 * (part + 1)) & 0xFFFFFFFFFFFFFFFF
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        mixed ^= mixed >> 31
    return torch.Generator(device).manual_seed(mixed & _MASK)


def shuffled_indices(num: int, *, seed: int, start: int, count: int) -> Int[Tensor, " count"]:
    """Entries `start` to `start + count` of an endless walk that visits all of `num` every epoch.

    Example:
        >>> sorted(shuffled_indices(3, seed=0, start=3, count=3).tolist())
        [0, 1, 2]
    """
    if num < 1:
        raise ValueError("there are no images to draw from")
    parts = []
    while count > 0:
        epoch, offset = divmod(start, num)
        order = torch.randperm(
            num, generator=step_generator(seed, 0x5EED, epoch, torch.device("cpu"))
        )
        parts.append(order[offset : offset + count])
        start += len(parts[-1])
        count -= len(parts[-1])
    return torch.cat(parts) if parts else torch.empty(0, dtype=torch.int64)
