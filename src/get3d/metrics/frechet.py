"""Fréchet distance of features, as in the FID (Heusel et al. 2017)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class FeatureMoments:
    """Count, mean and scatter of features, in float64: parts add up to the whole.

    Attributes:
        num: How many features.
        mean: Of the features.
        scatter: Sum of the outer products of what is left when the mean is taken off.
    """

    num: int
    mean: Float[Tensor, " d"]
    scatter: Float[Tensor, "d d"]

    @classmethod
    def of(cls, features: Float[Tensor, "n d"]) -> "FeatureMoments":
        """Measure some features.

        Raises:
            ValueError: If there are none, or a value is NaN or infinite.
        """
        check_features("features", features, at_least=1)
        values = features.detach().double()
        mean = values.mean(0)
        centred = values - mean
        return cls(len(values), mean, centred.T @ centred)

    def merge(self, other: "FeatureMoments") -> "FeatureMoments":
        """Moments of both parts together (Chan et al. 1979).

        Raises:
            ValueError: If the features have different numbers of values.
        """
        if self.mean.shape != other.mean.shape:
            raise ValueError(
                f"features of {len(self.mean)} and of {len(other.mean)} values do not go together"
            )
        num = self.num + other.num
        shift = other.mean - self.mean
        scatter = self.scatter + other.scatter
        scatter = scatter + torch.outer(shift, shift) * (self.num * other.num / num)
        return FeatureMoments(num, self.mean + shift * (other.num / num), scatter)

    def add(self, features: Float[Tensor, "n d"]) -> "FeatureMoments":
        """Moments with some more features."""
        return self.merge(FeatureMoments.of(features))

    @property
    def covariance(self) -> Float[Tensor, "d d"]:
        """Unbiased covariance, as the published FID code takes it.

        Raises:
            ValueError: If there are fewer than two features.
        """
        if self.num < 2:
            raise ValueError(f"a covariance needs at least 2 features, got {self.num}")
        return self.scatter / (self.num - 1)

    @property
    def has_enough(self) -> bool:
        """Whether the covariance can have full rank; else a Fréchet distance is strongly biased."""
        return self.num > len(self.mean)


def feature_moments(
    features: Float[Tensor, "n d"],
) -> tuple[Float[Tensor, " d"], Float[Tensor, "d d"]]:
    """Mean and unbiased covariance of features, in float64.

    Raises:
        ValueError: If there are fewer than two, or a value is NaN or infinite.
    """
    moments = FeatureMoments.of(features)
    return moments.mean, moments.covariance


def frechet_distance(
    mean_a: Float[Tensor, " d_a"],
    cov_a: Float[Tensor, "d_a d_a"],
    mean_b: Float[Tensor, " d_b"],
    cov_b: Float[Tensor, "d_b d_b"],
) -> float:
    """Squared Fréchet distance of two normal distributions with these means and covariances A, B.

    |mean_a - mean_b|^2 + tr(A + B - 2 (AB)^1/2), as in the FID (Heusel et al. 2017, equation 6).
    The eigenvalues of (AB)^1/2 are the singular values of A^1/2 B^1/2 (Dowson and Landau 1982), so
    no root of a product is taken, and singular covariances (fewer features than values) do no harm.

    Args:
        mean_a: Of the one.
        cov_a: Of the one; symmetric, no negative eigenvalues.
        mean_b: Of the other.
        cov_b: Of the other.

    Returns:
        At least 0; computed in float64.

    Raises:
        ValueError: If the sizes do not go together, a value is not finite, or a matrix is not a
            covariance.

    Example:
        >>> mean, cov = torch.zeros(2), torch.eye(2)
        >>> frechet_distance(mean, cov, mean + 3, 4 * cov)
        20.0
    """
    if not mean_a.shape == mean_b.shape == cov_a.shape[:1] == cov_b.shape[:1]:
        raise ValueError(
            f"features have different numbers of values: means {tuple(mean_a.shape)} and "
            f"{tuple(mean_b.shape)}, covariances {tuple(cov_a.shape)} and {tuple(cov_b.shape)}"
        )
    root_a, root_b = _root("cov_a", cov_a), _root("cov_b", cov_b)
    apart = (mean_a.double() - mean_b.double()).square().sum()
    if not apart.isfinite():
        raise ValueError("means must be finite, got NaN or infinity")
    common = torch.linalg.svdvals(root_a.T @ root_b).sum()
    squared = apart + cov_a.double().trace() + cov_b.double().trace() - 2 * common
    return max(squared.item(), 0.0)


def check_features(name: str, features: Tensor, *, at_least: int) -> None:
    """Refuse features that are too few, or not finite.

    Raises:
        ValueError: In these cases, with the name.
    """
    if features.dim() != 2 or len(features) < at_least:
        raise ValueError(
            f"{name} must be at least {at_least} rows of values, got {tuple(features.shape)}"
        )
    if not features.isfinite().all():
        rows = int((~features.isfinite().all(1)).sum())
        raise ValueError(f"{name} must be finite, but {rows} of {len(features)} are not")


def _root(name: str, covariance: Tensor) -> Float[Tensor, "d rank"]:
    """A matrix R with R R^T = covariance, without the columns that are zero."""
    matrix = covariance.double()
    if not matrix.isfinite().all():
        raise ValueError(f"{name} must be finite, got NaN or infinity")
    scale = matrix.abs().amax()
    if matrix.shape[0] != matrix.shape[1] or (matrix - matrix.T).abs().amax() > 1e-6 * scale:
        raise ValueError(f"{name} must be a symmetric matrix, got shape {tuple(matrix.shape)}")
    values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
    largest = values.abs().amax()
    if values.amin() < -1e-6 * largest:
        raise ValueError(
            f"{name} is no covariance: it has the negative eigenvalue {values.amin():.3g}"
        )
    is_zero = values <= largest * len(values) * torch.finfo(torch.float64).eps
    return vectors[:, ~is_zero] * values[~is_zero].sqrt()
