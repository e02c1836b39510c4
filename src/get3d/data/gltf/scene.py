"""A glTF file as one textured mesh."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from get3d.core import Material, MeshError, TexturedMesh
from get3d.data.gltf.document import Document, as_list, number, open_document
from get3d.data.gltf.materials import FileMaterial, read_material
from get3d.data.gltf.nodes import Nodes
from get3d.data.gltf.parts import MeshPart, join_parts, unit
from get3d.data.gltf.primitives import Primitive, read_primitive

GLTF_SUFFIXES = (".glb", ".gltf")
_MAX_ELEMENTS = 1 << 25
_VERTS_AT_ONCE = 1 << 16


def read_gltf(path: Path, *, dtype: torch.dtype = torch.float32) -> TexturedMesh:
    """Read a glTF or GLB file as one mesh, in the pose that the file shows without animation.

    Args:
        path: The file.
        dtype: Of the positions.

    Returns:
        The mesh in the file's own units, with encoded textures; `losses` says what was not read.

    Raises:
        MeshError: If the file is damaged, needs what cannot be read, or has no faces. The message
            does not name the file.
    """
    with np.errstate(all="ignore"):  # positions that are not finite are found later
        return _Reader(open_document(path)).read(dtype)


class _Reader:
    """The parts and materials of a file, as they are collected."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._nodes = Nodes(document)
        self._parts: list[MeshPart] = []
        self._primitives: dict[tuple[int, tuple[float, ...]], list[Primitive]] = {}
        self._looks: dict[int | None, FileMaterial] = {}
        self._materials: list[Material] = []
        self._material_of: dict[tuple[int | None, tuple[str, ...]], int] = {}
        self._num_elements = 0

    def read(self, dtype: torch.dtype) -> TexturedMesh:
        """Collect the parts of all shown nodes."""
        for node in self._nodes.shown:
            self._add_node(node)
        if self._document.count("nodes") == 0:  # a library of meshes
            for index in range(self._document.count("meshes")):
                for primitive in self._read_mesh(index, None):
                    self._place(primitive, np.eye(4)[None])
        if not self._parts:
            raise MeshError(
                "has no faces; points and lines alone cannot be rendered, so export it as a surface"
            )
        joined = join_parts(self._parts, self._materials, dtype)
        return replace(joined, losses=tuple(self._document.notes))

    def _add_node(self, node: int) -> None:
        """Add the mesh of a node at all its places."""
        mesh = self._nodes.entries[node].get("mesh")
        if mesh is None:
            return
        joints = self._nodes.joints(node)
        places = self._nodes.places(node)
        for primitive in self._read_mesh(mesh, self._nodes.entries[node].get("weights")):
            if joints is not None and primitive.joints is not None:
                self._count(primitive, 1)
                self._add(primitive, _skin_matrices(primitive, joints))
            else:
                self._place(primitive, places)

    def _read_mesh(self, index: Any, weights: Any) -> list[Primitive]:
        """Read the primitives of a mesh that have faces, with weights of morph targets."""
        mesh = self._document.item("meshes", index)
        weights = mesh.get("weights") if weights is None else weights
        chosen = tuple(number(each, 0.0) for each in as_list(weights))
        key = (int(index), chosen)
        if key not in self._primitives:
            found = [
                read_primitive(self._document, entry, chosen)
                for entry in as_list(mesh.get("primitives"))
            ]
            self._primitives[key] = [each for each in found if each and len(each.faces)]
        return self._primitives[key]

    def _count(self, primitive: Primitive, num_places: int) -> None:
        """Raise MeshError if instances add up to more than memory holds."""
        self._num_elements += num_places * (len(primitive.faces) + len(primitive.verts))
        if self._num_elements > _MAX_ELEMENTS:
            raise MeshError(
                f"has more than {_MAX_ELEMENTS:,} faces and vertices, instances included; simplify "
                "it"
            )

    def _place(self, primitive: Primitive, places: Float[np.ndarray, "places 4 4"]) -> None:
        """Add a primitive at every place, many small instances at a time."""
        self._count(primitive, len(places))
        num = len(primitive.verts)
        step = max(1, _VERTS_AT_ONCE // num)
        for start in range(0, len(places), step):
            some = places[start : start + step]
            if len(some) == 1:
                self._add(primitive, some[0])
            else:
                self._add(_repeated(primitive, len(some)), np.repeat(some, num, axis=0))

    def _add(self, primitive: Primitive, matrix: Float[np.ndarray, "*verts 4 4"]) -> None:
        """Add a primitive, moved as a whole or every vertex by a matrix of its own."""
        linear = matrix[..., :3, :3]
        verts = np.einsum("...ij,...j->...i", linear, primitive.verts) + matrix[..., :3, 3]
        sign = np.where(np.linalg.det(linear) < 0, -1.0, 1.0)
        is_mirrored = sign < 0 if sign.ndim == 0 else (sign[primitive.faces].sum(1) < 0)[:, None]
        normals = primitive.normals
        if normals is not None:
            # Normals move with the cofactor matrix, which also handles mirrors and squashing.
            rows = [np.cross(linear[..., i - 2, :], linear[..., i - 1, :]) for i in range(3)]
            normals = np.einsum("...ij,...j->...i", np.stack(rows, axis=-2), normals)
            normals = unit(normals * sign[..., None])
        uvs, other_uvs, material = self._map_textures(primitive)
        self._parts.append(
            MeshPart(
                verts=verts,
                faces=np.where(is_mirrored, primitive.faces[:, ::-1], primitive.faces),
                material=material,
                uvs=uvs,
                other_uvs=other_uvs,
                colors=primitive.colors,
                normals=normals,
            )
        )

    def _map_textures(
        self, primitive: Primitive
    ) -> tuple[Float[np.ndarray, "verts 2"] | None, dict[str, Float[np.ndarray, "verts 2"]], int]:
        """Return texture coordinates, those of textures that have others, and the material."""
        index = primitive.material
        if index not in self._looks:
            self._looks[index] = read_material(self._document, index)
        look = self._looks[index]
        usable = {
            name: mapping
            for name, mapping in look.mappings.items()
            if mapping.coordinates in primitive.uvs
        }
        missing = tuple(name for name in look.mappings if name not in usable)
        if missing:
            self._document.note("parts without texture coordinates are shown without textures")
        if (index, missing) not in self._material_of:
            self._material_of[index, missing] = len(self._materials)
            without: dict[str, Any] = dict.fromkeys(missing)
            self._materials.append(replace(look.material, **without))
        main = next(iter(usable.values()), None)
        uvs = None if main is None else main.apply(primitive.uvs[main.coordinates])
        others = {
            name: mapping.apply(primitive.uvs[mapping.coordinates])
            for name, mapping in usable.items()
            if mapping != main
        }
        return uvs, others, self._material_of[index, missing]


def _repeated(primitive: Primitive, num: int) -> Primitive:
    """Put a primitive several times behind itself."""

    def tiled(values: Any) -> Any:
        return None if values is None else np.tile(values, (num, 1))

    starts = np.arange(num)[:, None, None] * len(primitive.verts)
    return replace(
        primitive,
        verts=tiled(primitive.verts),
        faces=(primitive.faces + starts).reshape(-1, 3),
        normals=tiled(primitive.normals),
        uvs={index: tiled(uv) for index, uv in primitive.uvs.items()},
        colors=tiled(primitive.colors),
    )


def _skin_matrices(
    primitive: Primitive, joints: Float[np.ndarray, "joints 4 4"]
) -> Float[np.ndarray, "verts 4 4"]:
    """Blend the transforms of the joints of every vertex."""
    assert primitive.joints is not None
    assert primitive.weights is not None
    named = np.where(primitive.weights > 0, primitive.joints, 0)
    if int(named.max()) >= len(joints):
        raise MeshError(f"a vertex names joint {int(named.max())} of {len(joints)}")
    matrices = np.zeros((len(primitive.verts), 4, 4))
    for joint, weight in zip(named.T, primitive.weights.T, strict=True):
        matrices += weight[:, None, None] * joints[joint]
    return matrices
