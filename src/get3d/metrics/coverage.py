"""Scores of a generated set against a reference set, from the distances of their shapes.

Positive infinity marks an invalid generated shape (`with_invalid`): it matches no reference, is
classified correctly in 1-NNA, and is counted in every total. All references must be valid.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def with_invalid(
    distances: Float[Tensor, "valid other"], is_valid: Bool[Tensor, " g"]
) -> Float[Tensor, "g other"]:
    """Insert rows of infinity for invalid shapes.

    Args:
        distances: One row per valid shape, in order. A matrix within one set is completed by
            `with_invalid(with_invalid(within, is_valid).T, is_valid)`.
        is_valid: Whether each shape is valid.

    Raises:
        ValueError: If the number of rows is not the number of valid shapes.
    """
    if len(distances) != int(is_valid.sum()):
        raise ValueError(
            f"distances have {len(distances)} rows for {int(is_valid.sum())} valid shapes"
        )
    full = distances.new_full((len(is_valid), distances.shape[1]), torch.inf)
    full[is_valid.to(full.device)] = distances
    return full


def coverage(distances: Float[Tensor, "generated reference"]) -> float:
    """Compute the fraction of references that are the nearest one of some generated shape (COV).

    Achlioptas et al. 2018. Of references at the same distance, the first is the match.
    Coverage grows with the number of generated shapes, so compare it at equal ratios only; the
    published protocol generates five times as many shapes as there are references.

    Args:
        distances: Distances of generated shapes (rows) to references; +inf: the row's is invalid.

    Returns:
        From 0 to 1, more is better; 0 if all generated shapes are invalid.

    Raises:
        ValueError: If a set is empty, a distance is NaN or negative, or a reference is invalid.

    Example:
        >>> coverage(torch.tensor([[0.1, 0.5], [0.2, 0.3]]))
        0.5
    """
    valid = distances[_valid_rows(distances)]
    matches = valid.cpu().numpy().argmin(1)  # the first of equals; torch does not promise that
    return len(set(matches.tolist())) / distances.shape[1]


def minimum_matching_distance(distances: Float[Tensor, "generated reference"]) -> float:
    """Compute the mean over references of the distance to the nearest generated shape (MMD).

    Achlioptas et al. 2018.

    Args:
        distances: Distances of generated shapes (rows) to references; +inf: the row's is invalid.

    Returns:
        In the units of the distances, less is better; infinity if all generated ones are invalid.

    Raises:
        ValueError: If a set is empty, a distance is NaN or negative, or a reference is invalid.

    Example:
        >>> minimum_matching_distance(torch.tensor([[1.0, 5.0], [2.0, 3.0]]))
        2.0
    """
    _valid_rows(distances)
    return distances.double().amin(0).mean().item()


def minimum_matching_distance_by_label(
    distances: Float[Tensor, "generated reference"], labels: Sequence[str]
) -> dict[str, float]:
    """Compute the minimum matching distance (MMD) of the references of each label.

    A mean over all references hides a label that the model does not generate if its references are
    few or the shapes of other labels are near.

    Args:
        distances: Distances of generated shapes (rows) to references; +inf: the row's is invalid.
        labels: Label of each reference.

    Returns:
        MMD by label, in alphabetical order, in the units of the distances; infinity if all
        generated shapes are invalid.

    Raises:
        ValueError: If there is not one label for each reference, a set is empty, a distance is NaN
            or negative, or a reference is invalid.

    Example:
        >>> distances = torch.tensor([[1.0, 5.0, 4.0], [2.0, 3.0, 8.0]])
        >>> minimum_matching_distance_by_label(distances, ["mug", "bowl", "mug"])
        {'bowl': 3.0, 'mug': 2.5}
    """
    if len(labels) != distances.shape[1]:
        raise ValueError(
            f"labels must be one for each of {distances.shape[1]} references, got {len(labels)}"
        )
    _valid_rows(distances)
    nearest = distances.double().amin(0).tolist()
    by_label: dict[str, list[float]] = {label: [] for label in sorted(set(labels))}
    for label, distance in zip(labels, nearest, strict=True):
        by_label[label].append(distance)
    return {label: math.fsum(found) / len(found) for label, found in by_label.items()}


def nearest_neighbour_accuracy(
    between: Float[Tensor, "generated reference"],
    within_generated: Float[Tensor, "g g"],
    within_reference: Float[Tensor, "r r"],
) -> float:
    """Compute the accuracy of a nearest-neighbour classifier of the two sets (1-NNA).

    The fraction of shapes whose nearest neighbour among all others is of their own set, for two
    sets of equal size (Lopez-Paz and Oquab 2017; for shapes Yang et al. 2019, PointFlow). A shape
    at the same distance from both sets counts half. An invalid generated shape counts as
    classified correctly.

    Args:
        between: Distances of generated shapes (rows) to references; +inf: the row's is invalid.
        within_generated: Distances of generated shapes; the diagonal is ignored.
        within_reference: Distances of references; the diagonal is ignored.

    Returns:
        From 0 to 1: 0.5 (indistinguishable sets) is best, 1 means different sets, below 0.5 the
        generated shapes are copies of references.

    Raises:
        ValueError: If the sizes differ or are below 2, a distance is NaN or negative, or a
            reference is invalid.

    Example:
        >>> far, near = torch.full((2, 2), 9.0), torch.ones(2, 2)
        >>> nearest_neighbour_accuracy(far, near, near)
        1.0
    """
    num_generated, num_reference = between.shape
    if num_generated != num_reference or num_generated < 2:
        raise ValueError(
            f"1-NNA needs two sets of one size, at least 2, got {num_generated} generated and "
            f"{num_reference} reference shapes; give it the first "
            f"{max(2, min(num_generated, num_reference))} of each"
        )
    if not within_generated.shape == within_reference.shape == between.shape:
        raise ValueError(
            f"within_generated and within_reference must be {tuple(between.shape)} as between, "
            f"got {tuple(within_generated.shape)} and {tuple(within_reference.shape)}"
        )
    is_valid = _valid_rows(between)
    generated = _neighbours(within_generated, is_valid)
    reference = _neighbours(within_reference, torch.ones_like(is_valid))
    of_generated = _count_own(generated[is_valid].amin(1), between[is_valid].amin(1))
    of_reference = _count_own(reference.amin(1), between.amin(0))
    num_invalid = int((~is_valid).sum())
    return (num_invalid + of_generated + of_reference) / (num_generated + num_reference)


def _count_own(own: Float[Tensor, " n"], other: Float[Tensor, " n"]) -> float:
    """Count the shapes nearer to their own set than to the other one; ties count half."""
    return int((own < other).sum()) + int((own == other).sum()) / 2


def _neighbours(within: Float[Tensor, "n n"], is_valid: Bool[Tensor, " n"]) -> Float[Tensor, "n n"]:
    """Replace distances to the shape itself and to invalid shapes by infinity."""
    pairs = is_valid[:, None] & is_valid & ~torch.eye(len(within), dtype=torch.bool).to(is_valid)
    distances = within[pairs]
    if not (distances.isfinite() & (distances >= 0)).all():
        raise ValueError("distances within a set must be finite and not negative for valid shapes")
    return within.masked_fill(~pairs, torch.inf)


def _valid_rows(distances: Float[Tensor, "generated reference"]) -> Bool[Tensor, " generated"]:
    """Return which generated shapes are valid; raise ValueError if the distances are not."""
    if distances.numel() == 0:
        raise ValueError(
            f"distances must be of at least one generated and one reference shape, got "
            f"{tuple(distances.shape)}"
        )
    if not (distances >= 0).all():  # NaN is not
        raise ValueError("distances must not be NaN or negative; +inf marks an invalid shape")
    is_invalid = distances.isinf()
    is_valid = ~is_invalid.all(1)
    if is_invalid[is_valid].any():
        column = int(is_invalid[is_valid].any(0).int().argmax())
        raise ValueError(
            f"reference shape {column} is invalid: its distance to a valid generated shape is "
            "infinite; repair or remove it, a reference must be valid"
        )
    return is_valid
