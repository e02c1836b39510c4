"""A small writer of glTF files, with everything that the product's own writer never writes."""

import base64
import io
import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from get3d.core import Mesh, TexturedMesh
from get3d.data import load_mesh
from get3d.geometry.cameras import orbit_cameras
from get3d.render import render_textured

CORNERS = [[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]
UVS = [[0, 1], [1, 1], [1, 0], [0, 0]]
SQUARE = [0, 1, 2, 0, 2, 3]
RED, GREEN, BLUE, WHITE = [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]
QUARTERS = np.kron(np.array([[RED, GREEN], [BLUE, WHITE]]), np.ones((8, 8, 1))).astype(np.uint8)
_TYPES = {"i1": 5120, "u1": 5121, "i2": 5122, "u2": 5123, "u4": 5125, "f4": 5126}
_KINDS = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}


def png(texels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(texels).save(buffer, format="PNG")
    return buffer.getvalue()


class Gltf:
    """A document: lists of objects, to be changed at will, and one buffer."""

    def __init__(self) -> None:
        self.root: dict[str, Any] = {"asset": {"version": "2.0"}}
        self.binary = b""

    def add(self, kind: str, **entry: Any) -> int:
        self.root.setdefault(kind, []).append(entry)
        return len(self.root[kind]) - 1

    def view(self, content: bytes, **entry: Any) -> int:
        self.binary += bytes(-len(self.binary) % 4)
        start = len(self.binary)
        self.binary += content
        return self.add("bufferViews", buffer=0, byteOffset=start, byteLength=len(content), **entry)

    def accessor(self, values: Any, dtype: str = "f4", *, pad: int = 0, **entry: Any) -> int:
        """Store values; `pad` bytes after each element make an interleaved view."""
        array = np.asarray(values, dtype=f"<{dtype}")
        array = array.reshape(len(array), -1)
        stride = {"byteStride": array[0].nbytes + pad} if pad else {}
        content = b"".join(row.tobytes() + bytes(pad) for row in array)
        return self.add(
            "accessors",
            bufferView=self.view(content, **stride),
            componentType=_TYPES[dtype],
            count=len(array),
            type=_KINDS[array.shape[1]],
            **entry,
        )

    def texture(self, texels: np.ndarray = QUARTERS, **sampler: int) -> dict[str, Any]:
        image = self.add("images", bufferView=self.view(png(texels)), mimeType="image/png")
        entry = {"sampler": self.add("samplers", **sampler)} if sampler else {}
        return {"index": self.add("textures", source=image, **entry)}

    def material(self, color: Any = (1, 1, 1, 1), texture: Any = None, **entry: Any) -> int:
        look: dict[str, Any] = {"baseColorFactor": list(color)}
        if texture is not None:
            look["baseColorTexture"] = texture
        return self.add("materials", pbrMetallicRoughness=look, **entry)

    def square(self, *, corners: Any = CORNERS, uvs: Any = UVS, **primitive: Any) -> dict[str, Any]:
        attributes = {"POSITION": self.accessor(corners)}
        if uvs is not None:
            attributes["TEXCOORD_0"] = self.accessor(uvs)
        attributes |= primitive.pop("attributes", {})
        indices = {} if "indices" in primitive else {"indices": self.accessor(SQUARE, "u2")}
        return {"attributes": attributes, **indices, **primitive}

    def node(self, *primitives: dict[str, Any], mesh: Any = None, **entry: Any) -> int:
        return self.add(
            "nodes", mesh=self.add("meshes", primitives=list(primitives), **(mesh or {})), **entry
        )

    def glb(self, path: Path) -> Path:
        document = {"buffers": [{"byteLength": len(self.binary)}], **self.root}
        text = json.dumps(document).encode()
        text += b" " * (-len(text) % 4)
        binary = self.binary + bytes(-len(self.binary) % 4)
        chunks = struct.pack("<I4s", len(text), b"JSON") + text
        chunks += struct.pack("<I4s", len(binary), b"BIN\0") + binary
        path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks)
        return path

    def gltf(self, path: Path, uri: str | None = None) -> Path:
        content = base64.b64encode(self.binary).decode()
        buffer = {
            "byteLength": len(self.binary),
            "uri": uri or f"data:application/octet-stream;base64,{content}",
        }
        path.write_text(json.dumps({"buffers": [buffer], **self.root}))
        return path


def look(
    path: Path | TexturedMesh, *, supersample: int = 1, cull_backfaces: bool = False
) -> np.ndarray:
    """Colours at the centres of a 4 x 4 grid over [-1, 1], seen from +z without light."""
    shape = path if isinstance(path, TexturedMesh) else load_mesh(path)
    mesh = Mesh(shape.mesh.verts.float(), shape.mesh.faces)
    half_turn, right_angle = torch.tensor([math.pi]), torch.tensor([math.pi / 2])
    cameras = orbit_cameras(half_turn, right_angle, radius=50.0, fovy_rad=2 * math.atan(1 / 50))
    textured = TexturedMesh(**{**vars(shape), "mesh": mesh})
    rgba = render_textured(
        textured, cameras, 20, supersample=supersample, cull_backfaces=cull_backfaces
    )
    return (rgba[0, 2::5, 2::5].numpy() * 255).round().astype(int)


def rows(*colors: list[int]) -> np.ndarray:
    """Four rows of four opaque colours each, named by quarters: 2 or 4 rows of 2 or 4."""
    grid = np.array(colors)
    grid = grid.reshape(int(math.sqrt(len(colors))), -1, 3)
    grid = np.kron(grid, np.ones((4 // len(grid), 4 // len(grid), 1), int))
    return np.concatenate([grid, np.full((4, 4, 1), 255)], axis=2)


QUARTERED = rows(RED, GREEN, BLUE, WHITE)
