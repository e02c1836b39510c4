"""Full-state checkpoints: written atomically, read without executing code."""

import re
from pathlib import Path
from typing import Any

import torch

from get3d.core import ModelError, atomic_path, is_out_of_memory

CHECKPOINT_VERSION = 1
_NAME = re.compile(r"images-(\d{9})\.pt")


def checkpoint_path(folder: Path, seen_images: int) -> Path:
    """Return the path of the checkpoint after so many real images."""
    return folder / f"images-{seen_images:09d}.pt"


def list_checkpoints(folder: Path) -> list[Path]:
    """List the checkpoints of a folder, oldest first; an absent folder has none."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


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
        ModelError: If the file is truncated, is no checkpoint, or has another format version.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes make PyTorch fail in every way there is
        if is_out_of_memory(error) or isinstance(error, PermissionError):
            raise
        reason = str(error).strip().split("\n")[0].split(". ")[0] or type(error).__name__
        raise ModelError(
            f"{path} is damaged or no checkpoint ({reason}); delete it to go on from the one before"
        ) from error
    if not isinstance(content, dict) or not {"state", "config"} <= content.keys():
        raise ModelError(f"{path} is no training checkpoint of get3d")
    version = content.get("format_version")
    if version != CHECKPOINT_VERSION:
        raise ModelError(
            f"{path} has checkpoint format {version}, this get3d reads format {CHECKPOINT_VERSION}"
        )
    return content
