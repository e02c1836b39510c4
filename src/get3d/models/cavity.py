"""Hollow shapes: what a container holds is cut out of it, within walls of about equal thickness.

No silhouette shows a hollow, so a network that learns from images fills its shapes however long it
trains. Here a shape is a solid minus a cavity: the points that have the solid around them
horizontally and below, as far as the walls are thick, whatever is above them. The cavity follows
the solid, so that what moves the outside moves the inside too. What is thinner than two walls stays
solid (handles, stems); what is closed at the top, as a teapot's lid, is opened all the same. The
paper has nothing like it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

WAYS = ((1.0, 0.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, 0.0, -1.0), (0.0, -1.0, 0.0))
"""Directions in which a cavity has a wall; y points up."""

DOWN = (0.0, -1.0, 0.0)


@dataclass(frozen=True)
class Cavity:
    """How a cavity is derived from its solid.

    Attributes:
        wall: Thickness of the walls, in scene units.
        rise: How far a cavity reaches above what its walls enclose, in scene units: without it
            the tips of an uneven top stay, as specks.
        before: For each way and grid vertex, the last vertex on the way that is no farther than
            `wall`; at the border of the grid the last one there is.
        after: The vertex behind it.
        fraction: Where between them `wall` ends, from 0 to 1.
        below: For each grid vertex, the one twice `rise` below.
    """

    wall: float
    rise: float
    before: Int[Tensor, "ways grid"]
    after: Int[Tensor, "ways grid"]
    fraction: float
    below: Int[Tensor, " grid"]

    def inside_grid(self, sdf: Float[Tensor, "b grid"]) -> Float[Tensor, "b grid"]:
        """Find how far inside of the walls the grid's vertices are, by linear interpolation.

        Args:
            sdf: Of the solid, positive inside.

        Returns:
            Signed distances of the cavity: the least one of the solid at `wall` from each vertex,
            or from the place `rise` below it.
        """
        least: Tensor | None = None
        for before, after in zip(self.before, self.after, strict=True):
            there = sdf.index_select(1, before)
            if self.fraction > 0:
                there = torch.lerp(there, sdf.index_select(1, after), self.fraction)
            least = there if least is None else torch.minimum(least, there)
        assert least is not None
        return torch.maximum(least, torch.lerp(least, least.index_select(1, self.below), 0.5))

    def inside(
        self,
        solid: Callable[[Float[Tensor, "*b n 3"]], Float[Tensor, "b n"]],
        points: Float[Tensor, "*b n 3"],
    ) -> Float[Tensor, "b n"]:
        """Find the same at points.

        Args:
            solid: Its signed distance.
            points: Positions, in scene units.
        """
        found = []
        for start in (points, points - points.new_tensor([0.0, self.rise, 0.0])):
            there = [solid(start + points.new_tensor(way) * self.wall) for way in WAYS]
            found.append(torch.stack(there).amin(0))
        return torch.maximum(*found)


def make_cavity(verts: Float[Tensor, "grid 3"], cell: float, *, wall: float) -> Cavity:
    """Prepare the cavities of shapes on a grid.

    Args:
        verts: Of a lattice that moves by `cell` along an axis map to itself, but for its border.
        cell: In scene units.
        wall: Thickness of the walls, in scene units.

    Raises:
        ValueError: If the vertices are not those of such a lattice.
    """
    halves = (verts.double() - verts.double().amin(0)) / (cell / 2)
    place = halves.round().long()
    if not torch.allclose(halves, place.double(), atol=0.02):
        raise ValueError("generator.cavity_wall needs a regular grid, not one from a file")
    steps, fraction = divmod(wall / cell, 1.0)
    side = int(place.max()) + 1
    order = (place * place.new_tensor([side * side, side, 1])).sum(1)
    sorted_order, vert = order.sort()

    def move(start: Int[Tensor, " grid"], way: tuple[float, float, float]) -> Tensor:
        """Find the vertices one cell farther on a way; at the border they stay."""
        there = place[start] + 2 * place.new_tensor([int(each) for each in way])
        key = (there * there.new_tensor([side * side, side, 1])).sum(1)
        at = torch.searchsorted(sorted_order, key).clamp(max=len(order) - 1)
        is_there = (sorted_order[at] == key) & ((there >= 0) & (there < side)).all(1)
        return torch.where(is_there, vert[at], start)

    own = torch.arange(len(place), device=place.device)
    before = [own] * len(WAYS)
    for _ in range(int(steps)):
        before = [move(start, way) for start, way in zip(before, WAYS, strict=True)]
    after = [move(start, way) for start, way in zip(before, WAYS, strict=True)]
    return Cavity(
        wall, cell / 2, torch.stack(before), torch.stack(after), fraction, move(own, DOWN)
    )
