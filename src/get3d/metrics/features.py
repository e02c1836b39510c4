"""Features of images: what Fréchet and kernel distances compare."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class FeatureExtractor:
    """A network that turns images into features, and what has to be saved beside a score.

    Attributes:
        name: Of the network; scores of different names cannot be compared.
        dim: Length of a feature.
        resize: How images of any size become the network's own, in words.
        fingerprint: Of the weights: eight hexadecimal digits.
        network: Takes RGB bytes and returns features; in evaluation mode.
        images_at_once: Images in one pass: bounds the memory, not the result.
    """

    name: str
    dim: int
    resize: str
    fingerprint: str
    network: nn.Module
    images_at_once: int = 64

    @torch.no_grad()
    def __call__(self, images_u8: Shaped[Tensor, "..."]) -> Float[Tensor, "n {self.dim}"]:
        """Extract the features of images.

        Convolutions are exact float32 on a GPU too, without TF32.

        Args:
            images_u8: RGB bytes `[n, 3, h, w]`, already on their background, on any device.

        Returns:
            float32, on the network's device.

        Raises:
            ValueError: If these are no RGB bytes.
        """
        check_images("images_u8", images_u8)
        device = next(self.network.parameters()).device
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            parts = [
                self.network(part.to(device)).float()
                for part in images_u8.split(self.images_at_once)
            ]
        return torch.cat(parts)


def check_images(name: str, images_u8: Shaped[Tensor, "..."]) -> None:
    """Refuse what is not a batch of RGB images in bytes.

    Args:
        name: What the caller calls them.
        images_u8: The images.

    Raises:
        ValueError: If they are no bytes, grey, with alpha, channels last, or none.
    """
    shape = tuple(images_u8.shape)
    if images_u8.dtype != torch.uint8:
        raise ValueError(
            f"{name} must be bytes (uint8, 0 to 255), got {images_u8.dtype}; round and convert them"
        )
    if images_u8.dim() != 4:
        raise ValueError(f"{name} must have the axes [n, 3, height, width], got {shape}")
    channels = shape[1]
    if channels != 3:
        suggestion = "permute the axes to [n, 3, height, width]"
        if channels == 4:
            suggestion = "put images with alpha on their background first (composite)"
        elif channels == 1:
            suggestion = "grey images are not what these networks learned from"
        raise ValueError(
            f"{name} must have 3 channels (RGB), got {channels} in {shape}; {suggestion}"
        )
    if 0 in shape:
        raise ValueError(f"{name} must hold at least one image of at least one pixel, got {shape}")
