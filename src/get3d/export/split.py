"""What every file format needs: plain arrays, checked, and corners that share all attributes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from get3d.core.types import TexturedMesh
from get3d.geometry import vertex_normals


@dataclass(frozen=True)
class SplitMesh:
    """Part of a mesh with one index for all attributes, as GPUs and glTF want it.

    Attributes:
        verts: Positions.
        normals: Of length one.
        faces: Indices into all other arrays.
        uvs: Texture coordinates, origin at the bottom left; None if the mesh has none.
        colors: RGBA factors in linear light, or None.
    """

    verts: Float[np.ndarray, "verts 3"]
    normals: Float[np.ndarray, "verts 3"]
    faces: Int[np.ndarray, "faces 3"]
    uvs: Float[np.ndarray, "verts 2"] | None
    colors: Float[np.ndarray, "verts 4"] | None


def check_exportable(textured_mesh: TexturedMesh) -> None:
    """Refuse what no file should hold.

    Args:
        textured_mesh: About to be written.

    Raises:
        ValueError: If there are no faces, or a position or texture coordinate is not finite.
    """
    mesh = textured_mesh.mesh
    if mesh.faces.shape[0] == 0:
        raise ValueError("the mesh has no faces, so there is nothing to write")
    num_bad = int((~mesh.verts.isfinite()).any(dim=1).sum())
    if num_bad:
        raise ValueError(f"{num_bad} of {len(mesh.verts)} vertex positions are not finite")
    if not textured_mesh.uvs.isfinite().all():
        raise ValueError("some texture coordinates are not finite")


def unit_normals(textured_mesh: TexturedMesh) -> Float[np.ndarray, "verts 3"]:
    """Take the mesh's normals, or compute them; where there is none, take straight up.

    Args:
        textured_mesh: With or without normals.

    Returns:
        One normal a vertex, of length one.
    """
    given = textured_mesh.normals
    normals = vertex_normals(textured_mesh.mesh) if given is None else given
    values = normals.detach().cpu().numpy().astype(np.float64)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    is_usable = np.isfinite(lengths) & (lengths > 1e-12)
    return np.where(is_usable, values / np.where(is_usable, lengths, 1.0), (0.0, 1.0, 0.0))


def split_corners(textured_mesh: TexturedMesh) -> Iterator[tuple[int, SplitMesh]]:
    """Split a mesh by material, and its vertices where their texture coordinates differ.

    Args:
        textured_mesh: At least one face.

    Yields:
        Every material that some face uses, by its index, with its part of the mesh.

    Raises:
        ValueError: As `check_exportable`.
    """
    check_exportable(textured_mesh)
    verts = textured_mesh.mesh.verts.detach().cpu().numpy()
    faces = textured_mesh.mesh.faces.cpu().numpy()
    uvs = textured_mesh.uvs.detach().cpu().numpy()
    uv_faces = textured_mesh.uv_faces.cpu().numpy()
    face_material = textured_mesh.face_material.cpu().numpy()
    colors = textured_mesh.vert_colors
    colors_array = None if colors is None else colors.detach().cpu().numpy()
    normals = unit_normals(textured_mesh)
    for material in np.unique(face_material):
        picked = face_material == material
        keys = faces[picked].astype(np.int64) * max(1, len(uvs)) + uv_faces[picked]
        corner_keys, corners = np.unique(keys, return_inverse=True)
        vert_of, uv_of = np.divmod(corner_keys, max(1, len(uvs)))
        part = SplitMesh(
            verts=verts[vert_of],
            normals=normals[vert_of],
            faces=corners.reshape(-1, 3),
            uvs=uvs[uv_of] if len(uvs) else None,
            colors=None if colors_array is None else colors_array[vert_of],
        )
        yield int(material), part
