"""Which collections an evaluation needs, checked before any long work starts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from get3d.apps.evaluation.collection import Collection, load_features, with_fingerprint
from get3d.apps.evaluation.config import PUBLISHED_RATIO, EvaluationConfig
from get3d.apps.evaluation.measure import Views
from get3d.data import find_meshes
from get3d.data.shape_labels import read_labels
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
        ValueError: If there are fewer shapes than the scores need, or references have no such
            label.
    """
    reference = _files(data, config.reference)
    if len(reference) < LEAST:
        raise ValueError(
            f"{data / config.reference} holds {len(reference)} shapes, too few to compare with; "
            f"the scores need {LEAST} at least, and mean something from a hundred on"
        )
    _check_label(reference, config.label)
    judged = None if meshes is None else _shuffled(find_meshes([meshes]), config)
    num = _num_generated(config, len(reference), judged, meshes)
    learnt: tuple[Path, ...] = ()
    if (data / config.training).is_dir():
        learnt = _shuffled(_files(data, config.training), config)
    training, more = learnt[:num], learnt[num:]
    is_pictured = "fd" in config.metrics
    if is_pictured:
        load_features(config.features, device)  # what is missing is missed now

    def views(num: int) -> int:
        return -(-config.num_images // num) if is_pictured else 0

    whole = Collection(
        role="generated",
        stream=_GENERATED,
        num=num,
        model=model,
        config=config,
        points=PointProtocol(seed=config.seed) if "cd" in config.metrics else None,
        wants_light_field="lfd" in config.metrics,
        features=config.features if is_pictured else "",
        views=Views(field=views(num), mesh=views(num)),
        device=device,
    )
    if judged is not None:
        generated = replace(
            whole,
            files=judged[:num],
            light=config.generated_light,
            up_axis=config.generated_up_axis,
            views=Views(mesh=views(num)),
        )
    else:
        generated = whole

    def known(role: str, stream: int, files: tuple[Path, ...], views: int) -> Collection:
        found = replace(
            whole,
            role=role,
            stream=stream,
            num=len(files),
            files=files,
            light=config.light,
            up_axis=config.up_axis,
            views=Views(mesh=views),
        )
        return with_fingerprint(found)

    return Plan(
        generated=with_fingerprint(generated),
        reference=known(
            "reference", _REFERENCE, tuple(reference), config.reference_views if is_pictured else 0
        ),
        training=known("training", _TRAINING, training, views(len(training)))
        if len(training) >= LEAST
        else None,
        more_training=replace(
            known("more-training", _MORE_TRAINING, more, 0), wants_light_field=False, features=""
        )
        if more
        else None,
    )


def _files(data: Path, name: str) -> list[Path]:
    folder = data / name
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder}: no such folder; {data} must hold one with the reference shapes (get3d "
            f"shapes CATEGORY --split {name} --out {data} makes procedural ones)"
        )
    return find_meshes([folder])


def _check_label(reference: Sequence[Path], label: str) -> None:
    """Validate a label that was asked for; raise ValueError if references have only others."""
    if label == EvaluationConfig.label:  # not asked for: some categories do not have it
        return
    known = sorted({name for labels in read_labels(reference) for name in labels})
    if known and label not in known:
        raise ValueError(f"no reference has the label {label!r}; known: {', '.join(known)}")


def _num_generated(
    config: EvaluationConfig, num_reference: int, judged: Sequence[Path] | None, meshes: Path | None
) -> int:
    if judged is None:
        num = config.num_shapes or PUBLISHED_RATIO * num_reference
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


def _shuffled(files: list[Path], config: EvaluationConfig) -> tuple[Path, ...]:
    """Files in a random order, so that the first ones are a fair sample."""
    order = np.random.default_rng(config.seed).permutation(len(files))
    return tuple(files[index] for index in order)
