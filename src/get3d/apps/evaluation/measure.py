"""Measurement of collections: each shape is loaded, rendered, measured, and saved in a shard."""

import functools
import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from get3d.apps.evaluation.config import EvaluationConfig, LightName
from get3d.apps.evaluation.plan import Collection
from get3d.core import (
    Cameras,
    DataError,
    Mesh,
    MeshError,
    TexturedMesh,
    atomic_path,
    run_in_processes,
)
from get3d.data import load_mesh, normalize_mesh
from get3d.data.render_object import turn_upright
from get3d.geometry import (
    check_surface,
    is_watertight,
    sample_cameras,
    surface_signature,
    vertex_normals,
)
from get3d.geometry.components import face_components
from get3d.metrics import FeatureExtractor, sample_points, volume_over_hull
from get3d.metrics.image_sets import composite
from get3d.metrics.light_field import DEFAULT_PROTOCOL, light_field_descriptor
from get3d.models import TrainingRenderConfig
from get3d.render import Light, render_textured

RGBImages = UInt8[Tensor, "views 3 h w"]
FORMAT = 3
"""Version of the shards; increases with every change of the measurements."""
SHARD = 8
"""Shapes per file; a stopped run loses at most as many per worker."""
_ARRAYS = ("points", "light_field", "field_features", "mesh_features")
_TWO_COLORS = 0.06
"""Least difference of chromaticity (red, green over the sum) between two colours."""
_LIGHTS: dict[LightName, Light | None] = {"studio": Light(), "none": None}
_COVERED, _DARK = 8, 24  # least sums of three bytes of a covered pixel, and of one with a hue


@dataclass(frozen=True, kw_only=True)
class Soundness:
    """Measures of connectedness and closedness of a surface.

    Attributes:
        faces: Number of faces.
        floaters: Number of components other than the largest that enclose a volume; cavities do
            not count.
        largest_fraction: Fraction of the area that belongs to the largest component.
        is_watertight: Whether the surface is closed.
        volume_over_hull: Volume of the largest component over that of its convex hull: 1 is convex,
            hollow shapes are far below; nan if it is not closed or is flat.
        second_color: Fraction of the covered pixels whose hue is not the commonest; nan without
            images.
    """

    faces: int
    floaters: int
    largest_fraction: float
    is_watertight: bool
    volume_over_hull: float
    second_color: float = float("nan")


@dataclass(frozen=True, kw_only=True)
class ShapeRecord:
    """Measurements of a shape.

    Attributes:
        name: Name for reports.
        invalid: Why it cannot be measured; empty if it can.
        untextured: Why the textured mesh could not be made; empty if it could.
        signature: From `surface_signature`, to find duplicates.
        points: Points on the surface, by the point protocol; None if invalid or not needed.
        light_field: Light-field descriptor; None likewise.
        field_features: Features of images of the colour field; of black images if invalid.
        mesh_features: Features of images of the textured mesh; of black images if invalid.
        soundness: Soundness of the surface; None if invalid.
    """

    name: str
    invalid: str = ""
    untextured: str = ""
    signature: tuple[float, ...] = ()
    points: Float[np.ndarray, "n 3"] | None = None
    light_field: UInt8[np.ndarray, "light_fields axes features"] | None = None
    field_features: Float[np.ndarray, "views d"] | None = None
    mesh_features: Float[np.ndarray, "views d"] | None = None
    soundness: Soundness | None = None


@dataclass(frozen=True)
class LoadedShape:
    """One shape, with functions to render it.

    Attributes:
        mesh: Its surface, in the space of the images.
        mesh_images: Renders its textured mesh on black; raises MeshError if it has no texture.
        field_images: Renders the network's colour field on black; None for files.
    """

    mesh: Mesh
    mesh_images: Callable[[Cameras], RGBImages]
    field_images: Callable[[Cameras], RGBImages] | None = None


def measure_collection(
    collection: Collection,
    work: Path,
    *,
    workers: int | None,
    on_progress: Callable[[str, int, int], None],
) -> list[ShapeRecord]:
    """Measure all shapes, or read the shards of an earlier run with the same settings.

    Args:
        collection: The shapes.
        work: Folder of the shards; each combination of settings has a folder in it.
        workers: Processes; None takes one per core. On a GPU there is one.
        on_progress: Called with the role, the shapes done, and their number.

    Returns:
        A record of every shape, in order, also of invalid ones.

    Raises:
        DataError: If the shapes changed since the collection was identified.
    """
    folder = work / f"{collection.role}-{_identity(collection)}"
    folder.mkdir(parents=True, exist_ok=True)
    shards = {
        start: range(start, min(start + SHARD, collection.num))
        for start in range(0, collection.num, SHARD)
    }
    paths = {start: folder / f"{start:06d}-{ids.stop:06d}.npz" for start, ids in shards.items()}
    records = {start: _read_shard(path) for start, path in paths.items()}
    pending = [start for start, kept in records.items() if kept is None]
    done = sum(len(shards[start]) for start, kept in records.items() if kept)
    on_progress(collection.role, done, collection.num)
    task = functools.partial(_measure_shard, collection=collection)
    jobs = [(shards[start], paths[start]) for start in pending]
    is_gpu = torch.device(collection.device).type != "cpu"
    for start in run_in_processes(task, jobs, workers=1 if is_gpu else workers):
        done += len(shards[start])
        on_progress(collection.role, done, collection.num)
        records[start] = _read_shard(paths[start])
    return [record for start in shards for record in records[start] or ()]


def measure_shape(collection: Collection, index: int) -> ShapeRecord:
    """Measure one shape; the record of an invalid mesh (MeshError) has the reason."""
    config, stream, name = collection.config, collection.stream, shape_name(collection, index)
    extractor, points = collection.extractor, collection.points
    num_field, num_mesh = collection.field_views, collection.mesh_views
    mixed = np.random.SeedSequence((config.seed, stream, index)).generate_state(1, np.uint64)
    rng = torch.Generator().manual_seed(int(mixed[0] >> np.uint64(1)))
    # The same cameras for both kinds of images, so that these can be compared.
    cameras = sample_cameras(config.cameras, max(num_field, num_mesh), generator=rng)

    def black(num: int) -> RGBImages | None:
        size = config.image_size
        return torch.zeros(num, 3, size, size, dtype=torch.uint8) if num else None

    try:
        shape = load_shape(collection, index)
        check_surface(shape.mesh)
        cloud = None
        if points is not None:
            # Streams are far apart, so that no two shapes of an evaluation share random numbers.
            cloud = sample_points(shape.mesh, points, seed=(stream << 32) + index).cpu().numpy()
        light_field = None
        if "lfd" in collection.metrics:
            light_field = light_field_descriptor(shape.mesh).numpy()
        soundness, signature = measure_soundness(shape.mesh), surface_signature(shape.mesh)
    except MeshError as error:
        return ShapeRecord(
            name=name,
            invalid=str(error),
            field_features=_features(extractor, black(num_field)),
            mesh_features=_features(extractor, black(num_mesh)),
        )
    field_images = mesh_images = None
    untextured = ""
    if shape.field_images is not None and num_field:
        field_images = shape.field_images(cameras[:num_field])
    if num_mesh:
        try:
            mesh_images = shape.mesh_images(cameras[:num_mesh])
        except MeshError as error:
            mesh_images, untextured = black(num_mesh), str(error)
    shown = field_images if mesh_images is None or untextured else mesh_images
    if shown is not None:
        soundness = replace(soundness, second_color=second_color_fraction(shown))
    return ShapeRecord(
        name=name,
        untextured=untextured,
        signature=signature,
        points=cloud,
        light_field=light_field,
        field_features=_features(extractor, field_images),
        mesh_features=_features(extractor, mesh_images),
        soundness=soundness,
    )


def second_color_fraction(images: RGBImages) -> float:
    """Compute the fraction of covered pixels whose hue is not the commonest; nan if there are none.

    Light changes the brightness of a colour but not its chromaticity, so a shaded plain object has
    one hue. Black, grey and white count as one hue too, so this is a lower bound.
    """
    pixels = images.permute(0, 2, 3, 1).reshape(-1, 3).float()
    total = pixels.sum(1)
    if not (total > _COVERED).any():
        return float("nan")
    hued = pixels[total > _DARK]
    if len(hued) == 0:
        return 0.0
    chroma = hued[:, :2] / hued.sum(1, keepdim=True)
    cells = (chroma / _TWO_COLORS).long()
    keys = cells[:, 0] * 64 + cells[:, 1]
    values, counts = keys.unique(return_counts=True)
    commonest = chroma[keys == values[counts.argmax()]].median(0).values
    return float(((chroma - commonest).abs().amax(1) > _TWO_COLORS).float().mean())


def measure_soundness(mesh: Mesh) -> Soundness:
    """Measure how well a surface with faces and area is connected and closed.

    Vertices at the same position are merged, as files repeat them along texture seams.
    """
    verts, vert_ids = mesh.verts.detach().unique(dim=0, return_inverse=True)
    faces = vert_ids[mesh.faces]
    mesh = Mesh(verts, faces)
    component = face_components(mesh)
    # About the mean, so that volumes of a distant mesh keep their precision.
    verts = verts.double() - verts.double().mean(0)
    first, second, third = verts[faces].unbind(1)
    crosses = torch.linalg.cross(second - first, third - first)
    areas = torch.zeros(int(component.max()) + 1, dtype=verts.dtype).to(verts.device)
    volumes = torch.zeros_like(areas)
    areas.index_add_(0, component, torch.linalg.vector_norm(crosses, dim=1) / 2)
    volumes.index_add_(0, component, (first * crosses).sum(1) / 6)
    largest = areas.argmax()
    encloses = volumes > 0
    encloses[largest] = False
    return Soundness(
        faces=len(faces),
        floaters=int(encloses.sum()),
        largest_fraction=float(areas[largest] / areas.sum()),
        is_watertight=is_watertight(mesh),
        volume_over_hull=volume_over_hull(mesh),
    )


def shape_name(collection: Collection, index: int) -> str:
    """Return a shape's name for reports: its index, or the path of its file without suffix."""
    if collection.files is None:
        return f"shape {index}"
    file = collection.files[index].relative_to(collection.root)
    return file.with_suffix("").as_posix()


def load_shape(collection: Collection, index: int) -> LoadedShape:
    """Read a shape from its file, or generate it.

    Meshes of files are turned upright, centred and scaled, as by `get3d render`. A generated shape
    depends on the seed and on its index alone.

    Raises:
        MeshError: If the file cannot be used, or the model gives no surface.
    """
    config, light = collection.config, _LIGHTS[collection.light]
    if collection.files is not None:
        shape = turn_upright(load_mesh(collection.files[index]), collection.up_axis)
        shape = normalize_mesh(shape, longest_side=config.longest_side)
        return LoadedShape(shape.mesh, lambda cameras: _render(shape, cameras, config, light))
    model = collection.open_model()
    generator = model.generator
    with torch.no_grad():
        styles = model.styles(
            index,
            seed=config.seed,
            truncation=config.truncation,
            style_mixing=config.style_mixing,
        )
        fields = generator.fields(styles)
        mesh = model.surface(fields)

    @torch.no_grad()
    def field_images(cameras: Cameras) -> RGBImages:
        images = generator.render(
            fields,
            [mesh],
            cameras.to(model.device),
            config.image_size,
            config=TrainingRenderConfig(
                composite="antialiased", mask_supersample=config.supersample
            ),
            light=light,
        )
        return ((images.rgb + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)

    @torch.no_grad()
    def mesh_images(cameras: Cameras) -> RGBImages:
        textured = model.texture(fields, mesh, texture_size=config.texture_size)
        # Lit with vertex normals, as its file would have and as in training.
        textured = replace(textured, normals=vertex_normals(textured.mesh))
        return _render(textured, cameras.to(model.device), config, light)

    return LoadedShape(mesh, mesh_images, field_images)


def _render(
    textured_mesh: TexturedMesh, cameras: Cameras, config: EvaluationConfig, light: Light | None
) -> RGBImages:
    """Render a textured mesh on black."""
    mesh = textured_mesh.mesh
    textured_mesh = replace(textured_mesh, mesh=Mesh(mesh.verts.float(), mesh.faces))
    rgba = render_textured(
        textured_mesh,
        cameras,
        config.image_size,
        light=light,
        supersample=config.supersample,
        cull_backfaces=config.cull_backfaces,
    )
    rgba_u8 = (rgba * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 3, 1, 2)
    return composite(rgba_u8, may_fill=True)


def _features(
    extractor: FeatureExtractor | None, images: RGBImages | None
) -> Float[np.ndarray, "views d"] | None:
    """Compute features of images; None without an extractor or images."""
    return None if extractor is None or images is None else extractor(images).cpu().numpy()


def _measure_shard(job: tuple[range, Path], collection: Collection) -> int:
    """Measure the shapes of a shard and write its file; return the index of the first."""
    ids, path = job
    if collection.current_fingerprint() != collection.fingerprint:
        raise DataError(
            f"the {collection.role} shapes changed while they were measured (is the model still "
            "being trained?); copy them, and evaluate the copy"
        )
    _write_shard(path, [measure_shape(collection, index) for index in ids])
    return ids.start


def _identity(collection: Collection) -> str:
    """Hash everything that records depend on except the number of shapes."""
    config, extractor = collection.config, collection.extractor
    names = ["image_size", "supersample", "cameras", "longest_side"]
    if collection.files is None:
        names += ["truncation", "style_mixing", "texture_size"]
    elif config.cull_backfaces:  # left out if False, so that shards of earlier versions are found
        names.append("cull_backfaces")
    content = {
        "format": FORMAT,
        "source": collection.fingerprint,
        "stream": collection.stream,
        "light": collection.light,
        "up_axis": collection.up_axis,
        "seed": config.seed,
        "points": collection.points and asdict(collection.points),
        "light_field": asdict(DEFAULT_PROTOCOL) if "lfd" in collection.metrics else None,
        "features": extractor and f"{extractor.name}-{extractor.fingerprint}",
        "views": [collection.field_views, collection.mesh_views],
        "config": {name: repr(getattr(config, name)) for name in names},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def _write_shard(path: Path, records: list[ShapeRecord]) -> None:
    """Write records to an .npz file: arrays, and the rest as JSON."""
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
    """Read the records of a shard; None if it is missing or damaged, so it is measured again."""
    if not path.is_file():
        return None
    try:
        return _decode(path.read_bytes())
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        return None


def _decode(content_bytes: bytes) -> list[ShapeRecord]:
    """Decode the content of a shard."""
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
