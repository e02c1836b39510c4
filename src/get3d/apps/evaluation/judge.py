"""Evaluating a model, or a folder of meshes, against shapes that were kept from it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from get3d.apps.evaluation.collection import Collection, measure_collection
from get3d.apps.evaluation.config import EvaluationConfig
from get3d.apps.evaluation.duplicates import describe_duplicates, find_duplicates
from get3d.apps.evaluation.measure import ShapeRecord
from get3d.apps.evaluation.plan import LEAST, Plan, make_plan
from get3d.apps.evaluation.scores import (
    OnProgress,
    Scores,
    compare_shapes,
    distances_between,
    picture_scores,
    shape_scores,
)
from get3d.data.shape_labels import read_labels

_NAMED = 3


@dataclass(frozen=True)
class Row:
    """Scores of one set of shapes against another.

    Attributes:
        name: What was compared.
        num_generated: Shapes on the judged side.
        num_reference: Shapes on the other.
        scores: By name; distances in their own units, shares from 0 to 1, None where a score
            cannot be had from so few shapes.
    """

    name: str
    num_generated: int
    num_reference: int
    scores: Scores


@dataclass(frozen=True)
class Comparison:
    """One set of shapes against another.

    Attributes:
        row: The scores.
        chamfer: Distances of the first to the second, +inf in the rows of broken shapes; None if
            not asked for.
    """

    row: Row
    chamfer: Float[Tensor, "generated reference"] | None


@dataclass(frozen=True)
class Copying:
    """Chamfer distances to all training shapes: is the model more than their memory?

    Attributes:
        generated: Of whole generated shapes.
        reference: Of the references, which are surely no copies.
        generated_ids: Which shape each row of `generated` is.
        training_ids: Which record each column is, among all training records.
    """

    generated: Float[Tensor, "whole training"]
    reference: Float[Tensor, "reference training"]
    generated_ids: list[int]
    training_ids: list[int]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All that an evaluation found.

    Attributes:
        plan: What was measured.
        generated: A record of each generated shape.
        reference: Of each reference.
        training: Of each training shape, those of the oracle first.
        rows: Scores of what is judged first, then of the oracles.
        to_reference: Chamfer distances of generated shapes to references, +inf in the rows of
            broken ones; None if not asked for.
        copying: None without Chamfer distance or training shapes.
        duplicates: References that are in the training set, and as what.
        training_to_reference: Chamfer distances of the oracle's shapes to references; None without
            such or if not asked for.
        labels: Of each reference, the value of the label that the config names; None for those
            that have none.
    """

    plan: Plan
    generated: list[ShapeRecord]
    reference: list[ShapeRecord]
    training: list[ShapeRecord] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    to_reference: Float[Tensor, "generated reference"] | None = None
    copying: Copying | None = None
    duplicates: list[tuple[str, str]] = field(default_factory=list)
    training_to_reference: Float[Tensor, "training reference"] | None = None
    labels: list[str | None] = field(default_factory=list)


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
    """Generate shapes, measure them, and compare them with shapes that were kept from the model.

    What was measured is kept in `work`, so a stopped run goes on where it was. Oracles stand beside
    the model's scores: as many training shapes in its place, and one half of them against the
    other.

    Args:
        data: Folder with a folder of reference shapes and, if possible, one of training shapes.
        work: Folder for what was measured; made if absent.
        config: What is compared, and how; None as published.
        model: Anything that `get3d.load` takes; None is the bundled one.
        meshes: Folder of meshes to judge instead of a model's.
        device: Where the networks run.
        workers: Processes on a CPU; None takes one for each core. A script that asks for several
            needs the usual `if __name__ == "__main__":` around its own code.
        keep_duplicates: Score although references are in the training set.
        on_progress: Called with what is done, how far, and out of how much.

    Raises:
        ValueError: If a reference is broken or in the training set, or there are fewer shapes than
            the scores need.
        FileNotFoundError: If a folder, the model or the weights of the features are missing.
    """
    config, work = config or EvaluationConfig(), Path(work)
    meshes = None if meshes is None else Path(meshes)
    plan = make_plan(Path(data), config, model=model, meshes=meshes, device=device)

    def measure(collection: Collection | None) -> list[ShapeRecord]:
        if collection is None:
            return []
        return measure_collection(collection, work, workers=workers, on_progress=on_progress)

    reference = measure(plan.reference)
    check_references(reference)
    oracle = measure(plan.training)
    training = oracle + measure(plan.more_training)
    duplicates = find_duplicates(reference, training)
    if duplicates and not keep_duplicates:
        raise ValueError(
            f"{describe_duplicates(duplicates, len(reference))}; take them out of one of the two, "
            "or add --keep-duplicates to score all the same"
        )
    generated = measure(plan.generated)

    def compare(name: str, rows: list[ShapeRecord], columns: list[ShapeRecord]) -> Comparison:
        return compare_sets(name, rows, columns, config=config, on_progress=on_progress)

    comparisons = [compare("generated", generated, reference)]
    whole = [record for record in oracle if not (record.broken or record.untextured)]
    if len(whole) >= LEAST:
        comparisons.append(compare("training shapes", whole, reference))
    if len(whole) >= 2 * LEAST:
        order = np.random.default_rng(config.seed).permutation(len(whole)).tolist()
        halves = [whole[index] for index in order[0::2]], [whole[index] for index in order[1::2]]
        name = "half the training shapes, against the other half"
        comparisons.append(compare(name, *halves))
    copying = None
    if "cd" in config.metrics and any(not record.broken for record in training):
        copying = _look_for_copies(generated, reference, training, on_progress)
    return Evaluation(
        plan=plan,
        generated=generated,
        reference=reference,
        training=training,
        rows=[comparison.row for comparison in comparisons],
        to_reference=comparisons[0].chamfer,
        training_to_reference=comparisons[1].chamfer if len(comparisons) > 1 else None,
        labels=reference_labels(plan),
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
) -> Comparison:
    """Compute all scores of one set of measured shapes against another.

    Args:
        name: Of the row.
        generated: May have broken shapes.
        reference: Has none, see `check_references`.
        config: Which scores.
        on_progress: Called with what is done, how far, and out of how much.
    """
    scores: Scores = {}
    chamfer = None
    for metric in ("cd", "lfd"):
        if metric in config.metrics:
            distances = compare_shapes(
                metric, generated, reference, label=name, on_progress=on_progress
            )
            scores |= shape_scores(metric, distances)
            chamfer = distances.between if metric == "cd" else chamfer
    if "fd" in config.metrics:
        on_progress(f"{name}: features of pictures", 0, 1)
        scores |= picture_scores(generated, reference, config)
    return Comparison(Row(name, len(generated), len(reference), scores), chamfer)


def reference_labels(plan: Plan) -> list[str | None]:
    """Value of the config's label of each reference; None for those that have no such label."""
    label = plan.reference.config.label
    return [labels.get(label) for labels in read_labels(plan.reference.files or ())]


def check_references(reference: Sequence[ShapeRecord]) -> None:
    """Validate that all references were measured; raise ValueError otherwise.

    A score against a reference that cannot be measured would be a silent wrong number.
    """
    bad = [(r.name, r.broken or r.untextured) for r in reference if r.broken or r.untextured]
    if bad:
        named = "; ".join(f"{name}: {reason}" for name, reason in bad[:_NAMED])
        raise ValueError(
            f"{len(bad)} of {len(reference)} reference shapes cannot be measured ({named}"
            f"{'; ...' if len(bad) > _NAMED else ''}); mend them or take them out"
        )


def _look_for_copies(
    generated: Sequence[ShapeRecord],
    reference: Sequence[ShapeRecord],
    training: Sequence[ShapeRecord],
    on_progress: OnProgress,
) -> Copying | None:
    generated_ids, training_ids = (
        [index for index, record in enumerate(records) if not record.broken]
        for records in (generated, training)
    )
    if not generated_ids:
        return None
    learnt = [training[index] for index in training_ids]
    made = [generated[index] for index in generated_ids]
    return Copying(
        generated=distances_between("cd", made, learnt, "copies", on_progress),
        reference=distances_between("cd", reference, learnt, "copies, references", on_progress),
        generated_ids=generated_ids,
        training_ids=training_ids,
    )
