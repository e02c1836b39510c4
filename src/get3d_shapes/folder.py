"""Folders of procedural shapes: GLB files with an index, made by all cores."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import torch

from get3d.core import (
    ConfigError,
    DataError,
    atomic_path,
    check_bounds,
    contact_sheet,
    images_to_u8,
    is_plain_name,
    remove_leftovers,
    run_in_processes,
    save_png,
    shorten,
    write_text,
)
from get3d.data import load_mesh
from get3d.data.shape_labels import INDEX_NAME
from get3d.export import encode_glb
from get3d.geometry import orbit_cameras
from get3d.render import Light, render_textured
from get3d_shapes.category import (
    CATEGORIES,
    GENERATOR_VERSION,
    SPLITS,
    build_shape,
    shape_seed,
)

SHEET_NAME = "contact_sheet.png"
_JPEG_QUALITY = 93
_MOST_SHAPES = 1_000_000
_SHEET_SHAPES, _SHEET_COLUMNS, _SHEET_IMAGE_SIZE = 32, 8, 176
_SECONDS_BETWEEN_INDICES = 5.0


@dataclass(frozen=True, kw_only=True)
class ShapesConfig:
    """Settings of `write_shape_folder`.

    Attributes:
        category: One of the procedural categories.
        num: Number of shapes; a larger number later adds to the same folder.
        seed: Random seed of the shapes.
        split: train, validation or test: no shape is in two of them.
        texture_size: Width and height of each shape's texture, in texels.
    """

    category: str
    num: int = 100
    seed: int = 0
    split: str = "train"
    texture_size: int = 512

    def __post_init__(self) -> None:
        """Validate the settings; raise ConfigError."""
        if self.category not in CATEGORIES:
            known = ", ".join(CATEGORIES)
            raise ConfigError(f"unknown category {self.category!r}; known are {known}")
        if self.split not in SPLITS:
            raise ConfigError(f"split must be one of {', '.join(SPLITS)}, got {self.split!r}")
        check_bounds(self, {"num": (1, _MOST_SHAPES)})
        if self.seed < 0:
            raise ConfigError(f"seed must not be negative, got {self.seed}")
        if not 128 <= self.texture_size <= 4096:
            raise ConfigError(f"texture_size must lie in 128 to 4096, got {self.texture_size}")


@dataclass(frozen=True, kw_only=True)
class ShapesReport:
    """Result of `write_shape_folder`.

    Attributes:
        folder: Folder of the split.
        num_made: Number of shapes made now.
        num_kept: Number of shapes of earlier runs.
    """

    folder: Path
    num_made: int
    num_kept: int


def write_shape_folder(
    config: ShapesConfig,
    out: Path | str,
    *,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> ShapesReport:
    """Make shapes and write `OUT/SPLIT/CATEGORY-000000.glb` and so on, an index and an image.

    A stopped run is resumed, and a larger `num` adds shapes. The index (`shapes.json`) has the
    caption, labels, part names and seed of each shape. A script that calls this with several
    workers needs the usual `if __name__ == "__main__":` around its own code.

    Args:
        config: Settings.
        out: Output folder; made if absent.
        workers: Processes; None takes one per core.
        on_progress: Called in this process with the number of shapes done and of all.

    Raises:
        DataError: If the folder holds something else, or shapes of other settings.
        OSError: If a file cannot be written.
    """
    folder = Path(out) / config.split
    entries = _read_entries(folder, config)
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    kept = {name: entry for name, entry in entries.items() if (folder / name).is_file()}
    pending = [index for index in range(config.num) if _name(config, index) not in kept]
    total, made = len(kept) + len(pending), dict[str, dict[str, Any]]()
    report = on_progress or (lambda done, total: None)
    report(len(kept), total)
    _write_index(folder, config, kept)
    written_at = time.monotonic()
    try:
        for entry in run_in_processes(
            partial(_make_file, folder=folder, config=config), pending, workers=workers
        ):
            made[entry["file"]] = entry
            report(len(kept) + len(made), total)
            if time.monotonic() > written_at + _SECONDS_BETWEEN_INDICES:
                _write_index(folder, config, kept | made)
                written_at = time.monotonic()
    finally:
        _write_index(folder, config, kept | made)
    _draw_contact_sheet(folder, sorted(kept | made)[:_SHEET_SHAPES])
    return ShapesReport(folder=folder, num_made=len(made), num_kept=len(kept))


def _name(config: ShapesConfig, index: int) -> str:
    """Return the file name of a shape."""
    return f"{config.category}-{index:06d}.glb"


def _make_file(index: int, folder: Path, config: ShapesConfig) -> dict[str, Any]:
    """Make one shape and write it; return its entry in the index."""
    seed = shape_seed(config.category, config.split, config.seed, index)
    shape = build_shape(config.category, seed, texture_size=config.texture_size)
    name = _name(config, index)
    # Any file can be made again, so none needs fsync.
    with atomic_path(folder / name, durable=False) as temp_path:
        temp_path.write_bytes(encode_glb(shape.mesh, jpeg_quality=_JPEG_QUALITY))
    return {
        "file": name,
        "caption": shape.caption,
        "labels": shape.labels,
        "parts": list(dict.fromkeys(shape.part_names)),
        "seed": seed,
    }


def _identity(config: ShapesConfig) -> dict[str, Any]:
    """Return the settings that all shapes of a folder share."""
    same = {item.name: getattr(config, item.name) for item in fields(config) if item.name != "num"}
    return same | {"generator_version": GENERATOR_VERSION}


def _read_entries(folder: Path, config: ShapesConfig) -> dict[str, dict[str, Any]]:
    """Read the entries of an earlier run by file; raise DataError if its settings differ."""
    path = folder / INDEX_NAME
    if not path.is_file():
        if folder.is_dir() and any(folder.iterdir()):
            raise DataError(f"{folder}: not empty and without {INDEX_NAME}; choose another folder")
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        entries = {entry["file"]: entry for entry in content["shapes"]}
        if odd := [name for name in entries if not is_plain_name(name)]:
            raise ValueError(f"{shorten(odd[0])} is no name of a file")
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: damaged ({error}); choose another folder") from error
    differences = [
        f"{name} {content.get(name)!r}, now {value!r}"
        for name, value in _identity(config).items()
        if content.get(name) != value
    ]
    if differences:
        raise DataError(
            f"{folder}: has shapes of other settings ({'; '.join(differences)}); use the same ones "
            "to go on, or choose another folder"
        )
    return entries


def _write_index(folder: Path, config: ShapesConfig, entries: dict[str, dict[str, Any]]) -> None:
    """Write the index, one shape per line."""
    shapes = [json.dumps(entries[name], ensure_ascii=False) for name in sorted(entries)]
    head = json.dumps(_identity(config), indent=1)[:-2]
    text = f'{head},\n "shapes": [\n  ' + ",\n  ".join(shapes) + "\n ]\n}\n"
    write_text(folder / INDEX_NAME, text, durable=False)


def _draw_contact_sheet(folder: Path, names: list[str]) -> None:
    """Write a contact sheet of shapes, viewed from the front left and a little from above."""
    cameras = orbit_cameras(torch.tensor([3.75]), torch.tensor([1.2]), radius=1.9, fovy_rad=0.7)
    images = []
    for name in names:
        image = render_textured(
            load_mesh(folder / name), cameras, _SHEET_IMAGE_SIZE, light=Light(), supersample=2
        )
        images.append(images_to_u8(image.permute(0, 3, 1, 2), low=0.0)[0])
    save_png(folder / SHEET_NAME, contact_sheet(images, columns=_SHEET_COLUMNS), durable=False)
