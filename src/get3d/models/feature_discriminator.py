"""Discriminator heads on features of a frozen network (projected GAN, Sauer et al. 2021)."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from get3d.models.feature_network import FeatureNetwork

_WIDTH = 64  # channels of the mixed features and of the heads
_GROUPS = 8  # of the heads' group normalisation
_MIXING_SEED = 0
_HEAD_SIZE = 4  # every head ends with a map of about this width and height

MixedFeatures = Sequence[Float[Tensor, "n c _ _"]]
"""Feature maps of a batch, one per level, the finest first."""


class FeatureProjection(nn.Module):
    """A frozen network and the fixed random mixing of its feature maps.

    1x1 convolutions mix channels; 3x3 convolutions mix scales, from the coarsest down. Neither is
    trained: mixing keeps the discriminator from using only the most discriminative channels
    (Sauer et al. 2021, section 3.2).
    """

    def __init__(self, network: FeatureNetwork, *, magnification: float, min_size: int) -> None:
        """Draw the mixing weights, from a seed of their own.

        Args:
            network: The frozen network.
            magnification: Factor that images are scaled by before they enter it.
            min_size: Least width and height of the scaled images, in pixels.
        """
        super().__init__()
        self.network = network
        self.magnification = magnification
        self.min_size = min_size
        rng = torch.Generator().manual_seed(_MIXING_SEED)
        for level, width in enumerate(network.channels):
            channels, scales = torch.empty(_WIDTH, width, 1, 1), torch.empty(_WIDTH, _WIDTH, 3, 3)
            for name, weight in (("channels", channels), ("scales", scales)):
                nn.init.kaiming_normal_(weight, generator=rng)
                self.register_buffer(f"{name}{level}", weight)

    def forward(self, rgb: Float[Tensor, "n 3 h w"]) -> list[Float[Tensor, "n c _ _"]]:
        """Compute mixed features of images in [-1, 1]; one map per level, the finest first."""
        size = max(round(rgb.shape[-1] * self.magnification), self.min_size)
        if size != rgb.shape[-1]:
            rgb = F.interpolate(
                rgb, size=(size, size), mode="bilinear", antialias=size < rgb.shape[-1]
            )
        # Frozen, so half the precision costs nothing but rounding; bfloat16 has float32's range.
        with torch.autocast(rgb.device.type, torch.bfloat16, enabled=self.has_half_precision(rgb)):
            mixed = self._mix(self.network(rgb))
        return [level.to(rgb.dtype) for level in mixed]

    @staticmethod
    def has_half_precision(rgb: Float[Tensor, "n 3 h w"]) -> bool:
        """Return whether the frozen network runs in bfloat16: on GPUs that support it."""
        return rgb.is_cuda and torch.cuda.is_bf16_supported(including_emulation=False)

    def _mix(self, levels: Sequence[Float[Tensor, "n _ _ _"]]) -> list[Float[Tensor, "n c _ _"]]:
        """Mix channels, then scales; the finest level first."""
        mixed: list[Tensor] = []
        for level in reversed(range(len(levels))):
            x = F.conv2d(levels[level], self.get_buffer(f"channels{level}"))
            if mixed:
                x = x + F.interpolate(mixed[-1], size=x.shape[-2:], mode="bilinear")
            mixed.append(F.conv2d(x, self.get_buffer(f"scales{level}"), padding=1))
        return mixed[::-1]


class FeatureHead(nn.Module):
    """Patch discriminator on one feature level, conditioned on the camera by projection."""

    def __init__(self, size: int, num_angle_features: int) -> None:
        """Draw the weights.

        Args:
            size: Width and height of the level's feature maps.
            num_angle_features: Width of the camera's positional encoding; 0 for no condition.
        """
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(_num_halvings(size)):
            layers += [
                spectral_norm(nn.Conv2d(_WIDTH, _WIDTH, 4, stride=2, padding=1)),
                nn.GroupNorm(_GROUPS, _WIDTH),
                nn.LeakyReLU(0.2),
            ]
        layers += [spectral_norm(nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1)), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers)
        self.out = spectral_norm(nn.Conv2d(_WIDTH, 1, 1))
        self.camera = nn.Linear(num_angle_features, _WIDTH) if num_angle_features else None

    def forward(
        self, features: Float[Tensor, "n c h w"], angles: Float[Tensor, "n a"]
    ) -> Float[Tensor, "n patches"]:
        """Compute one logit per patch."""
        x = self.layers(features)
        logits = self.out(x)
        if self.camera is not None:
            direction = self.camera(angles)[:, :, None, None]
            logits = logits + (x * direction).sum(1, keepdim=True) / math.sqrt(_WIDTH)
        return logits.flatten(1)


class FeatureDiscriminator(nn.Module):
    """Discriminator on frozen features: one head per level of the mixed features."""

    def __init__(
        self,
        network: FeatureNetwork,
        *,
        image_size: int,
        feature_image_size: int,
        num_angle_features: int,
    ) -> None:
        """Draw the weights.

        Args:
            network: The frozen network.
            image_size: Width and height of the full-size images, in pixels.
            feature_image_size: Width and height that these are scaled to for the network; smaller
                images are scaled in proportion, but not below what network and heads can take.
            num_angle_features: Width of the camera's positional encoding; 0 for no condition.
        """
        super().__init__()
        sizes = [math.ceil(feature_image_size / stride) for stride in network.strides]
        # Maps from which the heads' halvings leave a pixel; no more than half of the full size.
        least = [
            stride * (2 ** _num_halvings(size) - 1) + 1
            for stride, size in zip(network.strides, sizes, strict=True)
        ]
        self.project = FeatureProjection(
            network,
            magnification=feature_image_size / image_size,
            min_size=max(network.min_size, *least),
        )
        self.heads = nn.ModuleList(FeatureHead(size, num_angle_features) for size in sizes)

    def forward(
        self, features: MixedFeatures, angles: Float[Tensor, "n a"]
    ) -> Float[Tensor, "n patches"]:
        """Compute the logits of all patches of all levels.

        Args:
            features: Mixed features of the images, from `project`.
            angles: Encoded camera angles.
        """
        pairs = zip(self.heads, features, strict=True)
        return torch.cat([head(level, angles) for head, level in pairs], dim=1)


def _num_halvings(size: int) -> int:
    """Count the halvings (rounded down) from a size to that of the heads' last maps."""
    count = 0
    while size > _HEAD_SIZE:
        size, count = size // 2, count + 1
    return count
