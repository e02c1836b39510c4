"""Stateless random numbers: a draw is a function of (seed, purpose, index of the image or shape).

A resumed run continues bit-identically without saved state, and draws do not depend on how a batch
is divided into chunks or among processes.
"""

from collections.abc import Callable
from enum import IntEnum

import torch
from jaxtyping import Int, Shaped
from torch import Tensor

_BITS = 0xFFFFFFFFFFFFFFFF


class Purpose(IntEnum):
    """Purpose of a draw; draws for different purposes are independent."""

    GENERATOR = 1
    DISCRIMINATOR = 2
    MIRROR = 3
    LATENT = 4
    CAMERA = 5
    CROSSOVER = 6
    STYLE_MIXING = 7
    EPOCH = 0x5EED
    SAMPLES = 0x5A3B1E


def derive_seed(seed: int, *path: int) -> int:
    """Derive a seed from a seed and integers; each path gives another one.

    Args:
        seed: Seed of the run.
        path: Integers, such as a purpose and an index.

    Returns:
        A seed in [0, 2**63).
    """
    mixed = seed
    for part in path:  # the finaliser of splitmix64 decorrelates neighbouring inputs
        mixed = (mixed + 0x9E3779B97F4A7C15 * (part + 1)) & _BITS
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _BITS
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _BITS
        mixed ^= mixed >> 31
    return mixed & (_BITS >> 1)


def keyed_generator(seed: int, *path: int) -> torch.Generator:
    """Make a random number generator, on the CPU, with a seed from `derive_seed`.

    Args:
        seed: Seed of the run.
        path: Integers, such as a purpose and an index.
    """
    return torch.Generator().manual_seed(derive_seed(seed, *path))


def keyed_draws(
    draw: Callable[[torch.Generator], Tensor], seed: int, index: Int[Tensor, " n"]
) -> Shaped[Tensor, "n ..."]:
    """Stack one draw per index, each from another random number generator.

    Args:
        draw: Draws from a random number generator on the CPU.
        seed: Seed of the purpose, from `derive_seed`.
        index: Indices of images or shapes, counted over the whole run.

    Example:
        >>> index = torch.arange(4)
        >>> whole = keyed_draws(lambda rng: torch.rand(2, generator=rng), 0, index)
        >>> part = keyed_draws(lambda rng: torch.rand(2, generator=rng), 0, index[2:])
        >>> bool((whole[2:] == part).all())
        True
    """
    return torch.stack([draw(keyed_generator(seed, each)) for each in index.tolist()])


def shuffled_indices(num: int, *, seed: int, positions: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
    """Compute entries of an infinite sequence in which every epoch is a permutation of `num`.

    Args:
        num: Number of items.
        seed: Seed of the run.
        positions: Positions in the sequence.

    Raises:
        ValueError: If `num` is not positive.

    Example:
        >>> sorted(shuffled_indices(3, seed=0, positions=torch.arange(3, 6)).tolist())
        [0, 1, 2]
    """
    if num < 1:
        raise ValueError("there are no images to draw from")
    epochs = positions // num
    order = {
        epoch: torch.randperm(num, generator=keyed_generator(seed, Purpose.EPOCH, epoch))
        for epoch in epochs.unique().tolist()
    }
    places = zip(epochs.tolist(), (positions % num).tolist(), strict=True)
    return torch.tensor([int(order[epoch][place]) for epoch, place in places], dtype=torch.int64)
