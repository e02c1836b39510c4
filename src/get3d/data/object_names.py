"""Names of objects from the paths of their files: the part that tells them apart."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

NameFrom = Literal["auto", "file", "folder", "path"]

# Files and folders whose name is the same for every object of a data set.
_SAME_FILES = ("model_normalized", "model")
_SAME_FOLDERS = ("models", "model", "meshes", "mesh", "obj", "ply", "glb", "gltf", "stl", "source")


def object_names(
    files: Sequence[Path],
    sources: Iterable[Path],
    *,
    category: str,
    name_from: NameFrom,
    taken: Iterable[str],
) -> list[str]:
    """Name objects after their files or folders.

    Args:
        files: Mesh files.
        sources: Files and folders as the user named them; paths begin below them.
        category: First part of the names.
        name_from: "file": the file's name; "folder": that of its folder; "path": all folders and
            the file, joined by "_"; "auto": the file's name, or, if several files have it or it is
            `model` or `model_normalized` (ShapeNet), the folders in which they differ.
        taken: Names of objects that exist.

    Returns:
        `category/name` for each file, unique whatever the case of its letters: names that are not
        get the hash of the path.
    """
    roots = [source.resolve() for source in sources]
    paths = [_below(file.resolve(), roots) for file in files]
    match name_from:
        case "file":
            names = [path[-1] for path in paths]
        case "folder":
            names = [path[-2] if len(path) > 1 else path[-1] for path in paths]
        case "path":
            names = ["_".join(path[1:]) for path in paths]
        case "auto":
            names = _differing_parts(paths)
    names = [f"{category}/{_clean(name)}" for name in names]
    used = {name.lower() for name in taken}
    counts: dict[str, int] = defaultdict(int)
    for name in names:
        counts[name.lower()] += 1
    result = []
    for file, name in zip(files, names, strict=True):
        if counts[name.lower()] > 1 or name.lower() in used:
            name += "_" + hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:8]
        used.add(name.lower())
        result.append(name)
    return result


def _below(file: Path, roots: Sequence[Path]) -> list[str]:
    """Split a path below the parent of the deepest source that it lies in, without the suffix."""
    holders = [root for root in roots if file != root and file.is_relative_to(root)]
    start = max((len(root.parts) - 1 for root in holders), default=max(len(file.parts) - 4, 1))
    return [*file.parts[max(start, 1) : -1], file.stem]


def _differing_parts(paths: Sequence[Sequence[str]]) -> list[str]:
    """Name files of the same name by the folders in which they differ, the nearest first."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, path in enumerate(paths):
        groups[path[-1].lower()].append(index)
    names = [path[-1] for path in paths]
    for stem, members in groups.items():
        if len(members) == 1 and stem not in _SAME_FILES:
            continue
        folders = [
            [part for part in paths[index][:-1] if part.lower() not in _SAME_FOLDERS]
            for index in members
        ]
        tails: list[list[str]] = [[] for _ in members]
        for depth in range(1, max(map(len, folders)) + 1):
            tails = [folder[-depth:] for folder in folders]
            if len({tuple(map(str.lower, tail)) for tail in tails}) == len(members):
                break
        for index, tail in zip(members, tails, strict=True):
            differing = [
                part
                for place, part in enumerate(reversed(tail), start=1)
                if len(members) == 1
                or any(len(t) < place or t[-place].lower() != part.lower() for t in tails)
            ]
            names[index] = "_".join(reversed(differing)) or paths[index][-1]
    return names


def _clean(name: str) -> str:
    """Replace characters that are not allowed in folder names on every file system."""
    cleaned = "".join(letter if letter.isalnum() or letter in "-_.+ " else "_" for letter in name)
    return cleaned.strip(" .") or "object"
