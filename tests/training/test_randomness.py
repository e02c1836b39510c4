import pytest
import torch

from get3d.training.randomness import keyed_generator, shuffled_indices


def test_same_place_same_numbers_other_place_other_numbers():
    draws = {
        place: torch.randn(8, generator=keyed_generator(*place))
        for place in [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]
    }
    again = torch.randn(8, generator=keyed_generator(0, 0, 1))
    assert torch.equal(draws[0, 0, 1], again)
    values = list(draws.values())
    assert all(not torch.equal(a, b) for i, a in enumerate(values) for b in values[:i])


def test_every_epoch_visits_each_image_once_in_another_order():
    order = shuffled_indices(50, seed=1, positions=torch.arange(100))
    assert sorted(order[:50].tolist()) == sorted(order[50:].tolist()) == list(range(50))
    assert order[:50].tolist() != order[50:].tolist()


@pytest.mark.parametrize("start", [0, 3, 7, 12])
def test_order_can_be_entered_anywhere(start):
    reference = shuffled_indices(5, seed=2, positions=torch.arange(20))
    assert torch.equal(
        shuffled_indices(5, seed=2, positions=torch.arange(start, start + 8)),
        reference[start : start + 8],
    )


def test_no_images_is_an_error():
    with pytest.raises(ValueError, match="no images"):
        shuffled_indices(0, seed=0, positions=torch.arange(1))
