"""Settings of an evaluation, the published protocol by default, and the collections it needs."""

import functools
import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from get3d.apps.model import Model, check_truncation
from get3d.apps.sources import load
from get3d.core import ConfigError, DataError, check_literals
from get3d.core.weights import fingerprint
from get3d.data import find_meshes
from get3d.data.shape_labels import read_labels
from get3d.geometry import CameraDistribution
from get3d.metrics import FeatureExtractor, PointProtocol, load_inception, load_shape_features

Metric = Literal["cd", "lfd", "fd"]
LightName = Literal["studio", "none"]
UpAxis = Literal["y", "z"]
METRICS: tuple[Metric, ...] = ("cd", "lfd", "fd")
PUBLISHED_RATIO, PUBLISHED_IMAGES, PUBLISHED_SIZE, PUBLISHED_VIEWS = 5, 50_000, 1024, 24
LEAST = 4
"""Least number of shapes in a set: precision and recall need the third neighbour of each image."""
_LEAST = {
    "num_images": 8,
    "reference_views": 1,
    "image_size": 8,
    "supersample": 1,
    "texture_size": 16,
}


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """Settings of an evaluation."""

    metrics: tuple[Metric, ...] = METRICS
    """cd: Chamfer distance; lfd: light-field distance; fd: Frechet and kernel distance, precision
    and recall of image features."""

    features: str = "inception"
    """Features for fd: inception (the FID's weights from PyTorch's cache), a path to those weights,
    or shapes (the network that ships with get3d; its scores are called fd_shapes, not FID)."""

    num_shapes: int | None = None
    """Shapes to generate; None: five times as many as there are references (published)."""

    num_images: int = PUBLISHED_IMAGES
    """Images of generated shapes for fd, divided evenly among them."""

    reference_views: int = 24
    """Images of each reference shape for fd."""

    reference: str = "test"
    """Folder in DATA that holds the reference shapes."""

    training: str = "train"
    """Folder in DATA that holds the training shapes, for the oracles and the search for copies."""

    label: str = "kind"
    """Label by which MMD (CD) is also reported, if `get3d shapes` made the references: kind of
    vessels and vehicles, or for example base of chairs."""

    seed: int = 0
    """Random seed of latent codes, points and cameras."""

    truncation: float = 1.0
    """1 is published; less gives more typical shapes and worse coverage."""

    style_mixing: float = 0.9
    """Probability of style mixing, as in training (published)."""

    texture_size: int = 512
    """Width and height of exported textures, in texels."""

    image_size: int = 128
    """Width and height of the images, in pixels."""

    longest_side: float = 0.9
    """Longest side to which reference shapes are scaled for images, as for `get3d render`."""

    light: LightName = "studio"
    """Light on references and training shapes in images, as for `get3d render`; also on shapes of a
    model whose colours are base colours (is_unlit in its config.yaml)."""

    generated_light: LightName = "none"
    """Light on the files of --meshes: none if their textures contain the light already, as those
    of models trained on lit images do; studio if they are base colours."""

    up_axis: UpAxis = "y"
    """Up axis of the files of references and training shapes, as for `get3d render`."""

    generated_up_axis: UpAxis = "y"
    """Up axis of the files of --meshes."""

    supersample: int = 4
    """Samples per pixel along each axis."""

    cameras: CameraDistribution = field(
        default_factory=lambda: CameraDistribution(radius=1.2, fovy_deg=49.13)
    )
    """Cameras of the images."""

    def __post_init__(self) -> None:
        """Validate the settings; raise ConfigError."""
        check_literals(self)
        if not self.metrics or not set(self.metrics) <= set(METRICS):
            raise ConfigError(
                f"metrics: name at least one of {', '.join(METRICS)}, got {list(self.metrics)}"
            )
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise ConfigError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if self.num_shapes is not None and self.num_shapes < 2:
            raise ConfigError(f"num_shapes must be at least 2, got {self.num_shapes}")
        if self.seed < 0:
            raise ConfigError(f"seed must not be negative, got {self.seed}")
        if not 0 <= self.style_mixing <= 1:
            raise ConfigError(f"style_mixing must lie in [0, 1], got {self.style_mixing}")
        if not 0 < self.longest_side < math.inf:
            raise ConfigError(f"longest_side must be positive, got {self.longest_side}")
        check_truncation(self.truncation)


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
    """Find the shapes, and decide how many images of each are needed.

    Raises:
        FileNotFoundError: If a folder, the model or the weights of the features are missing.
        DataError: If there are fewer shapes than the scores need.
        ConfigError: If no reference has the label, or `num_shapes` is out of range.
    """
    reference = _find(data, config.reference)
    if len(reference) < LEAST:
        raise DataError(
            f"{data / config.reference} holds {len(reference)} shapes, too few to compare with; "
            f"the scores need {LEAST} at least, and mean something from a hundred on"
        )
    _check_label(reference, config.label)
    evaluated = None if meshes is None else _shuffled(find_meshes([meshes]), config.seed)
    num = _num_generated(config, len(reference), evaluated, meshes)
    trained: tuple[Path, ...] = ()
    if (data / config.training).is_dir():
        trained = _shuffled(_find(data, config.training), config.seed)
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
        oracle = replace(shared, role="training", num=num, files=training, mesh_views=views(num))
    if more:
        metrics = tuple(metric for metric in config.metrics if metric == "cd")
        others = replace(
            shared, role="more-training", num=len(more), files=more, metrics=metrics, mesh_views=0
        )
    return Plan(
        identify(generated),
        identify(shared),
        oracle and identify(oracle),
        others and identify(others),
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


def deviations(config: EvaluationConfig, num_generated: int, num_reference: int) -> list[str]:
    """List the deviations of an evaluation from the published protocol."""
    has_images = "fd" in config.metrics
    checks = [
        (
            num_generated != PUBLISHED_RATIO * num_reference,
            f"{num_generated} generated shapes for {num_reference} references "
            f"(published: {PUBLISHED_RATIO} for each)",
        ),
        (
            has_images and config.num_images < PUBLISHED_IMAGES,
            f"{config.num_images} images (published: {PUBLISHED_IMAGES})",
        ),
        (
            has_images and config.image_size != PUBLISHED_SIZE,
            f"images of {config.image_size} pixels (published: {PUBLISHED_SIZE})",
        ),
        (
            has_images and config.reference_views != PUBLISHED_VIEWS,
            f"{config.reference_views} views a reference (published: 24 for most)",
        ),
        (
            has_images and config.features == "shapes",
            "features of get3d's shape network (published: Inception)",
        ),
        (config.truncation != 1, f"truncation {config.truncation:g} (published: 1)"),
        (config.style_mixing != 0.9, f"style mixing {config.style_mixing:g} (published: 0.9)"),
    ]
    return [text for differs, text in checks if differs]


@functools.lru_cache(maxsize=1)
def _open_model(source: str | Path | None, device: str, fingerprint: str) -> Model:
    """Load a model; the fingerprint is a key of the cache."""
    return load(source, device=device)


def _find(data: Path, name: str) -> list[Path]:
    """List the mesh files of a folder of the data set."""
    folder = data / name
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder}: no such folder; {data} must hold one with the reference shapes (get3d "
            f"shapes CATEGORY --split {name} --out {data} makes procedural ones)"
        )
    return find_meshes([folder])


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
