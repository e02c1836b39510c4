"""A folder that one command fills, and that the same command can go on filling."""

import json
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from get3d.apps.model import Model
from get3d.core.files import remove_leftovers, write_text
from get3d.metrics.features import fingerprint

RECORD_NAME = "generation.json"
SHEET_NAME = "contact_sheet.png"
_SECONDS_BETWEEN_RECORDS = 5.0
_PARTS = ("shapes", "pictures")
Entry = dict[str, Any]


@dataclass
class OutFolder:
    """A folder with a record of what is in it, and of what that was made from.

    Attributes:
        path: The folder.
        identity: What its files depend on: command, model, settings.
        shapes: What is known of each shape, by the name of its file; `files` gives the sizes.
        pictures: The same of contact sheets and films.
    """

    path: Path
    identity: Entry
    shapes: dict[str, Entry] = field(default_factory=dict)
    pictures: dict[str, Entry] = field(default_factory=dict)
    _written_at: float = 0.0

    def is_whole(self, part: dict[str, Entry], name: str) -> bool:
        """Say whether a file, with what belongs to it, is there as it was written."""
        sizes = part.get(name, {}).get("files", {})
        return bool(sizes) and all(_size(self.path / file) == sizes[file] for file in sizes)

    def sizes(self, *names: str) -> dict[str, int]:
        """Sizes of files that were just written, for an entry."""
        return {name: (self.path / name).stat().st_size for name in names}

    def write_record(self, *, is_urgent: bool = True) -> None:
        """Write down what is there.

        Args:
            is_urgent: Otherwise it waits until some seconds have passed since the last time.
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
    """Take a folder for a command: a new one, or one that the same command began to fill.

    Args:
        path: Made if absent.
        command: What fills it.
        settings: All that its files depend on, and nothing else; values that JSON keeps.
        model: Where the shapes come from: another model's folder is another folder.
        names: Files that the command will write.
        overwrite: Delete what another command wrote, and take files of these names.

    Returns:
        The folder, with a record in it.

    Raises:
        ValueError: If it holds files of other settings, or files of these names that no command
            recorded.
        OSError: If it cannot be written.
    """
    path = Path(path)
    identity: Entry = {"command": command}
    if model is not None:
        identity["model"] = {
            "name": model.info.name,
            "weights": fingerprint(model.generator),
        }
    identity["settings"] = json.loads(json.dumps(settings))
    former = _read_record(path)
    folder = OutFolder(path, identity)
    if former is not None and all(former.get(key) == identity.get(key) for key in _IDENTITY):
        folder.shapes, folder.pictures = former["shapes"], former["pictures"]
    elif former is not None and not overwrite:
        raise ValueError(
            f"{path} was made with other options ({_difference(former, identity)}); use the same "
            "to go on, choose another --out, or add --overwrite"
        )
    elif former is not None:
        _remove_files(path, former)
    elif not overwrite:
        _refuse_foreign(path, names)
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
    return {"get3d": version("get3d"), "torch": torch.__version__}


def _refuse_foreign(path: Path, names: list[str]) -> None:
    present = [name for name in names if (path / name).exists()]
    if present:
        raise ValueError(
            f"{path} already holds {present[0]}, without a record of what made it; choose another "
            "--out, or add --overwrite"
        )


def _read_record(path: Path) -> Entry | None:
    """Read what an earlier command says of the folder; None if there is no sound record."""
    try:
        content = json.loads((path / RECORD_NAME).read_text(encoding="utf-8"))
        for part in _PARTS:
            for entry in content[part].values():
                if not all(Path(file).name == file for file in entry.get("files", {})):
                    return None
        return dict(content)
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _difference(former: Entry, identity: Entry) -> str:
    """Name what differs, as short as it will go."""
    for key in ("command", "model"):
        if former.get(key) != identity.get(key):
            old, new = former.get(key), identity.get(key)
            return "another model" if key == "model" else f"get3d {old}, now get3d {new}"
    old, new = former.get("settings"), identity["settings"]
    if not isinstance(old, dict):
        return "settings that cannot be read"
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return "; ".join(f"{name} {old.get(name)}, now {new.get(name)}" for name in names)


def _remove_files(path: Path, record: Entry) -> None:
    for part in _PARTS:
        for entry in record[part].values():
            for file in entry.get("files", {}):
                (path / file).unlink(missing_ok=True)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1
