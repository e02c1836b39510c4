"""STL: triangles without colours, as bytes or as text in any encoding."""

from pathlib import Path

import numpy as np
import torch

from get3d.core.types import TexturedMesh
from get3d.data.formats.assemble import MeshArrays, to_textured_mesh

_HEADER_BYTES = 84
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
    fits = len(data) >= _HEADER_BYTES + num_triangles * _TRIANGLE.itemsize
    is_text = data.lstrip()[:5].lower() == b"solid" and b"vertex" in data
    losses: tuple[str, ...] = ()
    if len(data) >= _HEADER_BYTES and fits and not (is_text and b"facet" in data[:2048]):
        table = np.frombuffer(data, _TRIANGLE, num_triangles, _HEADER_BYTES)
        verts = table["corners"].reshape(-1, 3).astype(np.float64)
        if table["attribute"].any():
            losses = ("the colours of the faces are ignored",)
    elif is_text:
        words = data.split()
        at = [place for place, word in enumerate(words) if word.lower() == b"vertex"]
        if at and at[-1] + 3 >= len(words):
            raise ValueError("the file is cut off")
        verts = np.array([words[place + 1 : place + 4] for place in at], np.float64).reshape(-1, 3)
    elif data.lstrip()[:5].lower() == b"solid":
        verts = np.zeros((0, 3))
    else:
        raise ValueError(f"the file ends within its {num_triangles} triangles")
    if len(verts) % 3:
        raise ValueError("the file is cut off")
    faces = np.arange(len(verts)).reshape(-1, 3)
    return to_textured_mesh(MeshArrays(verts=verts, faces=faces, losses=losses), dtype)
