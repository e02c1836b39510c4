"""From the records of two collections to scores."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from get3d.apps.evaluation.config import EvaluationConfig
from get3d.apps.evaluation.measure import ShapeRecord
from get3d.metrics import (
    KernelProtocol,
    chamfer_matrix,
    coverage,
    feature_moments,
    frechet_distance,
    kernel_distance,
    minimum_matching_distance,
    nearest_neighbour_accuracy,
    precision_recall,
    with_broken,
)
from get3d.metrics.light_field_matrix import light_field_matrix

Scores = dict[str, float | None]
ShapeMetric = Literal["cd", "lfd"]
OnProgress = Callable[[str, int, int], None]
NEIGHBOURS = 3
"""Of precision and recall."""
_KERNEL_SUBSET = 1000


@dataclass(frozen=True)
class ShapeDistances:
    """Distances within and between two collections, by one metric.

    Attributes:
        between: +inf in the row of a broken generated shape.
        within_generated: Of the first as many as there are references, +inf likewise; None if there
            are fewer.
        within_reference: Of the references.
    """

    between: Float[Tensor, "generated reference"]
    within_generated: Float[Tensor, "reference reference"] | None
    within_reference: Float[Tensor, "reference reference"]


def compare_shapes(
    metric: ShapeMetric,
    generated: Sequence[ShapeRecord],
    reference: Sequence[ShapeRecord],
    *,
    label: str,
    on_progress: OnProgress,
) -> ShapeDistances:
    """Measure the distances that the scores of one metric need.

    Args:
        metric: Which one.
        generated: May have broken shapes.
        reference: Has none.
        label: What is compared, for the progress.
        on_progress: Called with the label, the pairs done and their number.
    """
    first = generated[: len(reference)]

    def compare(
        rows: Sequence[ShapeRecord], columns: Sequence[ShapeRecord] | None
    ) -> Float[Tensor, "rows columns"]:
        return distances_between(metric, rows, columns, f"{label}: {metric}", on_progress)

    return ShapeDistances(
        between=compare(generated, reference),
        within_generated=compare(first, None) if len(first) == len(reference) else None,
        within_reference=compare(reference, None),
    )


def shape_scores(metric: ShapeMetric, distances: ShapeDistances) -> Scores:
    """Coverage, minimum matching distance and 1-NN accuracy.

    The MMD is infinite if all generated shapes are broken, the accuracy None if fewer shapes were
    generated than there are references.
    """
    between, accuracy = distances.between, None
    if distances.within_generated is not None:
        accuracy = nearest_neighbour_accuracy(
            between[: between.shape[1]], distances.within_generated, distances.within_reference
        )
    return {
        f"cov_{metric}": coverage(between),
        f"mmd_{metric}": minimum_matching_distance(between),
        f"one_nna_{metric}": accuracy,
    }


def picture_scores(
    generated: Sequence[ShapeRecord], reference: Sequence[ShapeRecord], config: EvaluationConfig
) -> Scores:
    """Fréchet and kernel distance, precision and recall.

    Of the network's field where there is one ("ori": what it was trained to draw), and of the
    exported textured mesh ("3d"), both against pictures of the references' meshes. The distances
    are called FID and KID with the FID's own features only.
    """
    frechet_name, kernel_name = ("fd_shapes", "kd_shapes")
    if config.features != "shapes":
        frechet_name, kernel_name = ("fid", "kid")
    features_reference = _stack("mesh_features", reference)
    scores: Scores = {}
    for suffix, name in (("ori", "field_features"), ("3d", "mesh_features")):
        if any(getattr(record, name) is None for record in generated):
            continue
        features = _stack(name, generated)
        protocol = kernel_protocol(len(features), len(features_reference), config.seed)
        frechet = frechet_distance(*feature_moments(features), *feature_moments(features_reference))
        distance, _ = kernel_distance(features, features_reference, protocol)
        precision, recall = precision_recall(features, features_reference, k=NEIGHBOURS)
        scores |= {
            f"{frechet_name}_{suffix}": frechet,
            f"{kernel_name}_{suffix}": distance,
            f"precision_{suffix}": precision,
            f"recall_{suffix}": recall,
        }
    return scores


def kernel_protocol(num_generated: int, num_reference: int, seed: int) -> KernelProtocol:
    """As published, with smaller subsets where there are fewer pictures."""
    return KernelProtocol(subset_size=min(_KERNEL_SUBSET, num_generated, num_reference), seed=seed)


def distances_between(
    metric: ShapeMetric,
    rows: Sequence[ShapeRecord],
    columns: Sequence[ShapeRecord] | None,
    label: str,
    on_progress: OnProgress,
) -> Float[Tensor, "rows columns"]:
    """Distances of two collections, or within one; +inf where a shape of the rows is broken."""
    name = "points" if metric == "cd" else "light_field"
    matrix = chamfer_matrix if metric == "cd" else light_field_matrix
    is_whole = torch.tensor([not record.broken for record in rows])
    num_columns = len(rows if columns is None else columns)
    if not is_whole.any():
        return torch.full((len(rows), num_columns), torch.inf)
    whole = matrix(
        _stack(name, [record for record in rows if not record.broken]),
        None if columns is None else _stack(name, columns),
        on_progress=lambda done, total: on_progress(label, done, total),
    )
    full = with_broken(whole, is_whole)
    return full if columns is not None else with_broken(full.T, is_whole)


def _stack(name: str, records: Sequence[ShapeRecord]) -> Tensor:
    """One kind of array of all records; features of all pictures follow one another."""
    arrays = [getattr(record, name) for record in records]
    join = np.concatenate if name.endswith("features") else np.stack
    return torch.from_numpy(join(arrays))
