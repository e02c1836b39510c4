"""2D synthesis networks of tri-planes (StyleGAN2, "skip" architecture)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from get3d.models.config import GeneratorConfig
from get3d.models.layers import ModulatedConv, Stack, ToRGB
from get3d.models.ops import upsample

PLANE_CHANNELS = 32


def resolutions(last: int) -> list[int]:
    """List the resolutions 4, 8, ... up to `last`, a power of two."""
    return [2**i for i in range(2, last.bit_length())]


def as_points(image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b h*w c"]:
    """Flatten pixels to points; no copy where the image is stored channels last."""
    return image.permute(0, 2, 3, 1).flatten(1, 2)


def as_image(points: Float[Tensor, "b pixels c"]) -> Float[Tensor, "b c h w"]:
    """Reshape the points of a square to an image stored channels last."""
    size = round(points.shape[1] ** 0.5)
    return points.unflatten(1, (size, size)).permute(0, 3, 1, 2)


class SynthesisBlock(nn.Module):
    """One resolution: convolutions, then one to-RGB layer (here to-planes) per output."""

    def __init__(
        self, in_channels: int, out_channels: int, w_dim: int, *, noise_size: int, outputs: int
    ) -> None:
        """Draw the weights.

        Args:
            in_channels: Channels of the input; 0 for the first block, which has none.
            out_channels: Channels of the block.
            w_dim: Width of the style vectors.
            noise_size: Width and height of the block's noise images; 0 for no noise.
            outputs: Number of tri-planes, 1 or 2.
        """
        super().__init__()
        self.conv0: ModulatedConv | None = None
        if in_channels:
            self.conv0 = ModulatedConv(
                in_channels, out_channels, w_dim, upsamples=True, noise_size=noise_size
            )
        self.conv1 = ModulatedConv(out_channels, out_channels, w_dim, noise_size=noise_size)
        self.to_planes: Stack[ToRGB] = Stack(
            ToRGB(out_channels, 3 * PLANE_CHANNELS, w_dim) for _ in range(outputs)
        )


class TriplaneSynthesis(nn.Module):
    """Synthesis network of one or two tri-planes, from a learned constant.

    With two outputs (the unified generator) the convolutions and the first tri-plane take the
    geometry styles, the second one takes texture styles, one per block.
    """

    def __init__(self, config: GeneratorConfig, w_dim: int, *, outputs: int) -> None:
        """Draw the weights.

        Args:
            config: Config of the generator.
            w_dim: Width of the style vectors.
            outputs: Number of tri-planes, 1 or 2.
        """
        super().__init__()
        self.w_dim, self.num_outputs = w_dim, outputs
        sizes = resolutions(config.plane_resolution)
        widths = [min(config.channel_base // size, config.channel_max) for size in sizes]
        self.const = nn.Parameter(torch.randn(widths[0], 4, 4))
        self.blocks: Stack[SynthesisBlock] = Stack(
            SynthesisBlock(
                a, b, w_dim, noise_size=size if config.plane_noise else 0, outputs=outputs
            )
            for a, b, size in zip([0, *widths], widths, sizes, strict=False)
        )

    @property
    def num_styles(self) -> int:
        """Number of styles of the convolutions and the first output: 3 k - 1 for k blocks."""
        return 3 * len(self.blocks) - 1

    def forward(
        self, styles: Float[Tensor, "b layers w_dim"], *other: Float[Tensor, "b blocks w_dim"]
    ) -> list[Float[Tensor, "b 96 r r"]]:
        """Synthesize the tri-planes.

        Args:
            styles: Styles of the convolutions and the first output, in order of use.
            other: Styles of the second output, one per block.

        Returns:
            One tri-plane per output; the channels of the xy, yz and xz planes follow each other.
        """
        queue = iter(styles.unbind(1))
        x = self.const.expand(len(styles), -1, -1, -1)
        x = x.contiguous(memory_format=torch.channels_last)
        images: list[Tensor] = []
        for i, block in enumerate(self.blocks):
            if block.conv0 is not None:
                x = block.conv0(x, next(queue))
            x = block.conv1(x, next(queue))
            ws = [next(queue), *(w[:, i] for w in other)]
            planes = [
                as_image(layer(as_points(x), w))
                for layer, w in zip(block.to_planes, ws, strict=True)
            ]
            below = [upsample(image) for image in images]
            images = [a.add_(b) for a, b in zip(below, planes, strict=True)] if below else planes
        return images
