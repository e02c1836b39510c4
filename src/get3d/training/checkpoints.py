"""Full-state checkpoints: written atomically, read without executing code, checksums compared."""

import re
from pathlib import Path
from typing import Any

import torch

from get3d.core import ModelError, atomic_path, read_torch_file, shorten

CHECKPOINT_VERSION = 1
_NAME = re.compile(r"images-(\d{9,18})\.pt")


class DamagedCheckpointError(ModelError):
    """A checkpoint is damaged or none of its run, so that an earlier one is used."""


def checkpoint_path(folder: Path, seen_images: int) -> Path:
    """Return the path of the checkpoint after so many real images."""
    return folder / f"images-{seen_images:09d}.pt"


def list_checkpoints(folder: Path) -> list[Path]:
    """List the checkpoints of a folder, oldest first; an absent folder has none."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if _NAME.fullmatch(path.name)), key=number_of)


def number_of(path: Path) -> int:
    """Return the real images seen before a checkpoint, from its name."""
    return int(path.stem.rpartition("-")[2])


def save_checkpoint(
    folder: Path, state: dict[str, Any], *, seen_images: int, config: dict[str, Any], keep: int
) -> Path:
    """Write a checkpoint, then remove the oldest ones beyond `keep`.

    Args:
        folder: Folder of the checkpoints; made if absent.
        state: Tensors and plain values only, nested in dicts and lists.
        seen_images: Real images seen so far, for the name of the file.
        config: Config of the run, to recognise checkpoints of another network.
        keep: Number of newest checkpoints to keep.

    Returns:
        Path of the checkpoint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = checkpoint_path(folder, seen_images)
    with atomic_path(path) as temporary:
        torch.save(
            {"format_version": CHECKPOINT_VERSION, "config": config, "state": state}, temporary
        )
    for old in list_checkpoints(folder)[:-keep]:
        old.unlink()
    return path


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint: `format_version`, `config` and `state`.

    Raises:
        FileNotFoundError: If there is no such file.
        DamagedCheckpointError: If the file is truncated or damaged, or is no checkpoint.
        ModelError: If it has another format version.
    """
    try:
        content = read_torch_file(path, suggestion="an earlier checkpoint is needed")
    except ModelError as error:
        raise DamagedCheckpointError(str(error)) from error
    if not isinstance(content, dict) or not {"state", "config"} <= content.keys():
        raise DamagedCheckpointError(f"{path} is no training checkpoint of get3d")
    version = content.get("format_version")
    if type(version) is not int or version != CHECKPOINT_VERSION:
        raise ModelError(
            f"{path} has checkpoint format {shorten(version)}, this get3d reads format "
            f"{CHECKPOINT_VERSION}"
        )
    return content
