"""An endless order of pictures that can be continued at any position."""

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor


@dataclass(eq=False)
class ShuffledSampler:
    """Picture indices without end: every pass shows each picture once, in an order of its own.

    The order depends on the seed and the pass alone, so the position is the whole state: save it,
    and a new sampler with the same position continues exactly.

    Attributes:
        num_images: How many pictures there are.
        seed: Of the orders.
        position: How many indices were given so far.

    Example:
        >>> sampler = ShuffledSampler(num_images=3, seed=0)
        >>> sorted(sampler.take(3).tolist())
        [0, 1, 2]
    """

    num_images: int
    seed: int
    position: int = 0
    _pass: int = field(default=-1, init=False, repr=False)
    _order: Int[Tensor, " images"] = field(
        default_factory=lambda: torch.zeros(0, dtype=torch.int64), init=False, repr=False
    )

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn from."""
        if self.num_images < 1:
            raise ValueError(f"num_images must be at least 1, got {self.num_images}")
        if self.position < 0 or self.seed < 0:
            raise ValueError(
                f"position and seed must not be negative, got {self.position} and {self.seed}"
            )

    def take(self, num: int) -> Int[Tensor, " num"]:
        """Give the next indices and move on.

        Args:
            num: How many; a batch may span two passes.

        Returns:
            Picture indices, on the CPU.
        """
        parts = [torch.zeros(0, dtype=torch.int64)]
        end = self.position + num
        while self.position < end:
            number, start = divmod(self.position, self.num_images)
            part = self._order_of(number)[start : start + end - self.position]
            parts.append(part)
            self.position += len(part)
        return torch.cat(parts)

    def _order_of(self, number: int) -> Int[Tensor, " images"]:
        """Shuffle the pictures for one pass; the last one asked for is kept."""
        if number != self._pass:
            # NumPy mixes both numbers; torch's CPU generator keeps 32 bits of a seed only.
            generator = np.random.default_rng([self.seed, number])
            self._order = torch.from_numpy(generator.permutation(self.num_images))
            self._pass = number
        return self._order
