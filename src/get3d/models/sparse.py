"""A fixed sparse linear map over rows, as fast backward as forward."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn


class _Sums(torch.autograd.Function):
    """Weighted sums of rows; the gradient is the same operation with the lists turned around."""

    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, lists: tuple[Tensor, ...], turned: tuple[Tensor, ...]
    ) -> Tensor:
        """Sum, for each output row, the rows in its list."""
        ctx.lists, ctx.turned = lists, turned
        members, starts, weights = lists
        return F.embedding_bag(
            members, rows.contiguous(), starts, mode="sum", per_sample_weights=weights
        )

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        """Sum, for each input row, the gradients of the lists it is in."""
        return _Sums.apply(grad, ctx.turned, ctx.lists), None, None


class SparseMap(nn.Module):
    """Each output row is a weighted sum of k input rows; indices and weights never change."""

    members: Int[Tensor, " links"]
    starts: Int[Tensor, " outputs"]
    weights: Float[Tensor, " links"]
    turned_members: Int[Tensor, " links"]
    turned_starts: Int[Tensor, " inputs"]
    turned_weights: Float[Tensor, " links"]

    def __init__(
        self, index: Int[Tensor, "outputs k"], weights: Float[Tensor, "outputs k"], num_inputs: int
    ) -> None:
        """Sort the links both ways.

        Args:
            index: Which input rows an output row sums.
            weights: Of each of them.
            num_inputs: How many input rows there are.
        """
        super().__init__()
        num_outputs, k = index.shape
        order = index.flatten().argsort(stable=True)
        counts = index.flatten().bincount(minlength=num_inputs)
        tables = {
            "members": index.flatten(),
            "starts": torch.arange(num_outputs, device=index.device) * k,
            "turned_members": order // k,
            "turned_starts": counts.cumsum(0) - counts,
        }
        for name, table in tables.items():
            self.register_buffer(name, table.int(), persistent=False)
        self.register_buffer("weights", weights.flatten(), persistent=False)
        self.register_buffer("turned_weights", weights.flatten()[order], persistent=False)

    def forward(self, rows: Float[Tensor, "b inputs c"]) -> Float[Tensor, "b outputs c"]:
        """Apply the map to every sample."""
        num, inputs, outputs = len(rows), len(self.turned_starts), len(self.starts)
        sample = torch.arange(num, device=rows.device, dtype=torch.int32)[:, None]
        links = sample * len(self.members)

        def lists(turned: str, num_rows: int) -> tuple[Tensor, Tensor, Tensor]:
            members = getattr(self, f"{turned}members") + sample * num_rows
            starts = getattr(self, f"{turned}starts") + links
            weights = getattr(self, f"{turned}weights").to(rows.dtype).repeat(num)
            return members.flatten(), starts.flatten(), weights

        sums = _Sums.apply(rows.flatten(0, 1), lists("", inputs), lists("turned_", outputs))
        return sums.unflatten(0, (num, outputs))
