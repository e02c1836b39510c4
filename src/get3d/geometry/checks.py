"""What every step asks of a mesh from elsewhere, and the box that makes all meshes one size."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from get3d.core.errors import MeshError
from get3d.core.types import Mesh


def check_mesh(mesh: Mesh) -> None:
    """Refuse a mesh that no step can work on: two passes over its numbers.

    Args:
        mesh: From anywhere; may have no faces.

    Raises:
        MeshError: If a position is not finite.
        ValueError: If positions are of another kind than float32 and float64, or a face names a
            vertex that is not there.
    """
    check_finite("vertex positions", mesh.verts)
    check_indices("faces", mesh.faces, len(mesh.verts), "vertices")


def check_surface(mesh: Mesh) -> None:
    """Validate that a mesh has a surface to measure; vertices that no face uses do not count.

    Args:
        mesh: From anywhere.

    Raises:
        MeshError: If it has no faces or no area, or a vertex of a face is not finite.
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
    """Refuse rows of numbers with NaN or infinity among them, and half precision.

    Args:
        name: What they are, for the message.
        rows: As many as there are.

    Raises:
        MeshError: Saying how many rows are not finite.
        ValueError: If they are of another kind than float32 and float64.
    """
    if rows.dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"{name} must be float32 or float64, got {rows.dtype}; convert them with .float()"
        )
    if rows.numel() and not torch.stack(rows.detach().aminmax()).isfinite().all():
        num_bad = int((~rows.isfinite()).any(dim=1).sum())
        raise MeshError(
            f"{num_bad} of {len(rows)} {name} are not finite; remove them or give them numbers"
        )


def check_indices(name: str, indices: Int[Tensor, "..."], num: int, target: str) -> None:
    """Refuse indices of what is not there.

    Args:
        name: What holds the indices, for the message.
        indices: Into `num` things.
        num: How many there are.
        target: What these are.

    Raises:
        ValueError: Naming the index farthest out.
    """
    if indices.numel() == 0:
        return
    low, high = (int(end) for end in indices.aminmax())
    if low < 0 or high >= num:
        raise ValueError(
            f"{name} has index {low if low < 0 else high}, but there are {num} {target}; "
            f"give indices from 0 to {max(num - 1, 0)}"
        )


def check_count(name: str, count: int, expected: int, target: str) -> None:
    """Refuse too few or too many of what goes with something one by one.

    Args:
        name: What is counted, for the message.
        count: How many there are.
        expected: How many there must be.
        target: What they go with.

    Raises:
        ValueError: If the numbers differ.
    """
    if count != expected:
        raise ValueError(f"{name} has {count} rows for {expected} {target}; give one for each")


@dataclass(frozen=True)
class UnitBox:
    """A cube about a mesh, for steps whose limits are meant for meshes of about size one.

    Attributes:
        middle: Of the mesh's box.
        size: A power of two, so that scaling rounds nothing; the mesh reaches from -1 to 1.
    """

    middle: Float[Tensor, "3"]
    size: float

    def shrink(self, verts: Float[Tensor, "verts 3"]) -> Float[Tensor, "verts 3"]:
        """Bring positions into the box, in float64."""
        return (verts.detach().double() - self.middle) / self.size

    def restore(self, verts: Float[Tensor, "verts 3"]) -> Float[Tensor, "verts 3"]:
        """Bring positions back, in float64."""
        return verts * self.size + self.middle


def unit_box(verts: Float[Tensor, "verts 3"]) -> UnitBox:
    """Measure the box of some positions.

    Args:
        verts: Finite; at least one.
    """
    low, high = verts.detach().double().aminmax(dim=0)
    exponent = math.frexp(float((high / 2 - low / 2).max()))[1]
    # Halves, and no more than the largest number: the box of any finite numbers is finite.
    return UnitBox(low / 2 + high / 2, math.ldexp(1.0, min(exponent, 1023)))
