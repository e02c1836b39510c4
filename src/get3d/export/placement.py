"""Placement of exported shapes: pivot, up axis and size."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from get3d.core import ConfigError, Mesh, TexturedMesh


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Pivot, up axis and size of exported shapes; by default they stay as the model made them."""

    pivot: Literal["bottom", "centre"] | None = None
    """Point at the origin: bottom is the middle of the bounding box's lowest face, centre that of
    the box; the middle of the model's cube if left out."""

    up: Literal["y", "z"] | None = None
    """Axis that points up; y if left out, but z in ply files, which Blender reads with z up."""

    size: float | None = None
    """Longest side of the bounding box, in metres; the model's own units if left out."""

    def __post_init__(self) -> None:
        """Validate the values; raise ConfigError."""
        if self.size is not None and not 0 < self.size < math.inf:
            raise ConfigError(f"size must be positive and finite, got {self.size}")


def place(textured_mesh: TexturedMesh, placement: Placement) -> TexturedMesh:
    """Move, scale and rotate a mesh with y up; its notes say what was done.

    Args:
        textured_mesh: At least one face.
        placement: What to do.
    """
    verts, faces = textured_mesh.mesh.verts, textured_mesh.mesh.faces
    used = verts[faces.flatten()]
    low, high = used.amin(0), used.amax(0)
    notes = textured_mesh.notes
    if placement.size is not None:
        factor = placement.size / float((high - low).max())
        verts, low, high = verts * factor, low * factor, high * factor
        notes += (f"scaled to a longest side of {placement.size:g} m",)
    if placement.pivot is not None:
        origin = (low + high) / 2
        if placement.pivot == "bottom":
            origin = torch.stack([origin[0], low[1], origin[2]])
        verts = verts - origin
        notes += (f"origin at the {placement.pivot}",)
    normals = textured_mesh.normals
    if placement.up == "z":
        verts, normals = _turn(verts), None if normals is None else _turn(normals)
        notes += ("z is up",)
    return replace(textured_mesh, mesh=Mesh(verts, faces), normals=normals, notes=notes)


def _turn(vectors: Tensor) -> Tensor:
    """Rotate vectors with y up so that z is up."""
    x, y, z = vectors.unbind(-1)
    return torch.stack([x, -z, y], dim=-1)
