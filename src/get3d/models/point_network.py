"""The small networks behind every lookup: modulated fully connected layers over points."""

from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from get3d.models.grid_field import activated_sums
from get3d.models.layers import CLAMP, ModulatedPoints, Stack


class PointMLP(nn.Module):
    """Modulated fully connected layers over points; the last one is linear."""

    def __init__(self, widths: list[int], w_dim: int) -> None:
        """Draw the weights.

        Args:
            widths: Of the input, the hidden layers and the output.
            w_dim: Width of the style vectors.
        """
        super().__init__()
        last = len(widths) - 2
        self.layers: Stack[ModulatedPoints] = Stack(
            ModulatedPoints(a, b, w_dim, is_linear=i == last)
            for i, (a, b) in enumerate(pairwise(widths))
        )

    def forward(
        self, x: Float[Tensor, "b n in"], styles: Float[Tensor, "b layers w_dim"]
    ) -> Float[Tensor, "b n out"]:
        """Apply the network.

        Args:
            x: Input features.
            styles: In order of use; more than there are layers may be given.
        """
        for layer, w in zip(self.layers, styles.unbind(1), strict=False):
            x = layer(x, w)
        return x

    def share_first(
        self,
        x: Float[Tensor, "b m in"],
        styles: Float[Tensor, "b layers w_dim"],
        bias_share: Float[Tensor, "m 1"],
    ) -> Float[Tensor, "b m hidden"]:
        """Apply the linear part of the first layer to rows that are summed afterwards.

        Args:
            x: Rows whose sums are the input features.
            styles: In order of use.
            bias_share: Part of the bias that goes to each row; the parts of a sum add up to 1.
        """
        first = next(iter(self.layers))
        bias = (bias_share * (first.bias * first.gain)).expand(len(x), -1, -1)
        return torch.baddbmm(bias, x, first.sample_weights(styles[:, 0]))

    def finish(
        self, y: Float[Tensor, "b n hidden"], styles: Float[Tensor, "b layers w_dim"]
    ) -> Float[Tensor, "b n out"]:
        """Go on from the sums of rows made by `share_first`; `y` is overwritten."""
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
        """Sum three rows made by `share_first` for each point, and go on to a single output."""
        first, *others = self.layers
        if len(others) != 1:
            picked = [rows.index_select(1, each) for each in index.long().unbind(1)]
            return self.finish(picked[0] + picked[1] + picked[2], styles)[..., 0]
        (last,) = others
        weight = last.sample_weights(styles[:, 1])[..., 0]
        return activated_sums(rows, index, weight, limit=CLAMP * first.gain) + last.bias
