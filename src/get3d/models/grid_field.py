"""The field's last layers at every vertex of a grid, where most of a training step would go."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from get3d.core.threads import for_each
from get3d.models import grid_kernels
from get3d.models.layers import activate


def activated_sums(
    rows: Float[Tensor, "b m c"],
    index: Int[Tensor, "n 3"],
    weight: Float[Tensor, "b c"],
    *,
    limit: float,
) -> Float[Tensor, "b n"]:
    """Sum three rows for each vertex, apply the leaky ReLU, and weigh the channels.

    Args:
        rows: Pre-activations to be summed.
        index: Which three rows each vertex sums.
        weight: Of each channel.
        limit: Activations are clamped to [-limit, limit].
    """
    if rows.device.type == "cpu":
        return _ActivatedSums.apply(rows.contiguous(), index, weight.contiguous(), limit)
    first, second, third = (rows.index_select(1, each) for each in index.long().unbind(1))
    return torch.bmm(activate(first + second + third, limit=limit), weight[:, :, None])[..., 0]


class _ActivatedSums(torch.autograd.Function):
    """The same by compiled loops, in an eighth of the time."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, index: Tensor, weight: Tensor, limit: float) -> Tensor:
        ctx.save_for_backward(rows, index, weight)
        ctx.limit = limit
        out = rows.new_empty(len(rows), len(index))

        def task(shape: int) -> None:
            arrays = rows[shape].numpy(), index.numpy(), weight[shape].numpy()
            grid_kernels.evaluate(*arrays, limit, out[shape].numpy())

        with torch.no_grad():
            for_each(task, range(len(rows)), threads=_threads(out))
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, Tensor, None]:
        rows, index, weight = ctx.saved_tensors
        grad = grad.contiguous()
        grad_rows, grad_weight = torch.zeros_like(rows), torch.zeros_like(weight)

        def task(shape: int) -> None:
            arrays = rows[shape].numpy(), index.numpy(), weight[shape].numpy()
            results = grad[shape].numpy(), grad_rows[shape].numpy(), grad_weight[shape].numpy()
            grid_kernels.differentiate(*arrays, ctx.limit, *results)

        for_each(task, range(len(rows)), threads=_threads(grad))
        return grad_rows, None, grad_weight, None


def _threads(values: Float[Tensor, "b n"]) -> int:
    """Choose how many threads are worth waking: one below about a millisecond of work."""
    return min(torch.get_num_threads(), len(values)) if values.numel() > 100_000 else 1
