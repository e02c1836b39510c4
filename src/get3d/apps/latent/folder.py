"""Output folders with a record of their files, so that the same command can resume."""

import hashlib
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from get3d import __version__
from get3d.apps.model import Model
from get3d.core import ConfigError, is_plain_name, remove_leftovers, to_dict, write_text
from get3d.core.weights import fingerprint

RECORD_NAME = "generation.json"
SHEET_NAME = "contact_sheet.png"
_SECONDS_BETWEEN_RECORDS = 5.0
_PARTS = ("shapes", "images")
Entry = dict[str, Any]


@dataclass
class OutFolder:
    """An output folder with a record of its files and of the options that made them.

    Attributes:
        path: The folder.
        identity: What its files depend on: command, model, settings.
        shapes: Record of each shape, by the name of its file; `files` has the sizes in bytes.
        images: Record of each contact sheet and video, likewise.
    """

    path: Path
    identity: Entry
    shapes: dict[str, Entry] = field(default_factory=dict)
    images: dict[str, Entry] = field(default_factory=dict)
    _written_at: float = 0.0

    def is_complete(self, part: dict[str, Entry], name: str) -> bool:
        """Return whether a file and those that belong to it exist with their recorded sizes."""
        sizes = part.get(name, {}).get("files", {})
        return bool(sizes) and all(_size(self.path / file) == sizes[file] for file in sizes)

    def sizes(self, *names: str) -> dict[str, int]:
        """Return the sizes of files in bytes, for an entry."""
        return {name: (self.path / name).stat().st_size for name in names}

    def write_record(self, *, is_urgent: bool = True) -> None:
        """Write the record.

        Args:
            is_urgent: If False, skip it within five seconds of the last time.
        """
        now = time.monotonic()
        if not is_urgent and now < self._written_at + _SECONDS_BETWEEN_RECORDS:
            return
        content = _versions() | self.identity | {part: getattr(self, part) for part in _PARTS}
        write_text(self.path / RECORD_NAME, json.dumps(content, indent=1) + "\n", durable=False)
        self._written_at = now


def open_folder(
    path: Path | str,
    *,
    command: str,
    settings: Entry,
    model: Model | None = None,
    names: list[str],
    overwrite: bool = False,
) -> OutFolder:
    """Open an output folder: a new one, or one that the same command with the same options began.

    Args:
        path: The folder; made if absent.
        command: Name of the command.
        settings: All options that the files depend on; JSON values.
        model: The model that generates the shapes.
        names: Names of the files that the command will write.
        overwrite: Delete the recorded files of other options, and replace files of these names.

    Returns:
        The folder, with a record in it.

    Raises:
        ConfigError: If it holds files of other options, or unrecorded files of these names.
        OSError: If it cannot be written.
    """
    path = Path(path)
    identity: Entry = {"command": command}
    if model is not None:
        identity["model"] = {
            "name": model.info.name,
            "weights": fingerprint(model.generator),
            "config": to_dict(model.generator.config),
            "grid": _grid_digest(model),
        }
    identity["settings"] = json.loads(json.dumps(settings))
    former = _read_record(path)
    folder = OutFolder(path, identity)
    if former is not None and all(former.get(key) == identity.get(key) for key in _IDENTITY):
        folder.shapes, folder.images = former["shapes"], former["images"]
    elif former is not None and not overwrite:
        raise ConfigError(
            f"{path} was made with other options ({_difference(former, identity)}); add "
            "--overwrite to replace its files, or choose another --out"
        )
    elif former is not None:
        _remove_files(path, former)
    elif not overwrite:
        _check_no_foreign_files(path, names)
    try:
        path.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path)
        folder.write_record()
    except PermissionError as error:
        raise PermissionError(
            error.errno, "this folder may not be written; choose another --out", str(path)
        ) from error
    return folder


_IDENTITY = ("command", "model", "settings")


def _versions() -> Entry:
    """Return the versions of get3d and PyTorch."""
    return {"get3d": __version__, "torch": torch.__version__}


def _check_no_foreign_files(path: Path, names: list[str]) -> None:
    """Raise ConfigError if one of the files exists."""
    present = [name for name in names if (path / name).exists()]
    if present:
        raise ConfigError(
            f"{path} already holds {present[0]}, without a record of what made it; choose another "
            "--out, or add --overwrite"
        )


def _read_record(path: Path) -> Entry | None:
    """Read the record of an earlier command; None if it is missing or damaged."""
    if not (path / RECORD_NAME).is_file():
        return None
    try:
        content = json.loads((path / RECORD_NAME).read_text(encoding="utf-8"))
        if "pictures" in content:  # the name of this part in get3d 0.1
            content["images"] = content.pop("pictures")
        entries = [entry for part in _PARTS for entry in content[part].values()]
        files = [file for entry in entries for file in dict(entry).get("files", {}).items()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    is_sound = all(type(size) is int and is_plain_name(name) for name, size in files)
    return content if is_sound else None


def _difference(former: Entry, identity: Entry) -> str:
    """Describe in a few words how two identities differ."""
    if former.get("command") != identity["command"]:
        return f"get3d {former.get('command')}, now get3d {identity['command']}"
    old, new = former.get("model"), identity.get("model")
    if old != new:
        configs = [each.get("config") if isinstance(each, dict) else None for each in (old, new)]
        return f"another model{_changes(*configs, before=': ') or ', or another state of it'}"
    return _changes(former.get("settings"), identity["settings"]) or "settings that cannot be read"


def _changes(old: object, new: object, *, before: str = "") -> str:
    """List the values that differ; empty if none do, or if one is no mapping."""
    if not isinstance(old, dict) or not isinstance(new, dict) or old == new:
        return ""
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return before + "; ".join(f"{name} {old.get(name)}, now {new.get(name)}" for name in names)


def _grid_digest(model: Model) -> str:
    """Hash the positions of the grid's vertices to eight hexadecimal digits."""
    verts = model.generator.grid.verts.cpu().contiguous()
    return hashlib.sha256(verts.numpy().tobytes()).hexdigest()[:8]


def _remove_files(path: Path, record: Entry) -> None:
    """Delete all files of a record."""
    for part in _PARTS:
        for entry in record[part].values():
            for file in entry.get("files", {}):
                if (path / file).is_file():
                    (path / file).unlink()


def _size(path: Path) -> int:
    """Return the size of a file in bytes, -1 if there is none."""
    return path.stat().st_size if path.is_file() else -1
