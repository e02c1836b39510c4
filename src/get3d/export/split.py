"""What every file format needs: plain arrays, checked, and corners that share all attributes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from get3d.core.types import Material, TexturedMesh
from get3d.export.atlas import check_atlas
from get3d.geometry import check_count, check_finite, check_indices, check_mesh, vertex_normals


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

    @property
    def is_repeating(self) -> bool:
        """Whether coordinates go beyond the texture, which then repeats; an atlas must not."""
        return self.uvs is not None and not (self.uvs.min() >= 0 and self.uvs.max() <= 1)


def check_exportable(textured_mesh: TexturedMesh) -> None:
    """Refuse what no file should hold.

    Args:
        textured_mesh: About to be written.

    Raises:
        ValueError: If there are no faces, a number is not finite or beyond what files hold, an
            index is of what is not there, or lengths do not go together.
    """
    mesh = textured_mesh.mesh
    if mesh.faces.shape[0] == 0:
        raise ValueError("the mesh has no faces, so there is nothing to write")
    check_mesh(mesh)
    check_atlas(mesh, textured_mesh.uvs, textured_mesh.uv_faces)
    for name, rows in (
        ("vertex positions", mesh.verts),
        ("texture coordinates", textured_mesh.uvs),
    ):
        _check_float32(name, rows)
    _check_normals(textured_mesh)
    if textured_mesh.vert_colors is not None:
        check_finite("vertex colours", textured_mesh.vert_colors)
        check_count("vert_colors", len(textured_mesh.vert_colors), len(mesh.verts), "vertices")
    if len(textured_mesh.materials) == 0:
        raise ValueError("the mesh has no materials; give it one, such as Material()")
    face_material = textured_mesh.face_material
    check_count("face_material", len(face_material), len(mesh.faces), "faces")
    check_indices("face_material", face_material, len(textured_mesh.materials), "materials")
    for material in textured_mesh.materials:
        _check_material(material)


def _check_float32(name: str, rows: Float[Tensor, "n c"]) -> None:
    """Refuse what becomes infinite in a file."""
    if rows.dtype == torch.float32 or rows.numel() == 0:
        return
    largest = float(rows.detach().abs().max())
    if largest > torch.finfo(torch.float32).max:
        raise ValueError(
            f"{name} reach {largest:.3g}, but files hold no more than 3.4e+38; scale the mesh down"
        )


def _check_normals(textured_mesh: TexturedMesh) -> None:
    """Refuse normals that do not fit the mesh; what is not finite is made up for later."""
    normals, normal_faces = textured_mesh.normals, textured_mesh.normal_faces
    if normals is None:
        return
    if normal_faces is None:
        check_count("normals", len(normals), len(textured_mesh.mesh.verts), "vertices")
        return
    check_count("normal_faces", len(normal_faces), len(textured_mesh.mesh.faces), "faces")
    check_indices("normal_faces", normal_faces, len(normals), "normals")


def _check_material(material: Material) -> None:
    color, texture = list(material.base_color), material.texture
    name = f"of material {material.name!r}"
    if len(color) != 4 or not all(0 <= value <= 1 for value in color):
        raise ValueError(f"base_color {name} must be four numbers from 0 to 1, got {color}")
    if texture is None:
        return
    if texture.dim() != 3 or texture.shape[2] != 4 or texture.numel() == 0:
        raise ValueError(
            f"texture {name} must be an image of height, width and four channels, "
            f"got {list(texture.shape)}"
        )
    check_finite(f"rows of texels {name}", texture.flatten(1))


def comment_lines(notes: tuple[str, ...]) -> list[str]:
    """Take notes apart into lines, for formats where a comment ends with its line."""
    return [line for note in notes for line in note.splitlines()]


def unit_normals(
    textured_mesh: TexturedMesh,
) -> tuple[Float[np.ndarray, "normals 3"], Int[np.ndarray, "faces 3"]]:
    """Take the mesh's normals, or compute them; where there is none, take straight up.

    Args:
        textured_mesh: With or without normals.

    Returns:
        Normals of length one, and three indices a face into them.
    """
    given, faces = textured_mesh.normals, textured_mesh.normal_faces
    normals = vertex_normals(textured_mesh.mesh) if given is None else given
    if given is None or faces is None:
        faces = textured_mesh.mesh.faces
    values = normals.detach().cpu().numpy().astype(np.float64)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    is_usable = np.isfinite(lengths) & (lengths > 1e-12)
    usable = np.where(is_usable, values / np.where(is_usable, lengths, 1.0), (0.0, 1.0, 0.0))
    return usable, faces.cpu().numpy()


def split_corners(textured_mesh: TexturedMesh) -> Iterator[tuple[int, SplitMesh]]:
    """Split a mesh by material, and its vertices where other attributes differ.

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
    normals, normal_faces = unit_normals(textured_mesh)
    for material in np.unique(face_material):
        picked = face_material == material
        keys = np.stack([faces[picked], uv_faces[picked], normal_faces[picked]], axis=2)
        corner_keys, corners = unique_rows(keys.reshape(-1, 3))
        vert_of, uv_of, normal_of = corner_keys.T
        part = SplitMesh(
            verts=verts[vert_of],
            normals=normals[normal_of],
            faces=corners.reshape(-1, 3),
            uvs=uvs[uv_of] if len(uvs) else None,
            colors=None if colors_array is None else colors_array[vert_of],
        )
        yield int(material), part


def unique_rows(
    rows: Int[np.ndarray, "n c"],
) -> tuple[Int[np.ndarray, "unique c"], Int[np.ndarray, " n"]]:
    """List the rows that differ, sorted, and which of them each row is.

    Args:
        rows: Not negative; numpy's own way along an axis is many times slower.
    """
    number = rows[:, 0]
    for column in rows.T[1:]:
        number = number * (column.max() + 1) + column
        number = np.unique(number, return_inverse=True)[1]  # so that products stay small
    _, first, index = np.unique(number, return_index=True, return_inverse=True)
    return rows[first], index
