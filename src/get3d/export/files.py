"""One function that writes a textured mesh; the suffix picks the format."""

from collections.abc import Callable
from pathlib import Path

from get3d.core.errors import ConfigError
from get3d.core.types import TexturedMesh
from get3d.export.glb import save_glb
from get3d.export.obj import save_obj
from get3d.export.ply import save_ply
from get3d.export.usdz import save_usdz

_WRITERS: dict[str, Callable[..., None]] = {
    ".glb": save_glb,
    ".obj": save_obj,
    ".ply": save_ply,
    ".usdz": save_usdz,
}
EXPORT_SUFFIXES = tuple(_WRITERS)
JPEG_SUFFIXES = (".glb", ".usdz")  # formats that may hold their textures as JPEG


def save(textured_mesh: TexturedMesh, path: Path | str, *, jpeg_quality: int | None = None) -> None:
    """Write a textured mesh to a file; the suffix picks the format.

    `.glb` and `.usdz` hold everything in one file; `.obj` comes with a material library and PNG
    textures; `.ply` has colours at the vertices. Files appear whole or not at all, and missing
    folders are made.

    Args:
        textured_mesh: At least one face.
        path: Where the file goes; a file that is there is replaced.
        jpeg_quality: Of the textures in a `.glb` or `.usdz`, 1 to 95; None: PNG, without loss.

    Raises:
        MeshError: As `check_exportable`.
        ConfigError: If the suffix is unknown, or a quality is out of range or for another format.
        OSError: If the file cannot be written.
    """
    path = Path(path)
    check_export_suffix(path.suffix)
    suffix = path.suffix.lower()
    if jpeg_quality is None:
        _WRITERS[suffix](textured_mesh, path)
    elif suffix in JPEG_SUFFIXES:
        _WRITERS[suffix](textured_mesh, path, jpeg_quality=jpeg_quality)
    else:
        accepted = " and ".join(JPEG_SUFFIXES)
        raise ConfigError(f"jpeg_quality is for {accepted} files only, not for {path.suffix}")


def check_export_suffix(suffix: str) -> None:
    """Validate the format of a file before the work starts.

    Args:
        suffix: Such as ".glb"; upper case will do.

    Raises:
        ConfigError: If it cannot be written; lists what is accepted.
    """
    if suffix.lower() not in _WRITERS:
        raise ConfigError(
            f"meshes cannot be written as {suffix or 'a file without suffix'!r}; "
            f"accepted: {', '.join(_WRITERS)}"
        )
