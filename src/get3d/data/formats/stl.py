"""STL: triangles without colours, as bytes or as text in any encoding."""

from pathlib import Path

import numpy as np
import torch

from get3d.core.types import TexturedMesh
from get3d.data.formats.assemble import MeshArrays, to_textured_mesh
from get3d.data.formats.side_files import read_lines

_HEADER_BYTES = 84
_FIRST_LINES = 20
_NAMES = (["solid"], ["endsolid"])  # their lines have a name, of any words
_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


def read_stl(path: Path, dtype: torch.dtype) -> TexturedMesh:
    """Read an STL file.

    Args:
        path: The file.
        dtype: Of the positions.

    Raises:
        ValueError: If the file is damaged.
    """
    data = path.read_bytes()
    num_triangles = int.from_bytes(data[80:84], "little")
    size = _HEADER_BYTES + num_triangles * _TRIANGLE.itemsize
    fits = len(data) >= max(_HEADER_BYTES, size)
    # A header of bytes may begin with "solid", and the count of a text may fit by chance.
    lines = [] if len(data) == size else [line.lower().split() for line in read_lines(path)]
    is_text = ["solid"] in [line[:1] for line in lines[:_FIRST_LINES]] and (
        not fits or any(line[:1] == ["vertex"] for line in lines)
    )
    losses: tuple[str, ...] = ()
    if fits and not is_text:
        table = np.frombuffer(data, _TRIANGLE, num_triangles, _HEADER_BYTES)
        verts = table["corners"].reshape(-1, 3).astype(np.float64)
        if table["attribute"].any():
            losses = ("the colours of the faces are ignored",)
    elif is_text:
        words = [word for line in lines if line[:1] not in _NAMES for word in line]
        at = [place for place, word in enumerate(words) if word == "vertex"]
        if at and at[-1] + 3 >= len(words):
            raise ValueError("the file is cut off")
        verts = np.array([words[place + 1 : place + 4] for place in at], np.float64).reshape(-1, 3)
    else:
        raise ValueError(f"the file ends within its {num_triangles} triangles")
    if len(verts) % 3:
        raise ValueError("the file is cut off")
    faces = np.arange(len(verts)).reshape(-1, 3)
    return to_textured_mesh(MeshArrays(verts=verts, faces=faces, losses=losses), dtype)
