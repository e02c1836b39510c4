"""What a pair of latent codes becomes: functions of space for the SDF, its offsets and colour."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from get3d.core.memory import DEFAULT_MEMORY_MB, Cost, memory_bytes
from get3d.models.packing import row_slots, to_rows
from get3d.models.triplane_fields import Texture, TriplaneGeometry

_CAVITY_RADIUS, _CAVITY_HEIGHT = 0.8, 0.4  # of a bowl, in radii


@runtime_checkable
class Geometry(Protocol):
    """The shape part of `Fields`, whichever network it comes from."""

    @property
    def cost(self) -> Cost:
        """What an evaluation holds at points, or at some of the grid's vertices."""

    @property
    def grid_cost(self) -> Cost:
        """What one at all of the grid's vertices at once holds."""

    @property
    def num_verts(self) -> int:
        """How many vertices the grid has."""

    def sdf(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n"]:
        """Signed distance at points."""

    def deformation(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n 3"]:
        """Offsets at points, before the tanh."""

    def grid_sdf(self, verts: Int[Tensor, " k"] | None = None) -> Float[Tensor, "b k"]:
        """Signed distance at every grid vertex, or at some of them."""

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

    Under `torch.no_grad()` they are evaluated in portions that fit the memory budget.

    Attributes:
        geometry: Where the surface is.
        texture: What colour it has.
        base: Shape that the network's signed distances are added to, or None.
        grid_base: Its signed distances at the grid's vertices, or None.
        memory_mb: What an evaluation may hold besides its input and output, in megabytes.
    """

    geometry: Geometry
    texture: Texture
    base: BaseShape | None = None
    grid_base: Float[Tensor, " grid"] | None = None
    memory_mb: int = DEFAULT_MEMORY_MB

    def __post_init__(self) -> None:
        """Refuse a budget that is too small."""
        memory_bytes(self.memory_mb)

    def sdf(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n"]:
        """Signed distance at points, positive inside (if the generator's `sdf_inside` is)."""
        return self._in_portions(Fields._sdf, points, self.geometry.cost, axis=points.ndim - 2)

    def _sdf(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n"]:
        sdf = self.geometry.sdf(points)
        if self.base is None:
            return sdf
        return sdf * self.base.weight + self.base.sdf(points)

    def grid_sdf(self) -> Float[Tensor, "b grid"]:
        """Signed distance at every vertex of the generator's grid, of the same sign as `sdf`."""
        whole, some = self.geometry.grid_cost, self.geometry.cost
        if self._fits(whole, len(self), self.geometry.num_verts):
            return self._grid_sdf(None)
        verts = torch.arange(self.geometry.num_verts, device=self.texture.planes.device)
        if self._fits(whole, 1, len(verts)):
            return self._in_portions(lambda part, _: part._grid_sdf(None), verts, whole, axis=0)
        some = replace(some, per_shape=some.per_shape + 2 * len(verts))  # the list itself
        return self._in_portions(Fields._grid_sdf, verts, some, axis=0)

    def _grid_sdf(self, verts: Int[Tensor, " k"] | None) -> Float[Tensor, "b k"]:
        sdf = self.geometry.grid_sdf(verts)
        if self.base is None or self.grid_base is None:
            return sdf
        base = self.grid_base if verts is None else self.grid_base[verts]
        return sdf * self.base.weight + base

    def deformation(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n 3"]:
        """Offsets of grid vertices at points, before the tanh."""
        return self._in_portions(
            lambda part, points: part.geometry.deformation(points),
            points,
            self.geometry.cost,
            axis=points.ndim - 2,
        )

    def grid_deformation(self, verts: Int[Tensor, "b k"]) -> Float[Tensor, "b k 3"]:
        """Offsets of some vertices of the generator's grid, before the tanh."""
        return self._in_portions(
            lambda part, verts: part.geometry.grid_deformation(verts),
            verts,
            self.geometry.cost,
            axis=1,
        )

    def color(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n 3"]:
        """Colour at points, nominally in [-1, 1], not clipped."""
        return self._in_portions(
            lambda part, points: part.texture.color(points),
            points,
            self.texture.cost,
            axis=points.ndim - 2,
        )

    def flexi_weights(self, corners: Float[Tensor, "*b cubes 8 3"]) -> Float[Tensor, "b cubes 21"]:
        """Raw FlexiCubes weights (12 beta, 8 alpha, 1 gamma) of cubes given by their corners.

        Raises:
            ValueError: If the generator was not built for FlexiCubes.
        """
        return self._in_portions(
            lambda part, corners: part._flexi_geometry().flexi_weights(corners),
            corners,
            self._flexi_geometry().flexi_cost,
            axis=corners.ndim - 3,
        )

    def grid_flexi_weights(self, corners: Int[Tensor, "b k 8"]) -> Float[Tensor, "b k 21"]:
        """The same for some cubes of each shape, given by the grid's vertices at their corners.

        Raises:
            ValueError: If the generator was not built for FlexiCubes.
        """
        return self._in_portions(
            lambda part, corners: part._flexi_geometry().grid_flexi_weights(corners),
            corners,
            self._flexi_geometry().flexi_cost,
            axis=1,
        )

    def _flexi_geometry(self) -> TriplaneGeometry:
        if not isinstance(self.geometry, TriplaneGeometry):
            raise ValueError("FlexiCubes weights need the unified generator")
        return self.geometry

    def color_packed(
        self, points: Float[Tensor, "n 3"], shape: Int[Tensor, " n"]
    ) -> Float[Tensor, "n 3"]:
        """Colour at points of several shapes laid end to end.

        Args:
            points: Positions, in scene units.
            shape: Which shape each belongs to, ascending.
        """
        return self._packed(
            lambda part, points: part.color(points), points, shape, self.texture.cost
        )

    def sdf_packed(
        self, points: Float[Tensor, "n 3"], shape: Int[Tensor, " n"]
    ) -> Float[Tensor, " n"]:
        """The same of `sdf`."""
        return self._packed(
            lambda part, points: part.sdf(points), points, shape, self.geometry.cost
        )

    def deformation_packed(
        self, points: Float[Tensor, "n 3"], shape: Int[Tensor, " n"]
    ) -> Float[Tensor, "n 3"]:
        """The same of `deformation`."""
        return self._packed(
            lambda part, points: part.deformation(points), points, shape, self.geometry.cost
        )

    def flexi_weights_packed(
        self, corners: Float[Tensor, "cubes 8 3"], shape: Int[Tensor, " cubes"]
    ) -> Float[Tensor, "cubes 21"]:
        """The same of `flexi_weights`."""
        return self._packed(
            lambda part, corners: part.flexi_weights(corners),
            corners,
            shape,
            self._flexi_geometry().flexi_cost,
        )

    def _packed(
        self,
        field: "Callable[[Fields, Tensor], Tensor]",
        items: Shaped[Tensor, "n *s"],
        shape: Int[Tensor, " n"],
        cost: Cost,
    ) -> Float[Tensor, "n *c"]:
        """Evaluate a field at packed points: in one table, or shape by shape if that is too large.

        Args:
            field: Of some shapes, at items of each: [b, n, ...], or [n, ...] for one shape.
            items: Laid end to end.
            shape: Which shape each belongs to, ascending.
            cost: What the field holds.
        """
        if not torch.is_grad_enabled():
            each = torch.arange(len(self), device=shape.device)
            ends = [0, *torch.searchsorted(shape, each, right=True).tolist()]
            width = max(end - start for start, end in pairwise(ends))
            if not self._fits(cost, len(self) + 1, width):  # one more for the table, its indices
                return self._shape_by_shape(field, items, ends, cost)
        slots, width = row_slots(shape, len(self))
        rows = to_rows(items, slots, num_rows=len(self), width=width)
        return field(self, rows).flatten(0, 1)[slots]

    def _shape_by_shape(
        self,
        field: "Callable[[Fields, Tensor], Tensor]",
        items: Shaped[Tensor, "n *s"],
        ends: list[int],
        cost: Cost,
    ) -> Float[Tensor, "n *c"]:
        """Evaluate a field at packed points, those of shape i from `ends[i]` to `ends[i + 1]`."""
        out: Tensor | None = None
        for i, (start, end) in enumerate(pairwise(ends)):
            _, step = cost.portion(end - start, numbers=self._budget)
            for first in range(start, end, max(step, 1)):
                part = slice(first, min(first + step, end))
                out = _put(out, (len(items),), part, field(self[i : i + 1], items[part])[0])
        assert out is not None  # what does not fit is not empty
        return out

    def _in_portions(
        self,
        field: "Callable[[Fields, Tensor], Tensor]",
        items: Shaped[Tensor, "..."],
        cost: Cost,
        *,
        axis: int,
    ) -> Float[Tensor, "b n *c"]:
        """Evaluate a field: whole where gradients are recorded, else as much at once as may be.

        Args:
            field: Of some shapes, at items of theirs.
            items: Points, vertices or cubes.
            cost: What the field holds.
            axis: Along which the items lie: 0 if all shapes share them, 1 if each has its own.
        """
        num_shapes, num_items = len(self), items.shape[axis]
        if self._fits(cost, num_shapes, num_items):
            return field(self, items)
        shapes_at_once, step = cost.portion(num_items, numbers=self._budget)
        out: Tensor | None = None
        for first_shape in range(0, num_shapes, shapes_at_once):
            shapes = slice(first_shape, first_shape + shapes_at_once)
            own = items[shapes] if axis else items
            for first in range(0, num_items, step):
                found = field(self[shapes], own.narrow(axis, first, min(step, num_items - first)))
                where = (shapes, slice(first, first + step))
                out = _put(out, (num_shapes, num_items), where, found)
        assert out is not None  # what does not fit is not empty
        return out

    def _fits(self, cost: Cost, num_shapes: int, num_items: int) -> bool:
        """Tell whether an evaluation is done at once, as all are that record gradients."""
        is_whole = torch.is_grad_enabled() or num_shapes * num_items == 0
        return is_whole or cost.of(num_shapes, num_items) <= self._budget

    @property
    def _budget(self) -> int:
        """How many numbers an evaluation may hold."""
        return memory_bytes(self.memory_mb) // self.texture.planes.element_size()

    def __len__(self) -> int:
        """Count the shapes."""
        return len(self.texture.planes)

    def __getitem__(self, index: slice) -> "Fields":
        """Pick shapes."""
        return replace(self, geometry=self.geometry[index], texture=self.texture[index])


def _put(
    out: Tensor | None,
    size: tuple[int, ...],
    where: slice | tuple[slice, ...],
    part: Float[Tensor, "..."],
) -> Float[Tensor, "..."]:
    """Write a part of a result, of which the first axes have a known size, making it first."""
    if out is None:
        out = part.new_empty(*size, *part.shape[len(size) :])
    out[where] = part
    return out
