"""What a pair of latent codes becomes: functions of space for the SDF, its offsets and colour."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from get3d.core.chunks import in_chunks
from get3d.models.cavity import Cavity
from get3d.models.ops import row_slots, to_rows
from get3d.models.triplane_fields import Texture, TriplaneGeometry

_CAVITY_RADIUS, _CAVITY_HEIGHT = 0.8, 0.4  # of a bowl, in radii


@runtime_checkable
class Geometry(Protocol):
    """The shape part of `Fields`, whichever network it comes from."""

    def sdf(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n"]:
        """Signed distance at points."""

    def deformation(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n 3"]:
        """Offsets at points, before the tanh."""

    def grid_sdf(self) -> Float[Tensor, "b grid"]:
        """Signed distance at every grid vertex."""

    def grid_deformation(self, verts: Int[Tensor, "b k"]) -> Float[Tensor, "b k 3"]:
        """Offsets at some grid vertices of each sample, before the tanh."""

    def __getitem__(self, index: slice) -> "Geometry":
        """Pick samples."""


@dataclass(frozen=True)
class BaseShape:
    """A shape that the network's signed distances are added to; the network learns the rest.

    Attributes:
        kind: sphere, or bowl: the sphere from which one of 0.8 times its radius is cut out, whose
            centre is 0.4 radii above the origin.
        radius: Of the sphere, in scene units.
        limit: Absolute value that large signed distances approach; 0 for no limit.
        weight: Factor on the network's signed distances.
    """

    kind: Literal["sphere", "bowl"]
    radius: float
    limit: float = 0.0
    weight: float = 1.0

    def sdf(self, points: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n"]:
        """Compute the signed distance at points, positive inside.

        Of a bowl the sign is exact, and the absolute value at most the distance.
        """
        sdf = self.radius - points.norm(dim=-1)
        if self.kind == "bowl":
            centre = points.new_tensor([0.0, _CAVITY_HEIGHT * self.radius, 0.0])
            cavity = (points - centre).norm(dim=-1) - _CAVITY_RADIUS * self.radius
            sdf = torch.minimum(sdf, cavity)
        return sdf if self.limit == 0 else self.limit * torch.tanh(sdf / self.limit)


@dataclass(frozen=True)
class Fields:
    """A batch of shapes as functions of space. Points are [n, 3] (for all) or [b, n, 3].

    Without gradients they are evaluated in chunks of points (`core/chunks.py`).

    Attributes:
        geometry: Where the surface is.
        texture: What colour it has.
        base: Shape that the network's signed distances are added to, or None.
        grid_base: Its signed distances at the grid's vertices, or None.
        cavity: How a cavity is cut out; None: not at all.
    """

    geometry: Geometry
    texture: Texture
    base: BaseShape | None = None
    grid_base: Float[Tensor, " grid"] | None = None
    cavity: Cavity | None = None

    def sdf(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n"]:
        """Signed distance at points, positive inside (if the generator's `sdf_inside` is)."""
        solid = self.solid(points)
        if self.cavity is None:
            return solid
        return torch.minimum(solid, -self.cavity.inside(self.solid, points))

    def solid(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n"]:
        """Signed distance of what cavities are cut out of."""
        sdf = in_chunks(self.geometry.sdf, points, axis=-2, num_shapes=len(self))
        return sdf if self.base is None else sdf * self.base.weight + self.base.sdf(points)

    def grid_sdf(self) -> Float[Tensor, "b grid"]:
        """Signed distance at every vertex of the generator's grid, of the same sign as `sdf`."""
        sdf = self.geometry.grid_sdf()
        if self.base is not None and self.grid_base is not None:
            sdf = sdf * self.base.weight + self.grid_base
        if self.cavity is None:
            return sdf
        return torch.minimum(sdf, -self.cavity.inside_grid(sdf))

    def deformation(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n 3"]:
        """Offsets of grid vertices at points, before the tanh."""
        return in_chunks(self.geometry.deformation, points, axis=-2, num_shapes=len(self))

    def grid_deformation(self, verts: Int[Tensor, "b k"]) -> Float[Tensor, "b k 3"]:
        """Offsets of some vertices of the generator's grid, before the tanh."""
        return in_chunks(self.geometry.grid_deformation, verts, axis=1, num_shapes=len(self))

    def color(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n 3"]:
        """Colour at points, nominally in [-1, 1], not clipped."""
        return in_chunks(self.texture.color, points, axis=-2, num_shapes=len(self))

    def flexi_weights(self, corners: Float[Tensor, "*b cubes 8 3"]) -> Float[Tensor, "b cubes 21"]:
        """Raw FlexiCubes weights (12 beta, 8 alpha, 1 gamma) of cubes given by their corners.

        Raises:
            ValueError: If the generator was not built for FlexiCubes.
        """
        weights = self._triplane.flexi_weights
        return in_chunks(weights, corners, axis=-3, num_shapes=len(self), points_per_item=8)

    def grid_flexi_weights(self, corners: Int[Tensor, "b k 8"]) -> Float[Tensor, "b k 21"]:
        """The same for some cubes of each shape, given by the grid's vertices at their corners.

        Raises:
            ValueError: If the generator was not built for FlexiCubes.
        """
        weights = self._triplane.grid_flexi_weights
        return in_chunks(weights, corners, axis=1, num_shapes=len(self), points_per_item=8)

    @property
    def _triplane(self) -> TriplaneGeometry:
        if not isinstance(self.geometry, TriplaneGeometry):
            raise ValueError("FlexiCubes weights need the unified generator")
        return self.geometry

    def packed(
        self,
        field: Callable[[Tensor], Tensor],
        items: Shaped[Tensor, "n *s"],
        shape: Int[Tensor, " n"],
    ) -> Float[Tensor, "n *c"]:
        """Evaluate one of the fields at points of several shapes laid end to end.

        Args:
            field: A method of these fields, such as `fields.color`.
            items: What it takes, one shape after the other.
            shape: Which shape each item belongs to, ascending.
        """
        slots, width = row_slots(shape, len(self))
        rows = to_rows(items, slots, num_rows=len(self), width=width)
        return field(rows).flatten(0, 1)[slots]

    def __len__(self) -> int:
        """Count the shapes."""
        return len(self.texture.planes)

    def __getitem__(self, index: slice) -> "Fields":
        """Pick shapes."""
        return replace(self, geometry=self.geometry[index], texture=self.texture[index])
