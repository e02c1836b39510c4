"""Text in the encodings that occur, and the files that a mesh file names, wherever they lie."""

import codecs
import io
import re
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path, PureWindowsPath
from urllib.parse import unquote

from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from get3d.core import EncodedTexture, MeshError, Sampler, image_problem

# Folders, beside a mesh file or beside its folder, where packs and data sets keep images.
_IMAGE_FOLDERS = ("textures", "texture", "images", "maps", "materials")
_REPEAT = Sampler()
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_COMMENT_END = re.compile(r"^([ \t]*#[^\n]*?)\\+\n", re.MULTILINE)


def read_lines(path: Path, *, continued: bool = False) -> list[str]:
    """Read a text file in UTF-8, UTF-16 or Latin-1, with or without a byte-order mark.

    Args:
        path: The file.
        continued: Whether a backslash at the end of a line continues it.

    Returns:
        The lines, whatever ends them.
    """
    data = path.read_bytes()
    mark = next((mark for mark in _MARKS if data.startswith(mark)), b"")
    try:
        text = data[len(mark) :].decode(_MARKS.get(mark, "utf-8"))
    except UnicodeDecodeError:
        text = data[len(mark) :].decode("latin-1")
    # Joined files have marks in the middle.
    text = text.replace("\ufeff", "").replace("\r\n", "\n").replace("\r", "\n")
    # str.splitlines would also split at letters of Latin-1.
    if continued:  # but for comments, which may end with the name of a folder of Windows
        text = _COMMENT_END.sub(r"\1\n", text).replace("\\\n", " ")
    return text.split("\n")


def find_beside(folder: Path, name: str) -> Path | None:
    r"""Find a file that a mesh file names.

    Names may have quotes, backslashes, another case than the file, percent encodings, or be
    absolute on the machine that wrote them; then their last parts count. Files more than two
    folders above the mesh file are not read, nor anything but regular files.

    Args:
        folder: Folder of the file that has the name in it.
        name: As written, e.g. `..\images\texture0.jpg`.

    Returns:
        The file, or None.
    """
    home = folder.resolve()
    try:
        for base, parts in _candidates(home, name):
            found = _follow(base, parts)
            if found and found.is_file() and is_near(home, found):
                return found
    except (OSError, ValueError):  # no name of a file at all: too long, with zero bytes
        return None
    return None


def is_near(folder: Path, path: Path) -> bool:
    """Tell whether a file lies below the folder two above that of the mesh file; links count."""
    home = folder.resolve()
    root = home.parents[min(1, len(home.parents) - 1)] if home.parents else home
    return path.resolve().is_relative_to(root)


def read_texture(path: Path) -> EncodedTexture | None:
    """Read an image file; None if it cannot be used: the shape is usable without.

    Args:
        path: PNG, JPEG and WebP stay as they are; other kinds become PNG.
    """
    try:
        encoded = path.read_bytes()
        if image_problem(encoded) is not None:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if image.format in ("PNG", "JPEG", "WEBP"):
                    return EncodedTexture(encoded, path.name)
        return encoded_texture(EncodedTexture(encoded, path.name).decode(), path.name)
    except (OSError, MeshError):
        return None


def encoded_texture(
    texels: UInt8[Tensor, "_h _w _c"], name: str, sampler: Sampler = _REPEAT
) -> EncodedTexture:
    """Encode texels as PNG.

    Args:
        texels: RGB or RGBA.
        name: For error messages.
        sampler: How the texture is looked up.
    """
    file = io.BytesIO()
    Image.fromarray(texels.numpy()).save(file, "PNG", compress_level=1)
    return EncodedTexture(file.getvalue(), name, sampler)


def _candidates(home: Path, name: str) -> Iterator[tuple[Path, Sequence[str]]]:
    """List where a file may lie: as written, then by its last parts."""
    plain = name.strip().strip("\"'").removeprefix("file://")
    for text in dict.fromkeys((plain, unquote(plain))):
        path = PureWindowsPath(text)  # takes slashes and backslashes
        parts = [part for part in path.parts if part != path.anchor]
        if not parts:
            continue
        if path.anchor:
            yield Path(text.replace("\\", "/")).parent, [parts[-1]]
        else:
            yield home, parts
        tail = [part for part in parts if part != ".."]
        for start in range(len(tail)):
            yield home, tail[start:]
            yield home.parent, tail[start:]
        for sub in _IMAGE_FOLDERS:
            yield home, [sub, *tail[-1:]]
            yield home.parent, [sub, *tail[-1:]]


def _follow(base: Path, parts: Sequence[str]) -> Path | None:
    """Follow names below a folder, whatever their case and their Unicode form."""
    found = base
    for part in parts:
        if part != ".." and not (found / part).exists():
            if not found.is_dir():
                return None
            same = [entry.name for entry in found.iterdir() if _key(entry.name) == _key(part)]
            if not same:
                return None
            part = min(same)
        found = found / part
    return found


def _key(name: str) -> str:
    """Bring a file name to a form in which those that look the same are the same."""
    return unicodedata.normalize("NFC", name).casefold()
