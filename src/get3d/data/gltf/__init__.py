"""glTF 2.0 files; read `document, accessors, primitives > nodes, materials, parts > scene`."""

from get3d.data.gltf.scene import GLTF_SUFFIXES, read_gltf

__all__ = ["GLTF_SUFFIXES", "read_gltf"]
