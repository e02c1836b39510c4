"""The node hierarchy of a glTF file: transforms, instances and joints."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from get3d.data.gltf.accessors import read_floats
from get3d.data.gltf.document import DamagedError, Document, as_index, as_list, extension, numbers

_INSTANCING = "EXT_mesh_gpu_instancing"
_IDENTITY = tuple(float(value) for value in np.eye(4).flatten())


class Nodes:
    """The nodes of a file in its default pose.

    Attributes:
        entries: The nodes in the JSON document.
        world: Transform of every node from its own coordinates to those of the scene.
        shown: Nodes of the default scene, in the order of the file.
    """

    def __init__(self, document: Document) -> None:
        """Resolve the hierarchy; raise DamagedError if it is not a forest."""
        num = document.count("nodes")
        self._document = document
        self._joints: dict[int, Float[np.ndarray, "joints 4 4"]] = {}
        self.entries = [document.item("nodes", index) for index in range(num)]
        self._children = [self._list_nodes(entry.get("children")) for entry in self.entries]
        parents = [0] * num
        for children in self._children:
            for child in children:
                parents[child] += 1
        if any(count > 1 for count in parents):
            raise DamagedError("a node has several parents")
        roots = [index for index, count in enumerate(parents) if count == 0]
        self.world: list[Float[np.ndarray, "4 4"]] = [np.eye(4)] * num
        order = self._descend(roots)
        if len(order) != num:
            raise DamagedError("nodes are their own ancestors")
        local = _local(self.entries)
        for index in order:
            self.world[index] = self.world[index] @ local[index]
            for child in self._children[index]:
                self.world[child] = self.world[index]
        visible = self._descend(self._scene_roots(roots), only_visible=True)
        self.shown = sorted(set(visible))

    def places(self, index: int) -> Float[np.ndarray, "instances 4 4"]:
        """Return the transforms of the places where a node's mesh stands.

        Raises:
            DamagedError: If the attributes of its instances are damaged.
        """
        instancing = extension(self.entries[index], _INSTANCING)
        attributes = instancing.get("attributes") if instancing is not None else None
        if not isinstance(attributes, dict):
            return self.world[index][None]
        found = {
            name: read_floats(
                self._document, attributes[name], f"{name} of instances", sizes=(size,)
            )
            for name, size in (("TRANSLATION", 3), ("ROTATION", 4), ("SCALE", 3))
            if name in attributes
        }
        counts = {len(values) for values in found.values()}
        if len(counts) != 1:
            raise DamagedError("attributes of instances have different lengths")
        (num,) = counts
        local = compose(
            found.get("TRANSLATION", np.zeros((num, 3))),
            found.get("ROTATION", np.tile((0.0, 0.0, 0.0, 1.0), (num, 1))),
            found.get("SCALE", np.ones((num, 3))),
        )
        return self.world[index] @ local

    def joints(self, index: int) -> Float[np.ndarray, "joints 4 4"] | None:
        """Return the transforms of the joints of a node's skin, from the mesh to the scene.

        Raises:
            DamagedError: If the skin is damaged.
        """
        number = self.entries[index].get("skin")
        if number is None:
            return None
        skin = self._document.item("skins", number)
        if number not in self._joints:
            self._joints[number] = self._skin_joints(skin)
        return self._joints[number]

    def _skin_joints(self, skin: dict[str, Any]) -> Float[np.ndarray, "joints 4 4"]:
        """Multiply the transforms of joints by their inverse bind matrices."""
        joints = self._list_nodes(skin.get("joints"))
        if not joints:
            raise DamagedError("a skin has no joints")
        world = np.stack([self.world[joint] for joint in joints])
        if skin.get("inverseBindMatrices") is None:
            return world
        inverse = read_floats(
            self._document, skin["inverseBindMatrices"], "inverse bind matrices", sizes=(16,)
        )
        if len(inverse) < len(joints):
            raise DamagedError(f"a skin of {len(joints)} joints has {len(inverse)} bind matrices")
        return world @ inverse[: len(joints)].reshape(-1, 4, 4).transpose(0, 2, 1)

    def _scene_roots(self, roots: Sequence[int]) -> Sequence[int]:
        """Return the root nodes of the default scene; those of all nodes without scenes."""
        if self._document.count("scenes") == 0:
            return roots
        scene = self._document.item("scenes", self._document.root.get("scene", 0))
        return self._list_nodes(scene.get("nodes"))

    def _descend(self, roots: Sequence[int], *, only_visible: bool = False) -> list[int]:
        """List nodes and their descendants, parents first; as many as there are nodes at most."""
        order: list[int] = []
        pending = list(roots)
        while pending and len(order) <= len(self.entries):
            index = pending.pop()
            hidden = extension(self.entries[index], "KHR_node_visibility") or {}
            if only_visible and hidden.get("visible") is False:
                continue
            order.append(index)
            pending += self._children[index]
        return order

    def _list_nodes(self, value: Any) -> list[int]:
        """Read a list of indices of nodes."""
        found = [as_index(each) for each in as_list(value)]
        if any(each is None or each >= len(self.entries) for each in found):
            raise DamagedError("the file names a node that does not exist")
        return [each for each in found if each is not None]


def compose(
    translation: Float[np.ndarray, "n 3"],
    rotation: Float[np.ndarray, "n 4"],
    scale: Float[np.ndarray, "n 3"],
) -> Float[np.ndarray, "n 4 4"]:
    """Build transforms that scale, then rotate, then move.

    Args:
        translation: In units of the file.
        rotation: Quaternions x, y, z, w of any length; zero: none.
        scale: Along the axes.
    """
    lengths = np.linalg.norm(rotation, axis=1, keepdims=True)
    x, y, z, w = np.where(lengths > 0, rotation, (0.0, 0.0, 0.0, 1.0)).T / np.where(
        lengths > 0, lengths, 1.0
    ).reshape(1, -1)
    matrix = np.zeros((len(translation), 4, 4))
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    )
    matrix[:, :3, :3] = np.array(rows).transpose(2, 0, 1)
    matrix[:, :3, :3] *= scale[:, None]
    matrix[:, :3, 3] = translation
    matrix[:, 3, 3] = 1.0
    return matrix


def _local(entries: Sequence[dict[str, Any]]) -> Float[np.ndarray, "nodes 4 4"]:
    """Return the transforms of nodes relative to their parents."""
    parts = [
        np.array([numbers(entry.get(name), default) for entry in entries]).reshape(-1, len(default))
        for name, default in (
            ("translation", (0.0, 0.0, 0.0)),
            ("rotation", (0.0, 0.0, 0.0, 1.0)),
            ("scale", (1.0, 1.0, 1.0)),
        )
    ]
    local = compose(parts[0], parts[1], parts[2])
    for index, entry in enumerate(entries):
        if isinstance(entry.get("matrix"), list):
            local[index] = np.array(numbers(entry["matrix"], _IDENTITY)).reshape(4, 4).T
    return local
