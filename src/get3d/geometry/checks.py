"""Validation of meshes, and their normalisation to a unit box."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from get3d.core.errors import MeshError
from get3d.core.types import Mesh


def check_mesh(mesh: Mesh) -> None:
    """Validate that positions are finite and that faces index existing vertices.

    Args:
        mesh: Any mesh; may have no faces.

    Raises:
        MeshError: If a position is not finite, or a vertex index is out of range.
        ValueError: If positions are neither float32 nor float64.
    """
    check_finite("vertex positions", mesh.verts)
    check_indices("faces", mesh.faces, len(mesh.verts), "vertices")


def check_surface(mesh: Mesh) -> None:
    """Validate that a mesh has a surface to measure; unreferenced vertices are ignored.

    Args:
        mesh: Any mesh.

    Raises:
        MeshError: If the mesh has no faces or no area, or a vertex of a face is not finite.
    """
    if len(mesh.faces) == 0:
        raise MeshError("the mesh has no faces")
    corners = mesh.verts[mesh.faces].detach().double()
    if not corners.isfinite().all():
        raise MeshError("the mesh has NaN or infinity among the vertices of its faces")
    first, second, third = corners.unbind(1)
    if not torch.linalg.cross(second - first, third - first).any():
        raise MeshError(f"the mesh has no area: all faces ({len(mesh.faces)}) are degenerate")


def check_finite(name: str, rows: Float[Tensor, "n c"]) -> None:
    """Validate that an array is finite and of single or double precision.

    Args:
        name: Name of the array in error messages.
        rows: The array.

    Raises:
        MeshError: If rows are not finite; the message has their number.
        ValueError: If the dtype is neither float32 nor float64.
    """
    if rows.dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"{name} must be float32 or float64, got {rows.dtype}; convert them with .float()"
        )
    if rows.numel() and not torch.stack(rows.detach().aminmax()).isfinite().all():
        num_bad = int((~rows.isfinite()).any(dim=1).sum())
        raise MeshError(f"{num_bad} of {len(rows)} {name} are not finite; remove or replace them")


def check_indices(name: str, indices: Int[Tensor, "..."], num: int, target: str) -> None:
    """Validate that indices are in range.

    Args:
        name: Name of the index array in error messages.
        indices: Indices into `num` elements.
        num: Number of elements.
        target: Name of the elements in error messages.

    Raises:
        MeshError: If an index is negative or too large.
    """
    if indices.numel() == 0:
        return
    low, high = (int(end) for end in indices.aminmax())
    if low < 0 or high >= num:
        raise MeshError(
            f"{name} has index {low if low < 0 else high}, but there are {num} {target}; "
            f"give indices from 0 to {max(num - 1, 0)}"
        )


def check_count(name: str, count: int, expected: int, target: str) -> None:
    """Validate that an array has one row per element.

    Args:
        name: Name of the array in error messages.
        count: Number of rows.
        expected: Number of elements.
        target: Name of the elements in error messages.

    Raises:
        MeshError: If the numbers differ.
    """
    if count != expected:
        raise MeshError(f"{name} has {count} rows for {expected} {target}; give one for each")


@dataclass(frozen=True)
class UnitBox:
    """A cube around a mesh, for algorithms with absolute tolerances.

    Attributes:
        middle: Centre of the mesh's bounding box, in scene units.
        size: Scale, a power of two so that scaling is exact; the scaled mesh lies in [-1, 1].
    """

    middle: Float[Tensor, "3"]
    size: float

    def shrink(self, verts: Float[Tensor, "verts 3"]) -> Float[Tensor, "verts 3"]:
        """Normalise positions to [-1, 1], in float64."""
        return (verts.detach().double() - self.middle) / self.size

    def restore(self, verts: Float[Tensor, "verts 3"]) -> Float[Tensor, "verts 3"]:
        """Undo `shrink`, in float64."""
        return verts * self.size + self.middle


def unit_box(verts: Float[Tensor, "verts 3"]) -> UnitBox:
    """Compute the unit box of some positions.

    Args:
        verts: At least one position; all finite.
    """
    low, high = verts.detach().double().aminmax(dim=0)
    exponent = math.frexp(float((high / 2 - low / 2).max()))[1]
    # Halved, and with a bounded exponent, so that the box of any finite numbers is finite.
    return UnitBox(low / 2 + high / 2, math.ldexp(1.0, min(exponent, 1023)))
