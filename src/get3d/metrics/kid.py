"""Kernel distance of features, as in the KID (Bińkowski et al. 2018)."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from get3d.core import ConfigError
from get3d.metrics.frechet import check_features


@dataclass(frozen=True, kw_only=True)
class KernelProtocol:
    """Protocol of a kernel distance, saved with the score.

    Attributes:
        num_subsets: Number of pairs of subsets to average over.
        subset_size: Features sampled from each set, without replacement.
        seed: Seed of the subsets.
        kernel: Kernel of two features x and y of length d.
    """

    num_subsets: int = 100
    subset_size: int = 1000
    seed: int = 0
    kernel: Literal["(x.y / d + 1)^3"] = "(x.y / d + 1)^3"

    def __post_init__(self) -> None:
        """Validate the values; raise ConfigError."""
        if self.num_subsets < 1:
            raise ConfigError(f"num_subsets must be at least 1, got {self.num_subsets}")
        if self.subset_size < 2:
            raise ConfigError(f"subset_size must be at least 2, got {self.subset_size}")
        if self.seed < 0:
            raise ConfigError(f"seed must not be negative, got {self.seed}")


def kernel_distance(
    features_a: Float[Tensor, "n d_a"],
    features_b: Float[Tensor, "m d_b"],
    protocol: KernelProtocol | None = None,
) -> tuple[float, float]:
    """Estimate the squared maximum mean discrepancy with a cubic kernel (Bińkowski et al. 2018).

    Averaged over random subsets. Unlike the Fréchet distance it is unbiased in the number of
    features, so small sets can be compared; it may be slightly negative.

    Args:
        features_a: Features of the first set.
        features_b: Features of the second set.
        protocol: Subsets and kernel; None: as published, 100 subsets of 1000.

    Returns:
        Mean over the subsets, and their standard deviation (not that of the mean).

    Raises:
        ConfigError: If a set is smaller than a subset.
        ValueError: If the features differ in length, or a value is not finite.
    """
    protocol = protocol or KernelProtocol()
    size = protocol.subset_size
    for name, features in (("features_a", features_a), ("features_b", features_b)):
        if features.dim() == 2 and len(features) < size:
            raise ConfigError(
                f"{name} are {len(features)}, fewer than a subset of {size}; "
                "make more, or lower subset_size"
            )
        check_features(name, features, at_least=size)
    if features_a.shape[1] != features_b.shape[1]:
        raise ValueError(
            f"features of {features_a.shape[1]} and of {features_b.shape[1]} values "
            "do not go together"
        )
    rng = np.random.default_rng(protocol.seed)

    def draw(features: Tensor) -> Float[Tensor, "size d"]:
        chosen = torch.from_numpy(rng.choice(len(features), size, replace=False))
        return features[chosen.to(features.device)].detach().double()

    values = torch.stack(
        [
            _squared_discrepancy(draw(features_a), draw(features_b))
            for _ in range(protocol.num_subsets)
        ]
    )
    return values.mean().item(), values.std(correction=0).item()


def _squared_discrepancy(a: Float[Tensor, "n d"], b: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """Compute the unbiased estimate (Gretton et al. 2012, lemma 6)."""
    num = len(a)
    within_a, within_b = (
        (_kernel(each, each).sum() - (each.square().mean(1) + 1).pow(3).sum()) / (num * (num - 1))
        for each in (a, b)
    )
    return within_a + within_b - 2 * _kernel(a, b).mean()


def _kernel(a: Float[Tensor, "n d"], b: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
    """Evaluate the cubic kernel of all pairs."""
    return (a @ b.T / a.shape[1] + 1).pow(3)
