"""The discriminators of RGB images and of masks: one class, two instances (paper, section 3.2)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from get3d.core import ConfigError, DiscriminatorOutput, Images, check_bounds
from get3d.models.feature_discriminator import FeatureDiscriminator
from get3d.models.feature_network import FeatureNetwork, load_feature_network
from get3d.models.layers import EqualConv, EqualLinear, Stack
from get3d.models.mapping import Mapping
from get3d.models.ops import downsample
from get3d.models.synthesis import resolutions

_FREQUENCIES = 3
_ANGLE_FEATURES = 2 * (2 * _FREQUENCIES + 1)
_BOUNDS = {
    "image_size": (8, 4096),
    "channel_base": (1, 1 << 20),
    "channel_max": (1, 8192),
    "mbstd_group_size": (1, 1 << 16),
}
_MAX_FEATURE_IMAGE_SIZE = 2048  # far more than the network was trained with (224)


@dataclass(frozen=True, kw_only=True)
class DiscriminatorConfig:
    """Sizes and options of the discriminators; the defaults are the published values."""

    image_size: int = 1024
    """Width and height of the images, in pixels: a power of two, 8 or more."""

    channel_base: int = 32768
    """A layer at resolution r has channel_base / r channels."""

    channel_max: int = 512
    """Most channels of a layer."""

    mbstd_group_size: int = 4
    """Images among which the minibatch standard deviation is taken; must divide the batch."""

    camera_condition: bool = True
    """Condition the discriminators on the camera's rotation and polar angle."""

    rgb_sees_mask: bool = False
    """Give the RGB discriminator the mask as a fourth channel (published: RGB alone). Without it a
    generator may colour parts of a shape like the background to hide them."""

    features: str = "none"
    """Heads on features of a frozen network beside the RGB discriminator (projected GAN):
    none (published), imagenet (EfficientNet-Lite0, which ships with get3d), or the path of a
    .safetensors file with other weights of that network."""

    feature_image_size: int = 128
    """Width and height, in pixels, that images of the full size are scaled to for the frozen
    network: enlarged too, so no image_size is too small. Smaller images
    (schedule.coarse_images) are scaled in proportion, but to 32 pixels at least (above 128: to
    about a quarter of it)."""

    def __post_init__(self) -> None:
        """Validate the sizes; raise ConfigError."""
        least = FeatureNetwork.min_size
        if self.feature_image_size < least:
            raise ConfigError(
                f"feature_image_size must be at least {least}, got {self.feature_image_size}"
            )
        if self.feature_image_size > _MAX_FEATURE_IMAGE_SIZE:
            raise ConfigError(
                f"feature_image_size must be at most {_MAX_FEATURE_IMAGE_SIZE}, got "
                f"{self.feature_image_size}"
            )
        if not self.features.strip():
            raise ConfigError(
                'features must be "none", "imagenet" or the path of a .safetensors file, got '
                f"{self.features!r}"
            )
        size = self.image_size
        if size < 8 or size & (size - 1):
            raise ConfigError(f"image_size must be a power of two, 8 or more, got {size}")
        check_bounds(self, _BOUNDS)
        if self.channel_base < size:
            raise ConfigError(
                f"channel_base must be at least image_size ({size}), got {self.channel_base}"
            )


class DiscriminatorBlock(nn.Module):
    """One resolution of a discriminator: from-RGB layer, two convolutions, downsampling by two."""

    def __init__(self, image_channels: int, in_channels: int, out_channels: int) -> None:
        """Draw the weights.

        Args:
            image_channels: Channels of the image, which is an input at every resolution.
            in_channels: Channels of the input features.
            out_channels: Channels of the output features.
        """
        super().__init__()
        self.from_image = EqualConv(image_channels, in_channels, kernel=(1, 1))
        self.conv0 = EqualConv(in_channels, in_channels, kernel=(3, 3))
        self.conv1 = EqualConv(in_channels, out_channels, kernel=(3, 3), downsamples=True)


class CameraEmbedding(nn.Module):
    """Camera condition: the vector that a discriminator's output is projected on."""

    def __init__(self, w_dim: int) -> None:
        """Draw the weights; `w_dim` is the width of the vector."""
        super().__init__()
        self.embed = EqualLinear(_ANGLE_FEATURES, w_dim)
        self.mapping = Mapping(w_dim, w_dim, tracks_average=False)

    def forward(self, angles_rad: Float[Tensor, "n 2"]) -> Float[Tensor, "n w_dim"]:
        """Embed the cameras' rotation and polar angle."""
        return self.mapping(self.embed(encode_angles(angles_rad)))


def encode_angles(angles_rad: Float[Tensor, "n 2"]) -> Float[Tensor, "n 14"]:
    """Encode angles by sines and cosines of 1, 2 and 4 times the angles, then the angles."""
    multiples = [angles_rad * 2.0**i for i in range(_FREQUENCIES)]
    waves = [wave for angle in multiples for wave in (angle.sin(), angle.cos())]
    return torch.cat([*waves, angles_rad], dim=1)


class Discriminator(nn.Module):
    """One discriminator (StyleGAN2, "skip" architecture with projected camera condition)."""

    def __init__(self, image_channels: int, config: DiscriminatorConfig) -> None:
        """Draw the weights.

        Args:
            image_channels: 3 for RGB (4 with the mask), 1 for masks.
            config: Sizes and options.
        """
        super().__init__()
        sizes = resolutions(config.image_size)[::-1]
        widths = [min(config.channel_base // r, config.channel_max) for r in sizes]
        last = widths[-1]
        self.blocks: Stack[DiscriminatorBlock] = Stack(
            DiscriminatorBlock(image_channels, a, b) for a, b in pairwise(widths)
        )
        self.from_image = EqualConv(image_channels, last, kernel=(1, 1))
        self.conv = EqualConv(last + 1, last, kernel=(3, 3))
        self.fc = EqualLinear(last * 16, last, activated=True)
        self.camera = CameraEmbedding(last) if config.camera_condition else None
        self.out = EqualLinear(last, last if config.camera_condition else 1)
        self.group_size = config.mbstd_group_size

    def forward(
        self, image: Float[Tensor, "n c h w"], camera_angles: Float[Tensor, "n 2"]
    ) -> Float[Tensor, " n"]:
        """Compute one logit per image. Smaller images enter at the block of their size."""
        image = image.contiguous(memory_format=torch.channels_last)
        x: Tensor | None = None
        num_blocks = image.shape[-1].bit_length() - 3  # each halves the size; 4 pixels are left
        for block in list(self.blocks)[-num_blocks:]:
            colors = block.from_image(image)
            x = block.conv1(block.conv0(colors if x is None else x + colors))
            image = downsample(image)
        assert x is not None  # image_size >= 8, so there is a block
        x = x + self.from_image(image)
        x = self.conv(minibatch_stddev(x, self.group_size))
        x = self.out(self.fc(x.flatten(1)))
        if self.camera is None:
            return x[:, 0]
        return (x * self.camera(camera_angles)).sum(dim=1) / math.sqrt(x.shape[1])


def minibatch_stddev(x: Float[Tensor, "n c h w"], group_size: int) -> Float[Tensor, "n c+1 h w"]:
    """Append the minibatch standard deviation as one constant channel (progressive GAN, StyleGAN).

    Groups are interleaved: of n images in g groups, image i is in group i modulo g.

    Args:
        x: Features of the images.
        group_size: Images in a group, at most n.

    Raises:
        ValueError: If groups of this size cannot be formed.
    """
    num = len(x)
    size = min(group_size, num)
    if num % size:
        raise ValueError(f"a batch of {num} images cannot be split into groups of {size}")
    grouped = x.unflatten(0, (size, -1))
    deviation = (grouped.var(dim=0, unbiased=False) + 1e-8).sqrt().mean(dim=(1, 2, 3))
    channel = deviation.repeat(size)[:, None, None, None].expand(-1, 1, *x.shape[2:])
    return torch.cat([x, channel], dim=1)


class DiscriminatorPair(nn.Module):
    """The discriminators of RGB images and of masks, and the heads on frozen features if any.

    Attributes:
        config: Sizes and options.
    """

    def __init__(self, config: DiscriminatorConfig) -> None:
        """Draw the weights.

        Args:
            config: Sizes and options.

        Raises:
            FileNotFoundError: If `config.features` is the path of a file that does not exist.
            ModelError: If that file holds no weights of the frozen network.
        """
        super().__init__()
        self.config = config
        self.rgb = Discriminator(4 if config.rgb_sees_mask else 3, config)
        self.mask = Discriminator(1, config)
        self.features: FeatureDiscriminator | None = None
        if config.features != "none":
            self.features = FeatureDiscriminator(
                load_feature_network(config.features),
                image_size=config.image_size,
                feature_image_size=config.feature_image_size,
                num_angle_features=_ANGLE_FEATURES if config.camera_condition else 0,
            )

    def project(self, rgb: Float[Tensor, "n 3 h w"]) -> list[Float[Tensor, "n c _ _"]]:
        """Compute the frozen features that `forward` takes; none where the config has no network.

        Args:
            rgb: RGB images in [-1, 1].
        """
        return [] if self.features is None else self.features.project(rgb)

    def forward(
        self,
        images: Images,
        camera_angles: Float[Tensor, "n 2"],
        features: Sequence[Float[Tensor, "n c _ _"]] | None = None,
    ) -> DiscriminatorOutput:
        """Compute the logits of all discriminators.

        Args:
            images: Images of the configured size, or half of it, a quarter and so on down to 8
                pixels.
            camera_angles: Rotation and polar angle of each camera, in radians
                (`get3d.geometry.camera_angles`).
            features: Frozen features of the images from `project`; None computes them.

        Raises:
            ValueError: If the images have another size.
        """
        logits = self.without_features(images, camera_angles)
        if self.features is None:
            return logits
        features = self.project(images.rgb) if features is None else features
        patches = self.features(features, encode_angles(camera_angles))
        return DiscriminatorOutput(rgb=logits.rgb, mask=logits.mask, features=patches)

    def without_features(
        self, images: Images, camera_angles: Float[Tensor, "n 2"]
    ) -> DiscriminatorOutput:
        """Compute the logits of the RGB and mask discriminators alone, as for the R1 penalty.

        Args:
            images: As for `forward`.
            camera_angles: As for `forward`.

        Raises:
            ValueError: If the images have another size.
        """
        height, width = images.rgb.shape[-2:]
        accepted = resolutions(self.config.image_size)[1:]
        if height != width or width not in accepted:
            raise ValueError(
                f"images must be {self.config.image_size} pixels high and wide, or half of it and "
                f"so on down to 8, got {width} x {height}"
            )
        colors = images.rgb
        if self.config.rgb_sees_mask:
            colors = torch.cat([colors, images.mask], dim=1)
        return DiscriminatorOutput(
            rgb=self.rgb(colors, camera_angles), mask=self.mask(images.mask, camera_angles)
        )
