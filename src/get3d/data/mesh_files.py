"""Mesh files of any common kind, read as one textured mesh each."""

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import trimesh
from jaxtyping import Float, Int

from get3d.core.errors import MeshError, is_out_of_memory
from get3d.core.types import Material, Mesh, TexturedMesh
from get3d.data.mesh_notes import unsupported_extensions
from get3d.data.mesh_visuals import part_face_colors, part_material, part_uvs, part_vert_colors

MESH_SUFFIXES = (".glb", ".gltf", ".obj", ".ply", ".stl", ".off")


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
                raise FileNotFoundError(f"{path}: no mesh files in this folder ({known})")
        elif not path.exists():
            raise FileNotFoundError(f"{path}: no such file or folder")
        elif path.suffix.lower() not in MESH_SUFFIXES:
            raise MeshFileError(path, f"not a mesh file by its suffix; known are {known}")
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

    Nothing is repaired: faces stay as they are, only vertices that no face uses are left out.

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
    missing = unsupported_extensions(path)
    if missing:
        raise MeshFileError(
            path, f"needs {', '.join(missing)}, which cannot be read; export it without"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scene = trimesh.load_scene(path, process=False)
            parts, materials = _read_parts(scene, path)
    except Exception as error:  # readers of files fail in every way there is
        if is_out_of_memory(error):
            raise
        raise MeshFileError(
            path,
            f"cannot be read ({_one_line(error)}); it is damaged, incomplete or another format, so "
            "export it again",
        ) from error
    if not parts:
        raise MeshFileError(
            path,
            "has no faces; points and lines alone cannot be rendered, so export it as a surface",
        )
    textured_mesh = _join_parts(parts, materials, dtype)
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


@dataclass(frozen=True, kw_only=True)
class _Part:
    """One geometry at one place in the scene, as arrays.

    Attributes:
        verts: World positions.
        faces: Vertex indices.
        uvs: Texture coordinates, or None.
        colors: Linear RGBA, or None.
        normals: Unit normals from the file, or None.
        material: Index into the list of materials.
    """

    verts: Float[np.ndarray, "verts 3"]
    faces: Int[np.ndarray, "faces 3"]
    uvs: Float[np.ndarray, "verts 2"] | None
    colors: Float[np.ndarray, "verts 4"] | None
    normals: Float[np.ndarray, "verts 3"] | None
    material: int


def _is_mesh_file(path: Path) -> bool:
    """Say whether a folder entry is a mesh file; hidden ones (editors' leftovers) are not."""
    return path.suffix.lower() in MESH_SUFFIXES and not path.name.startswith(".") and path.is_file()


def _one_line(error: Exception) -> str:
    """Shorten any error to one line."""
    text = " ".join(str(error).split()) or "no reason given"
    return f"{type(error).__name__}: {text[:200]}"


def _read_parts(scene: trimesh.Scene, path: Path) -> tuple[list[_Part], list[Material]]:
    """Flatten a scene; a geometry that stands at several places gives several parts."""
    suffix = path.suffix.lower()
    parts: list[_Part] = []
    materials: list[Material] = []
    material_of: dict[tuple[int, bool], int] = {}
    for node in sorted(scene.graph.nodes_geometry):
        transform, name = scene.graph[node]
        geometry = scene.geometry[name]
        if not isinstance(geometry, trimesh.Trimesh) or len(geometry.faces) == 0:
            continue
        # A part without texture coordinates has its material without the image.
        has_uvs = part_uvs(geometry) is not None
        key = (id(getattr(geometry.visual, "material", geometry)), has_uvs)
        if key not in material_of:
            material_of[key] = len(materials)
            materials.append(part_material(geometry, suffix, path.parent))
        parts.append(_place_part(geometry, np.asarray(transform), material_of[key], suffix))
    return parts, materials


def _place_part(
    geometry: trimesh.Trimesh, transform: Float[np.ndarray, "4 4"], material: int, suffix: str
) -> _Part:
    """Move a geometry to its place in the world."""
    verts = np.asarray(geometry.vertices, dtype=np.float64)
    faces = np.asarray(geometry.faces, dtype=np.int64)
    if faces.min() < 0 or faces.max() >= len(verts):
        raise ValueError(f"a face names vertex {faces.max()} of {len(verts)}")
    uvs, colors = part_uvs(geometry), part_vert_colors(geometry, suffix)
    face_colors = part_face_colors(geometry, suffix)
    normals = _file_normals(geometry)
    linear = transform[:3, :3]
    verts = verts @ linear.T + transform[:3, 3]
    if normals is not None:
        # Normals move with the cofactor matrix, which also handles mirrors and squashing.
        cofactor = np.stack([np.cross(linear[i - 2], linear[i - 1]) for i in range(3)])
        normals = _unit(normals @ cofactor.T * np.sign(np.linalg.det(linear)))
    if np.linalg.det(linear) < 0:
        faces = faces[:, ::-1]
    if face_colors is not None:
        # Each face needs corners of its own to have a colour of its own.
        colors, verts = np.repeat(face_colors, 3, axis=0), verts[faces.reshape(-1)]
        normals = None if normals is None else normals[faces.reshape(-1)]
        uvs, faces = None, np.arange(len(verts), dtype=np.int64).reshape(-1, 3)
    return _Part(
        verts=verts, faces=faces, uvs=uvs, colors=colors, normals=normals, material=material
    )


def _file_normals(geometry: trimesh.Trimesh) -> Float[np.ndarray, "verts 3"] | None:
    """Give the normals that the file holds; those that trimesh would make up do not count."""
    if "vertex_normals" not in geometry._cache:  # no public way to tell the two apart
        return None
    normals = np.asarray(geometry.vertex_normals, dtype=np.float64)
    is_usable = normals.shape == geometry.vertices.shape and np.isfinite(normals).all()
    return normals if is_usable else None


def _unit(vectors: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """Scale vectors to length one; zero stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1.0)


def _join_parts(
    parts: Sequence[_Part], materials: Sequence[Material], dtype: torch.dtype
) -> TexturedMesh:
    """Put all parts behind each other in one mesh, without vertices that no face uses."""
    parts = [_drop_unused(part) for part in parts]
    vert_starts = np.cumsum([0] + [len(part.verts) for part in parts])[:-1]
    has_uvs = any(part.uvs is not None for part in parts)
    uvs = [np.zeros((len(part.verts), 2)) if part.uvs is None else part.uvs for part in parts]
    colors = None
    if any(part.colors is not None for part in parts):
        colors = np.concatenate(
            [
                np.ones((len(part.verts), 4)) if part.colors is None else part.colors
                for part in parts
            ]
        )
    normals = None
    if all(part.normals is not None for part in parts):
        normals = np.concatenate([part.normals for part in parts if part.normals is not None])
    faces = torch.from_numpy(
        np.concatenate([part.faces + start for part, start in zip(parts, vert_starts, strict=True)])
    )
    face_material = np.repeat(
        [part.material for part in parts], [len(part.faces) for part in parts]
    ).astype(np.int64)
    return TexturedMesh(
        mesh=Mesh(
            torch.from_numpy(np.concatenate([part.verts for part in parts])).to(dtype), faces
        ),
        uvs=torch.from_numpy(np.concatenate(uvs)).float() if has_uvs else torch.zeros(0, 2),
        uv_faces=faces.clone() if has_uvs else torch.zeros_like(faces),
        materials=tuple(materials),
        face_material=torch.from_numpy(face_material),
        vert_colors=None if colors is None else torch.from_numpy(colors).float(),
        normals=None if normals is None else torch.from_numpy(normals).float(),
    )


def _drop_unused(part: _Part) -> _Part:
    """Leave out vertices that no face uses: they would count for the box and may be anything."""
    used = np.unique(part.faces)
    if len(used) == len(part.verts):
        return part
    new_index = np.zeros(len(part.verts), dtype=np.int64)
    new_index[used] = np.arange(len(used))
    return replace(
        part,
        verts=part.verts[used],
        faces=new_index[part.faces],
        uvs=None if part.uvs is None else part.uvs[used],
        colors=None if part.colors is None else part.colors[used],
        normals=None if part.normals is None else part.normals[used],
    )


def _check_shape(textured_mesh: TexturedMesh, path: Path) -> None:
    """Validate positions and texture coordinates; raise MeshFileError."""
    verts = textured_mesh.mesh.verts
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
