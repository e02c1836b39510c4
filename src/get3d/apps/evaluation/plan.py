"""Which collections an evaluation needs, checked before any long work starts."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from get3d.apps.evaluation.collection import Collection, load_features, open_source
from get3d.apps.evaluation.config import EvaluationConfig
from get3d.apps.evaluation.measure import Views
from get3d.data import find_meshes
from get3d.metrics import PointProtocol

LEAST = 4
"""Shapes on either side: precision and recall look at the third neighbour of each picture."""
_GENERATED, _REFERENCE, _TRAINING, _MORE_TRAINING = range(4)


@dataclass(frozen=True)
class Plan:
    """Collections to measure.

    Attributes:
        generated: The shapes that are judged.
        reference: Shapes that were kept from the model.
        training: As many shapes that it learnt from, to stand in its place (the oracle); None if
            there is no folder of them.
        more_training: All others that it learnt from, to look for copies in; None likewise, or if
            there are no more.
    """

    generated: Collection
    reference: Collection
    training: Collection | None
    more_training: Collection | None


def make_plan(
    data: Path,
    config: EvaluationConfig,
    *,
    model: str | Path | None,
    meshes: Path | None,
    device: str,
) -> Plan:
    """Find the shapes and decide how many of them are measured how.

    Raises:
        FileNotFoundError: If a folder, the model or the weights of the features are missing.
        ValueError: If there are fewer shapes than the scores need.
    """
    reference = _files(data, config.reference)
    if len(reference) < LEAST:
        raise ValueError(
            f"{data / config.reference} holds {len(reference)} shapes, too few to compare with; "
            f"the scores need {LEAST} at least, and mean something from a hundred on"
        )
    judged = None if meshes is None else find_meshes([meshes])
    num = _num_generated(config, len(reference), judged, meshes)
    is_pictured = "fd" in config.metrics
    views = -(-config.num_images // num) if is_pictured else 0
    collection = partial(
        Collection,
        config=config,
        device=device,
        points=PointProtocol(seed=config.seed) if "cd" in config.metrics else None,
        wants_light_field="lfd" in config.metrics,
        features=config.features if is_pictured else "",
    )
    if judged is None:
        generated = collection(
            role="generated",
            stream=_GENERATED,
            num=num,
            model=model,
            views=Views(field=views, mesh=views),
        )
    else:
        generated = collection(
            role="generated",
            stream=_GENERATED,
            num=num,
            files=tuple(judged[:num]),
            light=config.generated_light,
            views=Views(mesh=views),
        )
    training, more = _training_files(data, config, num)
    files = partial(collection, light=config.light)
    plan = Plan(
        generated=generated,
        reference=files(
            role="reference",
            stream=_REFERENCE,
            num=len(reference),
            files=tuple(reference),
            views=Views(mesh=config.reference_views if is_pictured else 0),
        ),
        training=files(
            role="training",
            stream=_TRAINING,
            num=len(training),
            files=training,
            views=Views(mesh=views),
        )
        if len(training) >= LEAST
        else None,
        more_training=files(
            role="more-training",
            stream=_MORE_TRAINING,
            num=len(more),
            files=more,
            wants_light_field=False,
            features="",
            views=Views(),
        )
        if more
        else None,
    )
    open_source(plan.generated)  # what is missing is missed now
    if is_pictured:
        load_features(config.features, device)
    return plan


def _files(data: Path, name: str) -> list[Path]:
    folder = data / name
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder}: no such folder; {data} must hold one with the reference shapes (get3d "
            f"shapes CATEGORY --split {name} --out {data} makes procedural ones)"
        )
    return find_meshes([folder])


def _num_generated(
    config: EvaluationConfig, num_reference: int, judged: list[Path] | None, meshes: Path | None
) -> int:
    if judged is None:
        num = config.num_shapes or 5 * num_reference
    elif config.num_shapes is None:
        num = len(judged)
    elif config.num_shapes > len(judged):
        raise ValueError(
            f"num_shapes asks for {config.num_shapes} shapes, but {meshes} holds {len(judged)}; "
            "make more, or ask for fewer"
        )
    else:
        num = config.num_shapes
    if num < LEAST:
        raise ValueError(f"{num} shapes are too few to judge; the scores need {LEAST} at least")
    return num


def _training_files(
    data: Path, config: EvaluationConfig, num_generated: int
) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Training shapes in a random order: those for the oracle, and the others."""
    if not (data / config.training).is_dir():
        return (), ()
    files = _files(data, config.training)
    order = np.random.default_rng(config.seed).permutation(len(files))
    chosen = [files[index] for index in order[: config.num_training]]
    return tuple(chosen[:num_generated]), tuple(chosen[num_generated:])
