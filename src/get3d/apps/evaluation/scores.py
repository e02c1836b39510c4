"""Scores of an evaluation, computed from the records of measured collections."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from get3d.apps.evaluation.config import EvaluationConfig
from get3d.apps.evaluation.measure import ShapeRecord, measure_collection
from get3d.apps.evaluation.plan import LEAST, Collection, Plan, make_plan
from get3d.apps.evaluation.shapes import settings_of
from get3d.core import DataError
from get3d.geometry import SIGNATURE_TOLERANCE
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
    with_invalid,
)
from get3d.metrics.light_field import light_field_matrix

Scores = dict[str, float | None]
OnProgress = Callable[[str, int, int], None]
NEIGHBOURS = 3
"""Number of neighbours of precision and recall."""
_KERNEL_SUBSET = 1000
_NUM_NAMED = 3


@dataclass(frozen=True)
class Row:
    """Scores of one set of shapes against another.

    Attributes:
        name: Name of the comparison.
        num_generated: Number of evaluated shapes.
        num_reference: Number of reference shapes.
        scores: Scores by name; distances in their own units, fractions from 0 to 1, None if a score
            needs more shapes.
        chamfer: Distances of the first set to the second, +inf in the rows of invalid shapes; None
            without Chamfer distance.
    """

    name: str
    num_generated: int
    num_reference: int
    scores: Scores
    chamfer: Float[Tensor, "generated reference"] | None = field(compare=False)


@dataclass(frozen=True)
class Copying:
    """Chamfer distances to all training shapes, which show whether the model memorised them.

    Attributes:
        generated: Distances of valid generated shapes.
        reference: Distances of the references, which are no copies.
        generated_ids: Index of the shape of each row of `generated`.
        training_ids: Index of the training record of each column.
    """

    generated: Float[Tensor, "valid training"]
    reference: Float[Tensor, "reference training"]
    generated_ids: list[int]
    training_ids: list[int]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All results of an evaluation.

    Attributes:
        plan: The collections.
        generated: Records of the generated shapes.
        reference: Records of the references.
        training: Records of the training shapes, those of the oracle first.
        rows: Scores of the generated shapes, then of the oracles.
        copying: Distances to training shapes; None without Chamfer distance or training shapes.
        duplicates: Names of references that are in the training set, and of those training shapes.
    """

    plan: Plan
    generated: list[ShapeRecord]
    reference: list[ShapeRecord]
    training: list[ShapeRecord]
    rows: list[Row]
    copying: Copying | None = None
    duplicates: list[tuple[str, str]] = field(default_factory=list)


def evaluate(
    data: Path | str,
    *,
    work: Path | str,
    config: EvaluationConfig | None = None,
    model: str | Path | None = None,
    meshes: Path | str | None = None,
    device: str = "cpu",
    workers: int | None = None,
    keep_duplicates: bool = False,
    on_progress: OnProgress = lambda label, done, total: None,
) -> Evaluation:
    """Generate shapes, measure them, and score them against held-out reference shapes.

    Measurements are saved in `work`, so a stopped run can be resumed. Oracles are scored too: as
    many training shapes in place of the generated ones, and one half of them against the other.

    Args:
        data: Dataset of `get3d render`, or a folder with a folder of reference shapes and, if
            possible, one of training shapes.
        work: Folder for the measurements; made if absent.
        config: Settings; None: those of the dataset's images, else as published.
        model: Anything that `get3d.load` takes; None is the bundled model.
        meshes: Folder of meshes to evaluate instead of a model's.
        device: Device of the networks.
        workers: Processes on a CPU; None takes one per core. A script that uses several needs the
            usual `if __name__ == "__main__":` around its own code.
        keep_duplicates: Compute scores even if references are in the training set.
        on_progress: Called with the current task, the steps done and their number.

    Raises:
        DataError: If a reference is invalid or in the training set, or there are fewer shapes than
            the scores need.
        ConfigError: If no reference has the label, or `num_shapes` is out of range.
        FileNotFoundError: If a folder, the model or the weights of the features are missing.
    """
    config, work = config or settings_of(Path(data)), Path(work)
    meshes = None if meshes is None else Path(meshes)
    plan = make_plan(Path(data), config, model=model, meshes=meshes, device=device)

    def measure(collection: Collection | None) -> list[ShapeRecord]:
        if collection is None:
            return []
        return measure_collection(collection, work, workers=workers, on_progress=on_progress)

    def compare(name: str, rows: list[ShapeRecord], columns: list[ShapeRecord]) -> Row:
        return compare_sets(name, rows, columns, config=config, on_progress=on_progress)

    reference = measure(plan.reference)
    check_references(reference)
    oracle = measure(plan.training)
    training = oracle + measure(plan.more_training)
    duplicates = find_duplicates(reference, training)
    if duplicates and not keep_duplicates:
        raise DataError(
            f"{describe_duplicates(duplicates, len(reference))}; take them out of one of the two, "
            "or add --keep-duplicates to score all the same"
        )
    generated = measure(plan.generated)
    rows = [compare("generated", generated, reference)]
    valid = [record for record in oracle if not (record.invalid or record.untextured)]
    if len(valid) >= LEAST:
        rows.append(compare("training shapes", valid, reference))
    if len(valid) >= 2 * LEAST:
        order = np.random.default_rng(config.seed).permutation(len(valid)).tolist()
        halves = [valid[index] for index in order[0::2]], [valid[index] for index in order[1::2]]
        rows.append(compare("half the training shapes, against the other half", *halves))
    copying = None
    if "cd" in config.metrics:
        copying = _find_copies(generated, reference, training, on_progress)
    return Evaluation(
        plan=plan,
        generated=generated,
        reference=reference,
        training=training,
        rows=rows,
        copying=copying,
        duplicates=duplicates,
    )


def compare_sets(
    name: str,
    generated: Sequence[ShapeRecord],
    reference: Sequence[ShapeRecord],
    *,
    config: EvaluationConfig,
    on_progress: OnProgress = lambda label, done, total: None,
) -> Row:
    """Compute all scores of one set of measured shapes against another.

    COV, MMD and 1-NNA of shapes; the MMD is infinite if all generated shapes are invalid, the 1-NNA
    None if fewer shapes were generated than there are references. Then those of `_image_scores`.

    Args:
        name: Name of the row.
        generated: Records of the evaluated shapes, some of which may be invalid.
        reference: Records of the references, all valid (see `check_references`).
        config: Settings, among them the metrics.
        on_progress: Called with the current task, the steps done and their number.
    """
    scores: Scores = {}
    chamfer = None
    first = generated[: len(reference)]
    for metric in ("cd", "lfd"):
        if metric not in config.metrics:
            continue
        label = f"{name}: {metric}"
        between = _distances(metric, generated, reference, label, on_progress)
        accuracy = None
        if len(first) == len(reference):
            within = [
                _distances(metric, each, None, label, on_progress) for each in (first, reference)
            ]
            accuracy = nearest_neighbour_accuracy(between[: len(first)], *within)
        scores |= {
            f"cov_{metric}": coverage(between),
            f"mmd_{metric}": minimum_matching_distance(between),
            f"one_nna_{metric}": accuracy,
        }
        chamfer = between if metric == "cd" else chamfer
    if "fd" in config.metrics:
        on_progress(f"{name}: features of images", 0, 1)
        scores |= _image_scores(generated, reference, config)
    return Row(name, len(generated), len(reference), scores, chamfer)


def check_references(reference: Sequence[ShapeRecord]) -> None:
    """Raise DataError if a reference is invalid, as scores without it would be wrong."""
    reasons = [
        f"{record.name}: {record.invalid or record.untextured}"
        for record in reference
        if record.invalid or record.untextured
    ]
    if reasons:
        raise DataError(
            f"{len(reasons)} of {len(reference)} reference shapes cannot be measured "
            f"({_join(reasons, '; ')}); mend them or take them out"
        )


def find_duplicates(
    reference: Sequence[ShapeRecord], training: Sequence[ShapeRecord]
) -> list[tuple[str, str]]:
    """List references whose surface is that of a training shape, each with the first such shape.

    They would bias the scores. Copies with other names, positions, sizes, materials or
    triangulations are found too.
    """
    known = [record for record in training if record.signature]
    if not known:
        return []
    signatures = np.array([record.signature for record in known])
    found = []
    for record in reference:
        is_same = (np.abs(signatures - np.array(record.signature)) < SIGNATURE_TOLERANCE).all(1)
        if is_same.any():
            found.append((record.name, known[int(is_same.argmax())].name))
    return found


def describe_duplicates(duplicates: Sequence[tuple[str, str]], num_reference: int) -> str:
    """Describe duplicates in one line."""
    return (
        f"{len(duplicates)} of {num_reference} reference shapes are in the training set too "
        f"({_join([f'{test} is {train}' for test, train in duplicates], ', ')})"
    )


def kernel_protocol(num_generated: int, num_reference: int, seed: int) -> KernelProtocol:
    """Return the published protocol of the kernel distance, with subsets of at most all images."""
    return KernelProtocol(subset_size=min(_KERNEL_SUBSET, num_generated, num_reference), seed=seed)


def _join(texts: Sequence[str], separator: str) -> str:
    """Join the first few texts, with dots for the others."""
    return separator.join([*texts[:_NUM_NAMED], *(["..."] if len(texts) > _NUM_NAMED else [])])


def _find_copies(
    generated: Sequence[ShapeRecord],
    reference: Sequence[ShapeRecord],
    training: Sequence[ShapeRecord],
    on_progress: OnProgress,
) -> Copying | None:
    """Compute distances of valid shapes to valid training shapes; None if there are none."""
    generated_ids, training_ids = (
        [index for index, record in enumerate(records) if not record.invalid]
        for records in (generated, training)
    )
    if not generated_ids or not training_ids:
        return None
    known = [training[index] for index in training_ids]
    made = [generated[index] for index in generated_ids]
    return Copying(
        generated=_distances("cd", made, known, "copies", on_progress),
        reference=_distances("cd", reference, known, "copies, references", on_progress),
        generated_ids=generated_ids,
        training_ids=training_ids,
    )


def _image_scores(
    generated: Sequence[ShapeRecord], reference: Sequence[ShapeRecord], config: EvaluationConfig
) -> Scores:
    """Compute Fréchet and kernel distance, precision and recall.

    For images of the network's colour field if there is one ("ori", as rendered in training), and
    of the exported textured mesh ("3d"), both against images of the references' meshes. The
    distances are called FID and KID with Inception features only.
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


def _distances(
    metric: Literal["cd", "lfd"],
    rows: Sequence[ShapeRecord],
    columns: Sequence[ShapeRecord] | None,
    label: str,
    on_progress: OnProgress,
) -> Float[Tensor, "rows columns"]:
    """Compute distances of two collections, or within one; +inf in the rows of invalid shapes."""
    name, matrix = (
        ("points", chamfer_matrix) if metric == "cd" else ("light_field", light_field_matrix)
    )
    is_valid = torch.tensor([not record.invalid for record in rows])
    if not is_valid.any():
        return torch.full((len(rows), len(rows if columns is None else columns)), torch.inf)
    distances = matrix(
        _stack(name, [record for record in rows if not record.invalid]),
        None if columns is None else _stack(name, columns),
        on_progress=lambda done, total: on_progress(label, done, total),
    )
    full = with_invalid(distances, is_valid)
    return full if columns is not None else with_invalid(full.T, is_valid)


def _stack(name: str, records: Sequence[ShapeRecord]) -> Tensor:
    """Stack an array of all records; features are concatenated image by image."""
    arrays = [getattr(record, name) for record in records]
    join = np.concatenate if name.endswith("features") else np.stack
    return torch.from_numpy(join(arrays))
