"""A glTF file as one textured mesh."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from get3d.core import Material, MeshError, TexturedMesh
from get3d.data.gltf.document import DamagedError, Document, as_list, number, open_document
from get3d.data.gltf.materials import FileMaterial, read_material
from get3d.data.gltf.nodes import Nodes
from get3d.data.gltf.parts import MeshPart, join_parts, unit
from get3d.data.gltf.primitives import Primitive, read_primitive

GLTF_SUFFIXES = (".glb", ".gltf")
_MAX_ELEMENTS = 1 << 26
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
    try:
        with np.errstate(all="ignore"):  # positions that are not finite are found later
            return _Reader(open_document(path)).read(dtype)
    except DamagedError as error:
        raise MeshError(
            f"cannot be read ({error}); it is damaged or incomplete, so export it again"
        ) from error


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
        found = [each for node in self._nodes.shown for each in self._find(node)]
        if self._document.count("nodes") == 0:  # a library of meshes
            found = [
                (primitive, np.eye(4)[None], False)
                for index in range(self._document.count("meshes"))
                for primitive in self._read_mesh(index, None)
            ]
        for primitive, matrices, is_skinned in found:
            if is_skinned:
                self._add(primitive, _skin_matrices(primitive, matrices))
            else:
                self._place(primitive, matrices)
        if not self._parts:
            raise MeshError(
                "has no faces; points and lines alone cannot be rendered, so export it as a surface"
            )
        joined = join_parts(self._parts, self._materials, dtype)
        return replace(joined, losses=tuple(self._document.notes))

    def _find(self, node: int) -> list[tuple[Primitive, Float[np.ndarray, "places 4 4"], bool]]:
        """List the primitives of a node with the transforms of their places, or of their joints."""
        mesh = self._nodes.entries[node].get("mesh")
        if mesh is None:
            return []
        joints, places = self._nodes.joints(node), self._nodes.places(node)
        found = []
        for primitive in self._read_mesh(mesh, self._nodes.entries[node].get("weights")):
            if joints is not None and primitive.joints is not None:
                self._count(primitive, 1)
                found.append((primitive, joints, True))
            else:
                self._count(primitive, len(places))
                found.append((primitive, places, False))
        return found

    def _read_mesh(self, index: Any, weights: Any) -> list[Primitive]:
        """Read the primitives of a mesh that have faces, with weights of morph targets."""
        mesh = self._document.item("meshes", index)
        weights = mesh.get("weights") if weights is None else weights
        chosen = tuple(number(each, 0.0) for each in as_list(weights))
        key = (int(index), chosen)
        if key not in self._primitives:
            found = []
            for entry in as_list(mesh.get("primitives")):
                primitive = read_primitive(self._document, entry, chosen)
                if primitive is not None and len(primitive.faces):
                    self._count(primitive, 1)
                    found.append(primitive)
            self._primitives[key] = found
        return self._primitives[key]

    def _count(self, primitive: Primitive, num: int) -> None:
        """Raise MeshError if what is read and placed adds up to more than memory holds.

        It counts before anything is placed, so that a small file that places a mesh very many
        times, or reads the same bytes as many meshes, is refused at once.
        """
        self._num_elements += num * (len(primitive.faces) + len(primitive.verts))
        if self._num_elements > _MAX_ELEMENTS:
            raise MeshError("has too many faces and vertices, instances included; simplify it")

    def _place(self, primitive: Primitive, places: Float[np.ndarray, "places 4 4"]) -> None:
        """Add a primitive at every place, many small instances at a time."""
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
    """Put a primitive without its joints several times behind itself."""

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
        joints=None,
        weights=None,
    )


def _skin_matrices(
    primitive: Primitive, joints: Float[np.ndarray, "joints 4 4"]
) -> Float[np.ndarray, "verts 4 4"]:
    """Blend the transforms of the joints of every vertex."""
    assert primitive.joints is not None
    assert primitive.weights is not None
    named = np.where(primitive.weights > 0, primitive.joints, 0)
    if int(named.max()) >= len(joints):
        raise DamagedError(f"a vertex names joint {int(named.max())} of {len(joints)}")
    matrices = np.zeros((len(primitive.verts), 4, 4))
    for joint, weight in zip(named.T, primitive.weights.T, strict=True):
        matrices += weight[:, None, None] * joints[joint]
    return matrices
