"""Division of a batch among processes and into chunks."""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from get3d.core import ConfigError


@dataclass(frozen=True)
class Chunk:
    """Shapes of a batch, with all their images, that are computed at once (a microbatch).

    Attributes:
        shapes: Indices of the shapes, counted over the whole run.
        images: Indices of the images, counted over the whole run; those of a shape follow each
            other.
    """

    shapes: Int[Tensor, " shapes"]
    images: Int[Tensor, " images"]


def batch_chunks(
    step: int, *, batch_size: int, views_per_shape: int, num_chunks: int, num_replicas: int = 1
) -> list[list[Chunk]]:
    """Divide a batch among processes and into chunks.

    Every `num_chunks * num_replicas`-th shape is in the same chunk, so that the groups of
    `minibatch_stddev`, which are interleaved too, do not depend on the division, as long as a chunk
    has as many shapes as a group has images.

    Args:
        step: Index of the optimiser step.
        batch_size: Images of all processes.
        views_per_shape: Images of each shape.
        num_chunks: Chunks of each process.
        num_replicas: Number of processes.

    Returns:
        The chunks of each process.

    Raises:
        ConfigError: If the shapes cannot be divided evenly.
    """
    num_shapes, num_parts = batch_size // views_per_shape, num_chunks * num_replicas
    if batch_size % views_per_shape or num_shapes % num_parts:
        raise ConfigError(
            f"a batch of {batch_size} images with views_per_shape {views_per_shape} cannot be "
            f"divided into {num_chunks} chunks in each of {num_replicas} processes"
        )
    chunks = []
    for part in range(num_parts):
        shapes = step * num_shapes + torch.arange(part, num_shapes, num_parts)
        images = (shapes[:, None] * views_per_shape + torch.arange(views_per_shape)).flatten()
        chunks.append(Chunk(shapes, images))
    return [chunks[replica::num_replicas] for replica in range(num_replicas)]
