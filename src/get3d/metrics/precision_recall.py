"""Precision and recall of image features (Kynkäänniemi et al. 2019)."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from get3d.metrics.frechet import check_features

_ROWS = 1024
"""Features in one chunk of the distance matrix."""

_ROUNDING = 1e-12
"""Rounding error of squared distances, relative to the largest squared feature."""


def precision_recall(
    features_generated: Float[Tensor, "g d_g"],
    features_reference: Float[Tensor, "r d_r"],
    k: int = 3,
) -> tuple[float, float]:
    """Compute the improved precision and recall (Kynkäänniemi et al. 2019).

    The manifold of a set is the union of balls about its features, each with the distance to the
    k-th nearest other feature as radius. Precision is the fraction of generated features in the
    manifold of the reference, recall that of reference features in the manifold of the generated.
    Both depend on the sizes of the sets: compare them at equal sizes only.

    Args:
        features_generated: Features of generated images or shapes.
        features_reference: Features of real images or shapes.
        k: Neighbour that gives the radius; 3 in the paper.

    Returns:
        Precision and recall, from 0 to 1.

    Raises:
        ValueError: If a set has fewer than k + 1 features, they differ in length, or a value is not
            finite.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    check_features("features_generated", features_generated, at_least=k + 1)
    check_features("features_reference", features_reference, at_least=k + 1)
    if features_generated.shape[1] != features_reference.shape[1]:
        raise ValueError(
            f"features of {features_generated.shape[1]} and of {features_reference.shape[1]} "
            "values do not go together"
        )
    middle = features_reference.detach().double().mean(0)  # products near 0 lose least precision
    generated = features_generated.detach().double() - middle
    reference = features_reference.detach().double() - middle
    precision = _is_in_manifold(generated, reference, k).double().mean().item()
    recall = _is_in_manifold(reference, generated, k).double().mean().item()
    return precision, recall


def _is_in_manifold(
    queries: Float[Tensor, "q d"], members: Float[Tensor, "n d"], k: int
) -> Bool[Tensor, " q"]:
    """Return which queries are within the ball of some member."""
    radii = []
    for begin in range(0, len(members), _ROWS):
        squared = _squared_distances(members[begin : begin + _ROWS], members)
        own = torch.arange(len(squared), device=squared.device)
        squared[own, own + begin] = torch.inf
        radii.append(squared.kthvalue(k, dim=1).values)
    radius = torch.cat(radii)
    return torch.cat(
        [(_squared_distances(rows, members) <= radius).any(1) for rows in queries.split(_ROWS)]
    )


def _squared_distances(a: Float[Tensor, "n d"], b: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
    """Compute the squared distances of all pairs; those within rounding are 0."""
    lengths_a, lengths_b = a.square().sum(1), b.square().sum(1)
    squared = lengths_a[:, None] + lengths_b - 2 * a @ b.T
    return squared.masked_fill_(squared < _ROUNDING * lengths_b.amax(), 0.0)
