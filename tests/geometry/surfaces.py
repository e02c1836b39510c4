"""Comparison of meshes regardless of the order of vertices and faces."""

import torch

from get3d.core import Mesh


def assert_same_surface(ours: Mesh, theirs: Mesh, *, atol: float = 1e-6) -> None:
    """Match vertices by position, then compare faces up to rotation of their corners."""
    assert len(ours.verts) == len(theirs.verts) > 0
    assert faces_among(ours, theirs, atol=atol) == faces_among(theirs, theirs, atol=atol)


def faces_among(part: Mesh, whole: Mesh, *, atol: float = 1e-6) -> set[tuple[int, ...]]:
    """Return the faces of a mesh by the vertex indices of a mesh that contains its vertices."""
    nearest = torch.cdist(part.verts.double(), whole.verts.double()).min(1)
    assert nearest.values.max() <= atol
    assert len(nearest.indices.unique()) == len(part.verts)
    faces = nearest.indices[part.faces]
    first = faces.argmin(1, keepdim=True)
    turned = faces.gather(1, (first + torch.arange(3)) % 3)
    found = set(map(tuple, turned.tolist()))
    assert len(found) == len(part.faces)
    return found
