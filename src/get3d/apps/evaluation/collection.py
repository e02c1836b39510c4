"""Measuring a whole collection of shapes, in shards that a stopped run finds again."""

import functools
import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from get3d.apps.evaluation.config import EvaluationConfig
from get3d.apps.evaluation.measure import ShapeRecord, Soundness, Views, measure_shape
from get3d.apps.evaluation.sources import LightName, MeshFiles, ModelShapes, ShapeSource
from get3d.apps.model import Model
from get3d.apps.sources import load
from get3d.core.files import atomic_path
from get3d.core.processes import run_in_processes
from get3d.metrics import FeatureExtractor, PointProtocol, load_inception, load_shape_features
from get3d.metrics.light_field import DEFAULT_PROTOCOL

FORMAT = 2
"""Counts up when what is measured changes, so that old shards are not taken for new ones."""
SHARD = 8
"""Shapes in a file: what a stopped run loses at most, for each worker."""
_ARRAYS = ("points", "light_field", "field_features", "mesh_features")
_PICTURE_FIELDS = ("image_size", "supersample", "cameras", "longest_side")


@dataclass(frozen=True, kw_only=True)
class Collection:
    """Shapes to measure, and what of them; small enough to be sent to a worker.

    Attributes:
        role: Name of the collection in messages and on the disk.
        stream: Its number, so that no two collections share random numbers.
        num: How many shapes.
        model: Where the model is that generates them; for files see `files`.
        files: Mesh files, if no model makes the shapes.
        light: How the shapes are lit for pictures; `with_fingerprint` sets that of a model's.
        up_axis: Which axis of files points up.
        fingerprint: Of the shapes, when the evaluation began.
        config: How pictures and generated shapes are made.
        points: How points are drawn; None for none.
        wants_light_field: Whether silhouettes are described.
        features: Features of pictures, as in the config; empty for none.
        views: Pictures of each shape.
        device: Where the networks run.
    """

    role: str
    stream: int
    num: int
    model: str | Path | None = None
    files: tuple[Path, ...] | None = None
    light: LightName = "none"
    up_axis: Literal["y", "z"] = "y"
    fingerprint: str = ""
    config: EvaluationConfig
    points: PointProtocol | None
    wants_light_field: bool
    features: str
    views: Views
    device: str = "cpu"


def load_features(features: str, device: str) -> FeatureExtractor:
    """Load what a config calls `inception`, `shapes`, or by a path."""
    if features == "shapes":
        return load_shape_features(device=device)
    return load_inception(None if features == "inception" else Path(features), device=device)


def measure_collection(
    collection: Collection,
    work: Path,
    *,
    workers: int | None,
    on_progress: Callable[[str, int, int], None],
) -> list[ShapeRecord]:
    """Measure all shapes, or read what an earlier run measured in the same way.

    Args:
        collection: The shapes.
        work: Where shards are kept: one folder for each way to measure.
        workers: Processes; None takes one for each core. On a GPU there is one.
        on_progress: Called with the role, the shapes done, and their number.

    Returns:
        A record of every shape, in order, also of broken ones.
    """
    folder = work / f"{collection.role}-{_identity(collection)}"
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, collection.num, SHARD)
    paths = {start: _shard_path(folder, start, collection.num) for start in starts}
    records = {start: _read_shard(path) for start, path in paths.items()}
    pending = [start for start, kept in records.items() if kept is None]
    done = sum(_length(start, collection.num) for start, kept in records.items() if kept)
    on_progress(collection.role, done, collection.num)
    task = functools.partial(_measure_shard, collection=collection, folder=folder)
    is_gpu = torch.device(collection.device).type != "cpu"
    for start in run_in_processes(task, pending, workers=1 if is_gpu else workers):
        done += _length(start, collection.num)
        on_progress(collection.role, done, collection.num)
        records[start] = _read_shard(paths[start])
    return [record for start in starts for record in records[start] or ()]


def open_source(collection: Collection) -> ShapeSource:
    """Get at the shapes themselves."""
    if collection.files is not None:
        light, up_axis = collection.light, collection.up_axis
        return MeshFiles(collection.files, collection.config, light=light, up_axis=up_axis)
    model = _open_model(collection.model, collection.device, collection.fingerprint)
    return ModelShapes(model, collection.num, collection.config)


def with_fingerprint(collection: Collection) -> Collection:
    """Note which shapes these are, and how they are lit; `measure_collection` refuses others."""
    _open_model.cache_clear()
    source = open_source(collection)
    return replace(collection, fingerprint=source.fingerprint, light=source.light)


@functools.lru_cache(maxsize=1)
def _open_model(source: str | Path | None, device: str, fingerprint: str) -> Model:
    """Load a model once for many shards; the fingerprint tells it from its successor."""
    return load(source, device=device)


@functools.lru_cache(maxsize=1)
def _open_features(features: str, device: str) -> FeatureExtractor:
    return load_features(features, device)


def _measure_shard(start: int, collection: Collection, folder: Path) -> int:
    """Measure some shapes and write their file; return where they start."""
    source = open_source(collection)
    if source.fingerprint != collection.fingerprint:
        raise ValueError(
            f"the {collection.role} shapes changed while they were measured (is the model still "
            "being trained?); copy them, and evaluate the copy"
        )
    extractor = None
    if collection.features:
        extractor = _open_features(collection.features, collection.device)
    records = [
        measure_shape(
            source,
            index,
            config=collection.config,
            points=collection.points,
            wants_light_field=collection.wants_light_field,
            extractor=extractor,
            views=collection.views,
            stream=collection.stream,
        )
        for index in range(start, start + _length(start, collection.num))
    ]
    _write_shard(_shard_path(folder, start, collection.num), records)
    return start


def _length(start: int, num: int) -> int:
    return min(SHARD, num - start)


def _shard_path(folder: Path, start: int, num: int) -> Path:
    return folder / f"{start:06d}-{start + _length(start, num):06d}.npz"


def _identity(collection: Collection) -> str:
    """Digits that change whenever a record would, except with the number of shapes."""
    config, features = collection.config, ""
    if collection.features:
        extractor = _open_features(collection.features, collection.device)
        features = f"{extractor.name}-{extractor.fingerprint}"
    names = list(_PICTURE_FIELDS)
    if collection.files is None:
        names += ["truncation", "style_mixing", "texture_size"]
    content = {
        "format": FORMAT,
        "source": collection.fingerprint,
        "stream": collection.stream,
        "light": collection.light,
        "up_axis": collection.up_axis,
        "seed": config.seed,
        "points": collection.points and asdict(collection.points),
        "light_field": asdict(DEFAULT_PROTOCOL) if collection.wants_light_field else None,
        "features": features,
        "views": asdict(collection.views),
        "config": {name: repr(getattr(config, name)) for name in names},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def _write_shard(path: Path, records: list[ShapeRecord]) -> None:
    arrays: dict[str, Any] = {}
    notes = []
    for index, record in enumerate(records):
        note = {item.name: getattr(record, item.name) for item in fields(record)}
        for name in _ARRAYS:
            if (array := note.pop(name)) is not None:
                arrays[f"{index}.{name}"] = array
        note["soundness"] = record.soundness and asdict(record.soundness)
        notes.append(note)
    buffer = io.BytesIO()
    arrays["notes"] = np.array(json.dumps(notes))
    np.savez(buffer, **arrays)
    with atomic_path(path, durable=False) as temp_path:
        temp_path.write_bytes(buffer.getvalue())


def _read_shard(path: Path) -> list[ShapeRecord] | None:
    """Read what was measured; None if it is not there, or damaged: then it is measured again."""
    if not path.is_file():
        return None
    try:
        return _decode(path.read_bytes())
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        return None


def _decode(content_bytes: bytes) -> list[ShapeRecord]:
    with np.load(io.BytesIO(content_bytes), allow_pickle=False) as content:
        notes = json.loads(str(content["notes"]))
        records = []
        for index, note in enumerate(notes):
            soundness, signature = note.pop("soundness"), tuple(note.pop("signature"))
            arrays = {
                name: content[key] for name in _ARRAYS if (key := f"{index}.{name}") in content
            }
            kept = Soundness(**soundness) if soundness else None
            records.append(ShapeRecord(**note, **arrays, soundness=kept, signature=signature))
    return records
