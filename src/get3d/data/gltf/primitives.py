"""Triangles and attributes of glTF primitives, with morph targets applied."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from get3d.data.gltf.accessors import read_floats, read_integers
from get3d.data.gltf.document import DamagedError, Document, as_index, as_list, as_object

_TRIANGLES, _STRIP, _FAN = 4, 5, 6
_MAX_SETS = 8  # of texture coordinates, and of joints


@dataclass(frozen=True, kw_only=True)
class Primitive:
    """A part of a mesh in its own coordinates.

    Attributes:
        verts: Positions.
        faces: Vertex indices.
        normals: As stored, of any length; None: flat faces.
        uvs: Sets of texture coordinates as stored, origin at the top left, by number.
        colors: Linear RGBA in [0, 1], or None.
        joints: Indices into the joints of a skin, or None.
        weights: Of the joints; they sum to 1.
        material: Index of the material; None: the default one.
    """

    verts: Float[np.ndarray, "verts 3"]
    faces: Int[np.ndarray, "faces 3"]
    normals: Float[np.ndarray, "verts 3"] | None
    uvs: Mapping[int, Float[np.ndarray, "verts 2"]]
    colors: Float[np.ndarray, "verts 4"] | None
    joints: Int[np.ndarray, "verts j"] | None
    weights: Float[np.ndarray, "verts j"] | None
    material: int | None


def read_primitive(
    document: Document, entry: Any, morph_weights: Sequence[float]
) -> Primitive | None:
    """Read a primitive.

    Args:
        document: The file; what is lost is noted in it.
        entry: The primitive in the JSON document.
        morph_weights: Of its morph targets.

    Returns:
        The triangles; None for points, lines and primitives without positions.

    Raises:
        DamagedError: If it is damaged.
    """
    entry = as_object(entry, "a primitive")
    attributes = as_object(entry.get("attributes"), "attributes of a primitive")
    mode = as_index(entry.get("mode", _TRIANGLES))
    if mode in (0, 1, 2, 3):
        document.note("points and lines are left out")
        return None
    if mode not in (_TRIANGLES, _STRIP, _FAN):
        raise DamagedError(f"a primitive has the unknown mode {entry.get('mode')!r}")
    if "POSITION" not in attributes:
        document.note("primitives without positions are left out")
        return None
    targets = [
        (weight, as_object(target, "a morph target"))
        for weight, target in zip(morph_weights, as_list(entry.get("targets")), strict=False)
        if weight != 0
    ]
    verts = _read(document, attributes, targets, "POSITION", (3,))
    assert verts is not None  # checked above
    num = len(verts)
    if "indices" in entry:
        indices = read_integers(document, entry["indices"], "vertex indices", size=1)[:, 0]
    else:
        indices = np.arange(num, dtype=np.int64)
    if len(indices) and int(indices.max()) >= num:
        raise DamagedError(f"a face names vertex {int(indices.max())} of {num}")
    normals = _read(document, attributes, targets, "NORMAL", (3,), num)
    if normals is not None and not np.isfinite(normals).all():
        document.note("normals that are not finite are left out")
        normals = None
    uvs = {}
    for number in range(_MAX_SETS):
        uv = _read(document, attributes, targets, f"TEXCOORD_{number}", (2,), num)
        if uv is not None:
            uvs[number] = uv
    joints, weights = _joints(document, attributes, num)
    material = entry.get("material")
    if material is not None and as_index(material) is None:
        raise DamagedError(f"a primitive names material {material!r}")
    return Primitive(
        verts=verts,
        faces=_triangles(indices, mode),
        normals=normals,
        uvs=uvs,
        colors=_colors(document, attributes, targets, num),
        joints=joints,
        weights=weights,
        material=as_index(material),
    )


def _triangles(indices: Int[np.ndarray, " n"], mode: int) -> Int[np.ndarray, "faces 3"]:
    """List triangles of vertex indices (glTF 2.0, section 3.7.2.1)."""
    if mode == _TRIANGLES:
        return indices[: len(indices) // 3 * 3].reshape(-1, 3)
    num = max(len(indices) - 2, 0)
    first = np.arange(num)
    if mode == _FAN:
        order = np.stack([first + 1, first + 2, np.zeros_like(first)], axis=1)
    else:
        odd = first % 2
        order = np.stack([first, first + 1 + odd, first + 2 - odd], axis=1)
    faces = indices[order]
    # A vertex that is named twice joins strips; it makes no triangle.
    a, b, c = faces.T
    return faces[(a != b) & (b != c) & (c != a)]


def _read(
    document: Document,
    attributes: Mapping[str, Any],
    targets: Sequence[tuple[float, Mapping[str, Any]]],
    name: str,
    sizes: tuple[int, ...],
    num: int | None = None,
    *,
    is_normalized: bool | None = None,
) -> Float[np.ndarray, "verts c"] | None:
    """Read an attribute and add its morph targets; None if the primitive has none."""
    if name not in attributes:
        return None
    values = read_floats(document, attributes[name], name, sizes=sizes, is_normalized=is_normalized)
    if num is not None and len(values) != num:
        raise DamagedError(f"{name} has {len(values)} elements for {num} vertices")
    for weight, target in targets:
        if name in target:
            added = read_floats(
                document, target[name], f"{name} of a morph target", sizes=sizes,
                is_normalized=is_normalized,
            )  # fmt: skip
            if added.shape != values.shape:
                raise DamagedError(f"{name} of a morph target has another shape than the mesh")
            values = values + weight * added
    return values


def _colors(
    document: Document,
    attributes: Mapping[str, Any],
    targets: Sequence[tuple[float, Mapping[str, Any]]],
    num: int,
) -> Float[np.ndarray, "verts 4"] | None:
    """Read vertex colours of any component type; bytes stand for fractions whatever they say."""
    found = _read(document, attributes, targets, "COLOR_0", (3, 4), num, is_normalized=True)
    if found is None:
        return None
    rgba = np.ones((num, 4))
    rgba[:, : found.shape[1]] = np.clip(np.nan_to_num(found), 0.0, 1.0)
    return rgba


def _joints(
    document: Document, attributes: Mapping[str, Any], num: int
) -> tuple[Int[np.ndarray, "verts j"] | None, Float[np.ndarray, "verts j"] | None]:
    """Read the joints that move every vertex, and weights that sum to 1."""
    joints, weights = [], []
    for number in range(_MAX_SETS):
        if f"JOINTS_{number}" not in attributes or f"WEIGHTS_{number}" not in attributes:
            break
        name = f"JOINTS_{number}"
        joints.append(read_integers(document, attributes[name], name, size=4))
        name = f"WEIGHTS_{number}"
        weights.append(
            read_floats(document, attributes[name], name, sizes=(4,), is_normalized=True)
        )
        if len(joints[-1]) != num or len(weights[-1]) != num:
            raise DamagedError(f"joints of a skin are given for another number than {num} vertices")
    if not joints:
        return None, None
    total = np.concatenate(weights, axis=1)
    total = np.maximum(np.nan_to_num(total, posinf=0.0), 0.0)
    total[~total.any(axis=1), 0] = 1.0  # the first joint, as in viewers
    return np.concatenate(joints, axis=1), total / total.sum(axis=1, keepdims=True)
