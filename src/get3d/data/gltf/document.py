"""The container of a glTF file: its JSON, its buffers, and the files that it names."""

import base64
import binascii
import json
import math
import os
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

from get3d.core import MeshError
from get3d.data.formats.side_files import is_near

# What of a required extension this reader does, or what diffuse images do not depend on.
KNOWN_EXTENSIONS = frozenset(
    {
        "EXT_mesh_gpu_instancing",
        "EXT_texture_webp",
        "KHR_animation_pointer",
        "KHR_lights_punctual",
        "KHR_materials_anisotropy",
        "KHR_materials_clearcoat",
        "KHR_materials_dispersion",
        "KHR_materials_emissive_strength",
        "KHR_materials_ior",
        "KHR_materials_iridescence",
        "KHR_materials_pbrSpecularGlossiness",
        "KHR_materials_sheen",
        "KHR_materials_specular",
        "KHR_materials_unlit",
        "KHR_materials_variants",
        "KHR_mesh_quantization",
        "KHR_node_visibility",
        "KHR_texture_transform",
        "KHR_xmp_json_ld",
    }
)
_MAGIC, _JSON, _BIN = b"glTF", b"JSON", b"BIN\0"
_MAX_JSON_BYTES = 1 << 28
_LARGEST = 1e30


class DamagedError(MeshError):
    """What is wrong in a file that is damaged or written wrongly."""


@dataclass
class Document:
    """A glTF file.

    Attributes:
        root: The JSON document.
        folder: Where relative addresses start.
        binary: Binary chunk of a GLB file.
        notes: What is lost in reading, a sentence each, in the order of discovery.
        images: Content of the images that were read, by index; None: they cannot be used.
    """

    root: dict[str, Any]
    folder: Path
    binary: memoryview | None = None
    notes: dict[str, None] = field(default_factory=dict)
    images: dict[int, bytes | None] = field(default_factory=dict)
    _buffers: dict[int, memoryview] = field(default_factory=dict)

    def note(self, text: str) -> None:
        """Keep a sentence about something that is lost, once."""
        self.notes[text] = None

    def item(self, kind: str, index: Any) -> dict[str, Any]:
        """Return an object of a top-level array.

        Raises:
            DamagedError: If there is no such object.
        """
        items, number = as_list(self.root.get(kind)), as_index(index)
        if number is None or number >= len(items):
            raise DamagedError(f"{_one(kind)} {index!r} does not exist")
        return as_object(items[number], f"{_one(kind)} {number}")

    def count(self, kind: str) -> int:
        """Return the length of a top-level array."""
        return len(as_list(self.root.get(kind)))

    def buffer(self, index: Any) -> memoryview:
        """Return the content of a buffer.

        Raises:
            DamagedError: If it is missing or shorter than the file says.
        """
        entry = self.item("buffers", index)
        if index not in self._buffers:
            length = natural(entry, "byteLength", f"buffer {index}")
            uri = entry.get("uri")
            content: bytes | memoryview
            if uri is not None:
                content = self.read_uri(uri, f"buffer {index}", length)
            elif self.binary is not None and index == 0:
                content = self.binary
            else:
                raise DamagedError(f"buffer {index} has no content")
            if len(content) < length:
                raise DamagedError(
                    f"buffer {index} has {len(content)} bytes instead of {length}: it is cut off"
                )
            self._buffers[index] = memoryview(content)[:length]
        return self._buffers[index]

    def view(self, index: Any) -> tuple[memoryview, int | None]:
        """Return the bytes of a buffer view, and its stride if it has one.

        Raises:
            DamagedError: If it is not inside its buffer.
        """
        entry = self.item("bufferViews", index)
        what = f"buffer view {index}"
        content = self.buffer(entry.get("buffer"))
        start = natural(entry, "byteOffset", what, default=0)
        length = natural(entry, "byteLength", what)
        if start + length > len(content):
            raise DamagedError(f"{what} goes beyond the end of its buffer")
        stride = None
        if "byteStride" in entry:
            stride = natural(entry, "byteStride", what)
        return content[start : start + length], stride

    def num_bytes(self) -> int:
        """Return the number of bytes of all buffers, a bound of sane counts."""
        return sum(len(self.buffer(index)) for index in range(self.count("buffers")))

    def read_uri(self, uri: Any, what: str, length: int | None = None) -> bytes:
        """Read what an address names: data in the address itself, or a file.

        Args:
            uri: Relative to the file, possibly percent-encoded, or with `data:` at its start.
            what: Name for error messages.
            length: Number of bytes needed; None: all.

        Raises:
            DamagedError: If it cannot be read.
        """
        if not isinstance(uri, str):
            raise DamagedError(f"the address of {what} is not text")
        if uri[:5].lower() == "data:":
            return _decode_data(uri, what)
        if "://" in uri[:16]:
            raise DamagedError(f"{what} is not a file beside it ({_shown(uri)})")
        # As written, for exporters that do not encode; with slashes, for those of Windows.
        for name in (unquote(uri), uri, unquote(uri).replace("\\", "/")):
            if "\0" in name or not is_near(self.folder, self.folder / name):
                continue
            content = read_regular_file(self.folder / name, length)
            if content is not None:
                return content
        raise DamagedError(
            f"{what} {_shown(unquote(uri))} is missing, no regular file or too far above the "
            "mesh file"
        )


def open_document(path: Path) -> Document:
    """Read the container of a glTF or GLB file, and check what it requires.

    Args:
        path: The file; which kind it is depends on its content.

    Raises:
        DamagedError: If it is damaged.
        MeshError: If it is of another version, or needs an extension that is unknown.
    """
    content = read_regular_file(path)
    if content is None:
        raise DamagedError("is no regular file")
    binary = None
    if content[:4] == _MAGIC:
        text, binary = _split_chunks(content)
    else:
        text = content
    if len(text) > _MAX_JSON_BYTES:
        raise MeshError("has more than 256 MB of JSON")
    try:
        root = json.loads(text.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"has no valid JSON ({' '.join(str(error).split())[:100]})") from error
    document = Document(as_object(root, "the document"), path.parent, binary)
    _check_extensions(document)
    asset = document.root.get("asset")
    version = asset.get("version", "2.0") if isinstance(asset, dict) else "2.0"
    if not str(version).startswith("2."):
        raise MeshError(f"is glTF {_shown(str(version))}, but 2.0 is read; convert it to that")
    return document


def read_regular_file(path: Path, length: int | None = None) -> bytes | None:
    """Read a file, but never wait for a pipe or a device.

    Args:
        path: The file.
        length: Read no more bytes than that.

    Returns:
        Its content; None if there is no such regular file.
    """
    try:
        # Opening a pipe would wait for a writer; Windows has no such flag, nor such pipes.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with open(descriptor, "rb") as file:  # noqa: PTH123  # of a descriptor
        return file.read() if length is None else file.read(length)


def as_object(value: Any, what: str) -> dict[str, Any]:
    """Return a JSON object.

    Raises:
        DamagedError: If it is something else.
    """
    if not isinstance(value, dict):
        raise DamagedError(f"{what} is not an object")
    return value


def as_list(value: Any) -> list[Any]:
    """Return a JSON array; an empty one for anything else."""
    return value if isinstance(value, list) else []


def as_index(value: Any) -> int | None:
    """Return a natural number of JSON, which some exporters write as 3.0; None for others."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    is_natural = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return value if is_natural else None


def natural(
    entry: Mapping[str, Any],
    key: str,
    what: str,
    *,
    default: int | None = None,
    most: int = 1 << 40,
) -> int:
    """Return a property that is a natural number.

    Raises:
        DamagedError: If it is missing without a default, something else, or too large.
    """
    number = as_index(entry.get(key, default))
    if number is None or number > most:
        raise DamagedError(f"{key} of {what} is {_shown(str(entry.get(key)))}, no usable number")
    return number


def extension(entry: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """Return an extension of an object, or None."""
    extensions = entry.get("extensions")
    found = extensions.get(name) if isinstance(extensions, dict) else None
    return found if isinstance(found, dict) else None


def numbers(value: Any, default: tuple[float, ...]) -> tuple[float, ...]:
    """Return a list of finite numbers; the default where there is none of its length."""
    if not isinstance(value, list) or len(value) != len(default):
        return default
    found = tuple(number(each, math.nan) for each in value)
    return default if any(math.isnan(each) for each in found) else found


def number(value: Any, default: float) -> float:
    """Return a finite number of JSON; the default for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return default
    return float(value) if abs(value) < _LARGEST else default  # False for NaN, too


def _split_chunks(content: bytes) -> tuple[bytes, memoryview | None]:
    """Take a GLB file apart into JSON and the binary chunk."""
    if len(content) < 20:
        raise DamagedError("is cut off")
    version, total = struct.unpack_from("<II", content, 4)
    if version != 2:
        raise MeshError(f"is binary glTF {version}, but 2 is read; convert it to that")
    if total > len(content):
        raise DamagedError(f"has {len(content)} bytes instead of {total}: it is cut off")
    chunks: dict[bytes, memoryview] = {}
    place = 12
    while place + 8 <= total:
        length, kind = struct.unpack_from("<I4s", content, place)
        place += 8
        if place + length > total:
            raise DamagedError("has a chunk that goes beyond its end")
        if kind in (_JSON, _BIN):
            chunks.setdefault(kind, memoryview(content)[place : place + length])
        place += length
    if _JSON not in chunks:
        raise DamagedError("has no JSON chunk")
    # Some exporters fill up with zeros instead of blanks.
    return bytes(chunks[_JSON]).rstrip(b"\0"), chunks.get(_BIN)


def _check_extensions(document: Document) -> None:
    """Raise an error if a required extension is unknown."""
    required = document.root.get("extensionsRequired", [])
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise DamagedError("extensionsRequired is not a list of names")
    unknown = sorted({name for name in required if name not in KNOWN_EXTENSIONS})
    if unknown:
        raise MeshError(
            f"needs {', '.join(_shown(name) for name in unknown[:8])}, which cannot be read; "
            "export it without"
        )


def _decode_data(uri: str, what: str) -> bytes:
    """Decode an address that holds its data."""
    head, comma, body = uri.partition(",")
    if not comma:
        raise DamagedError(f"{what} has a damaged data address")
    if not head.lower().endswith(";base64"):
        return unquote_to_bytes(body)
    try:
        text = unquote(body) if "%" in body else body
        return base64.b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise DamagedError(f"{what} has a damaged data address") from error


def _one(kind: str) -> str:
    """Name one object of a top-level array."""
    return {"meshes": "mesh", "bufferViews": "buffer view"}.get(kind, kind.removesuffix("s"))


def _shown(text: str) -> str:
    """Bring text of a file onto one short line."""
    return " ".join(text.split())[:80]
