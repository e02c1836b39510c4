import pytest
import torch
from torch import Tensor

from get3d.models.ops import activate, activated_sums


def inputs(dtype: torch.dtype, num: int, verts: int = 2000) -> tuple[Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)
    rows = torch.randn(num, 60, 8, generator=rng, dtype=dtype)
    index = torch.randint(0, 20, (verts, 3), generator=rng) + torch.tensor([0, 20, 40])
    return rows, index.int(), torch.randn(num, 8, generator=rng, dtype=dtype)


def plain(rows: Tensor, index: Tensor, weight: Tensor, limit: float) -> Tensor:
    y = rows[:, index.long()].sum(2)
    return (activate(y, limit=limit) * weight[:, None]).sum(2)


@pytest.mark.parametrize("num", [1, 3])
@pytest.mark.parametrize("limit", [100.0, 1.0])
def test_equals_tensor_code_with_gradients(num: int, limit: float) -> None:
    rows, index, weight = inputs(torch.float64, num)
    rows.requires_grad_()
    weight.requires_grad_()
    fast = activated_sums(rows, index, weight, limit=limit)
    slow = plain(rows, index, weight, limit)
    torch.testing.assert_close(fast, slow)
    grad = torch.randn(fast.shape, generator=torch.Generator().manual_seed(1)).double()
    fast_grads = torch.autograd.grad(fast, (rows, weight), grad)
    slow_grads = torch.autograd.grad(slow, (rows, weight), grad)
    torch.testing.assert_close(fast_grads, slow_grads)


def test_many_threads_give_the_same() -> None:
    rows, index, weight = inputs(torch.float32, 4, verts=30_000)
    torch.testing.assert_close(
        activated_sums(rows, index, weight, limit=10.0),
        torch.cat(
            [
                activated_sums(a[None], index, b[None], limit=10.0)
                for a, b in zip(rows, weight, strict=True)
            ]
        ),
        rtol=0,
        atol=0,
    )


def test_gradients_of_many_threads_are_those_of_one() -> None:
    rows, index, weight = inputs(torch.float32, 4, verts=30_000)
    rows.requires_grad_()
    weight.requires_grad_()
    before, grads = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            values = activated_sums(rows, index, weight, limit=10.0)
            grads.append(torch.autograd.grad(values.sum(), (rows, weight)))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


def test_what_is_not_finite_stays_so() -> None:
    rows, index, weight = inputs(torch.float32, 1)
    rows[0, index[7, 1]] = float("nan")
    assert activated_sums(rows, index, weight, limit=10.0)[0, 7].isnan()
