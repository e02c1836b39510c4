"""Mesh files of any common kind, read as one textured mesh each."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from get3d.core import Mesh, MeshError, TexturedMesh
from get3d.data.formats import read_obj, read_off, read_ply, read_stl
from get3d.data.gltf import read_gltf
from get3d.data.unread_files import describe_unread, unread_files

MESH_SUFFIXES = (".glb", ".gltf", ".obj", ".ply", ".stl", ".off")
_NO_FACES = "has no faces; points and lines alone cannot be rendered, so export it as a surface"
_READERS = {".obj": read_obj, ".ply": read_ply, ".stl": read_stl, ".off": read_off}


class MeshFileError(MeshError):
    """A mesh file that cannot be used, and why.

    Attributes:
        path: The file.
        reason: What is wrong with it, and what to do.
    """

    def __init__(self, path: Path | str, reason: str) -> None:
        """Keep the file and the reason apart, so that reports can list them."""
        super().__init__(path, reason)
        self.path = Path(path)
        self.reason = reason

    def __str__(self) -> str:
        """Say both in one line."""
        return f"{self.path}: {self.reason}"


def find_meshes(paths: Iterable[Path | str]) -> list[Path]:
    """List the mesh files among files and folders, looking into folders at any depth.

    Args:
        paths: Files (of a known suffix) and folders, in any mix.

    Returns:
        Every mesh file once, sorted.

    Raises:
        FileNotFoundError: If a path is missing, a folder holds no mesh file, or no path is given.
        OSError: If a folder may not be read.
        MeshFileError: If a file that was named itself has no known suffix.
    """
    known = " ".join(MESH_SUFFIXES)
    found: dict[Path, Path] = {}
    given = [Path(path) for path in paths]
    if not given:
        raise FileNotFoundError("no mesh files or folders given; name at least one")
    for path in given:
        if path.is_dir():
            files = [file for file in _walk(path) if _is_mesh_file(file)]
            if not files:
                unread = describe_unread(unread_files([path]))
                raise FileNotFoundError(
                    f"{path}: no mesh files in this folder ({known})"
                    + (f"; {unread}" if unread else "")
                )
        elif not path.exists():
            raise FileNotFoundError(f"{path}: no such file or folder")
        elif path.suffix.lower() not in MESH_SUFFIXES:
            raise MeshFileError(path, f"not a mesh file by its suffix; known are {known}")
        elif not path.is_file():
            raise MeshFileError(path, "no regular file; only those are opened")
        else:
            files = [path]
        for file in files:
            found.setdefault(file.resolve(), file)
    return sorted(found.values())


def _walk(path: Path) -> Iterator[Path]:
    """Yield the files of a folder at any depth; one that may not be read is an OSError."""

    def stop(error: OSError) -> None:
        raise error

    for folder, _, names in os.walk(path, onerror=stop):
        yield from (Path(folder, name) for name in names)


def load_mesh(path: Path | str, *, dtype: torch.dtype = torch.float32) -> TexturedMesh:
    """Read a mesh file whole: scenes are flattened, materials, images and colours kept.

    Nothing is repaired: faces stay as they are. Vertices that no face uses are left out, and faces
    of an OBJ file that repeat another with the opposite winding. `losses` of the result says what
    could not be read.

    Args:
        path: A GLB, glTF, OBJ, PLY, STL or OFF file.
        dtype: Of the positions; float64 keeps detail far from the origin until `normalize_mesh`.

    Returns:
        The mesh in the file's own units and orientation.

    Raises:
        FileNotFoundError: If there is no such file.
        MeshFileError: If the file cannot be read, has no faces, has positions that are not finite,
            or has no extent.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such mesh file")
    reader = _READERS.get(path.suffix.lower(), read_gltf)
    try:
        with np.errstate(all="ignore"):  # what is not finite is found afterwards
            textured_mesh = reader(path, dtype=dtype)
    except MeshError as error:
        raise MeshFileError(path, str(error)) from error
    except (OSError, ValueError, OverflowError) as error:
        raise _unreadable(path, error) from error
    _check_shape(textured_mesh, path)
    return textured_mesh


def normalize_mesh(textured_mesh: TexturedMesh, *, longest_side: float) -> TexturedMesh:
    """Move the centre of the box to the origin and scale its longest side.

    Args:
        textured_mesh: With finite positions and some extent, as `load_mesh` returns it.
        longest_side: Of the new box, in scene units.

    Returns:
        The same mesh elsewhere and of another size.

    Raises:
        MeshError: If the mesh has no faces or no extent.
        ValueError: If `longest_side` is not positive.
    """
    if longest_side <= 0:
        raise ValueError(f"longest_side must be positive, got {longest_side}")
    mesh = textured_mesh.mesh
    if mesh.faces.shape[0] == 0:
        raise MeshError("the mesh has no faces, so it cannot be scaled")
    used = mesh.verts[mesh.faces.flatten()]
    low, high = used.amin(dim=0), used.amax(dim=0)
    extent = (high - low).max()
    if not extent > 0:
        raise MeshError("the mesh has no extent, so it cannot be scaled")
    verts = (mesh.verts - (low + high) / 2) * (longest_side / extent)
    return replace(textured_mesh, mesh=Mesh(verts, mesh.faces))


def _is_mesh_file(path: Path) -> bool:
    """Say whether a folder entry is a mesh file; hidden ones (editors' leftovers) are not."""
    return path.suffix.lower() in MESH_SUFFIXES and not path.name.startswith(".") and path.is_file()


def _unreadable(path: Path, error: Exception) -> MeshFileError:
    """Shorten any error of a reader to one line."""
    text = " ".join(str(error).split())[:200] or type(error).__name__
    return MeshFileError(
        path,
        f"cannot be read ({text}); it is damaged, incomplete or another format, so export it again",
    )


def _check_shape(textured_mesh: TexturedMesh, path: Path) -> None:
    """Validate positions and texture coordinates; raise MeshFileError."""
    verts = textured_mesh.mesh.verts
    if not len(textured_mesh.mesh.faces):
        raise MeshFileError(path, _NO_FACES)
    num_bad = int((~verts.isfinite()).any(dim=1).sum())
    if num_bad:
        raise MeshFileError(
            path,
            f"{num_bad} of {len(verts)} vertex positions are not finite (NaN or too "
            "large); repair them in the program it comes from",
        )
    if not textured_mesh.uvs.isfinite().all():
        raise MeshFileError(path, "has texture coordinates that are not finite")
    if not (verts.amax(dim=0) - verts.amin(dim=0)).max() > 0:
        raise MeshFileError(path, "has no extent: all vertices lie at one point")
