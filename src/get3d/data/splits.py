"""Splits of a dataset: training, validation and test objects, from folders or by chance."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from get3d.core import DataError
from get3d.data.render_config import RenderConfig
from get3d.geometry import Signature, same_surfaces

SPLITS = ("train", "val", "test")
"""From training to the most held out."""
_FOLDERS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def folder_splits(sources: Iterable[Path | str], files: Sequence[Path]) -> dict[Path, str]:
    """Find the splits of mesh files that lie in folders called train, val (validation) or test.

    Args:
        sources: Files and folders as the user named them; only folders inside of them count.
        files: The mesh files in them.

    Returns:
        Split by resolved file; empty if no folder holds out anything. Files beside such folders
        are for training.

    Raises:
        DataError: If all files are held out.
    """
    roots = [Path(source) for source in sources]
    splits = {}
    for file in files:
        root = max((r for r in roots if file.is_relative_to(r)), key=lambda r: len(r.parts))
        folders = file.relative_to(root).parts[:-1]
        found = [_FOLDERS[name.lower()] for name in folders if name.lower() in _FOLDERS]
        splits[file.resolve()] = found[0] if found else "train"
    if set(splits.values()) == {"train"}:
        return {}
    if "train" not in splits.values():
        raise DataError(
            f"{roots[0]}: all {len(files)} mesh files lie in folders of held-out shapes (val, "
            "test), so nothing is left to train on; name such a folder itself to train on it"
        )
    return splits


def split_objects(
    names: Sequence[str],
    config: RenderConfig,
    *,
    given: Mapping[str, str] | None = None,
    signatures: Mapping[str, Signature] | None = None,
) -> dict[str, list[str]]:
    """Split objects into training, validation and test, deterministically.

    Args:
        names: Names of all objects.
        config: Fractions and seed, for objects without a given split.
        given: Splits by name; if there are any, other objects are for training.
        signatures: Signatures of surfaces by name; objects with the same surface get one split, of
            given ones the most held out.

    Returns:
        Sorted names by split; training has at least one.

    Raises:
        DataError: If all surfaces given for training are held out under other names.
    """
    digests = {n: hashlib.sha256(f"{config.seed}/split/{n}".encode()).digest() for n in names}
    signatures = signatures or {}
    known = [name for name in names if name in signatures]
    groups = [[name] for name in names if name not in signatures]
    groups += [
        [known[index] for index in group]
        for group in same_surfaces([signatures[name] for name in known])
    ]
    groups.sort(key=lambda group: min(digests[name] for name in group))
    splits: dict[str, list[str]] = {split: [] for split in SPLITS}
    room = {"test": min(round(config.test_fraction * len(names)), len(names) - 1)}
    room["val"] = min(round(config.val_fraction * len(names)), len(names) - 1 - room["test"])
    for group in groups:
        if given:
            split = max((given.get(name, "train") for name in group), key=SPLITS.index)
        else:
            fitting = (s for s in ("test", "val") if len(splits[s]) + len(group) <= room[s])
            split = next(fitting, "train")
        splits[split] += group
    if not splits["train"]:
        raise DataError(
            "every surface for training is held out under another name, so nothing is left to "
            "train on; take the copies out of val and test"
        )
    return {split: sorted(members) for split, members in splits.items()}
