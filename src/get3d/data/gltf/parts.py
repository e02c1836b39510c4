"""Parts of a scene, and the one mesh that they are joined to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float, Int

from get3d.core import Material, Mesh, TexturedMesh


@dataclass(frozen=True, kw_only=True)
class MeshPart:
    """Triangles with one material at one place, as arrays.

    Attributes:
        verts: Positions in the scene.
        faces: Vertex indices.
        material: Index into the list of materials.
        uvs: Texture coordinates, origin at the bottom left, or None.
        other_uvs: Texture coordinates of textures that have others, as in `TexturedMesh`.
        colors: Linear RGBA, or None.
        normals: Unit normals, or None: flat faces.
    """

    verts: Float[np.ndarray, "verts 3"]
    faces: Int[np.ndarray, "faces 3"]
    material: int
    uvs: Float[np.ndarray, "verts 2"] | None = None
    other_uvs: Mapping[str, Float[np.ndarray, "verts 2"]] = field(default_factory=dict)
    colors: Float[np.ndarray, "verts 4"] | None = None
    normals: Float[np.ndarray, "verts 3"] | None = None


def join_parts(
    parts: Sequence[MeshPart], materials: Sequence[Material], dtype: torch.dtype
) -> TexturedMesh:
    """Put all parts behind each other in one mesh, without vertices that no face uses.

    Args:
        parts: At least one, each with a face.
        materials: Those that the parts refer to.
        dtype: Of the positions.
    """
    parts = [_drop_unused(part) for part in parts]
    starts = np.cumsum([0] + [len(part.verts) for part in parts])[:-1]
    faces = np.concatenate([part.faces + start for part, start in zip(parts, starts, strict=True)])
    has_uvs = any(part.uvs is not None for part in parts)
    uvs = [np.zeros((len(part.verts), 2)) if part.uvs is None else part.uvs for part in parts]
    other_uvs = {
        name: _floats([each.other_uvs.get(name, uv) for each, uv in zip(parts, uvs, strict=True)])
        for name in sorted({name for part in parts for name in part.other_uvs})
    }
    colors = None
    if any(part.colors is not None for part in parts):
        colors = _floats(
            [
                np.ones((len(part.verts), 4)) if part.colors is None else part.colors
                for part in parts
            ]
        )
    normals, normal_faces = _join_normals(parts)
    counts = [len(part.faces) for part in parts]
    return TexturedMesh(
        mesh=Mesh(
            torch.from_numpy(np.concatenate([part.verts for part in parts])).to(dtype),
            torch.from_numpy(faces),
        ),
        uvs=_floats(uvs) if has_uvs else torch.zeros(0, 2),
        uv_faces=torch.from_numpy(faces.copy() if has_uvs else np.zeros_like(faces)),
        other_uvs=other_uvs,
        materials=tuple(materials),
        face_material=torch.from_numpy(
            np.repeat([part.material for part in parts], counts).astype(np.int64)
        ),
        vert_colors=colors,
        normals=normals,
        normal_faces=normal_faces,
    )


def _join_normals(
    parts: Sequence[MeshPart],
) -> tuple[Float[torch.Tensor, "normals 3"] | None, Int[torch.Tensor, "faces 3"] | None]:
    """Join normals; parts without any get those of their faces if others have some."""
    if all(part.normals is None for part in parts):
        return None, None
    if all(part.normals is not None for part in parts):
        return _floats([part.normals for part in parts if part.normals is not None]), None
    normals, corners, num = [], [], 0
    for part in parts:
        if part.normals is not None:
            normals.append(part.normals)
            corners.append(part.faces + num)
        else:
            a, b, c = (part.verts[part.faces[:, corner]] for corner in range(3))
            normals.append(unit(np.cross(b - a, c - a)))
            corners.append(np.repeat(np.arange(len(part.faces))[:, None], 3, axis=1) + num)
        num += len(normals[-1])
    return _floats(normals), torch.from_numpy(np.concatenate(corners))


def unit(vectors: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """Scale vectors to length one; zero stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1.0)


def _floats(arrays: Sequence[Float[np.ndarray, "_ c"]]) -> Float[torch.Tensor, "n c"]:
    return torch.from_numpy(np.concatenate(arrays)).float()


def _drop_unused(part: MeshPart) -> MeshPart:
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
        other_uvs={name: uvs[used] for name, uvs in part.other_uvs.items()},
        colors=None if part.colors is None else part.colors[used],
        normals=None if part.normals is None else part.normals[used],
    )
