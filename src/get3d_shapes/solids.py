"""Closed solids made of patches, each with flat coordinates in metres for its texture."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from get3d_shapes.curves import Number

Points = Float[np.ndarray, "points 3"]


@dataclass(frozen=True)
class Patch:
    """A part of a surface that has one rectangle of the atlas.

    Attributes:
        verts: Positions, in metres.
        faces: Vertex indices, counter-clockwise seen from outside.
        flat: Flat coordinates of the vertices, in metres; grain and stripes run along the second
            axis.
        side: Side of its solid, which may have its own finish: "wall", "bottom", "top" (or the
            start and the end of a sweep).
    """

    verts: Float[np.ndarray, "verts 3"]
    faces: Int[np.ndarray, "faces 3"]
    flat: Float[np.ndarray, "verts 2"]
    side: str = "wall"

    def flipped(self) -> "Patch":
        """Turn the faces over."""
        return replace(self, faces=self.faces[:, ::-1])


@dataclass(frozen=True)
class Solid:
    """A closed surface of patches with coinciding borders."""

    patches: tuple[Patch, ...]

    def warped(self, move: Callable[[Points], Points]) -> "Solid":
        """Move every vertex; the map must keep the solid from turning inside out."""
        return Solid(tuple(replace(patch, verts=move(patch.verts)) for patch in self.patches))

    def moved(self, x: Number, y: Number, z: Number) -> "Solid":
        """Translate."""
        return self.warped(lambda verts: verts + np.array([x, y, z]))

    def turned(self, axis: Literal["x", "y", "z"], angle_rad: Number) -> "Solid":
        """Rotate about a coordinate axis: counter-clockwise seen from its tip."""
        cos, sin = np.cos(angle_rad), np.sin(angle_rad)
        i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
        matrix = np.eye(3)
        matrix[i, i], matrix[i, j], matrix[j, i], matrix[j, j] = cos, -sin, sin, cos
        return self.warped(lambda verts: verts @ matrix.T)

    def mirrored(self) -> "Solid":
        """Mirror x to -x."""
        mirrored = self.warped(lambda verts: verts * np.array([-1.0, 1.0, 1.0]))
        return mirrored.flipped()

    def flipped(self) -> "Solid":
        """Turn all faces over."""
        return Solid(tuple(patch.flipped() for patch in self.patches))

    def volume(self) -> float:
        """Signed volume, in cubic metres: negative if the faces look inward."""
        total = 0.0
        for patch in self.patches:
            first, second, third = np.moveaxis(patch.verts[patch.faces], 1, 0)
            total += float((first * np.cross(second, third)).sum()) / 6
        return total

    def outward(self) -> "Solid":
        """Turn all faces over if they look inward."""
        return self if self.volume() >= 0 else self.flipped()
