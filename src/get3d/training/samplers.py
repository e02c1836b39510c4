"""Samplers of the inputs of generated images: latent codes, cameras and labels.

A sampler is a function of a seed and of indices, counted over the whole run, so that no draw
depends on how a batch is divided. Cameras may require gradients: the trainer's backward pass then
reaches the tensors that they were computed from.
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
"""Samples geometry and texture codes, on the CPU, from a seed and the indices of shapes."""

CameraSampler = Callable[[int, Int[Tensor, " images"]], Cameras]
"""Samples cameras from a seed and the indices of images."""

LabelSampler = Callable[[int, Int[Tensor, " shapes"]], Int[Tensor, " shapes"]]
"""Samples labels from a seed and the indices of shapes."""


@dataclass(frozen=True)
class Samplers:
    """The distributions that a generator is trained on.

    Attributes:
        latents: Sampler of latent codes.
        cameras: Sampler of cameras.
        labels: Sampler of labels; None without labels.
    """

    latents: LatentSampler
    cameras: CameraSampler
    labels: LabelSampler | None = None


def normal_latents(z_dim: int) -> LatentSampler:
    """Make a sampler of latent codes from the standard normal distribution.

    Args:
        z_dim: Width of a latent code.
    """

    def sample(seed: int, shapes: Int[Tensor, " shapes"]) -> Float[Tensor, "shapes 2 z"]:
        seed = derive_seed(seed, Purpose.LATENT)
        return keyed_draws(lambda rng: torch.randn(2, z_dim, generator=rng), seed, shapes)

    return sample


def distribution_cameras(distribution: CameraDistribution) -> CameraSampler:
    """Make a sampler of cameras whose rotation and polar angle are uniform in their ranges.

    Args:
        distribution: Camera distribution of the data set.
    """

    def sample(seed: int, images: Int[Tensor, " images"]) -> Cameras:
        seed = derive_seed(seed, Purpose.CAMERA)
        uniform = keyed_draws(lambda rng: torch.rand(2, generator=rng), seed, images)
        return uniform_cameras(distribution, uniform)

    return sample


def sample_crossovers(
    seed: int, shapes: Int[Tensor, " shapes"], num_layers: int, *, probability: float
) -> Int[Tensor, " shapes"]:
    """Sample the crossover layer of each shape for style mixing (StyleGAN).

    Args:
        seed: Seed of the kind of styles, from `derive_seed`.
        shapes: Indices of the shapes.
        num_layers: Number of layers with a style.
        probability: Probability that the styles of a shape are mixed.

    Returns:
        Layers from 1 to `num_layers - 1`; `num_layers` where nothing is mixed.
    """

    def draw(rng: torch.Generator) -> Tensor:
        is_mixed = torch.rand((), generator=rng) < probability
        layer = torch.randint(1, max(num_layers, 2), (), generator=rng)
        return torch.where(is_mixed, layer, num_layers)

    return keyed_draws(draw, seed, shapes)
