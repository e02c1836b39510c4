"""Collective operations of data-parallel training (torch.distributed).

In a single process every function is the identity, so training code needs no special case.
"""

from collections.abc import Iterable, Mapping, Sequence

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import Parameter


def count() -> int:
    """Return the number of processes (world size); 1 unless torch.distributed is initialised."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def index() -> int:
    """Return the rank of this process, from 0."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def mean_tensors(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Average tensors over the processes.

    Args:
        tensors: Tensors of the same shapes and dtypes in every process.

    Returns:
        The means: new tensors if there are several processes, else the given ones.
    """
    num = count()
    if num == 1 or not tensors:
        return list(tensors)
    flat = torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
    dist.all_reduce(flat)
    parts = (flat / num).split([tensor.numel() for tensor in tensors])
    return [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)]


def mean_gradients(parameters: Iterable[Parameter]) -> None:
    """Replace every gradient by its mean over the processes.

    A gradient that is None in some processes counts as zero there; None in all stays None.

    Args:
        parameters: The same parameters, in the same order, in every process.
    """
    if count() == 1:
        return
    parameters = list(parameters)
    device = parameters[0].device
    has_gradient = torch.tensor([p.grad is not None for p in parameters], device=device).int()
    dist.all_reduce(has_gradient, op=dist.ReduceOp.MAX)
    used = [p for p, is_used in zip(parameters, has_gradient.tolist(), strict=True) if is_used]
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in used]
    for parameter, gradient in zip(used, mean_tensors(gradients), strict=True):
        parameter.grad = gradient


def mean_scalars(scalars: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Average named scalars over the processes.

    Args:
        scalars: Scalars with the same names, in the same order, in every process.
    """
    return dict(zip(scalars, mean_tensors(list(scalars.values())), strict=True))


def any_true(condition: Tensor | bool) -> bool:
    """Return whether a condition holds in any process; all processes get the same answer.

    Args:
        condition: The condition in this process.
    """
    if count() == 1:
        return bool(condition)
    device = condition.device if isinstance(condition, Tensor) else None
    found = torch.as_tensor(condition, device=device).int().reshape(1)
    dist.all_reduce(found, op=dist.ReduceOp.MAX)
    return bool(found)
