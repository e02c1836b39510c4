"""Fields of generated shapes: signed distance, deformation and colour as functions of space."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from get3d.core import Appearance, split_channels
from get3d.core.chunks import in_chunks
from get3d.models.cavity import Cavity
from get3d.models.ops import row_slots, to_rows
from get3d.models.triplane_fields import Texture, TriplaneGeometry

_CAVITY_RADIUS, _CAVITY_HEIGHT = 0.8, 0.4  # of a bowl, in radii


@runtime_checkable
class Geometry(Protocol):
    """The geometry of `Fields`, of either generator."""

    def sdf(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n"]:
        """Compute the signed distance at points."""

    def deformation(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n 3"]:
        """Compute the deformation at points, before the tanh."""

    def grid_sdf(self) -> Float[Tensor, "b grid"]:
        """Compute the signed distance at every grid vertex."""

    def grid_deformation(self, verts: Int[Tensor, "b k"]) -> Float[Tensor, "b k 3"]:
        """Compute the deformation at some grid vertices of each sample, before the tanh."""

    def __getitem__(self, index: slice) -> "Geometry":
        """Return the geometry of some samples."""


@dataclass(frozen=True)
class BaseShape:
    """Base shape that the network's signed distances are added to.

    Attributes:
        kind: sphere, or bowl: the sphere from which one of 0.8 times its radius is cut out, whose
            centre is 0.4 radii above the origin.
        radius: Radius of the sphere, in scene units.
        limit: Absolute value that large signed distances approach; 0 for no limit.
        weight: Factor on the network's signed distances.
    """

    kind: Literal["sphere", "bowl"]
    radius: float
    limit: float = 0.0
    weight: float = 1.0

    def sdf(self, points: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n"]:
        """Compute the signed distance at points, positive inside.

        For a bowl the sign is exact, and the absolute value is at most the distance.

        Args:
            points: Positions, in scene units.
        """
        sdf = self.radius - points.norm(dim=-1)
        if self.kind == "bowl":
            centre = points.new_tensor([0.0, _CAVITY_HEIGHT * self.radius, 0.0])
            cavity = (points - centre).norm(dim=-1) - _CAVITY_RADIUS * self.radius
            sdf = torch.minimum(sdf, cavity)
        return sdf if self.limit == 0 else self.limit * torch.tanh(sdf / self.limit)


@dataclass(frozen=True)
class Fields:
    """Fields of a batch of shapes. Points are [n, 3] (the same for all shapes) or [b, n, 3].

    Without gradients they are evaluated in chunks of points (`core/chunks.py`).

    Attributes:
        geometry: Signed distance and deformation from the network.
        texture: Colour from the network.
        base: Base shape that the network's signed distances are added to, or None.
        grid_base: Signed distances of the base shape at the grid's vertices, or None.
        cavity: Cavity that is cut out of every shape, or None.
    """

    geometry: Geometry
    texture: Texture
    base: BaseShape | None = None
    grid_base: Float[Tensor, " grid"] | None = None
    cavity: Cavity | None = None

    def sdf(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n"]:
        """Compute the signed distance at points, positive inside if `sdf_inside` is "positive".

        Args:
            points: Positions, in scene units.
        """
        solid = self.solid(points)
        if self.cavity is None:
            return solid
        return torch.minimum(solid, -self.cavity.inside(self.solid, points))

    def solid(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n"]:
        """Compute the signed distance of the shapes before cavities are cut out."""
        sdf = in_chunks(self.geometry.sdf, points, axis=-2, num_shapes=len(self))
        return sdf if self.base is None else sdf * self.base.weight + self.base.sdf(points)

    def grid_sdf(self) -> Float[Tensor, "b grid"]:
        """Compute `sdf` at every vertex of the generator's grid."""
        sdf = self.geometry.grid_sdf()
        if self.base is not None and self.grid_base is not None:
            sdf = sdf * self.base.weight + self.grid_base
        if self.cavity is None:
            return sdf
        return torch.minimum(sdf, -self.cavity.inside_grid(sdf))

    def deformation(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n 3"]:
        """Compute the deformation of grid vertices at points, before the tanh."""
        return in_chunks(self.geometry.deformation, points, axis=-2, num_shapes=len(self))

    def grid_deformation(self, verts: Int[Tensor, "b k"]) -> Float[Tensor, "b k 3"]:
        """Compute the deformation of some vertices of the generator's grid, before the tanh."""
        return in_chunks(self.geometry.grid_deformation, verts, axis=1, num_shapes=len(self))

    def color(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n 3"]:
        """Compute the colour at points, nominally in [-1, 1], not clipped."""
        return split_channels(self.channels(points), self.channel_sizes)["color"]

    def channels(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n c"]:
        """Compute all channels of the appearance at points, nominally in [-1, 1], not clipped."""
        return in_chunks(self.texture.channels, points, axis=-2, num_shapes=len(self))

    @property
    def channel_sizes(self) -> Mapping[str, int]:
        """Number of values of each channel, by name, in the order of `channels`."""
        return self.texture.heads.outputs

    @property
    def appearance(self) -> Appearance:
        """Appearance of the one shape of these fields, with all channels in [0, 1].

        Raises:
            ValueError: If there are several shapes.
        """
        if len(self) != 1:
            raise ValueError(f"an appearance is of one shape, these are fields of {len(self)}")

        def evaluate(points: Float[Tensor, "n 3"]) -> Float[Tensor, "n c"]:
            # Networks are trained with sRGB images in [-1, 1], so colours are sRGB.
            return ((self.channels(points)[0] + 1) / 2).clamp(0, 1)

        return Appearance(self.channel_sizes, evaluate, spacing=self.texture.spacing)

    def flexi_weights(self, corners: Float[Tensor, "*b cubes 8 3"]) -> Float[Tensor, "b cubes 21"]:
        """Compute raw FlexiCubes weights (12 beta, 8 alpha, 1 gamma) of cubes given by corners.

        Raises:
            ValueError: If the generator was not built for FlexiCubes.
        """
        weights = self._triplane.flexi_weights
        return in_chunks(weights, corners, axis=-3, num_shapes=len(self), points_per_item=8)

    def grid_flexi_weights(self, corners: Int[Tensor, "b k 8"]) -> Float[Tensor, "b k 21"]:
        """Compute raw FlexiCubes weights of some cubes of each shape, given by grid vertices.

        Raises:
            ValueError: If the generator was not built for FlexiCubes.
        """
        weights = self._triplane.grid_flexi_weights
        return in_chunks(weights, corners, axis=1, num_shapes=len(self), points_per_item=8)

    @property
    def _triplane(self) -> TriplaneGeometry:
        """The geometry, if it has FlexiCubes weights; raises ValueError otherwise."""
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
            items: Arguments of that method, one shape after the other.
            shape: Index of the shape that each item belongs to, ascending.
        """
        slots, width = row_slots(shape, len(self))
        rows = to_rows(items, slots, num_rows=len(self), width=width)
        return field(rows).flatten(0, 1)[slots]

    def __len__(self) -> int:
        """Return the number of shapes."""
        return len(self.texture.planes)

    def __getitem__(self, index: slice) -> "Fields":
        """Return the fields of some shapes."""
        return replace(self, geometry=self.geometry[index], texture=self.texture[index])
