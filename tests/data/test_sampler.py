"""The order is endless, fair, and continues anywhere."""

import pytest
import torch

from get3d.data.sampler import ShuffledSampler


def test_every_pass_shows_each_picture_once_in_another_order() -> None:
    order = ShuffledSampler(num_images=50, seed=1).take(150).view(3, 50)
    assert (order.sort(dim=1).values == torch.arange(50)).all()
    assert not torch.equal(order[0], order[1])
    assert not torch.equal(order[1], order[2])


@pytest.mark.parametrize("cut", [0, 1, 7, 10, 23])
def test_continuing_is_the_same_as_never_stopping(cut: int) -> None:
    whole = ShuffledSampler(num_images=10, seed=3).take(40)
    first = ShuffledSampler(num_images=10, seed=3)
    head = first.take(cut)
    rest = ShuffledSampler(num_images=10, seed=3, position=first.position).take(40 - cut)
    assert torch.equal(whole, torch.cat([head, rest]))


def test_batch_size_does_not_change_the_order() -> None:
    sampler = ShuffledSampler(num_images=7, seed=0)
    small = torch.cat([sampler.take(3) for _ in range(10)])
    assert torch.equal(small, ShuffledSampler(num_images=7, seed=0).take(30))


def test_seeds_differ() -> None:
    orders = {
        tuple(ShuffledSampler(num_images=20, seed=seed).take(20).tolist())
        for seed in (0, 1, 2, 2**32, 2**33)
    }
    assert len(orders) == 5


def test_bad_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="num_images"):
        ShuffledSampler(num_images=0, seed=0)
    with pytest.raises(ValueError, match="position"):
        ShuffledSampler(num_images=1, seed=0, position=-1)
