"""Published lists of the objects of each split, applied by name."""

import csv
from collections.abc import Sequence
from pathlib import Path

from get3d.core import DataError
from get3d.data.formats.side_files import read_lines

_SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def read_split_lists(path: Path) -> dict[str, str]:
    """Read lists of objects.

    Args:
        path: A folder with train.txt, val.txt and test.txt (or .lst), one object a line such as
            `02958343/1a2b` or `1a2b`; or a CSV file with a column `split` and the columns of
            ShapeNet (`modelId`) or `id`, `name` or `object`.

    Returns:
        Split by object; of names with slashes, the last part.

    Raises:
        DataError: If there is no such list, it cannot be read, or two splits hold one object.
    """
    if path.is_dir():
        files = [
            file
            for file in sorted(path.iterdir())
            if file.suffix.lower() in (".txt", ".lst") and file.stem.lower() in _SPLITS
        ]
        pairs = [
            (line.strip(), _SPLITS[file.stem.lower()])
            for file in files
            if file.is_file()
            for line in read_lines(file)
        ]
    elif path.is_file():
        pairs = _read_csv(path)
    else:
        raise DataError(f"{path}: no such list of splits")
    splits: dict[str, str] = {}
    for text, split in pairs:
        name = text.replace("\\", "/").rstrip("/").split("/")[-1]
        if not name:
            continue
        if splits.setdefault(name, split) != split:
            raise DataError(f"{path}: {name} is in {splits[name]} and in {split}; keep one of them")
    if not splits:
        raise DataError(
            f"{path}: lists no objects; give a folder with train.txt, val.txt and test.txt, or a "
            "CSV file with the columns id and split"
        )
    return splits


def splits_by_file(
    files: Sequence[Path], names: Sequence[str], lists: dict[str, str], *, path: Path
) -> dict[Path, str]:
    """Look up the split of each file: by the object's name, else by its file or a folder.

    Args:
        files: Mesh files.
        names: Name of the object of each.
        lists: Split by object, of `read_split_lists`.
        path: Where the lists are, for messages.

    Returns:
        Split by resolved file, of those that are listed.

    Raises:
        DataError: If none is listed.
    """
    splits = {}
    for file, name in zip(files, names, strict=True):
        resolved = file.resolve()
        parts = (name, resolved.stem, resolved.name, *reversed(resolved.parts[:-1]))
        found = next((lists[part] for part in parts if part in lists), None)
        if found is not None:
            splits[resolved] = found
    if files and not splits:
        raise DataError(
            f"{path}: none of the {len(files)} mesh files is listed; the first list entry is "
            f"{next(iter(lists))!r}, the first object {names[0]!r}"
        )
    return splits


def _read_csv(path: Path) -> list[tuple[str, str]]:
    """Read the columns of names and splits."""
    try:
        rows = list(csv.reader(read_lines(path)))
    except csv.Error as error:
        raise DataError(f"{path}: cannot be read ({error}); save it as CSV again") from error
    header = [word.strip().lower() for word in rows[0]] if rows else []
    columns = [word for word in ("modelid", "id", "name", "object") if word in header]
    if "split" not in header or not columns:
        raise DataError(f"{path}: has no columns id and split")
    name, split = header.index(columns[0]), header.index("split")
    pairs = []
    for row in rows[1:]:
        if len(row) > max(name, split) and row[name].strip():
            word = row[split].strip().lower()
            if word not in _SPLITS:
                raise DataError(f"{path}: {row[name]} has a split {word!r}; use train, val or test")
            pairs.append((row[name].strip(), _SPLITS[word]))
    return pairs
