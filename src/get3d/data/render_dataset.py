"""Rendering of a dataset of images from meshes: the library behind `get3d render`."""

import json
import math
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
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
    shorten,
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
from get3d.data.object_names import object_names
from get3d.data.render_config import RenderConfig, image_differences
from get3d.data.render_object import (
    RenderJob,
    RenderOutcome,
    is_rendered,
    object_cameras,
    read_signature,
    render_object,
)
from get3d.data.split_lists import read_split_lists, splits_by_file
from get3d.data.splits import SPLITS, folder_splits, split_objects
from get3d.data.unread_files import unread_files

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
        unread: Files of 3D models of kinds that are not read.
        notes: Features of an object's appearance that were ignored, by object, and whether it was
            moved to the split of an object with the same surface.
        longest_side: Longest side of each object's box, in scene units.
        num_by_split: Number of objects in each split.
    """

    out: Path
    num_rendered: int
    num_kept: int
    num_images: int
    skipped: tuple[SkippedFile, ...]
    unread: tuple[Path, ...]
    notes: dict[str, tuple[str, ...]]
    longest_side: float
    num_by_split: dict[str, int]


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
    given = [Path(source) for source in sources]
    files = find_meshes(given)
    previous, side = _read_previous(out, config)
    config = replace(config, longest_side=side)
    jobs = _plan(files, given, previous, config)
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
    splits = _write_metadata(out, config, usable, skipped=skipped, is_complete=True)
    notes = {item.job.name: item.notes for item in outcomes if item.notes}
    for job in usable:
        if job.split is not None and job.name not in splits[job.split]:
            split = next(split for split, names in splits.items() if job.name in names)
            text = f"the surface of an object in {split}, so it is moved there from {job.split}"
            notes[job.name] = (*notes.get(job.name, ()), text)
    return RenderReport(
        out=out,
        num_rendered=len(rendered),
        num_kept=len(kept),
        num_images=len(usable) * config.views,
        skipped=skipped,
        unread=tuple(unread_files(given)),
        notes=notes,
        longest_side=side,
        num_by_split={split: len(names) for split, names in splits.items()},
    )


def _read_previous(out: Path, config: RenderConfig) -> tuple[list[RenderJob], float]:
    """Return objects and longest side of an earlier run; raise DataError if its settings differ.

    Without an earlier run: no objects, and the longest side of the settings.
    """
    path = out / METADATA_NAME
    if not path.is_file():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise DataError(
                f"{out}: not empty and not written by get3d; choose another folder for the dataset"
            )
        return [], config.side
    metadata = read_metadata(path)
    try:
        previous = from_dict(RenderConfig, metadata["config"], path="config")
        jobs = [
            RenderJob(name, Path(entry["source"]), entry.get("split"))
            for name, entry in object_entries(metadata).items()
        ]
        if any("\0" in str(job.source) for job in jobs):
            raise ValueError("a source is no name of a file")
        if odd := [job for job in jobs if job.split not in (None, *SPLITS)]:
            raise ValueError(f"{odd[0].name} has the split {shorten(odd[0].split)}")
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise damaged_metadata(path, error, "choose another folder") from error
    previous = replace(previous, longest_side=previous.side)
    if config.longest_side is None:
        config = replace(config, longest_side=previous.side)
    differences = image_differences(previous, config)
    if differences:
        raise DataError(
            f"{out}: was rendered with other settings ({'; '.join(differences)}); use the same "
            "ones to go on, or choose another folder"
        )
    return jobs, config.side


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


def _plan(
    files: Sequence[Path],
    sources: Sequence[Path],
    previous: Sequence[RenderJob],
    config: RenderConfig,
) -> list[RenderJob]:
    """Assign a unique object name to every file, and its split; names of earlier runs stay."""
    known = {job.source.resolve() for job in previous}
    new_files = [file for file in files if file.resolve() not in known]
    names = object_names(
        new_files,
        sources,
        category=config.category,
        name_from=config.name_from,
        taken=[job.name for job in previous],
    )
    jobs = [
        *previous,
        *(RenderJob(name, file) for name, file in zip(names, new_files, strict=True)),
    ]
    if config.split_lists is None:
        splits = {job.source.resolve(): job.split for job in jobs if job.split}
        splits |= folder_splits(sources, files)
    else:
        lists_path = Path(config.split_lists)
        lists = read_split_lists(lists_path)
        splits = splits_by_file(
            [job.source for job in jobs],
            [job.name.split("/")[-1] for job in jobs],
            lists,
            path=lists_path,
        )
    jobs = [replace(job, split=splits.get(job.source.resolve())) for job in jobs]
    return sorted(jobs, key=lambda job: job.name)


def _write_metadata(
    out: Path,
    config: RenderConfig,
    jobs: Sequence[RenderJob],
    *,
    skipped: Sequence[SkippedFile],
    is_complete: bool,
) -> dict[str, list[str]]:
    """Write dataset.json, the plan at the start and everything at the end; return the splits."""
    objects: list[dict[str, Any]] = []
    for job in jobs:
        entry: dict[str, Any] = {"name": job.name, "source": str(job.source.resolve())}
        if job.split is not None:
            entry["split"] = job.split
        if is_complete:
            cameras = object_cameras(job.name, config)
            entry["world_to_camera"] = _plain_numbers(cameras.world_to_camera)
            entry["intrinsics"] = _plain_numbers(cameras.intrinsics)
        objects.append(entry)
    found = {job.name: read_signature(out, job.name) for job in jobs} if is_complete else {}
    splits = split_objects(
        [job.name for job in jobs],
        config,
        given={job.name: job.split for job in jobs if job.split is not None},
        signatures={name: signature for name, signature in found.items() if signature},
    )
    metadata = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "complete": is_complete,
        "image_size": config.size,
        "distribution": to_dict(config.distribution),
        "config": to_dict(config),
        "splits": splits,
        "skipped": [{"file": item.file, "reason": item.reason} for item in skipped],
        "objects": objects,
    }
    write_text(out / METADATA_NAME, json.dumps(metadata) + "\n")
    return splits


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
