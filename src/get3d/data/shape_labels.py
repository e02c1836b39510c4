"""Labels of shape files, from the index file in their folder."""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

INDEX_NAME = "shapes.json"


def read_labels(files: Sequence[Path]) -> list[dict[str, str]]:
    """Look up the labels of shape files in the index files of their folders.

    Args:
        files: Mesh files, of one folder or several.

    Returns:
        Labels by name of each file; empty for a file that no index lists.
    """
    indices = {folder: _read_index_labels(folder) for folder in {file.parent for file in files}}
    return [indices[file.parent].get(file.name, {}) for file in files]


def _read_index_labels(folder: Path) -> dict[str, dict[str, str]]:
    """Read labels by file name; empty without an index, or with a warning if it is damaged."""
    path = folder / INDEX_NAME
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {entry["file"]: _labels(entry["labels"]) for entry in content["shapes"]}
    except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        warnings.warn(f"{path}: damaged ({reason}), so no shape has labels", stacklevel=2)
        return {}


def _labels(labels: Any) -> dict[str, str]:
    """Return the labels of one shape that are text or numbers."""
    return {
        name: str(value)
        for name, value in dict(labels).items()
        if isinstance(name, str) and isinstance(value, str | int | float)
    }
