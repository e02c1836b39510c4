"""What readers hand over, and how it becomes a `TexturedMesh`."""

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float, Int, Num

from get3d.core.colors import srgb_to_linear
from get3d.core.types import Material, Mesh, TexturedMesh


@dataclass(frozen=True, kw_only=True)
class MeshArrays:
    """A mesh as arrays, with what files leave out or get wrong.

    Attributes:
        verts: Positions.
        faces: Indices into `verts`.
        uvs: Texture coordinates, origin at the bottom left.
        uv_faces: Indices into `uvs`, -1 for corners that have none; None: no corner has any.
        normals: Normals of any length.
        normal_faces: Indices into `normals`, in the same way.
        vert_colors: Linear RGBA, or None.
        face_colors: Linear RGBA, or None.
        face_material: Indices into `materials`; None: all are 0.
        materials: At least one.
        losses: What of the file was lost, a sentence each.
    """

    verts: Float[np.ndarray, "verts 3"]
    faces: Int[np.ndarray, "faces 3"]
    uvs: Float[np.ndarray, "uvs 2"] = field(default_factory=lambda: np.zeros((0, 2)))
    uv_faces: Int[np.ndarray, "faces 3"] | None = None
    normals: Float[np.ndarray, "normals 3"] = field(default_factory=lambda: np.zeros((0, 3)))
    normal_faces: Int[np.ndarray, "faces 3"] | None = None
    vert_colors: Float[np.ndarray, "verts 4"] | None = None
    face_colors: Float[np.ndarray, "faces 4"] | None = None
    face_material: Int[np.ndarray, " faces"] | None = None
    materials: tuple[Material, ...] = (Material(),)
    losses: tuple[str, ...] = ()


def to_textured_mesh(arrays: MeshArrays, dtype: torch.dtype) -> TexturedMesh:
    """Make the mesh, without vertices that no face uses.

    Corners without texture coordinates get (0, 0), as in Blender; faces without usable normals
    their own. Face colours give each face vertices of its own.

    Args:
        arrays: As read.
        dtype: Of the positions.

    Raises:
        ValueError: If a face names a vertex that is not there.
    """
    faces, num_verts = arrays.faces, len(arrays.verts)
    if len(faces) and (faces.min() < 0 or faces.max() >= num_verts):
        worst = faces.max() if faces.max() >= num_verts else faces.min()
        raise ValueError(f"a face names vertex {worst + 1} of {num_verts}")
    if arrays.face_colors is not None:
        arrays = _split_corners(arrays, arrays.face_colors)
    used, faces = np.unique(arrays.faces, return_inverse=True)
    faces = faces.reshape(-1, 3)
    verts, colors = arrays.verts[used], arrays.vert_colors
    losses = list(arrays.losses)
    uvs, uv_faces = _texture_coordinates(arrays, losses)
    normals, normal_faces = _normals(arrays, verts[faces])
    is_shared = normal_faces is not None and np.array_equal(normal_faces, faces)
    material = arrays.face_material
    return TexturedMesh(
        mesh=Mesh(torch.from_numpy(verts).to(dtype), torch.from_numpy(faces)),
        uvs=torch.from_numpy(uvs).float(),
        uv_faces=torch.from_numpy(uv_faces),
        materials=arrays.materials,
        face_material=torch.from_numpy(
            np.zeros(len(faces), np.int64) if material is None else material
        ),
        vert_colors=None if colors is None else torch.from_numpy(colors[used]).float(),
        normals=None if normals is None else torch.from_numpy(normals).float(),
        normal_faces=(
            None if normal_faces is None or is_shared else torch.from_numpy(normal_faces)
        ),
        losses=tuple(dict.fromkeys(losses)),
    )


def linear_colors(
    values: Num[np.ndarray, "n channels"], *, scale: float | None = None
) -> Float[np.ndarray, "n 4"]:
    """Bring sRGB colours to linear RGBA.

    Args:
        values: RGB or RGBA.
        scale: The value of white; None: 1, or 255 if a value is above 2.

    Returns:
        Values in [0, 1]; 1 for what is not finite, and for alpha that is 0 everywhere, since
        programs that do not use alpha leave it so.
    """
    values = values.astype(np.float64)
    if scale is None:
        scale = 255.0 if np.nanmax(values, initial=0.0) > 2 else 1.0
    rgba = np.ones((len(values), 4))
    rgba[:, : values.shape[1]] = np.clip(np.nan_to_num(values / scale, nan=1.0), 0.0, 1.0)
    rgba[:, :3] = srgb_to_linear(torch.from_numpy(rgba[:, :3])).numpy()
    if not rgba[:, 3].any():
        rgba[:, 3] = 1.0
    return rgba


def _split_corners(arrays: MeshArrays, colors: Float[np.ndarray, "faces 4"]) -> MeshArrays:
    """Give each face vertices of its own, with its colour."""
    flat = arrays.faces.reshape(-1)
    return replace(
        arrays,
        verts=arrays.verts[flat],
        faces=np.arange(len(flat)).reshape(-1, 3),
        vert_colors=np.repeat(colors, 3, axis=0),
    )


def _texture_coordinates(
    arrays: MeshArrays, losses: list[str]
) -> tuple[Float[np.ndarray, "uvs 2"], Int[np.ndarray, "faces 3"]]:
    """Complete the texture coordinates; empty ones, with indices of zero, if there are none."""
    empty = np.zeros((0, 2)), np.zeros((len(arrays.faces), 3), np.int64)
    if arrays.uv_faces is None:
        return empty
    uv_faces, uvs = arrays.uv_faces.copy(), arrays.uvs
    is_bad = (uv_faces < -1) | (uv_faces >= len(uvs))
    uv_faces[is_bad] = -1
    is_finite = np.isfinite(uvs.astype(np.float32)).all(1)
    is_nan = (uv_faces >= 0) & ~np.append(is_finite, True)[uv_faces]
    for which, problem in ((is_bad, "not in the file"), (is_nan, "not finite")):
        if which.any():
            losses.append(f"faces whose texture coordinates are {problem}: {which.any(1).sum()}")
    if (uv_faces < 0).all():
        return empty
    bare = (uv_faces < 0).any(1)
    has_texture = np.array([material.texture is not None for material in arrays.materials], bool)
    number = np.zeros(len(uv_faces), int) if arrays.face_material is None else arrays.face_material
    num_lost = int((bare & has_texture[number] & ~(is_bad | is_nan).any(1)).sum())
    if num_lost:
        losses.append(f"faces with an image but no texture coordinates: {num_lost}")
    uvs = np.concatenate([np.where(is_finite.reshape(-1, 1), uvs, 0.0), np.zeros((1, 2))])
    used, inverse = np.unique(np.where(uv_faces < 0, len(uvs) - 1, uv_faces), return_inverse=True)
    return uvs[used], inverse.reshape(-1, 3)


def _normals(
    arrays: MeshArrays, corners: Float[np.ndarray, "faces 3 3"]
) -> tuple[Float[np.ndarray, "normals 3"] | None, Int[np.ndarray, "faces 3"] | None]:
    """Make normals unit vectors; faces without usable ones get their own."""
    if arrays.normal_faces is None or not len(arrays.normals):
        return None, None
    lengths = np.linalg.norm(arrays.normals, axis=1, keepdims=True)
    is_usable = np.isfinite(lengths).all(1) & (lengths > 0).all(1)
    normals = np.where(is_usable[:, None], arrays.normals / np.where(lengths > 0, lengths, 1), 0.0)
    index = arrays.normal_faces
    index = np.where((index < 0) | (index >= len(normals)), -1, index)
    is_bare = ((index < 0) | ~is_usable[index]).any(1)
    if is_bare.all():
        return None, None
    bare = corners[is_bare]
    flat = np.cross(bare[:, 1] - bare[:, 0], bare[:, 2] - bare[:, 0])
    lengths = np.linalg.norm(flat, axis=1, keepdims=True)
    index[is_bare] = len(normals) + np.arange(len(bare))[:, None]
    normals = np.concatenate([normals, flat / np.where(lengths > 0, lengths, 1.0)])
    used, inverse = np.unique(index, return_inverse=True)
    return normals[used], inverse.reshape(-1, 3)
