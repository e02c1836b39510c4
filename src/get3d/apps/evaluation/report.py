"""Summary of an evaluation: the content of `scores.json`, from which the report is made."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from get3d.apps.evaluation.measure import ShapeRecord
from get3d.apps.evaluation.plan import Plan, deviations, open_features
from get3d.apps.evaluation.scores import (
    NEIGHBOURS,
    Copying,
    Evaluation,
    describe_duplicates,
    kernel_protocol,
)
from get3d.data.shape_labels import read_labels
from get3d.metrics import PointProtocol, minimum_matching_distance_by_label
from get3d.metrics.image_sets import BACKGROUND
from get3d.metrics.light_field import DEFAULT_PROTOCOL
from get3d.version import __version__

FORMAT = 2
SECOND_COLOR = 0.05
"""Least fraction of covered pixels of other hues for a shape to have more than one hue."""
_COMPARABLE = ("cov_", "mmd_", "fid_", "fd_shapes_", "precision_", "recall_")
"""Scores with a meaningful ratio: kernel distances may be negative, and 1-NNA is best at 0.5."""
_FEW = 50
_PERCENTILES = (10, 25, 50, 75, 90)


def summarize(evaluation: Evaluation, *, name: str) -> dict[str, Any]:
    """Collect all numbers of an evaluation, with the settings they depend on.

    Args:
        evaluation: The results.
        name: Name of what was evaluated.

    Returns:
        JSON values; infinite and missing scores are None, with the reason under "invalid" or
        "notes".
    """
    generated, reference = evaluation.plan.generated, evaluation.plan.reference
    protocol = _protocol(evaluation)
    is_biased = not protocol.get("images", {}).get("is_covariance_full", True)
    records = {"generated": evaluation.generated, "reference": evaluation.reference}
    if evaluation.training:
        records["training"] = evaluation.training
    return {
        "format": FORMAT,
        "name": name,
        "source": generated.fingerprint,
        "get3d": __version__,
        "torch": torch.__version__,
        "device": generated.device,
        "protocol": protocol,
        "deviations": deviations(generated.config, generated.num, reference.num),
        "notes": _notes(evaluation, is_biased=is_biased),
        "rows": [
            {
                "name": row.name,
                "num_generated": row.num_generated,
                "num_reference": row.num_reference,
                "scores": {score: _finite(value) for score, value in row.scores.items()},
            }
            for row in evaluation.rows
        ],
        "ratios": _ratios(evaluation, is_biased=is_biased),
        "soundness": {role: _soundness(each) for role, each in records.items()},
        "hollowness": _hollowness(records),
        "matching_by_label": _matching_by_label(evaluation),
        "copying": evaluation.copying and _copying(evaluation.copying),
        "invalid": {
            role: [
                {"name": record.name, "reason": record.invalid or record.untextured}
                for record in each
                if record.invalid or record.untextured
            ]
            for role, each in records.items()
        },
    }


def _finite(value: float | None) -> float | None:
    """Replace values that are not finite by None."""
    return value if value is not None and math.isfinite(value) else None


def _ratios(evaluation: Evaluation, *, is_biased: bool) -> dict[str, float]:
    """Divide the scores of the generated shapes by those of the first oracle, if both are finite.

    At 1 the model scores like training shapes; below 1 is better for distances, above 1 for
    coverage, precision and recall.
    """
    if len(evaluation.rows) < 2:
        return {}
    scores, oracle = evaluation.rows[0].scores, evaluation.rows[1].scores
    ratios = {}
    for name, value in scores.items():
        # Files have no colour field: images of the field are compared with those of their meshes.
        other = oracle.get(name, oracle.get(name.replace("_ori", "_3d")))
        if not name.startswith(_COMPARABLE) or value is None or not other:
            continue
        if is_biased and name.startswith(("fid_", "fd_")):
            continue
        if math.isfinite(value) and math.isfinite(other):
            ratios[name] = value / other
    return ratios


def _protocol(evaluation: Evaluation) -> dict[str, Any]:
    """Collect the settings of all metrics."""
    config = evaluation.plan.generated.config
    found: dict[str, Any] = {
        "num_generated": evaluation.plan.generated.num,
        "num_reference": evaluation.plan.reference.num,
        "num_training": len(evaluation.training),
        "config": asdict(config),
    }
    if "cd" in config.metrics:
        found["points"] = asdict(PointProtocol(seed=config.seed))
    if "lfd" in config.metrics:
        found["light_field"] = asdict(DEFAULT_PROTOCOL)
    if "fd" in config.metrics:
        found["images"] = _image_protocol(evaluation.plan)
    return found


def _notes(evaluation: Evaluation, *, is_biased: bool) -> list[str]:
    """List the caveats of the scores."""
    plan, notes = evaluation.plan, list[str]()
    if plan.training is None:
        notes.append("no training shapes, so no oracle, and no search for copies")
    elif plan.training.num < plan.generated.num:
        notes.append(
            f"the oracle has {plan.training.num} training shapes for {plan.generated.num} "
            "generated ones, so the ratios favour the model: with more shapes COV grows and MMD "
            "falls"
        )
    if plan.reference.num < _FEW:
        notes.append(
            f"{plan.reference.num} references are few: each is {100 / plan.reference.num:.1f} "
            "percentage points of COV"
        )
    if is_biased:
        notes.append(
            "fewer images than feature dimensions, so Fréchet distances are far too large; they "
            "are reported without a ratio"
        )
    if evaluation.duplicates:
        notes.append(describe_duplicates(evaluation.duplicates, plan.reference.num))
    if plan.generated.num < plan.reference.num:
        notes.append("1-NNA needs at least as many generated shapes as references")
    if plan.generated.files is None and plan.generated.light != "none":
        notes.append(
            "the colours of the model are base colours without light, so its images are lit as "
            f"those of the references are ({plan.generated.light})"
        )
    invalid = sum(bool(record.invalid) for record in evaluation.generated)
    if invalid:
        notes.append(
            f"{invalid} of {plan.generated.num} generated shapes are invalid and count as the worst"
        )
    left_out = sum(bool(r.invalid or r.untextured) for r in evaluation.training)
    if left_out:
        notes.append(
            f"{left_out} of {len(evaluation.training)} training shapes are invalid and left out"
        )
    return notes


def _image_protocol(plan: Plan) -> dict[str, Any]:
    """Collect the settings of the image metrics."""
    config = plan.generated.config
    extractor = open_features(config.features, plan.generated.device)
    views = plan.generated.mesh_views or plan.generated.field_views
    num_generated = plan.generated.num * views
    num_reference = plan.reference.num * plan.reference.mesh_views
    return {
        "extractor": extractor.name,
        "extractor_fingerprint": extractor.fingerprint,
        "resize": extractor.resize,
        "background": list(BACKGROUND),
        "field_rendering": f"antialiased, mask rendered {config.supersample} times larger",
        "light_of_generated": plan.generated.light,
        "light_of_references": plan.reference.light,
        "num_generated": num_generated,
        "num_reference": num_reference,
        "views_per_generated_shape": views,
        "views_per_reference_shape": plan.reference.mesh_views,
        "is_covariance_full": min(num_generated, num_reference) > extractor.dim,
        "kernel": asdict(kernel_protocol(num_generated, num_reference, config.seed)),
        "neighbours": NEIGHBOURS,
    }


def _soundness(records: Sequence[ShapeRecord]) -> dict[str, Any]:
    """Compute fractions of sound shapes of a collection; invalid ones count as unsound."""
    known = [record.soundness for record in records if record.soundness is not None]
    hues = [one.second_color for one in known if not math.isnan(one.second_color)]
    num = len(records)
    return {
        "num": num,
        "invalid": sum(bool(record.invalid) for record in records),
        "untextured": sum(bool(record.untextured) for record in records),
        "without_floaters": sum(one.floaters == 0 for one in known) / num,
        "largest_component_over_99_percent": sum(one.largest_fraction > 0.99 for one in known)
        / num,
        "watertight": sum(one.is_watertight for one in known) / num,
        "median_faces": float(np.median([one.faces for one in known])) if known else None,
        "more_than_one_hue": sum(h > SECOND_COLOR for h in hues) / len(hues) if hues else None,
    }


def _hollowness(records: dict[str, list[ShapeRecord]]) -> dict[str, Any]:
    """Compute quantiles of `volume_over_hull` per collection, and the difference of the medians.

    `measured` counts the shapes that have a number; `unmeasured` those that are invalid, or have a
    largest component that is not closed or is flat. `quantiles` are by percentile ("10" to "90"),
    None if no shape was measured.
    """
    by_role: dict[str, dict[str, Any]] = {}
    for role, each in records.items():
        known = [record.soundness.volume_over_hull for record in each if record.soundness]
        values = [value for value in known if math.isfinite(value)]
        found = np.percentile(values, _PERCENTILES).tolist() if values else []
        quantiles = {str(name): value for name, value in zip(_PERCENTILES, found, strict=False)}
        by_role[role] = {
            "measured": len(values),
            "unmeasured": len(each) - len(values),
            "quantiles": quantiles or None,
        }
    generated, reference = (by_role[role]["quantiles"] for role in ("generated", "reference"))
    difference = abs(generated["50"] - reference["50"]) if generated and reference else None
    return {"volume_over_hull": by_role, "difference_of_medians": difference}


def _matching_by_label(evaluation: Evaluation) -> dict[str, Any] | None:
    """Compute the minimum matching distance (CD) of the references of each label, and the oracle's.

    None if no reference has the label, or without Chamfer distance.
    """
    plan, chamfer = evaluation.plan, [row.chamfer for row in evaluation.rows]
    label = plan.reference.config.label
    found = [labels.get(label) for labels in read_labels(plan.reference.files or ())]
    ids = [index for index, value in enumerate(found) if value is not None]
    if not ids or chamfer[0] is None:
        return None
    labels = [value for value in found if value is not None]
    generated = minimum_matching_distance_by_label(chamfer[0][:, ids], labels)
    training: dict[str, float] = {}
    if len(chamfer) > 1 and chamfer[1] is not None:
        training = minimum_matching_distance_by_label(chamfer[1][:, ids], labels)
    counts = Counter(labels)
    values = []
    for value, distance in generated.items():
        mmd, other = _finite(distance), training.get(value)
        values.append(
            {
                "value": value,
                "num": counts[value],
                "generated": mmd,
                "training": other,
                "ratio": mmd / other if mmd is not None and other else None,
            }
        )
    return {"label": label, "unlabelled": len(found) - len(ids), "values": values}


def _copying(copying: Copying) -> dict[str, Any]:
    """Compare the distances of generated shapes to training shapes with those of references."""
    generated, reference = (
        matrix.amin(1).double().numpy() for matrix in (copying.generated, copying.reference)
    )
    limit = float(np.percentile(reference, 1))
    return {
        "median_distance": float(np.median(generated)),
        "median_distance_of_references": float(np.median(reference)),
        "nearer_than_the_nearest_percent_of_references": float((generated < limit).mean()),
        "least_distance": float(generated.min()),
        "least_distance_of_references": float(reference.min()),
    }
