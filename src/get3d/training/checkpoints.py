"""Full-state checkpoints: written whole or not at all, read without executing anything."""

import pickle
import re
from pathlib import Path
from typing import Any

import torch

from get3d.core.files import atomic_path

FORMAT_VERSION = 1
_NAME = re.compile(r"images-(\d{9})\.pt")


def checkpoint_path(folder: Path, seen_images: int) -> Path:
    """Where the state after so many real images is kept."""
    return folder / f"images-{seen_images:09d}.pt"


def list_checkpoints(folder: Path) -> list[Path]:
    """All checkpoints of a folder, oldest first; an absent folder has none."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


def save_checkpoint(
    folder: Path, state: dict[str, Any], *, seen_images: int, config: dict[str, Any], keep: int
) -> Path:
    """Write a checkpoint, then remove the oldest ones beyond `keep`.

    Args:
        folder: Made if absent.
        state: Tensors and plain values only, nested in dicts and lists.
        seen_images: Names the file.
        config: The run's configuration, to tell a checkpoint of another network.
        keep: How many newest files stay.

    Returns:
        The file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = checkpoint_path(folder, seen_images)
    with atomic_path(path) as temporary:
        torch.save({"format_version": FORMAT_VERSION, "config": config, "state": state}, temporary)
    for old in list_checkpoints(folder)[:-keep]:
        old.unlink()
    return path


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint: `format_version`, `config` and `state`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is cut short, is none of ours, or has another format version.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"{path} is damaged or no checkpoint ({reason}); delete it to go on from the one before"
        ) from error
    if not isinstance(content, dict) or "state" not in content:
        raise ValueError(f"{path} is no training checkpoint of get3d")
    version = content.get("format_version")
    if version != FORMAT_VERSION:
        raise ValueError(
            f"{path} has checkpoint format {version}, this get3d reads format {FORMAT_VERSION}"
        )
    return content
