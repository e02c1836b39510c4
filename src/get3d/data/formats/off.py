"""OFF, with the colours and normals of its variants."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from get3d.core.types import TexturedMesh
from get3d.data.formats.assemble import MeshArrays, linear_colors, to_textured_mesh
from get3d.data.formats.polygons import triangulate
from get3d.data.formats.side_files import read_lines

# ModelNet has files with the counts right behind the word.
_HEADER = re.compile(r"(ST)?(C)?(N)?(4|n)?OFF\s*(BINARY)?")


def read_off(path: Path, dtype: torch.dtype) -> TexturedMesh:
    """Read an OFF file (OFF, COFF, NOFF, STOFF and combinations).

    Args:
        path: The file.
        dtype: Of the positions.

    Raises:
        ValueError: If the file is damaged, binary or of other than 3 dimensions.
    """
    lines = [line.partition("#")[0].strip() for line in read_lines(path)]
    lines = [line for line in lines if line]
    header = _HEADER.match(lines[0]) if lines else None
    losses = []
    if header:
        if header[4] or header[5]:
            raise ValueError(f"the variant {header[0]} of OFF is not read")
        if header[1]:
            losses.append("texture coordinates are ignored: the format names no image")
        rest = lines[0][header.end() :].strip()
        lines = ([rest] if rest else []) + lines[1:]
    has_uvs, has_normals = bool(header and header[1]), bool(header and header[3])
    counts = [int(word) for word in lines[0].split()[:2]] if lines else []
    if len(counts) < 2 or min(counts) < 0 or sum(counts) > len(lines) - 1:
        raise ValueError("the file has fewer lines than its header says")
    num_verts, num_faces = counts
    rows = [[float(word) for word in line.split()] for line in lines[1 : 1 + num_verts]]
    num_places = 6 if has_normals else 3
    if any(len(row) < num_places for row in rows):
        raise ValueError("a vertex has too few numbers")
    verts = np.array([row[:3] for row in rows], np.float64).reshape(-1, 3)
    normals = np.array([row[3:num_places] for row in rows], np.float64).reshape(num_verts, -1)
    vert_colors = _colors([row[num_places : -2 if has_uvs else None] for row in rows])
    polygons, tails = _faces(lines[1 + num_verts : 1 + num_verts + num_faces])
    if len(polygons) < num_faces:
        losses.append(f"faces with fewer than 3 corners: {num_faces - len(polygons)}")
    corner = np.array([index for polygon in polygons for index in polygon], np.int64)
    if len(corner) and (corner.min() < 0 or corner.max() >= num_verts):
        raise ValueError(f"a face names a vertex that is not among the {num_verts}")
    sizes = np.array([len(polygon) for polygon in polygons], np.int64)
    triangles, polygon = triangulate(verts[corner], sizes)
    face_colors = None if vert_colors is not None else _colors(tails)
    if face_colors is None and any(tails):
        losses.append("the colours of the faces are ignored")
    arrays = MeshArrays(
        verts=verts,
        faces=corner[triangles],
        normals=normals if has_normals else np.zeros((0, 3)),
        normal_faces=corner[triangles] if has_normals else None,
        vert_colors=vert_colors,
        face_colors=None if face_colors is None else face_colors[polygon],
        losses=tuple(losses),
    )
    return to_textured_mesh(arrays, dtype)


def _faces(lines: Sequence[str]) -> tuple[list[list[int]], list[list[float]]]:
    """Read the corners of faces that have at least 3, and what follows each."""
    polygons, tails = [], []
    for line in lines:
        words = line.split()
        size = int(words[0])
        if size < 3:
            continue
        if size > len(words) - 1:
            raise ValueError("a face has fewer corners than it says")
        polygons.append([int(word) for word in words[1 : 1 + size]])
        tails.append([float(word) for word in words[1 + size :]])
    return polygons, tails


def _colors(tails: Sequence[Sequence[float]]) -> Float[np.ndarray, "n 4"] | None:
    """Read RGB or RGBA, up to 1 or 255; white where there is none, None if nothing has any."""
    has_color = np.array([len(tail) >= 3 for tail in tails], bool)
    if not has_color.any():
        return None
    rows = [tail for tail in tails if len(tail) >= 3]
    colors = np.ones((len(tails), 4))
    colors[has_color] = linear_colors(np.array([[*row[:4], np.nan][:4] for row in rows]))
    return colors
