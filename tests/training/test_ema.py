import pytest
import torch
from torch import nn

from get3d.training.ema import ema_decay, update_average


def test_half_life_is_counted_in_images():
    decay = ema_decay(8, 10**9, half_life_images=800, ramp_up=0.05)
    assert decay**100 == pytest.approx(0.5)


def test_early_average_forgets_the_start():
    assert ema_decay(8, 0, half_life_images=800, ramp_up=0.05) == 0.0
    early = ema_decay(8, 1_000, half_life_images=800, ramp_up=0.05)
    assert early == pytest.approx(0.5 ** (8 / 50))


def test_average_moves_by_one_minus_decay_and_copies_buffers():
    average, current = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    with torch.no_grad():
        current.weight.fill_(3.0)
        current.running_mean.fill_(7.0)
    update_average(average, current, 0.75)
    assert torch.equal(average.weight, torch.full((2,), 1.5))
    assert torch.equal(average.running_mean, torch.full((2,), 7.0))
    assert torch.equal(current.weight, torch.full((2,), 3.0))
