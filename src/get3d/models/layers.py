"""Equalised and style-modulated layers (StyleGAN2), written once for points, images and volumes.

Weights are drawn from N(0, 1) and scaled when used, so that Adam's step has the same relative size
in every layer. Modulation multiplies a layer's input channels by a style, and demodulation divides
its output channels by the norm of the modulated weights. Both are applied to activations rather
than to a copy of the weights per sample: convolving `x * s` and multiplying by `d` is the same map.
"""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Generic, TypeVar, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from get3d.models.ops import activate, activated_sums, blur

GAIN = math.sqrt(2.0)
CLAMP = 256.0

_Layer = TypeVar("_Layer", bound=nn.Module)


class Stack(nn.ModuleList, Generic[_Layer]):
    """A `ModuleList` of layers of one type, for type checkers."""

    def __iter__(self) -> Iterator[_Layer]:
        """Iterate over the layers."""
        return cast("Iterator[_Layer]", super().__iter__())


class EqualLinear(nn.Module):
    """Fully connected layer with equalised learning rate."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        lr_multiplier: float = 1.0,
        bias_init: float = 0.0,
        activated: bool = False,
    ) -> None:
        """Draw the weights.

        Args:
            in_features: Width of the input.
            out_features: Width of the output.
            lr_multiplier: Factor on the learning rate of this layer.
            bias_init: Initial value of every bias.
            activated: Apply a leaky ReLU of gain sqrt(2) to the output.
        """
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((out_features,), bias_init / lr_multiplier))
        self.lr_multiplier = lr_multiplier
        self.activated = activated

    def forward(self, x: Float[Tensor, "n in_features"]) -> Float[Tensor, "n out_features"]:
        """Apply the layer."""
        gain = self.lr_multiplier * (GAIN if self.activated else 1.0)
        scale = gain / math.sqrt(self.weight.shape[1])
        y = torch.addmm(self.bias, x, self.weight.T, beta=gain, alpha=scale)
        return activate(y) if self.activated else y


class EqualConv(nn.Module):
    """Convolution with equalised learning rate, in 2D or 3D by the length of its kernel."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel: tuple[int, ...],
        downsamples: bool = False,
        is_linear: bool = False,
    ) -> None:
        """Draw the weights.

        Args:
            in_channels: Width of the input.
            out_channels: Width of the output.
            kernel: Size along each axis, odd; two numbers for images, three for volumes.
            downsamples: Low-pass filter and downsample by two before the convolution (images only).
            is_linear: Use neither bias nor leaky ReLU.
        """
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, *kernel))
        self.bias = None if is_linear else nn.Parameter(torch.zeros(out_channels))
        self.downsamples = downsamples

    def forward(
        self, x: Float[Tensor, "n in_channels *space"], *, gain: float = 1.0
    ) -> Float[Tensor, "n out_channels *space2"]:
        """Apply the layer and multiply its output by a positive `gain`."""
        gain = gain if self.bias is None else gain * GAIN
        weight = self.weight * (gain / math.sqrt(self.weight[0].numel()))
        bias = None if self.bias is None else self.bias * gain
        convolve = F.conv2d if self.weight.ndim == 4 else F.conv3d
        if self.downsamples:
            y = convolve(blur(x, padding=2), weight, bias, stride=2)
        else:
            y = convolve(x, weight, bias, padding=self.weight.shape[-1] // 2)
        return y if self.bias is None else activate(y)


class Modulated(nn.Module):
    """Base of the style-modulated layers: an affine map from w to a style, weight and bias."""

    def __init__(
        self, in_channels: int, out_channels: int, w_dim: int, *, kernel: tuple[int, ...] = ()
    ) -> None:
        """Draw the weights.

        Args:
            in_channels: Width of the input.
            out_channels: Width of the output.
            w_dim: Width of the style vectors.
            kernel: Size along each spatial axis; empty for layers on points.
        """
        super().__init__()
        self.affine = EqualLinear(w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, *kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def scales(
        self, w: Float[Tensor, "b w_dim"], *, gain: float
    ) -> tuple[Float[Tensor, "b in_channels"], Float[Tensor, "b out_channels"]]:
        """Compute the style (factors on input channels) and demodulation (on output channels)."""
        style = self.affine(w)
        energy = self.weight.square()
        if energy.ndim > 2:
            energy = energy.flatten(2).sum(2)
        return style, torch.rsqrt(style.square() @ energy.T + 1e-8) * gain


class ModulatedConv(Modulated):
    """Modulated 3x3 (or 3x3x3) convolution with leaky ReLU, optional upsampling and noise."""

    noise: Float[Tensor, "size size"]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        w_dim: int,
        *,
        dims: int = 2,
        upsamples: bool = False,
        noise_size: int = 0,
    ) -> None:
        """Draw the weights.

        Args:
            in_channels: Width of the input.
            out_channels: Width of the output.
            w_dim: Width of the style vectors.
            dims: 2 for images, 3 for volumes.
            upsamples: Upsample the image by two.
            noise_size: Width and height of the constant noise image that is added; 0 for none.
        """
        super().__init__(in_channels, out_channels, w_dim, kernel=(3,) * dims)
        self.upsamples = upsamples
        self.noise_strength: nn.Parameter | None = None
        if noise_size:
            self.noise_strength = nn.Parameter(torch.zeros(()))
            self.register_buffer("noise", torch.randn(noise_size, noise_size))

    def forward(
        self,
        x: Float[Tensor, "b in_channels *space"],
        w: Float[Tensor, "b w_dim"],
        *,
        gain: float = 1.0,
    ) -> Float[Tensor, "b out_channels *space2"]:
        """Apply the layer and multiply its output by a positive `gain`."""
        space = (1,) * (x.ndim - 2)
        gain = gain * GAIN
        style, demodulation = self.scales(w, gain=gain)
        x = x * style.view(*style.shape, *space)
        if self.upsamples:
            x = F.conv_transpose2d(x, self.weight.transpose(0, 1), stride=2)
            x = blur(x, padding=1, gain=4.0)
        else:
            convolve = F.conv2d if len(space) == 2 else F.conv3d
            x = convolve(x, self.weight, padding=1)
        shift = (self.bias * gain).view(-1, *space)
        if self.noise_strength is not None:
            shift = shift + self.noise * (self.noise_strength * gain)
        x = torch.addcmul(shift, x, demodulation.view(*demodulation.shape, *space))
        return activate(x, limit=CLAMP * gain)


class ModulatedLinear(Modulated):
    """Modulated fully connected layer over the points of each sample."""

    def __init__(
        self, in_channels: int, out_channels: int, w_dim: int, *, is_linear: bool = False
    ) -> None:
        """Draw the weights.

        Args:
            in_channels: Width of the input.
            out_channels: Width of the output.
            w_dim: Width of the style vectors.
            is_linear: Use neither leaky ReLU nor gain (still demodulated).
        """
        super().__init__(in_channels, out_channels, w_dim)
        self.gain = 1.0 if is_linear else GAIN
        self.is_linear = is_linear

    def sample_weights(self, w: Float[Tensor, "b w_dim"]) -> Float[Tensor, "b in out"]:
        """Compute the weights of every sample, modulated, demodulated and with the gain."""
        style, demodulation = self.scales(w, gain=self.gain)
        return style[:, :, None] * self.weight.T * demodulation[:, None, :]

    def finish(self, y: Float[Tensor, "b n out"]) -> Float[Tensor, "b n out"]:
        """Apply the activation, in place, to weighted sums that include the bias."""
        limit = CLAMP * self.gain
        return y if self.is_linear else activate(y, limit=limit)

    def forward(
        self, x: Float[Tensor, "b n in"], w: Float[Tensor, "b w_dim"]
    ) -> Float[Tensor, "b n out"]:
        """Apply the layer."""
        bias = (self.bias * self.gain).expand(x.shape[0], 1, -1)
        return self.finish(torch.baddbmm(bias, x, self.sample_weights(w)))


class ToRGB(Modulated):
    """StyleGAN2's to-RGB layer: modulated pointwise linear layer without demodulation."""

    def forward(
        self, x: Float[Tensor, "b n in"], w: Float[Tensor, "b w_dim"]
    ) -> Float[Tensor, "b n out"]:
        """Apply the layer to points, or to the pixels of an image as points."""
        style = self.affine(w) / math.sqrt(self.weight.shape[1])
        weights = style[:, :, None] * self.weight.T
        return torch.baddbmm(self.bias.expand(x.shape[0], 1, -1), x, weights)


class PointMLP(nn.Module):
    """Modulated fully connected network over points; the last layer is linear."""

    def __init__(self, widths: list[int], w_dim: int) -> None:
        """Draw the weights.

        Args:
            widths: Widths of the input, the hidden layers and the output.
            w_dim: Width of the style vectors.
        """
        super().__init__()
        last = len(widths) - 2
        self.layers: Stack[ModulatedLinear] = Stack(
            ModulatedLinear(a, b, w_dim, is_linear=i == last)
            for i, (a, b) in enumerate(pairwise(widths))
        )

    def forward(
        self, x: Float[Tensor, "b n in"], styles: Float[Tensor, "b layers w_dim"]
    ) -> Float[Tensor, "b n out"]:
        """Apply the network.

        Args:
            x: Input features.
            styles: Styles of the layers, in order; surplus ones are ignored.
        """
        for layer, w in zip(self.layers, styles.unbind(1), strict=False):
            x = layer(x, w)
        return x

    def apply_first_linear(
        self,
        x: Float[Tensor, "b m in"],
        styles: Float[Tensor, "b layers w_dim"],
        bias_fraction: Float[Tensor, "m 1"],
    ) -> Float[Tensor, "b m hidden"]:
        """Apply the linear part of the first layer to rows that are summed afterwards.

        Args:
            x: Rows whose sums are the input features.
            styles: Styles of the layers, in order.
            bias_fraction: Fraction of the bias added to each row; those of a sum add up to 1.
        """
        first = next(iter(self.layers))
        bias = (bias_fraction * (first.bias * first.gain)).expand(len(x), -1, -1)
        return torch.baddbmm(bias, x, first.sample_weights(styles[:, 0]))

    def finish(
        self, y: Float[Tensor, "b n hidden"], styles: Float[Tensor, "b layers w_dim"]
    ) -> Float[Tensor, "b n out"]:
        """Apply the rest of the network to sums of `apply_first_linear`; overwrites `y`."""
        first, *others = self.layers
        y = first.finish(y)
        for layer, w in zip(others, styles.unbind(1)[1:], strict=False):
            y = layer(y, w)
        return y

    def finish_sums(
        self,
        rows: Float[Tensor, "b m hidden"],
        index: Int[Tensor, "n 3"],
        styles: Float[Tensor, "b layers w_dim"],
    ) -> Float[Tensor, "b n"]:
        """Sum three rows of `apply_first_linear` per point and compute the only output."""
        first, *others = self.layers
        if len(others) != 1:
            picked = [rows.index_select(1, each) for each in index.long().unbind(1)]
            return self.finish(picked[0] + picked[1] + picked[2], styles)[..., 0]
        (last,) = others
        weight = last.sample_weights(styles[:, 1])[..., 0]
        return activated_sums(rows, index, weight, limit=CLAMP * first.gain) + last.bias
