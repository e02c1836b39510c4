"""Binary glTF 2.0: one file with the mesh, its texture and its materials."""

import json
import struct
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from get3d.core.files import atomic_path
from get3d.core.textures import EncodedTexture, Sampler, Wrap
from get3d.core.types import Material, TexturedMesh
from get3d.export.names import unique_names
from get3d.export.split import SplitMesh, split_corners
from get3d.export.texture_images import (
    check_jpeg_quality,
    encode_image,
    material_image,
    other_textures,
    rgb_image,
)
from get3d.geometry import is_watertight

# Numbers of the glTF 2.0 specification, section 5.1 and on.
_FLOAT, _UINT16, _UINT32 = 5126, 5123, 5125
_ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER = 34962, 34963
_LINEAR, _LINEAR_MIPMAP_LINEAR = 9729, 9987
_NEAREST = 9728
_WRAPS: dict[Wrap, int] = {"clamp": 33071, "repeat": 10497, "mirror": 33648}
_KINDS = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4"}


def save_glb(
    textured_mesh: TexturedMesh, path: Path | str, *, jpeg_quality: int | None = None
) -> None:
    """Write a binary glTF file: textures inside, normals, y up, vertices split at UV seams.

    Every used material becomes a primitive. Closed meshes are one-sided unless a material says
    otherwise.

    Args:
        textured_mesh: At least one face.
        path: Where the file goes; it appears whole or not at all. Its stem names the shape.
        jpeg_quality: As for `encode_glb`.
    """
    glb = encode_glb(textured_mesh, jpeg_quality=jpeg_quality, name=Path(path).stem)
    with atomic_path(path) as temp_path:
        temp_path.write_bytes(glb)


def encode_glb(
    textured_mesh: TexturedMesh, *, jpeg_quality: int | None = None, name: str = "shape"
) -> bytes:
    """Build the bytes of a binary glTF file, for a file or for a web page.

    Args:
        textured_mesh: At least one face.
        jpeg_quality: Of opaque textures, 1 to 95: several times smaller and faster to write. None:
            PNG, which keeps every texel as it is.
        name: Name of node, mesh and images, and of materials that have none of their own.

    Returns:
        The whole file.

    Raises:
        MeshError: As `split_corners`.
        ConfigError: If the quality is out of range.
    """
    check_jpeg_quality(jpeg_quality)
    builder = _Builder()
    is_closed = is_watertight(textured_mesh.mesh)
    samplers: dict[Sampler, int] = {}
    primitives = []
    names = unique_names(
        [name if m.name == Material.name else m.name for m in textured_mesh.materials]
    )
    for index, whole in split_corners(textured_mesh):
        material = replace(textured_mesh.materials[index], name=names[index])
        sets = {n: uvs for n, uvs in whole.other_uvs.items() if getattr(material, n) is not None}
        part = replace(whole, other_uvs=sets)
        wrap: Wrap = "repeat" if part.is_repeating else "clamp"
        textures = [material.texture, *(texture for _, texture in other_textures(material))]
        for texture in textures if part.uvs is not None else ():
            if texture is not None:
                sampler = _sampler(texture, wrap)
                if sampler not in samplers:
                    samplers[sampler] = builder.add("samplers", _sampler_entry(sampler))
        primitive = _primitive(builder, part)
        image_name = name if len(names) == 1 else f"{name}_{names[index]}"
        primitive["material"] = _add_material(
            builder, image_name, material, part, samplers, is_closed, jpeg_quality
        )
        primitives.append(primitive)
    builder.add("meshes", {"name": name, "primitives": primitives})
    builder.add("nodes", {"name": name, "mesh": 0})
    builder.add("scenes", {"nodes": [0]})
    return builder.to_bytes(textured_mesh.notes)


@dataclass
class _Builder:
    """A glTF document under construction: its lists of things, and the one binary buffer."""

    lists: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    binary: bytearray = field(default_factory=bytearray)

    def add(self, kind: str, thing: dict[str, Any]) -> int:
        """Append to one of the lists; returns its index there."""
        things = self.lists.setdefault(kind, [])
        things.append(thing)
        return len(things) - 1

    def add_view(self, content: bytes, target: int | None = None) -> int:
        """Append bytes to the buffer, starting at a multiple of four."""
        self.binary += b"\0" * (-len(self.binary) % 4)
        view = {"buffer": 0, "byteOffset": len(self.binary), "byteLength": len(content)}
        self.binary += content
        return self.add("bufferViews", view | ({} if target is None else {"target": target}))

    def add_attribute(self, values: Float[np.ndarray, "n c"], *, bounds: bool = False) -> int:
        """Append a vertex attribute; bounds are required of positions only."""
        values = np.ascontiguousarray(values, dtype="<f4")
        accessor: dict[str, Any] = {
            "bufferView": self.add_view(values.tobytes(), _ARRAY_BUFFER),
            "componentType": _FLOAT,
            "count": len(values),
            "type": _KINDS[values.shape[1]],
        }
        if bounds:
            accessor["min"] = values.min(axis=0).tolist()
            accessor["max"] = values.max(axis=0).tolist()
        return self.add("accessors", accessor)

    def add_indices(self, faces: Int[np.ndarray, "faces 3"], num_verts: int) -> int:
        """Append triangle indices, in two bytes each where they fit (65535 is reserved)."""
        is_short = num_verts <= 0xFFFF
        content = faces.astype("<u2" if is_short else "<u4").tobytes()
        return self.add(
            "accessors",
            {
                "bufferView": self.add_view(content, _ELEMENT_ARRAY_BUFFER),
                "componentType": _UINT16 if is_short else _UINT32,
                "count": faces.size,
                "type": "SCALAR",
            },
        )

    def to_bytes(self, notes: tuple[str, ...] = ()) -> bytes:
        """Join header, JSON chunk and binary chunk."""
        binary = bytes(self.binary) + b"\0" * (-len(self.binary) % 4)
        asset: dict[str, Any] = {"version": "2.0", "generator": "get3d"}
        document = {
            "asset": asset | ({"extras": {"notes": list(notes)}} if notes else {}),
            "scene": 0,
            "buffers": [{"byteLength": len(binary)}],
            **self.lists,
        }
        text = json.dumps(document, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        total = 12 + 8 + len(text) + 8 + len(binary)
        return b"".join(
            [
                struct.pack("<4sII", b"glTF", 2, total),
                struct.pack("<I4s", len(text), b"JSON"),
                text,
                struct.pack("<I4s", len(binary), b"BIN\0"),
                binary,
            ]
        )


def _sampler(texture: Tensor | EncodedTexture, wrap: Wrap) -> Sampler:
    """Return the sampler of an encoded texture, or one that wraps as the coordinates need it."""
    return texture.sampler if isinstance(texture, EncodedTexture) else Sampler(wrap, wrap)


def _sampler_entry(sampler: Sampler) -> dict[str, Any]:
    return {
        "magFilter": _NEAREST if sampler.is_nearest else _LINEAR,
        "minFilter": _LINEAR_MIPMAP_LINEAR,
        "wrapS": _WRAPS[sampler.wrap_u],
        "wrapT": _WRAPS[sampler.wrap_v],
    }


def _primitive(builder: _Builder, part: SplitMesh) -> dict[str, Any]:
    attributes = {
        "POSITION": builder.add_attribute(part.verts, bounds=True),
        "NORMAL": builder.add_attribute(part.normals),
    }
    if part.uvs is not None:
        # glTF counts v from the top.
        for number, uvs in enumerate((part.uvs, *part.other_uvs.values())):
            attributes[f"TEXCOORD_{number}"] = builder.add_attribute(uvs * (1, -1) + (0, 1))
    if part.colors is not None:
        attributes["COLOR_0"] = builder.add_attribute(part.colors)
    return {"attributes": attributes, "indices": builder.add_indices(part.faces, len(part.verts))}


def _add_material(
    builder: _Builder,
    name: str,
    material: Material,
    part: SplitMesh,
    samplers: dict[Sampler, int],
    is_closed: bool,
    jpeg_quality: int | None,
) -> int:
    """Append a material with its textures, whose names begin with `name`."""
    look: dict[str, Any] = {
        "metallicFactor": float(material.metallic),
        "roughnessFactor": float(material.roughness),
    }
    is_clear = material.base_color[3] < 1
    if material.base_color != (1.0, 1.0, 1.0, 1.0):
        look["baseColorFactor"] = list(material.base_color)

    wrap: Wrap = "repeat" if part.is_repeating else "clamp"
    sets = list(part.other_uvs)

    def add_texture(
        channel: str, texture: Tensor | EncodedTexture, quality: int | None
    ) -> dict[str, Any]:
        field = "texture" if channel == "base_color" else f"{channel}_texture"
        # An ignored alpha channel would come back with the mode BLEND.
        is_kept = quality is None and (
            material.alpha_mode == "OPAQUE" or not getattr(texture, "is_opaque", False)
        )
        kind = _image_kind(texture) if is_kept else None
        if kind is not None and isinstance(texture, EncodedTexture):
            content = texture.encoded
        else:
            image_u8 = material_image(texture) if field == "texture" else rgb_image(texture)
            content, kind = encode_image(image_u8, quality)
        view = builder.add_view(content)
        image = builder.add(
            "images",
            {"name": f"{name}_{channel}", "bufferView": view, "mimeType": f"image/{kind}"},
        )
        entry = {"source": image, "sampler": samplers[_sampler(texture, wrap)]}
        number = {"texCoord": sets.index(field) + 1} if field in sets else {}
        return {"index": builder.add("textures", entry)} | number

    found: dict[str, Any] = {"name": material.name, "pbrMetallicRoughness": look}
    textures = [] if part.uvs is None else other_textures(material)
    if material.texture is not None and part.uvs is not None:
        if material.alpha_mode is None:
            is_clear |= material_image(material.texture).shape[-1] == 4
        look["baseColorTexture"] = add_texture("base_color", material.texture, jpeg_quality)
    for channel, texture in textures:
        is_color = channel == "emissive"  # others are measurements: no loss
        entry = add_texture(channel, texture, jpeg_quality if is_color else None)
        match channel:
            case "metallic_roughness":
                look["metallicRoughnessTexture"] = entry
            case "normal":
                scale = {} if material.normal_scale == 1 else {"scale": material.normal_scale}
                found["normalTexture"] = entry | scale
            case "emissive":
                found["emissiveTexture"] = entry
    if any(value != 0 for value in material.emissive):
        found["emissiveFactor"] = list(material.emissive)
    if part.colors is not None:
        is_clear |= bool(part.colors[:, 3].min() < 1)
    alpha_mode = material.alpha_mode or ("BLEND" if is_clear else "OPAQUE")
    if alpha_mode != "OPAQUE":
        found["alphaMode"] = alpha_mode
    if alpha_mode == "MASK" and material.alpha_cutoff != 0.5:
        found["alphaCutoff"] = float(material.alpha_cutoff)
    if not is_closed if material.double_sided is None else material.double_sided:
        found["doubleSided"] = True
    return builder.add("materials", found)


def _image_kind(texture: Tensor | EncodedTexture) -> Literal["png", "jpeg"] | None:
    """Tell whether the bytes of a texture can be written as they are."""
    if not isinstance(texture, EncodedTexture):
        return None
    if texture.encoded.startswith(b"\x89PNG"):
        return "png"
    return "jpeg" if texture.encoded.startswith(b"\xff\xd8") else None
