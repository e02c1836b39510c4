"""Files of 3D models of kinds that are not read: reports count and name them."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

_SUFFIXES = re.compile(
    r"\.(3dm|3ds|3mf|abc|amf|blend|c4d|ctm|dae|dxf|fbx|iges|igs|lwo|ma|max|mb|md2|md3|ms3d|skp|step"
    r"|stp|usd[acz]?|vox|vrm|vtk|vtp|wrl|x3d|ztl)",
    re.IGNORECASE,
)


def unread_files(paths: Iterable[Path | str]) -> list[Path]:
    """List files in folders, at any depth, that hold 3D models of kinds that are not read.

    Args:
        paths: Files and folders, in any mix; files are passed over.
    """
    found = {
        file.resolve(): file
        for path in paths
        for file in Path(path).rglob("*")
        if _SUFFIXES.fullmatch(file.suffix) and not file.name.startswith(".")
    }
    return sorted(file for file in found.values() if file.is_file())


def describe_unread(files: Sequence[Path]) -> str:
    """Count files of kinds that are not read, with the names of the first ones; empty for none."""
    counts = Counter(file.suffix.lower() for file in files)
    if not counts:
        return ""
    kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(counts.items()))
    names = ", ".join(file.name for file in files[:3]) + (", ..." if len(files) > 3 else "")
    return f"not read: {kinds} ({names}); export them as .glb"
