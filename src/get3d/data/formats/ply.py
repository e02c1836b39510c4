"""PLY, with colours of any type and textures as MeshLab writes them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int

from get3d.core.types import Material, TexturedMesh
from get3d.data.formats.assemble import MeshArrays, linear_colors, to_textured_mesh
from get3d.data.formats.ply_tables import Element, Ragged, read_tables
from get3d.data.formats.polygons import triangulate
from get3d.data.formats.side_files import find_beside, read_texture

_COLORS = (
    ("red", "green", "blue", "alpha"),
    ("r", "g", "b", "a"),
    ("diffuse_red", "diffuse_green", "diffuse_blue", "diffuse_alpha"),
)
_UVS = (("s", "t"), ("u", "v"), ("texture_u", "texture_v"), ("tx", "ty"))
_KNOWN = ("vertex", "face", "tristrips", "edge", "camera")


def read_ply(path: Path, dtype: torch.dtype) -> TexturedMesh:
    """Read a PLY file with the images that its comments name.

    Args:
        path: The file.
        dtype: Of the positions.

    Raises:
        ValueError: If the file is damaged.
    """
    tables, comments = read_tables(path.read_bytes())
    losses = [f"element {name} is ignored" for name in tables if name not in _KNOWN]
    vertex = tables.get("vertex", Element("vertex", 0))
    verts = _columns(vertex, ("x", "y", "z"))
    if verts is None:
        raise ValueError("its vertices have no x, y and z")
    arrays = MeshArrays(verts=verts, faces=np.zeros((0, 3), np.int64))
    face = tables.get("face")
    if face is not None and face.num_rows:
        arrays = _with_faces(arrays, face, losses)
    elif "tristrips" in tables:
        arrays = replace(arrays, faces=_strips(tables["tristrips"]))
    vert_colors = _colors(vertex)
    if vert_colors is not None and arrays.face_colors is not None:
        losses.append("the colours of the faces are ignored beside those of the vertices")
        arrays = replace(arrays, face_colors=None)
    normals = _columns(vertex, ("nx", "ny", "nz"))
    uvs = next((uvs for names in _UVS if (uvs := _columns(vertex, names)) is not None), None)
    if uvs is not None and arrays.uv_faces is None:
        arrays = replace(arrays, uvs=uvs, uv_faces=arrays.faces)
    arrays = replace(
        arrays,
        vert_colors=vert_colors,
        normals=arrays.normals if normals is None else normals,
        normal_faces=None if normals is None else arrays.faces,
    )
    names = [text.split(maxsplit=1)[1] for text in comments if _names_texture(text)]
    arrays = _with_images(arrays, path, names, losses)
    return to_textured_mesh(replace(arrays, losses=tuple(losses)), dtype)


def _names_texture(comment: str) -> bool:
    """Say whether a comment is `TextureFile NAME`."""
    words = comment.split(maxsplit=1)
    return len(words) == 2 and words[0].lower() == "texturefile"


def _columns(element: Element, names: tuple[str, ...]) -> Float[np.ndarray, "rows n"] | None:
    """Join columns of numbers; None if one is missing."""
    found = [element.columns.get(name) for name in names]
    columns = [column for column in found if isinstance(column, np.ndarray)]
    if len(columns) < len(names):
        return None
    return np.stack([column.astype(np.float64) for column in columns], axis=1)


def _colors(element: Element) -> Float[np.ndarray, "rows 4"] | None:
    """Read colours as linear RGBA; whole numbers run to the largest one of their type."""
    for names in _COLORS:
        for count in (4, 3):
            values = _columns(element, names[:count])
            if values is None:
                continue
            kinds = {item.kind for item in element.properties if item.name == names[0]}
            kind = np.dtype(kinds.pop())
            scale = {"u1": 255.0, "i1": 127.0, "u2": 65535.0}.get(kind.str[1:])
            if scale is None and kind.kind in "iu":
                scale = 255.0 if values.max(initial=0) <= 255 else 65535.0
            return linear_colors(values, scale=scale)
    return None


def _with_faces(arrays: MeshArrays, face: Element, losses: list[str]) -> MeshArrays:
    """Add the faces with what each has: texture coordinates, number of the image, colour."""
    lists = next(
        (face.columns[name] for name in ("vertex_indices", "vertex_index") if name in face.columns),
        None,
    )
    if not isinstance(lists, Ragged):
        raise ValueError("its faces have no vertex_indices")
    corner, kept = _checked(lists, len(arrays.verts), losses)
    triangles, polygon = triangulate(arrays.verts[corner], lists.sizes[kept])
    polygon = kept[polygon]
    arrays = replace(arrays, faces=corner[triangles])
    texcoord = face.columns.get("texcoord")
    if isinstance(texcoord, Ragged):
        has_all = texcoord.sizes == 2 * lists.sizes
        if not (has_all | (texcoord.sizes == 0)).all():
            losses.append("texture coordinates that are not two a corner are ignored")
        # Indices of corners as they stand in the lists, before faces were left out.
        starts = np.cumsum(texcoord.sizes) // 2 - texcoord.sizes // 2
        local = (
            triangles
            - (np.cumsum(lists.sizes[kept]) - lists.sizes[kept])[
                np.searchsorted(kept, polygon), None
            ]
        )
        values = texcoord.values[: len(texcoord.values) // 2 * 2].astype(np.float64)
        uv_faces = np.where(has_all[polygon, None], starts[polygon, None] + local, -1)
        if (texcoord.sizes % 2).any():
            uv_faces[:] = -1
        arrays = replace(arrays, uvs=values.reshape(-1, 2), uv_faces=uv_faces)
    number = face.columns.get("texnumber")
    if isinstance(number, np.ndarray):
        values = np.nan_to_num(number[polygon].astype(np.float64), nan=-1.0)
        arrays = replace(arrays, face_material=values.clip(-1, 1 << 30).astype(np.int64))
    colors = _colors(face)
    if colors is None and "color" in face.columns:
        losses.append("colours at the corners of faces are ignored")
    return replace(arrays, face_colors=None if colors is None else colors[polygon])


def _checked(
    lists: Ragged, num_verts: int, losses: list[str]
) -> tuple[Int[np.ndarray, " corners"], Int[np.ndarray, " kept"]]:
    """Return the vertices of faces of three corners or more, and which faces those are."""
    values = lists.values.astype(np.float64)
    if len(values) and not (values.min() >= 0 and values.max() < num_verts):  # false for NaN
        raise ValueError(f"a face names a vertex that is not among the {num_verts}")
    is_kept = lists.sizes >= 3
    if not is_kept.all():
        losses.append(f"faces with fewer than 3 corners: {(~is_kept).sum()}")
    corner = values[np.repeat(is_kept, lists.sizes)].astype(np.int64)
    return corner, np.flatnonzero(is_kept)


def _strips(element: Element) -> Int[np.ndarray, "faces 3"]:
    """Turn triangle strips, ended by -1, into triangles."""
    lists = next(iter(element.columns.values()), None)
    if not isinstance(lists, Ragged):
        raise ValueError("its triangle strips are no lists")
    values = np.nan_to_num(lists.values.astype(np.float64), nan=-2.0)
    values = np.insert(values.clip(-2, 1 << 40).astype(np.int64), np.cumsum(lists.sizes), -1)
    faces = np.stack([values[:-2], values[1:-1], values[2:]], axis=1)
    is_end = values == -1
    begin = np.maximum.accumulate(np.where(is_end, np.arange(len(values)), -1))[:-2]
    is_odd = (np.arange(len(faces)) - begin) % 2 == 0
    faces[is_odd] = faces[is_odd][:, [1, 0, 2]]
    return faces[~(faces == -1).any(1)]


def _with_images(arrays: MeshArrays, path: Path, names: list[str], losses: list[str]) -> MeshArrays:
    """Make a material of each image that faces use."""
    if arrays.uv_faces is None or not names:
        if arrays.uv_faces is None and names:
            losses.append("it names images, but has no texture coordinates")
        return replace(arrays, face_material=None)
    numbers = arrays.face_material
    if numbers is None:
        numbers = np.zeros(len(arrays.faces), np.int64)
        if len(names) > 1:
            losses.append(f"no face says which of {len(names)} images it has; all get the first")
    used, face_material = np.unique(numbers, return_inverse=True)
    materials = []
    for number in used.tolist():
        if not 0 <= number < len(names):
            losses.append(f"image number {number} is not among the {len(names)} that it names")
            materials.append(Material())
            continue
        found = find_beside(path.parent, names[number])
        texture = None if found is None else read_texture(found)
        if texture is None:
            problem = "is missing" if found is None else "cannot be read"
            losses.append(f"image {names[number]} {problem}")
        materials.append(Material(texture=texture, name=f"material_{number}"))
    return replace(
        arrays, materials=tuple(materials) or (Material(),), face_material=face_material.reshape(-1)
    )
