"""From a folder of meshes to a dataset of images: the library behind `get3d render`."""

import hashlib
import json
import math
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from get3d.core import contact_sheet, from_dict, run_in_processes, save_png, to_dict, write_text
from get3d.data.layouts import (
    FORMAT,
    FORMAT_VERSION,
    METADATA_NAME,
    DatasetError,
    image_name,
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
_SHEET_SIDE = 128


@dataclass(frozen=True)
class SkippedFile:
    """A mesh file that gave no images.

    Attributes:
        file: Its path.
        reason: Why.
    """

    file: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class RenderProgress:
    """Told after every object.

    Attributes:
        done: Objects dealt with so far, the kept ones included.
        total: Objects in all.
        outcome: The latest one; None for the objects that were kept.
    """

    done: int
    total: int
    outcome: RenderOutcome | None = None


@dataclass(frozen=True, kw_only=True)
class RenderReport:
    """What a run of `render_dataset` did.

    Attributes:
        out: The dataset's folder.
        num_rendered: Objects rendered now.
        num_kept: Objects that were there already.
        num_images: Images in the dataset.
        skipped: Files that could not be used.
        notes: What of the look of an object was lost, by object.
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
    """Take images of every mesh and write them as a dataset.

    A run that was stopped goes on where it was: objects whose files are whole are kept. More meshes
    can be added to a folder in the same way. A script that calls this with several workers needs
    the usual `if __name__ == "__main__":` around its own code.

    Args:
        sources: Mesh files and folders of mesh files.
        out: Folder of the dataset: new, empty, or written by an earlier run with the same settings.
        config: Settings; None takes the published ones.
        on_progress: Called in this process after every object.

    Returns:
        What was done.

    Raises:
        FileNotFoundError: If a source is missing or holds no meshes.
        DatasetError: If no file can be used, the folder holds something else or was rendered with
            other settings, or a worker was killed.
        OSError: If an image cannot be written, such as on a full disk.
    """
    out, config = Path(out), config or RenderConfig()
    files = find_meshes(sources)
    previous = _read_previous(out, config)
    jobs = _plan(files, previous, config.category)
    names = {job.name for job in jobs}
    kept = {job for job in jobs if is_rendered(out, job.name, config.views)}
    pending = [job for job in jobs if job not in kept]
    if pending:
        _write_metadata(out, config, jobs, skipped=(), is_complete=False)
    report = on_progress or (lambda progress: None)
    report(RenderProgress(done=len(kept), total=len(kept) + len(pending)))
    outcomes = []
    for outcome in _run_jobs(pending, out, config):
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
        raise DatasetError(
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
    """Share objects out among training, validation and test, always in the same way.

    Args:
        names: Of all objects.
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
    """Names and sources of an earlier run in the same folder, after checking that it fits."""
    path = out / METADATA_NAME
    if not path.is_file():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise DatasetError(
                f"{out}: not empty and not written by get3d; choose another folder for the dataset"
            )
        return {}
    metadata = read_metadata(path)
    try:
        previous = from_dict(RenderConfig, metadata["config"], path="config")
        sources = {entry["name"]: Path(entry["source"]) for entry in metadata["objects"]}
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{path}: damaged metadata ({error}); choose another folder") from error
    differences = image_differences(previous, config)
    if differences:
        raise DatasetError(
            f"{out}: was rendered with other settings ({'; '.join(differences)}); use the same "
            "ones to go on, or choose another folder"
        )
    return sources


def _plan(files: Sequence[Path], previous: dict[str, Path], category: str) -> list[RenderJob]:
    """Give every file an object name of its own; names given earlier stay."""
    known = {source.resolve() for source in previous.values()}
    jobs = [RenderJob(name, source) for name, source in previous.items()]
    taken = {name.lower() for name in previous}
    new_files = [file for file in files if file.resolve() not in known]
    stems = Counter(_clean(file.stem).lower() for file in new_files)
    for file in new_files:
        stem = _clean(file.stem)
        name = f"{category}/{stem}"
        if stems[stem.lower()] > 1 or name.lower() in taken:
            # The path tells files of one name apart, whichever others there are.
            digest = hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:8]
            name = f"{category}/{stem}_{digest}"
        taken.add(name.lower())
        jobs.append(RenderJob(name, file))
    return sorted(jobs, key=lambda job: job.name)


def _clean(stem: str) -> str:
    """Keep what every file system takes as a folder name."""
    cleaned = "".join(letter if letter.isalnum() or letter in "-_.+ " else "_" for letter in stem)
    return cleaned.strip(" .") or "object"


def _run_jobs(
    jobs: Sequence[RenderJob], out: Path, config: RenderConfig
) -> Iterator[RenderOutcome]:
    """Render objects, in any order."""
    task = partial(render_object, out=out, config=config)
    try:
        yield from run_in_processes(task, jobs, workers=config.workers)
    except ChildProcessError as error:
        raise DatasetError(f"{out}: {error}") from error


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
    """Nested lists whose numbers read back as the same float32 values, written short."""
    flat = [float(f"{value:.9g}") for value in tensor.flatten().tolist()]
    return np.array(flat).reshape(tensor.shape).tolist()


def _write_contact_sheet(out: Path, jobs: Sequence[RenderJob]) -> None:
    """Show the first view of up to 64 objects, spread evenly over all."""
    count = min(len(jobs), _SHEET_OBJECTS)
    picked = [jobs[index * len(jobs) // count] for index in range(count)]
    images = []
    for job in picked:
        with Image.open(out / "img" / job.name / image_name(0)) as opened:
            image = opened.convert("RGBA")
        image.thumbnail((_SHEET_SIDE, _SHEET_SIDE))
        images.append(np.asarray(image))
    labels = [job.name.split("/")[-1] for job in picked]
    columns = min(8, math.ceil(math.sqrt(count)))
    save_png(out / SHEET_NAME, contact_sheet(images, columns=columns, labels=labels))


def _remove_traces(out: Path, names: Iterable[str]) -> None:
    """Take back what a run wrote that ended without a single object."""
    for name in names:
        shutil.rmtree(out / "img" / name, ignore_errors=True)
        shutil.rmtree(out / "camera" / name, ignore_errors=True)
    (out / METADATA_NAME).unlink(missing_ok=True)
