"""Wavefront OBJ, as programs write it rather than as the specification says."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int

from get3d.core.types import Material, TexturedMesh
from get3d.data.formats.assemble import MeshArrays, linear_colors, to_textured_mesh
from get3d.data.formats.mtl import Library, read_libraries
from get3d.data.formats.polygons import triangulate
from get3d.data.formats.side_files import read_lines

_FREE_FORM = frozenset(("bmat", "curv", "curv2", "deg", "surf", "cstype"))


def read_obj(path: Path, dtype: torch.dtype) -> TexturedMesh:
    """Read an OBJ file with its material libraries and images.

    Args:
        path: The file.
        dtype: Of the positions.

    Raises:
        ValueError: If the file is damaged.
    """
    lines = _parse(read_lines(path, continued=True))
    verts = _numbers(lines.verts, 3, missing=np.nan)
    sizes = np.array(lines.sizes, np.int64)
    index = _corner_indices(lines)
    index[:, 0] = _checked(index[:, 0], len(verts))
    corners, polygon = triangulate(verts[index[:, 0]], sizes)
    face_index = index[corners]
    uv_faces, normal_faces = face_index[..., 1], face_index[..., 2]
    library = read_libraries(path, lines.libraries, lines.losses)
    arrays = MeshArrays(
        verts=verts,
        faces=face_index[..., 0],
        uvs=_numbers(lines.uvs, 2, missing=0.0),
        uv_faces=None if (uv_faces == -1).all() else uv_faces,
        normals=_numbers(lines.normals, 3, missing=np.nan),
        normal_faces=None if (normal_faces == -1).all() else normal_faces,
        vert_colors=_vert_colors(lines),
        losses=tuple(lines.losses),
    )
    numbers = np.array(lines.material, np.int64)[polygon]
    arrays = _with_materials(arrays, numbers, list(lines.names), library)
    return to_textured_mesh(_without_reverse_duplicates(arrays), dtype)


@dataclass(kw_only=True)
class _Lines:
    """The statements of a file.

    Attributes:
        verts: Words of `v` lines; with `uvs` and `normals` for `vt` and `vn`.
        corners: Words of all `f` lines.
        sizes: Number of corners of each polygon.
        before: Number of vertices, texture coordinates and normals above each polygon.
        material: Index into `names` of each polygon.
        names: Materials by name, in the order of their first use; "" before any.
        libraries: What follows `mtllib`.
        zbrush_colors: Hexadecimal vertex colours of ZBrush.
        losses: What is lost.
    """

    verts: list[list[str]] = field(default_factory=list)
    uvs: list[list[str]] = field(default_factory=list)
    normals: list[list[str]] = field(default_factory=list)
    corners: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    before: list[tuple[int, int, int]] = field(default_factory=list)
    material: list[int] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=lambda: {"": 0})
    libraries: list[str] = field(default_factory=list)
    zbrush_colors: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)


def _parse(text: Sequence[str]) -> _Lines:
    """Sort the statements."""
    lines, material, num_small, is_free_form = _Lines(), 0, 0, False
    for line in text:
        words = line.split()
        if not words:
            continue
        if "#" in line and words[0] in ("v", "vt", "vn", "f"):
            words = line.partition("#")[0].split()
        match words[0]:
            case "v":
                lines.verts.append(words[1:])
            case "vt":
                lines.uvs.append(words[1:])
            case "vn":
                lines.normals.append(words[1:])
            case "f":
                if len(words) < 4:
                    num_small += 1
                    continue
                lines.corners += words[1:]
                lines.sizes.append(len(words) - 1)
                lines.before.append((len(lines.verts), len(lines.uvs), len(lines.normals)))
                lines.material.append(material)
            case "usemtl":
                material = lines.names.setdefault(_rest(line), len(lines.names))
            case "mtllib":
                lines.libraries.append(_rest(line))
            case "#MRGB":
                lines.zbrush_colors += words[1:]
            case word:
                is_free_form |= word in _FREE_FORM
    if num_small:
        lines.losses.append(f"faces with fewer than 3 corners: {num_small}")
    if is_free_form:
        lines.losses.append("free-form curves and surfaces are ignored")
    return lines


def _rest(line: str) -> str:
    """Return what follows the keyword of a line."""
    return [*line.split(maxsplit=1), ""][1].strip()


def _numbers(
    rows: Sequence[Sequence[str]], width: int, *, missing: float
) -> Float[np.ndarray, "n width"]:
    """Read the first numbers of each row; NaN where a word is none."""
    if not rows:
        return np.zeros((0, width))
    cut = [
        row[:width] if len(row) >= width else [*row, *["x"] * (width - len(row))] for row in rows
    ]
    try:
        return np.array(cut, dtype=np.float64)
    except ValueError:
        return np.array(
            [[missing if word == "x" else _number(word) for word in row] for row in cut]
        )


def _number(word: str) -> float:
    """Read a number; NaN if it is none, as in "-nan(ind)" of older compilers."""
    try:
        return float(word)
    except ValueError:
        return float("nan")


def _corner_indices(lines: _Lines) -> Int[np.ndarray, "corners 3"]:
    """Resolve `position/texture/normal` to indices from 0; -1: none, -2 and below: not there."""
    ids = {word: place for place, word in enumerate(dict.fromkeys(lines.corners))}
    table = np.array([_corner(word) for word in ids], np.int64).reshape(-1, 3)
    raw = table[[ids[word] for word in lines.corners]] if ids else table
    before = np.repeat(np.array(lines.before, np.int64).reshape(-1, 3), lines.sizes, axis=0)
    relative = before + raw
    return np.select(
        [raw > 0, raw == 0, relative >= 0], [raw - 1, np.full_like(raw, -1), relative], default=-2
    )


def _corner(word: str) -> tuple[int, int, int]:
    """Read a corner; 0 for what it does not have."""
    parts = [int(part) if part else 0 for part in word.split("/")]
    if len(parts) > 3 or parts[0] == 0 or any(abs(part) > 1 << 40 for part in parts):
        raise ValueError(f"{word[:40]!r} is no corner of a face")
    position, texture, normal = [*parts, 0, 0][:3]
    return position, texture, normal


def _checked(index: Int[np.ndarray, " n"], num_verts: int) -> Int[np.ndarray, " n"]:
    """Validate the vertices of faces; raise ValueError."""
    if len(index) and (index.min() < 0 or index.max() >= num_verts):
        named = "one before the first" if index.min() < 0 else f"number {index.max() + 1}"
        raise ValueError(f"a face names a vertex that is not there, {named} of {num_verts}")
    return index


def _vert_colors(lines: _Lines) -> Float[np.ndarray, "verts 4"] | None:
    """Read colours after the positions (x y z r g b, with or without alpha), or of ZBrush."""
    hexadecimal = "".join(lines.zbrush_colors)
    if len(hexadecimal) == 8 * len(lines.verts) > 0:
        try:
            values = np.frombuffer(bytes.fromhex(hexadecimal), np.uint8).reshape(-1, 4)
        except ValueError:
            lines.losses.append("the vertex colours of ZBrush cannot be read")
            return None
        return linear_colors(values[:, 1:], scale=255.0)
    is_colored = np.array([len(row) >= 6 for row in lines.verts], bool)
    if not is_colored.any():
        return None
    rows = [row[3:7] for row in lines.verts if len(row) >= 6]
    width = max(len(row) for row in rows)
    colors = np.ones((len(is_colored), 4))
    colors[is_colored] = linear_colors(_numbers(rows, width, missing=np.nan))
    return colors


def _with_materials(
    arrays: MeshArrays, numbers: Int[np.ndarray, " faces"], names: Sequence[str], library: Library
) -> MeshArrays:
    """Look up the materials that faces use, and apply the transforms of their images."""
    used, face_material = np.unique(numbers, return_inverse=True)
    materials, losses = [], list(arrays.losses)
    uvs, uv_faces = arrays.uvs, arrays.uv_faces
    for place, index in enumerate(used):
        if not names[index]:
            materials.append(Material())
            continue
        material, transform = library.material(
            names[index], has_uvs=uv_faces is not None, losses=losses
        )
        materials.append(material)
        if uv_faces is not None and transform != ((1.0, 1.0), (0.0, 0.0)):
            mine = face_material == place
            old, new = np.unique(uv_faces[mine], return_inverse=True)
            is_there = (old >= 0) & (old < len(uvs))
            moved = np.where(is_there, len(uvs) + np.cumsum(is_there) - 1, old)
            uvs = np.concatenate([uvs, uvs[old[is_there]] * transform[0] + transform[1]])
            uv_faces = uv_faces.copy()
            uv_faces[mine] = moved[new].reshape(-1, 3)
    return replace(
        arrays,
        uvs=uvs,
        uv_faces=uv_faces,
        face_material=face_material.reshape(-1),
        materials=tuple(materials) or (Material(),),
        losses=tuple(losses),
    )


def _without_reverse_duplicates(arrays: MeshArrays) -> MeshArrays:
    """Leave out faces that repeat another in the opposite winding, as in ShapeNet.

    Both sides of the remaining face are seen. With both, see-through surfaces would count twice.
    """
    material = arrays.face_material
    assert material is not None
    if len(arrays.faces) < 2:
        return arrays
    # A number a face that does not depend on the order of its corners finds the candidates.
    projected = (arrays.verts * (0.61803, 0.41421, 0.73205)).sum(1)
    _, group, count = np.unique(
        np.sort(projected[arrays.faces], axis=1).sum(1), return_inverse=True, return_counts=True
    )
    pick = np.flatnonzero(count[group] > 1)
    if not len(pick):
        return arrays
    _, place = np.unique(
        arrays.verts[arrays.faces[pick]].reshape(-1, 3), axis=0, return_inverse=True
    )
    corners = place.reshape(-1, 3)
    turn = corners.argmin(1)[:, None] + np.arange(3)
    corners = np.take_along_axis(corners, turn % 3, axis=1)  # begins with the lowest
    is_turned = corners[:, 1] > corners[:, 2]
    key = np.concatenate([np.sort(corners, axis=1), material[pick, None]], axis=1)
    _, first, group = np.unique(key, axis=0, return_index=True, return_inverse=True)
    is_reverse = is_turned != is_turned[first[group.reshape(-1)]]
    keep = np.ones(len(arrays.faces), bool)
    keep[pick[is_reverse]] = False
    two_sided = set(material[~keep].tolist())
    return replace(
        arrays,
        faces=arrays.faces[keep],
        uv_faces=None if arrays.uv_faces is None else arrays.uv_faces[keep],
        normal_faces=None if arrays.normal_faces is None else arrays.normal_faces[keep],
        face_material=material[keep],
        materials=tuple(
            replace(item, double_sided=True) if index in two_sided else item
            for index, item in enumerate(arrays.materials)
        ),
    )
