"""The collections of shapes that an evaluation needs."""

import functools
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from get3d.apps.evaluation.config import (
    PUBLISHED_RATIO,
    EvaluationConfig,
    LightName,
    Metric,
    UpAxis,
)
from get3d.apps.evaluation.shapes import find_shapes, render_settings
from get3d.apps.model import Model
from get3d.apps.run_folder import read_run_data
from get3d.apps.sources import load
from get3d.core import ConfigError, DataError
from get3d.core.weights import fingerprint
from get3d.data import find_meshes
from get3d.data.shape_labels import read_labels
from get3d.metrics import FeatureExtractor, PointProtocol, load_inception, load_shape_features

LEAST = 4
"""Least number of shapes in a set: precision and recall need the third neighbour of each image."""


@dataclass(frozen=True, kw_only=True)
class Collection:
    """A set of shapes and how to measure them; small enough to be sent to a worker process.

    Attributes:
        role: generated, reference, training or more-training.
        num: Number of shapes.
        model: Source of the model that generates them; unused if there are `files`.
        files: Mesh files; None if a model generates the shapes.
        light: Light on the shapes in images; `identify` sets that of a model's shapes.
        up_axis: Up axis of the files.
        fingerprint: Hash of the shapes when the evaluation began, from `identify`.
        config: Settings of images and generated shapes.
        metrics: Metrics for which the shapes are measured.
        field_views: Images per shape of the network's colour field.
        mesh_views: Images per shape of the textured mesh.
        device: Device of the networks.
    """

    role: str
    num: int
    model: str | Path | None = None
    files: tuple[Path, ...] | None = None
    light: LightName = "none"
    up_axis: UpAxis = "y"
    fingerprint: str = ""
    config: EvaluationConfig
    metrics: tuple[Metric, ...]
    field_views: int = 0
    mesh_views: int = 0
    device: str = "cpu"

    @functools.cached_property
    def root(self) -> Path:
        """Common folder of all files."""
        return Path(os.path.commonpath([file.parent for file in self.files or ()]))

    @property
    def stream(self) -> int:
        """Index of the role, so that no two collections share random numbers."""
        return ("generated", "reference", "training", "more-training").index(self.role)

    @property
    def points(self) -> PointProtocol | None:
        """How points are sampled; None if no metric needs them."""
        return PointProtocol(seed=self.config.seed) if "cd" in self.metrics else None

    @property
    def extractor(self) -> FeatureExtractor | None:
        """Feature network of images; None if no metric needs it."""
        return open_features(self.config.features, self.device) if "fd" in self.metrics else None

    def open_model(self) -> Model:
        """Load the model that generates the shapes; cached."""
        return _open_model(self.model, self.device, self.fingerprint)

    def current_fingerprint(self) -> str:
        """Hash what the shapes depend on, to compare with `fingerprint`.

        For files: names, sizes and modification times. For a model: weights, config, grid and
        `is_unlit`; not the number of shapes, as a longer run begins with the shapes of a shorter
        one.
        """
        if self.files is not None:
            stats = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in self.files]
            return hashlib.sha256(json.dumps(stats).encode()).hexdigest()[:16]
        model = self.open_model()
        digest = hashlib.sha256(fingerprint(model.generator).encode())
        digest.update(repr(model.generator.config).encode())
        digest.update(model.generator.grid.verts.detach().cpu().numpy().tobytes())
        if model.info.is_unlit:
            digest.update(b"unlit")
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Plan:
    """Collections to measure.

    Attributes:
        generated: The shapes that are evaluated.
        reference: Shapes that the model was not trained on.
        training: Training shapes, as many as generated ones, as the oracle; None without a folder
            of them.
        more_training: All other training shapes, to search for copies; None if there are none.
        notes: Caveats of the choice.
    """

    generated: Collection
    reference: Collection
    training: Collection | None
    more_training: Collection | None
    notes: tuple[str, ...] = ()


def make_plan(
    data: Path,
    config: EvaluationConfig,
    *,
    model: str | Path | None,
    meshes: Path | None,
    device: str,
) -> Plan:
    """Find the shapes, and decide how many images of each are needed.

    The training shapes are those that the model was trained on, if its run folder says so; else
    those of `data`.

    Raises:
        FileNotFoundError: If a folder, the model or the weights of the features are missing.
        DataError: If there are fewer shapes than the scores need.
        ConfigError: If no reference has the label, or `num_shapes` is out of range.
    """
    reference = find_shapes(data, config.reference)
    if len(reference) < LEAST:
        raise DataError(
            f"{data / config.reference} holds {len(reference)} shapes, too few to compare with; "
            f"the scores need {LEAST} at least, and mean something from a hundred on"
        )
    _check_label(reference, config.label)
    evaluated = None if meshes is None else _shuffled(find_meshes([meshes]), config.seed)
    num = _num_generated(config, len(reference), evaluated, meshes)
    found, up_axis, notes = _training_shapes(data, config, None if meshes else model)
    trained = _shuffled(found, config.seed)
    training, more = trained[:num], trained[num:]
    if has_images := "fd" in config.metrics:
        open_features(config.features, device)  # fails before the long work

    def views(num: int) -> int:
        return -(-config.num_images // num) if has_images else 0

    shared = Collection(
        role="reference",
        num=len(reference),
        files=tuple(reference),
        light=config.light,
        up_axis=config.up_axis,
        config=config,
        metrics=config.metrics,
        mesh_views=config.reference_views if has_images else 0,
        device=device,
    )
    generated = replace(
        shared,
        role="generated",
        num=num,
        model=model,
        files=evaluated and evaluated[:num],
        light=config.generated_light,
        up_axis=config.generated_up_axis,
        field_views=views(num) if evaluated is None else 0,
        mesh_views=views(num),
    )
    oracle = others = None
    if len(training) >= LEAST:
        num = len(training)
        oracle = replace(
            shared, role="training", num=num, files=training, up_axis=up_axis, mesh_views=views(num)
        )
    if more:
        metrics = tuple(metric for metric in config.metrics if metric == "cd")
        others = replace(
            shared,
            role="more-training",
            num=len(more),
            files=more,
            up_axis=up_axis,
            metrics=metrics,
            mesh_views=0,
        )
    return Plan(
        identify(generated),
        identify(shared),
        oracle and identify(oracle),
        others and identify(others),
        notes,
    )


def identify(collection: Collection) -> Collection:
    """Set fingerprint and light; `measure_collection` rejects shapes with another fingerprint."""
    _open_model.cache_clear()
    light = collection.light
    if collection.files is None:
        light = collection.config.light if collection.open_model().info.is_unlit else "none"
    return replace(collection, fingerprint=collection.current_fingerprint(), light=light)


@functools.lru_cache(maxsize=1)
def open_features(features: str, device: str) -> FeatureExtractor:
    """Load a feature network: `inception`, `shapes`, or a path to weights of Inception."""
    if features == "shapes":
        return load_shape_features(device=device)
    return load_inception(None if features == "inception" else Path(features), device=device)


@functools.lru_cache(maxsize=1)
def _open_model(source: str | Path | None, device: str, fingerprint: str) -> Model:
    """Load a model; the fingerprint is a key of the cache."""
    return load(source, device=device)


def _training_shapes(
    data: Path, config: EvaluationConfig, model: Path | str | None
) -> tuple[list[Path], UpAxis, tuple[str, ...]]:
    """List the training shapes, with their up axis and caveats."""
    trained_on = read_run_data(model)
    notes: tuple[str, ...] = ()
    if trained_on is not None:
        try:
            settings = render_settings(trained_on)
            if settings is None:
                raise DataError(f"{trained_on} is no dataset of get3d render, or has gone")
            return find_shapes(trained_on, "train"), settings.up_axis, ()
        except DataError as error:
            notes = (f"whether the model was trained on references is not known: {error}",)
    try:
        return find_shapes(data, config.training), config.up_axis, notes
    except (FileNotFoundError, DataError):  # the oracle is optional
        return [], config.up_axis, notes


def _check_label(reference: Sequence[Path], label: str) -> None:
    """Raise ConfigError if the references have labels, but not this one."""
    if label == EvaluationConfig.label:  # the default: some categories do not have it
        return
    known = sorted({name for labels in read_labels(reference) for name in labels})
    if known and label not in known:
        raise ConfigError(f"no reference has the label {label!r}; known: {', '.join(known)}")


def _num_generated(
    config: EvaluationConfig,
    num_reference: int,
    evaluated: Sequence[Path] | None,
    meshes: Path | None,
) -> int:
    """Return the number of shapes to evaluate."""
    if evaluated is None:
        num = config.num_shapes or PUBLISHED_RATIO * num_reference
    elif config.num_shapes is None:
        num = len(evaluated)
    elif config.num_shapes > len(evaluated):
        raise ConfigError(
            f"num_shapes is {config.num_shapes}, but {meshes} holds {len(evaluated)} shapes; "
            "make more, or lower num_shapes"
        )
    else:
        num = config.num_shapes
    if num < LEAST:
        raise ConfigError(f"{num} shapes are too few to evaluate; the scores need {LEAST} at least")
    return num


def _shuffled(files: list[Path], seed: int) -> tuple[Path, ...]:
    """Shuffle files, so that the first ones are a random sample."""
    order = np.random.default_rng(seed).permutation(len(files))
    return tuple(files[index] for index in order)
