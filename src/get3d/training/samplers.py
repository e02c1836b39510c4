"""What generated images are made from: latent codes, cameras and labels.

A sampler is a function of a seed and of indices, counted over the whole run, so that no draw
depends on how a batch is divided. Cameras may carry gradients: then the trainer's backward pass
reaches what they were computed from.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from get3d.core import Cameras
from get3d.geometry import CameraDistribution, uniform_cameras
from get3d.training.randomness import Purpose, derive_seed, keyed_draws

LatentSampler = Callable[[int, Int[Tensor, " shapes"]], Float[Tensor, "shapes 2 z"]]
"""From a seed and the indices of shapes to their geometry and texture codes, on the CPU."""

CameraSampler = Callable[[int, Int[Tensor, " images"]], Cameras]
"""From a seed and the indices of images to their cameras."""

LabelSampler = Callable[[int, Int[Tensor, " shapes"]], Int[Tensor, " shapes"]]
"""From a seed and the indices of shapes to their labels."""


@dataclass(frozen=True)
class Samplers:
    """The distributions that a generator is trained on.

    Attributes:
        latents: Of the latent codes.
        cameras: Of the cameras.
        labels: Of the labels; None without labels.
    """

    latents: LatentSampler
    cameras: CameraSampler
    labels: LabelSampler | None = None


def normal_latents(z_dim: int) -> LatentSampler:
    """Sample latent codes from the standard normal distribution.

    Args:
        z_dim: Width of a code.
    """

    def sample(seed: int, shapes: Int[Tensor, " shapes"]) -> Float[Tensor, "shapes 2 z"]:
        seed = derive_seed(seed, Purpose.LATENT)
        return keyed_draws(lambda rng: torch.randn(2, z_dim, generator=rng), seed, shapes)

    return sample


def distribution_cameras(distribution: CameraDistribution) -> CameraSampler:
    """Sample cameras as a data set's were, rotation and polar angle uniform in their ranges.

    Args:
        distribution: Of the data set.
    """

    def sample(seed: int, images: Int[Tensor, " images"]) -> Cameras:
        seed = derive_seed(seed, Purpose.CAMERA)
        uniform = keyed_draws(lambda rng: torch.rand(2, generator=rng), seed, images)
        return uniform_cameras(distribution, uniform)

    return sample


def sample_crossovers(
    seed: int, shapes: Int[Tensor, " shapes"], num_layers: int, *, probability: float
) -> Int[Tensor, " shapes"]:
    """Sample from which layer on a shape's styles are another's (style mixing, StyleGAN).

    Args:
        seed: Derived for the kind of styles.
        shapes: Their indices.
        num_layers: Layers that have a style.
        probability: Chance that styles are mixed at all.

    Returns:
        Layers from 1 to `num_layers - 1`; `num_layers` where nothing is mixed.
    """

    def draw(rng: torch.Generator) -> Tensor:
        is_mixed = torch.rand((), generator=rng) < probability
        layer = torch.randint(1, max(num_layers, 2), (), generator=rng)
        return torch.where(is_mixed, layer, num_layers)

    return keyed_draws(draw, seed, shapes)
