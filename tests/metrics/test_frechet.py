"""Fréchet distances against scipy's matrix root, and where they are known."""

import numpy as np
import pytest
import scipy.linalg
import torch

from get3d.metrics import FeatureMoments, feature_moments, frechet_distance


def features(num: int, dim: int, seed: int = 0) -> torch.Tensor:
    """Correlated, off-centre features with scales over two decades."""
    random = torch.Generator().manual_seed(seed)
    mix = torch.randn(dim, dim, generator=random).double() * torch.logspace(-1, 1, dim).double()
    return torch.randn(num, dim, generator=random).double() @ mix + 3.0


def by_scipy(mean_a, cov_a, mean_b, cov_b) -> float:
    root = scipy.linalg.sqrtm((cov_a @ cov_b).numpy())
    common = 2 * np.trace(root).real
    return float(((mean_a - mean_b) ** 2).sum() + cov_a.trace() + cov_b.trace() - common)


@pytest.mark.parametrize("dim", [1, 2, 7, 64])
def test_agrees_with_scipy(dim):
    a, b = feature_moments(features(300, dim)), feature_moments(features(200, dim, seed=1))
    assert frechet_distance(*a, *b) == pytest.approx(by_scipy(*a, *b), rel=1e-9)
    assert frechet_distance(*b, *a) == pytest.approx(frechet_distance(*a, *b), rel=1e-9)


def test_known_values():
    mean, shift = torch.zeros(3).double(), torch.tensor([1.0, 2.0, 2.0]).double()
    variances = torch.tensor([4.0, 9.0, 0.25]).double()
    cov = torch.diag(variances)
    assert frechet_distance(mean, cov, mean + shift, cov) == pytest.approx(9.0)
    expected = ((variances.sqrt() - 1) ** 2).sum().item()
    assert frechet_distance(mean, cov, mean, torch.eye(3).double()) == pytest.approx(expected)
    zero = torch.zeros(3, 3).double()
    assert frechet_distance(mean, cov, mean, zero) == pytest.approx(variances.sum().item())
    assert frechet_distance(mean, zero, mean, zero) == 0.0


def test_turning_both_changes_nothing():
    a, b = features(100, 5), features(100, 5, seed=1)
    turn, _ = torch.linalg.qr(
        torch.randn(5, 5, generator=torch.Generator().manual_seed(2)).double()
    )
    assert frechet_distance(*feature_moments(a @ turn), *feature_moments(b @ turn)) == (
        pytest.approx(frechet_distance(*feature_moments(a), *feature_moments(b)), rel=1e-9)
    )


def test_fewer_features_than_values():
    """In the few dimensions that are filled the distance is that without the empty ones."""
    a, b = features(9, 5), features(12, 5, seed=1)
    basis, _ = torch.linalg.qr(
        torch.randn(40, 5, generator=torch.Generator().manual_seed(2)).double()
    )
    flat = feature_moments(a @ basis.T), feature_moments(b @ basis.T)
    assert frechet_distance(*flat[0], *flat[1]) == pytest.approx(
        by_scipy(*feature_moments(a), *feature_moments(b)), rel=1e-9
    )
    assert frechet_distance(*flat[0], *flat[0]) == pytest.approx(0, abs=1e-9)
    # Disjoint dimensions have nothing in common.
    left, right = torch.diag(torch.tensor([2.0, 0.0])), torch.diag(torch.tensor([0.0, 3.0]))
    mean = torch.zeros(2)
    assert frechet_distance(mean, left, mean, right) == pytest.approx(5.0)


def test_moments_are_those_of_numpy():
    values = features(50, 6)
    mean, cov = feature_moments(values.float())
    single = values.float().double().numpy()
    assert mean.dtype == cov.dtype == torch.float64
    torch.testing.assert_close(mean, torch.from_numpy(single.mean(0)))
    torch.testing.assert_close(cov, torch.from_numpy(np.cov(single, rowvar=False)))


def test_parts_add_up_to_the_whole():
    values = features(60, 4) + 1e6  # sums of squares would lose all digits of this
    whole = FeatureMoments.of(values)
    parts = FeatureMoments.of(values[:1]).add(values[1:20])
    parts = parts.merge(FeatureMoments.of(values[20:]))
    assert parts.num == 60
    torch.testing.assert_close(parts.mean, whole.mean)
    torch.testing.assert_close(parts.covariance, whole.covariance, rtol=1e-6, atol=1e-8)


def test_bad_features_raise():
    with pytest.raises(ValueError, match="at least 1 rows"):
        FeatureMoments.of(torch.zeros(0, 4))
    with pytest.raises(ValueError, match="at least 2 features, got 1"):
        feature_moments(torch.zeros(1, 4))
    with pytest.raises(ValueError, match="1 of 3 are not"):
        feature_moments(torch.tensor([[0.0], [torch.nan], [1.0]]))
    with pytest.raises(ValueError, match="of 4 and of 5 values"):
        FeatureMoments.of(torch.zeros(3, 4)).add(torch.zeros(3, 5))


def test_bad_moments_raise():
    mean, cov = torch.zeros(3), torch.eye(3)
    with pytest.raises(ValueError, match="different numbers of values"):
        frechet_distance(mean, cov, torch.zeros(2), torch.eye(2))
    with pytest.raises(ValueError, match="cov_b must be finite"):
        frechet_distance(mean, cov, mean, cov * torch.nan)
    with pytest.raises(ValueError, match="means must be finite"):
        frechet_distance(mean, cov, mean * torch.nan, cov)
    with pytest.raises(ValueError, match="cov_a must be a symmetric matrix"):
        frechet_distance(mean, cov + torch.tensor([[0.0, 1, 0], [0, 0, 0], [0, 0, 0]]), mean, cov)
    with pytest.raises(ValueError, match="negative eigenvalue -1"):
        frechet_distance(mean, -cov, mean, cov)
