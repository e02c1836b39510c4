"""What a glTF file asks for and does not get: missing images, unknown extensions."""

import json
import struct
from pathlib import Path
from typing import Any
from urllib.parse import unquote

_GLB_MAGIC = b"glTF"


def unsupported_extensions(path: Path) -> list[str]:
    """Name the glTF extensions without which a file's shape cannot be read.

    Args:
        path: Any mesh file.

    Returns:
        The names of extensions that the file requires and that hold geometry (compression); empty
        for other kinds of file and for files whose header cannot be read.
    """
    required = _gltf_header(path).get("extensionsRequired")
    names = required if isinstance(required, list) else []
    return sorted(name for name in names if isinstance(name, str) and "compression" in name)


def appearance_notes(path: Path) -> list[str]:
    """Tell what of a file's look is lost when it is read.

    Args:
        path: A mesh file that could be loaded.

    Returns:
        One sentence for each loss: images that are missing, glTF texture transforms and second
        sets of texture coordinates; none for other kinds of file, whose readers tell themselves
        (`TexturedMesh.losses`).
    """
    return _gltf_notes(path)


def _gltf_header(path: Path) -> dict[str, Any]:
    """Read the JSON part of a glTF or GLB file; empty if there is none that can be read."""
    try:
        if path.suffix.lower() == ".gltf":
            header = json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix.lower() == ".glb":
            with path.open("rb") as file:
                magic, _, _, length, _ = struct.unpack("<4sIIII", file.read(20))
                header = json.loads(file.read(length)) if magic == _GLB_MAGIC else {}
        else:
            return {}
    except (OSError, ValueError, RecursionError, struct.error):
        return {}
    return header if isinstance(header, dict) else {}


def _gltf_notes(path: Path) -> list[str]:
    """List what is lost of a glTF file, from its header."""
    header = _gltf_header(path)
    notes = []
    for image in _objects(header.get("images")):
        uri, kind = image.get("uri"), image.get("mimeType")
        name = uri if isinstance(uri, str) and not uri.startswith("data:") else ""
        if name and not (path.parent / unquote(name)).is_file():
            notes.append(f"image {name} is missing")
        if isinstance(kind, str) and "ktx" in kind:
            notes.append("KTX2 images cannot be read")
    for material in _objects(header.get("materials")):
        look = material.get("pbrMetallicRoughness")
        look = look if isinstance(look, dict) else {}
        for texture in _objects([*look.values(), *material.values()]):
            if "KHR_texture_transform" in (texture.get("extensions") or {}):
                notes.append("KHR_texture_transform is ignored")
            if texture.get("texCoord"):
                notes.append("the second set of texture coordinates is ignored")
            if texture.get("scale", 1) != 1:
                notes.append("the scale of the normal texture is ignored")
        if "occlusionTexture" in material:
            notes.append("the occlusion texture is ignored")
        for name in sorted(material.get("extensions") or {}):
            notes.append(f"{name} is ignored")
    return sorted(set(notes))


def _objects(values: Any) -> list[dict[str, Any]]:
    """Return the JSON objects among the entries of a list; none if it is no list."""
    return (
        [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []
    )
