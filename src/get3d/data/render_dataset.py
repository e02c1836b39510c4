"""Rendering of a dataset of images from meshes: the library behind `get3d render`."""

import hashlib
import json
import math
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from get3d.core import (
    DataError,
    contact_sheet,
    from_dict,
    run_in_processes,
    save_png,
    to_dict,
    write_text,
)
from get3d.data.image_files import read_image
from get3d.data.layouts import (
    FORMAT,
    FORMAT_VERSION,
    METADATA_NAME,
    damaged_metadata,
    image_name,
    object_entries,
    read_metadata,
)
from get3d.data.mesh_files import find_meshes
from get3d.data.render_config import RenderConfig, image_differences
from get3d.data.render_object import (
    RenderJob,
    RenderOutcome,
    is_rendered,
    object_cameras,
    render_object,
)

SHEET_NAME = "contact_sheet.png"
_SHEET_OBJECTS = 64
_SHEET_IMAGE_SIZE = 128


@dataclass(frozen=True)
class SkippedFile:
    """A mesh file that could not be rendered.

    Attributes:
        file: Path of the file.
        reason: Why it could not be rendered.
    """

    file: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class RenderProgress:
    """Progress after an object.

    Attributes:
        done: Objects done so far, including those of earlier runs.
        total: Number of objects.
        outcome: Outcome of the latest object; None before the first.
    """

    done: int
    total: int
    outcome: RenderOutcome | None = None


@dataclass(frozen=True, kw_only=True)
class RenderReport:
    """Result of `render_dataset`.

    Attributes:
        out: The dataset's folder.
        num_rendered: Number of objects rendered now.
        num_kept: Number of objects of earlier runs.
        num_images: Number of images in the dataset.
        skipped: Files that could not be used.
        notes: Features of an object's appearance that were ignored, by object.
    """

    out: Path
    num_rendered: int
    num_kept: int
    num_images: int
    skipped: tuple[SkippedFile, ...]
    notes: dict[str, tuple[str, ...]]


def render_dataset(
    sources: Iterable[Path | str],
    out: Path | str,
    config: RenderConfig | None = None,
    *,
    on_progress: Callable[[RenderProgress], None] | None = None,
) -> RenderReport:
    """Render images of every mesh and write them as a dataset.

    A stopped run is resumed: complete objects are kept. Meshes can be added to a folder in the same
    way. A script that calls this with several workers needs the usual `if __name__ == "__main__":`
    around its own code.

    Args:
        sources: Mesh files and folders of mesh files.
        out: Folder of the dataset: new, empty, or written by an earlier run with the same settings.
        config: Settings; None takes the published ones.
        on_progress: Called in this process after every object.

    Raises:
        FileNotFoundError: If a source is missing or holds no meshes.
        DataError: If no file can be used, or the folder holds something else or was rendered with
            other settings.
        OSError: If an image cannot be written, such as on a full disk, or a worker was killed.
    """
    out, config = Path(out), config or RenderConfig()
    files = find_meshes(sources)
    previous = _read_previous(out, config)
    jobs = _plan(files, previous, config.category)
    names = {job.name for job in jobs}
    _check_inside(out, names)
    kept = {job for job in jobs if is_rendered(out, job.name, config.views)}
    pending = [job for job in jobs if job not in kept]
    if pending:
        _write_metadata(out, config, jobs, skipped=(), is_complete=False)
    report = on_progress or (lambda progress: None)
    report(RenderProgress(done=len(kept), total=len(kept) + len(pending)))
    outcomes = []
    task = partial(render_object, out=out, config=config)
    for outcome in run_in_processes(task, pending, workers=config.workers):
        outcomes.append(outcome)
        done = len(kept) + len(outcomes)
        report(RenderProgress(done=done, total=len(kept) + len(pending), outcome=outcome))
    skipped = tuple(
        sorted(
            (SkippedFile(str(item.job.source), item.reason) for item in outcomes if item.reason),
            key=lambda item: item.file,
        )
    )
    rendered = {item.job.name for item in outcomes if item.reason is None}
    usable = [job for job in jobs if job.name in rendered or job in kept]
    if not usable:
        _remove_traces(out, names)
        raise DataError(
            f"none of the {len(files)} mesh files can be used; the first is {skipped[0].file}: "
            f"{skipped[0].reason}"
        )
    _write_contact_sheet(out, usable)
    _write_metadata(out, config, usable, skipped=skipped, is_complete=True)
    return RenderReport(
        out=out,
        num_rendered=len(rendered),
        num_kept=len(kept),
        num_images=len(usable) * config.views,
        skipped=skipped,
        notes={item.job.name: item.notes for item in outcomes if item.notes},
    )


def split_objects(names: Sequence[str], config: RenderConfig) -> dict[str, list[str]]:
    """Split objects into training, validation and test, deterministically.

    Args:
        names: Names of all objects.
        config: Fractions and seed.

    Returns:
        Sorted names by split; training has at least one.
    """
    shuffled = sorted(
        names, key=lambda name: hashlib.sha256(f"{config.seed}/split/{name}".encode()).digest()
    )
    num_test = min(round(config.test_fraction * len(names)), len(names) - 1)
    num_val = min(round(config.val_fraction * len(names)), len(names) - 1 - num_test)
    return {
        "train": sorted(shuffled[num_test + num_val :]),
        "val": sorted(shuffled[num_test : num_test + num_val]),
        "test": sorted(shuffled[:num_test]),
    }


def _read_previous(out: Path, config: RenderConfig) -> dict[str, Path]:
    """Return names and sources of an earlier run; raise DataError if its settings differ."""
    path = out / METADATA_NAME
    if not path.is_file():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise DataError(
                f"{out}: not empty and not written by get3d; choose another folder for the dataset"
            )
        return {}
    metadata = read_metadata(path)
    try:
        previous = from_dict(RenderConfig, metadata["config"], path="config")
        sources = {name: Path(entry["source"]) for name, entry in object_entries(metadata).items()}
        if any("\0" in str(source) for source in sources.values()):
            raise ValueError("a source is no name of a file")
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise damaged_metadata(path, error, "choose another folder") from error
    differences = image_differences(previous, config)
    if differences:
        raise DataError(
            f"{out}: was rendered with other settings ({'; '.join(differences)}); use the same "
            "ones to go on, or choose another folder"
        )
    return sources


def _check_inside(out: Path, names: Iterable[str]) -> None:
    """Raise DataError if a link in the folder leads out of it: files are written and deleted."""
    root = out.resolve()
    for name in names:
        for kind in ("img", "camera"):
            folder = out / kind / name
            if not folder.resolve().is_relative_to(root):
                raise DataError(
                    f"{folder}: leads out of {out} by a link; choose another folder for the dataset"
                )


def _plan(files: Sequence[Path], previous: dict[str, Path], category: str) -> list[RenderJob]:
    """Assign a unique object name to every file; names of earlier runs stay."""
    known = {source.resolve() for source in previous.values()}
    jobs = [RenderJob(name, source) for name, source in previous.items()]
    taken = {name.lower() for name in previous}
    new_files = [file for file in files if file.resolve() not in known]
    stems = Counter(_clean(file.stem).lower() for file in new_files)
    for file in new_files:
        stem = _clean(file.stem)
        name = f"{category}/{stem}"
        if stems[stem.lower()] > 1 or name.lower() in taken:
            # A hash of the path distinguishes files of the same name.
            digest = hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:8]
            name = f"{category}/{stem}_{digest}"
        taken.add(name.lower())
        jobs.append(RenderJob(name, file))
    return sorted(jobs, key=lambda job: job.name)


def _clean(stem: str) -> str:
    """Replace characters that are not allowed in folder names on every file system."""
    cleaned = "".join(letter if letter.isalnum() or letter in "-_.+ " else "_" for letter in stem)
    return cleaned.strip(" .") or "object"


def _write_metadata(
    out: Path,
    config: RenderConfig,
    jobs: Sequence[RenderJob],
    *,
    skipped: Sequence[SkippedFile],
    is_complete: bool,
) -> None:
    """Write dataset.json: the plan at the start, everything at the end."""
    objects: list[dict[str, Any]] = []
    for job in jobs:
        entry: dict[str, Any] = {"name": job.name, "source": str(job.source.resolve())}
        if is_complete:
            cameras = object_cameras(job.name, config)
            entry["world_to_camera"] = _plain_numbers(cameras.world_to_camera)
            entry["intrinsics"] = _plain_numbers(cameras.intrinsics)
        objects.append(entry)
    metadata = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "complete": is_complete,
        "image_size": config.size,
        "distribution": to_dict(config.distribution),
        "config": to_dict(config),
        "splits": split_objects([job.name for job in jobs], config),
        "skipped": [{"file": item.file, "reason": item.reason} for item in skipped],
        "objects": objects,
    }
    write_text(out / METADATA_NAME, json.dumps(metadata) + "\n")


def _plain_numbers(tensor: torch.Tensor) -> Any:
    """Convert to nested lists of short decimals that round-trip to the same float32 values."""
    flat = [float(f"{value:.9g}") for value in tensor.flatten().tolist()]
    return np.array(flat).reshape(tensor.shape).tolist()


def _write_contact_sheet(out: Path, jobs: Sequence[RenderJob]) -> None:
    """Write a contact sheet of the first view of up to 64 evenly spaced objects."""
    count = min(len(jobs), _SHEET_OBJECTS)
    picked = [jobs[index * len(jobs) // count] for index in range(count)]
    images = []
    for job in picked:
        image = read_image(out / "img" / job.name / image_name(0))
        image.thumbnail((_SHEET_IMAGE_SIZE, _SHEET_IMAGE_SIZE))
        images.append(np.asarray(image))
    labels = [job.name.split("/")[-1] for job in picked]
    columns = min(8, math.ceil(math.sqrt(count)))
    save_png(out / SHEET_NAME, contact_sheet(images, columns=columns, labels=labels))


def _remove_traces(out: Path, names: Iterable[str]) -> None:
    """Delete the files of a run that rendered no object."""
    for name in names:
        shutil.rmtree(out / "img" / name, ignore_errors=True)
        shutil.rmtree(out / "camera" / name, ignore_errors=True)
    (out / METADATA_NAME).unlink(missing_ok=True)
