"""Procedural shapes on disk: a folder of GLB files with an index, made by all cores."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import torch

from get3d.core.contact_sheet import contact_sheet, images_to_u8, save_png
from get3d.core.files import atomic_path, remove_leftovers, write_text
from get3d.core.processes import run_in_processes
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
_SHEET_SHAPES, _SHEET_COLUMNS, _SHEET_SIDE = 32, 8, 176
_SECONDS_BETWEEN_INDICES = 5.0


@dataclass(frozen=True, kw_only=True)
class ShapesConfig:
    """Which shapes.

    Attributes:
        category: One of the procedural categories.
        num: How many; a larger number later adds to the same folder.
        seed: Another seed gives other shapes.
        split: train, validation or test: no shape is in two of them.
        texture_size: Side of each shape's texture, in texels.
    """

    category: str
    num: int = 100
    seed: int = 0
    split: str = "train"
    texture_size: int = 512

    def __post_init__(self) -> None:
        """Refuse what cannot be made."""
        if self.category not in CATEGORIES:
            known = ", ".join(CATEGORIES)
            raise ValueError(f"unknown category {self.category!r}; known are {known}")
        if self.split not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {self.split!r}")
        if self.num < 1:
            raise ValueError(f"num must be at least 1, got {self.num}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}")
        if not 128 <= self.texture_size <= 4096:
            raise ValueError(f"texture_size must lie in 128 to 4096, got {self.texture_size}")


@dataclass(frozen=True, kw_only=True)
class ShapesReport:
    """What a run of `write_shape_folder` did.

    Attributes:
        folder: Of the split.
        num_made: Shapes made now.
        num_kept: Shapes that were there already.
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

    A run that was stopped goes on where it was, and a larger `num` adds to what is there. The index
    (`shapes.json`) has the caption, labels, part names and seed of each shape. A script that calls
    this with several workers needs the usual `if __name__ == "__main__":` around its own code.

    Args:
        config: Which shapes.
        out: Made if absent.
        workers: Processes; None takes one for each core.
        on_progress: Called in this process with how many shapes there are, and of how many.

    Returns:
        What was done.

    Raises:
        ValueError: If the folder holds something else, or shapes of other settings.
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
    return f"{config.category}-{index:06d}.glb"


def _make_file(index: int, folder: Path, config: ShapesConfig) -> dict[str, Any]:
    """Make one shape and write it; return its entry in the index."""
    seed = shape_seed(config.category, config.split, config.seed, index)
    shape = build_shape(config.category, seed, texture_size=config.texture_size)
    name = _name(config, index)
    # Any file can be made again, so none needs to wait for the disk.
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
    """What all shapes of a folder share."""
    same = {item.name: getattr(config, item.name) for item in fields(config) if item.name != "num"}
    return same | {"generator_version": GENERATOR_VERSION}


def _read_entries(folder: Path, config: ShapesConfig) -> dict[str, dict[str, Any]]:
    """Entries of an earlier run in the same folder, by file, after checking that it fits."""
    path = folder / INDEX_NAME
    if not path.is_file():
        if folder.is_dir() and any(folder.iterdir()):
            raise ValueError(f"{folder}: not empty and without {INDEX_NAME}; choose another folder")
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        entries = {entry["file"]: entry for entry in content["shapes"]}
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: damaged ({error}); choose another folder") from error
    differences = [
        f"{name} {content.get(name)!r}, now {value!r}"
        for name, value in _identity(config).items()
        if content.get(name) != value
    ]
    if differences:
        raise ValueError(
            f"{folder}: has shapes of other settings ({'; '.join(differences)}); use the same ones "
            "to go on, or choose another folder"
        )
    return entries


def _write_index(folder: Path, config: ShapesConfig, entries: dict[str, dict[str, Any]]) -> None:
    shapes = [json.dumps(entries[name], ensure_ascii=False) for name in sorted(entries)]
    head = json.dumps(_identity(config), indent=1)[:-2]
    text = f'{head},\n "shapes": [\n  ' + ",\n  ".join(shapes) + "\n ]\n}\n"
    write_text(folder / INDEX_NAME, text, durable=False)


def _draw_contact_sheet(folder: Path, names: list[str]) -> None:
    """Show some shapes from the front, from their left and a little from above."""
    cameras = orbit_cameras(torch.tensor([3.75]), torch.tensor([1.2]), radius=1.9, fovy_rad=0.7)
    images = []
    for name in names:
        image = render_textured(
            load_mesh(folder / name), cameras, _SHEET_SIDE, light=Light(), supersample=2
        )
        images.append(images_to_u8(image.permute(0, 3, 1, 2), low=0.0)[0])
    save_png(folder / SHEET_NAME, contact_sheet(images, columns=_SHEET_COLUMNS), durable=False)
