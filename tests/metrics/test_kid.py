import numpy as np
import pytest
import torch

from get3d.metrics import KernelProtocol, kernel_distance


def draw(num: int, dim: int = 6, seed: int = 0) -> torch.Tensor:
    return torch.randn(num, dim, generator=torch.Generator().manual_seed(seed))


def naive(a: np.ndarray, b: np.ndarray) -> float:
    def kernel(x, y):
        return (x @ y / len(x) + 1) ** 3

    def mean(pairs):
        return np.mean([kernel(x, y) for x, y in pairs])

    def others(points):
        return [(x, y) for i, x in enumerate(points) for j, y in enumerate(points) if i != j]

    return mean(others(a)) + mean(others(b)) - 2 * mean([(x, y) for x in a for y in b])


def test_agrees_with_plain_sums():
    a, b = draw(12), 1.5 * draw(12, seed=1) + 0.2
    mean, deviation = kernel_distance(a, b, KernelProtocol(num_subsets=3, subset_size=12))
    assert mean == pytest.approx(naive(a.double().numpy(), b.double().numpy()), rel=1e-9)
    assert deviation == pytest.approx(0, abs=1e-12)  # each subset is the whole set


def test_like_sets_are_at_zero_and_unlike_ones_are_not():
    protocol = KernelProtocol(num_subsets=50, subset_size=100)
    mean, deviation = kernel_distance(draw(2000), draw(2000, seed=1), protocol)
    assert abs(mean) < 4 * deviation / np.sqrt(50) + 4 / 2000
    shifted, _ = kernel_distance(draw(2000), draw(2000, seed=1) + 0.5, protocol)
    assert shifted > 10 * abs(mean)


def test_there_is_no_bias_by_size():
    small = KernelProtocol(num_subsets=400, subset_size=10)
    mean, deviation = kernel_distance(draw(3000), draw(3000, seed=1), small)
    assert abs(mean) < 4 * deviation / np.sqrt(400)


def test_seeds():
    a, b = draw(50), draw(50, seed=1)
    first = kernel_distance(a, b, KernelProtocol(num_subsets=2, subset_size=10))
    assert first == kernel_distance(a, b, KernelProtocol(num_subsets=2, subset_size=10))
    assert first != kernel_distance(a, b, KernelProtocol(num_subsets=2, subset_size=10, seed=1))


def test_bad_input_raises():
    with pytest.raises(ValueError, match="features_b are 999, fewer than a subset of 1000"):
        kernel_distance(draw(1000), draw(999))
    protocol = KernelProtocol(subset_size=4)
    with pytest.raises(ValueError, match="of 6 and of 5 values"):
        kernel_distance(draw(4), draw(4, 5), protocol)
    with pytest.raises(ValueError, match="features_a must be finite, but 4 of 4"):
        kernel_distance(draw(4) * torch.nan, draw(4), protocol)


@pytest.mark.parametrize("wrong", [{"num_subsets": 0}, {"subset_size": 1}, {"seed": -1}])
def test_protocols_without_anything_to_average_raise(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        KernelProtocol(**wrong)
