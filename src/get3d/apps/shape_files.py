"""Procedural shapes on the disk: a folder of GLB files with an index, made by all cores."""

import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import torch

from get3d.core.files import remove_leftovers, write_text
from get3d.core.pictures import contact_sheet, images_to_u8, save_png
from get3d.core.processes import run_in_processes
from get3d.data.mesh_files import load_mesh
from get3d.data.shapes import (
    CATEGORIES,
    GENERATOR_VERSION,
    SPLITS,
    make_shape,
    shape_seed,
)
from get3d.export import save
from get3d.geometry import orbit_cameras
from get3d.render import Light, render_textured

GENERATOR_VERSION = 1
_INDEX, _SHEET, _SHEET_SHAPES = "shapes.json", "contact_sheet.png", 40
_PAPER = 0.92  # grey behind the shapes of the sheet


@dataclass(frozen=True, kw_only=True)
class ShapesConfig:
    """Which shapes."""

    category: str
    """One of the procedural categories."""

    num: int = 100
    """How many; a larger number later adds to the same folder."""

    seed: int = 0
    """Another seed gives other shapes."""

    split: str = "train"
    """train, validation or test: no shape is in two of them."""

    texture_size: int = 512
    """Side of each shape's texture, in texels."""

    def __post_init__(self) -> None:
        """Refuse what cannot be made."""
        if self.category not in CATEGORIES:
            known = ", ".join(CATEGORIES)
            raise ValueError(f"unknown category {self.category!r}; there are {known}")
        if self.split not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {self.split!r}")
        if self.num < 1:
            raise ValueError(f"num must be at least 1, got {self.num}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}")
        if not 64 <= self.texture_size <= 4096:
            raise ValueError(f"texture_size must lie in 64 to 4096, got {self.texture_size}")


def write_shapes(
    config: ShapesConfig,
    out: Path,
    *,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Make shapes and write `out/split/category-000000.glb`, ..., `shapes.json` and a picture.

    Whole files that are there are kept, so an interrupted command goes on.

    Args:
        config: Which shapes.
        out: Made if absent.
        workers: Processes; None takes one for each core.
        on_progress: Called with how many shapes are done, of how many.

    Returns:
        The folder of the split.

    Raises:
        ValueError: If the folder holds shapes of another category, seed or texture size.
        OSError: If a file cannot be written.
    """
    folder = Path(out) / config.split
    _check_folder(folder, config)
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    _write_index(folder, config, _read_index(folder).get("shapes", []))
    entries = {}
    task = partial(_make_file, folder=folder, config=config)
    for entry in run_in_processes(task, range(config.num), workers=workers):
        entries[entry["file"]] = entry
        if on_progress is not None:
            on_progress(len(entries), config.num)
    known = {entry["file"]: entry for entry in _read_index(folder).get("shapes", [])}
    known |= entries
    _write_index(folder, config, [known[name] for name in sorted(known)])
    _draw_sheet(folder, sorted(known)[:_SHEET_SHAPES])
    return folder


def _make_file(index: int, folder: Path, config: ShapesConfig) -> dict[str, Any]:
    """Make one shape and write it, unless its file is there; return its entry in the index."""
    name = f"{config.category}-{index:06d}.glb"
    note = folder / ".entries" / f"{name}.json"
    if (folder / name).is_file() and note.is_file():
        entry: dict[str, Any] = json.loads(note.read_text(encoding="utf-8"))
        return entry
    seed = shape_seed(config.category, config.split, config.seed, index)
    shape = make_shape(config.category, seed, texture_size=config.texture_size)
    save(shape.mesh, folder / name)
    entry = {
        "file": name,
        "caption": shape.caption,
        "labels": shape.labels,
        "parts": list(dict.fromkeys(shape.part_names)),
        "seed": seed,
    }
    write_text(note, json.dumps(entry))
    return entry


def _identity(config: ShapesConfig) -> dict[str, Any]:
    """What all shapes of a folder share."""
    same = {f.name: getattr(config, f.name) for f in fields(config) if f.name != "num"}
    return same | {"generator_version": GENERATOR_VERSION}


def _check_folder(folder: Path, config: ShapesConfig) -> None:
    index = _read_index(folder)
    if not index:
        if folder.exists() and any(folder.iterdir()):
            raise ValueError(f"{folder}: holds other files; choose another folder")
        return
    wanted = _identity(config)
    differences = [
        f"{name} {index.get(name)!r} instead of {value!r}"
        for name, value in wanted.items()
        if index.get(name) != value
    ]
    if differences:
        raise ValueError(
            f"{folder}: holds shapes of other settings ({', '.join(differences)}); use the same "
            "ones, or another folder"
        )


def _read_index(folder: Path) -> dict[str, Any]:
    path = folder / _INDEX
    if not path.is_file():
        return {}
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: damaged ({error}); delete it to write it anew") from error
    return content


def _write_index(folder: Path, config: ShapesConfig, entries: list[dict[str, Any]]) -> None:
    content = _identity(config) | {"shapes": entries}
    write_text(folder / _INDEX, json.dumps(content, indent=1))


def _draw_sheet(folder: Path, names: list[str]) -> None:
    angle = torch.tensor([0.6]), torch.tensor([1.2])
    cameras = orbit_cameras(*angle, radius=1.5, fovy_rad=0.857)
    pictures = []
    for name in names:
        mesh = load_mesh(folder / name)
        (rgba,) = render_textured(mesh, cameras, 160, light=Light(), supersample=2)
        rgb, alpha = rgba.split([3, 1], dim=2)
        pictures.append((rgb * alpha + _PAPER * (1 - alpha)).permute(2, 0, 1))
    sheet = contact_sheet(images_to_u8(torch.stack(pictures), low=0.0), columns=8)
    save_png(folder / _SHEET, sheet)
