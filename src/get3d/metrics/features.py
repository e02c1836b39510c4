"""Features of images, for Fréchet and kernel distances."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class FeatureExtractor:
    """A feature network for images, with the metadata to save with a score.

    Attributes:
        name: Name of the network; scores of different networks are not comparable.
        dim: Length of a feature vector.
        resize: Description of how images are resized to the network's input.
        fingerprint: Hash of the weights, eight hexadecimal digits.
        network: Module from RGB bytes to features, in evaluation mode.
        images_at_once: Images in one pass, which bounds the memory.
    """

    name: str
    dim: int
    resize: str
    fingerprint: str
    network: nn.Module
    images_at_once: int = 64

    @torch.no_grad()
    def __call__(self, images_u8: Shaped[Tensor, "..."]) -> Float[Tensor, "n {self.dim}"]:
        """Compute the features of images.

        Convolutions are in float32, without TF32.

        Args:
            images_u8: RGB bytes `[n, 3, h, w]`, composited on their background, on any device.

        Returns:
            Features in float32, on the network's device.

        Raises:
            ValueError: If the images are not RGB bytes.
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
    """Validate a batch of RGB images in bytes.

    Args:
        name: Name of the argument, for the message.
        images_u8: The images.

    Raises:
        ValueError: If they are not bytes, grey, with alpha, channels last, or empty.
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
            suggestion = "these networks were not trained on grey images"
        raise ValueError(
            f"{name} must have 3 channels (RGB), got {channels} in {shape}; {suggestion}"
        )
    if 0 in shape:
        raise ValueError(f"{name} must hold at least one image of at least one pixel, got {shape}")
