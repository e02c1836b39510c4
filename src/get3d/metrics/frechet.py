"""Fréchet distance of features, as in the FID (Heusel et al. 2017)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class FeatureMoments:
    """Count, mean and scatter matrix of features, in float64; those of parts can be merged.

    Attributes:
        num: Number of features.
        mean: Mean of the features.
        scatter: Sum of the outer products of the features minus their mean.
    """

    num: int
    mean: Float[Tensor, " d"]
    scatter: Float[Tensor, "d d"]

    @classmethod
    def of(cls, features: Float[Tensor, "n d"]) -> "FeatureMoments":
        """Compute the moments of features.

        Raises:
            ValueError: If there are none, or a value is NaN or infinite.
        """
        check_features("features", features, at_least=1)
        values = features.detach().double()
        mean = values.mean(0)
        centred = values - mean
        return cls(len(values), mean, centred.T @ centred)

    def merge(self, other: "FeatureMoments") -> "FeatureMoments":
        """Compute the moments of the union of both sets of features (Chan et al. 1979).

        Raises:
            ValueError: If the lengths of the features differ.
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
        """Compute the moments with more features."""
        return self.merge(FeatureMoments.of(features))

    @property
    def covariance(self) -> Float[Tensor, "d d"]:
        """Unbiased covariance, as in the published FID code.

        Raises:
            ValueError: If there are fewer than two features.
        """
        if self.num < 2:
            raise ValueError(f"a covariance needs at least 2 features, got {self.num}")
        return self.scatter / (self.num - 1)


def feature_moments(
    features: Float[Tensor, "n d"],
) -> tuple[Float[Tensor, " d"], Float[Tensor, "d d"]]:
    """Compute the mean and the unbiased covariance of features, in float64.

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
    """Compute the squared Fréchet distance of two normal distributions, as in the FID.

    |mean_a - mean_b|^2 + tr(A + B - 2 (AB)^1/2) with covariances A and B (Heusel et al. 2017,
    equation 6). The eigenvalues of (AB)^1/2 are the singular values of A^1/2 B^1/2 (Dowson and
    Landau 1982), so that no root of a product is needed and covariances may be singular.

    Args:
        mean_a: Mean of the first distribution.
        cov_a: Covariance of the first distribution.
        mean_b: Mean of the second distribution.
        cov_b: Covariance of the second distribution.

    Returns:
        The distance, at least 0; computed in float64.

    Raises:
        ValueError: If the sizes differ, a value is not finite, or a matrix is not a covariance.

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
    """Validate that features are a finite matrix with enough rows.

    Args:
        name: Name of the argument, for the message.
        features: Features, one per row.
        at_least: Least number of rows.

    Raises:
        ValueError: If they are not.
    """
    if features.dim() != 2 or len(features) < at_least:
        raise ValueError(
            f"{name} must be at least {at_least} rows of values, got {tuple(features.shape)}"
        )
    if not features.isfinite().all():
        rows = int((~features.isfinite().all(1)).sum())
        raise ValueError(f"{name} must be finite, but {rows} of {len(features)} are not")


def _root(name: str, covariance: Tensor) -> Float[Tensor, "d rank"]:
    """Compute R with R R^T = covariance, without zero columns; raise ValueError if none exists."""
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
