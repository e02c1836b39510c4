"""What all writers need: checked arrays, and vertices split where an attribute differs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from get3d.core.errors import MeshError
from get3d.core.textures import EncodedTexture
from get3d.core.types import Material, TexturedMesh
from get3d.export.atlas import check_atlas
from get3d.geometry import check_count, check_finite, check_indices, check_mesh, vertex_normals


@dataclass(frozen=True)
class SplitMesh:
    """Part of a mesh with one index for all attributes, as GPUs and glTF need it.

    Attributes:
        verts: Positions.
        normals: Of length one.
        faces: Indices into all other arrays.
        uvs: Texture coordinates, origin at the bottom left; None if the mesh has none.
        colors: RGBA factors in linear light, or None.
        other_uvs: As in `TexturedMesh`.
    """

    verts: Float[np.ndarray, "verts 3"]
    normals: Float[np.ndarray, "verts 3"]
    faces: Int[np.ndarray, "faces 3"]
    uvs: Float[np.ndarray, "verts 2"] | None
    colors: Float[np.ndarray, "verts 4"] | None
    other_uvs: Mapping[str, Float[np.ndarray, "verts 2"]] = field(default_factory=dict)

    @property
    def is_repeating(self) -> bool:
        """Whether coordinates go beyond the texture, which then repeats; an atlas must not."""
        return self.uvs is not None and not (self.uvs.min() >= 0 and self.uvs.max() <= 1)


def check_exportable(textured_mesh: TexturedMesh) -> None:
    """Validate a mesh that is to be written.

    Args:
        textured_mesh: About to be written.

    Raises:
        MeshError: If there are no faces, a number is not finite or beyond what files hold, an
            index is of what is not there, or lengths do not go together.
    """
    mesh = textured_mesh.mesh
    if mesh.faces.shape[0] == 0:
        raise MeshError("the mesh has no faces, so there is nothing to write")
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
        raise MeshError("the mesh has no materials; give it one, such as Material()")
    face_material = textured_mesh.face_material
    check_count("face_material", len(face_material), len(mesh.faces), "faces")
    check_indices("face_material", face_material, len(textured_mesh.materials), "materials")
    for material in textured_mesh.materials:
        _check_material(material)


def _check_float32(name: str, rows: Float[Tensor, "n c"]) -> None:
    """Validate that values fit into float32; raise MeshError."""
    if rows.dtype == torch.float32 or rows.numel() == 0:
        return
    largest = float(rows.detach().abs().max())
    if largest > torch.finfo(torch.float32).max:
        raise MeshError(
            f"{name} reach {largest:.3g}, but files hold no more than 3.4e+38; scale the mesh down"
        )


def _check_normals(textured_mesh: TexturedMesh) -> None:
    """Validate the numbers of normals; those that are not finite are replaced later."""
    normals, normal_faces = textured_mesh.normals, textured_mesh.normal_faces
    if normals is None:
        return
    if normal_faces is None:
        check_count("normals", len(normals), len(textured_mesh.mesh.verts), "vertices")
        return
    check_count("normal_faces", len(normal_faces), len(textured_mesh.mesh.faces), "faces")
    check_indices("normal_faces", normal_faces, len(normals), "normals")


def _check_material(material: Material) -> None:
    """Validate factors and textures; raise MeshError."""
    name = f"of material {material.name!r}"
    factors = {
        "base_color": (4, material.base_color),
        "emissive": (3, material.emissive),
        "metallic": (1, (material.metallic,)),
        "roughness": (1, (material.roughness,)),
    }
    for key, (num, values) in factors.items():
        if len(values) != num or not all(0 <= value <= 1 for value in values):
            what = "a number" if num == 1 else f"{('three', 'four')[num - 3]} numbers"
            raise MeshError(f"{key} {name} must be {what} from 0 to 1, got {list(values)}")
    if not 0 <= material.alpha_cutoff < float("inf"):
        raise MeshError(f"alpha_cutoff {name} must not be negative, got {material.alpha_cutoff}")
    if not abs(material.normal_scale) < float("inf"):
        raise MeshError(f"normal_scale {name} must be finite, got {material.normal_scale}")
    for key, image, channels in (
        ("texture", material.texture, 4),
        ("metallic_roughness_texture", material.metallic_roughness_texture, 3),
        ("normal_texture", material.normal_texture, 3),
        ("emissive_texture", material.emissive_texture, 3),
    ):
        if image is None or isinstance(image, EncodedTexture):
            continue
        if image.dim() != 3 or image.shape[2] != channels or image.numel() == 0:
            raise MeshError(
                f"{key} {name} must be an image of height, width and "
                f"{('three', 'four')[channels - 3]} channels, got {list(image.shape)}"
            )
    if isinstance(material.texture, Tensor):
        check_finite(f"rows of texels {name}", material.texture.flatten(1))


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
        MeshError: As `check_exportable`.
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
            other_uvs={
                name: others.detach().cpu().numpy()[uv_of]
                for name, others in textured_mesh.other_uvs.items()
            },
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
