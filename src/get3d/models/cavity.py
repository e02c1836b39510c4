"""Hollow shapes: a cavity is cut out of a solid, within walls of about equal thickness.

No silhouette shows a hollow, so a network that learns from images keeps its shapes solid however
long it trains. Here a shape is a solid minus a cavity: the points that have the solid around them
horizontally and below, as far as the walls are thick, whatever is above them. The cavity follows
the solid, so that what moves the outer surface moves the inner one too. What is thinner than two
walls stays solid (handles, stems); what is closed at the top, such as a teapot's lid, is opened all
the same. Not in the paper.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from get3d.core import ConfigError

_DOWN = (0.0, -1.0, 0.0)
_DIRECTIONS = ((1.0, 0.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, 0.0, -1.0), _DOWN)
"""Directions in which a cavity has a wall; y points up."""


@dataclass(frozen=True)
class Cavity:
    """Cavities of shapes on a grid: how they are derived from the solids.

    Attributes:
        wall: Thickness of the walls, in scene units.
        rise: How far a cavity extends above what its walls enclose, in scene units: without it
            the tips of an uneven top stay, as specks.
        before: For each direction and grid vertex, the last vertex in that direction that is no
            farther than `wall`; at the border of the grid the last vertex.
        after: The vertex after that one.
        fraction: Position of the end of `wall` between `before` and `after`, from 0 to 1.
        below: For each grid vertex, the one at twice `rise` below it.
    """

    wall: float
    rise: float
    before: Int[Tensor, "directions grid"]
    after: Int[Tensor, "directions grid"]
    fraction: float
    below: Int[Tensor, " grid"]

    def inside_grid(self, sdf: Float[Tensor, "b grid"]) -> Float[Tensor, "b grid"]:
        """Compute the signed distances of the cavities at the grid's vertices.

        Args:
            sdf: Signed distances of the solids, positive inside.

        Returns:
            Signed distances of the cavities, positive inside: the least of the solid, linearly
            interpolated, at `wall` from each vertex, or from the point `rise` below it.
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
        """Compute the signed distances of the cavities at points, positive inside.

        Args:
            solid: Signed distance of the solids at points, positive inside.
            points: Positions, in scene units.
        """
        found = []
        for start in (points, points - points.new_tensor([0.0, self.rise, 0.0])):
            there = [solid(start + points.new_tensor(each) * self.wall) for each in _DIRECTIONS]
            found.append(torch.stack(there).amin(0))
        return torch.maximum(*found)


def make_cavity(verts: Float[Tensor, "grid 3"], cell: float, *, wall: float) -> Cavity:
    """Prepare the cavities of shapes on a grid.

    Args:
        verts: Vertices of a lattice that a translation by `cell` along an axis maps to itself, up
            to its border; in scene units.
        cell: Edge length of a cell, in scene units.
        wall: Thickness of the walls, in scene units.

    Raises:
        ConfigError: If the vertices are not those of such a lattice.
    """
    halves = (verts.double() - verts.double().amin(0)) / (cell / 2)
    place = halves.round().long()
    if not torch.allclose(halves, place.double(), atol=0.02):
        raise ConfigError("generator.cavity_wall needs a regular grid, not one from a file")
    steps, fraction = divmod(wall / cell, 1.0)
    size = int(place.max()) + 1
    order = (place * place.new_tensor([size * size, size, 1])).sum(1)
    sorted_order, vert = order.sort()

    def move(start: Int[Tensor, " grid"], direction: tuple[float, float, float]) -> Tensor:
        """Find the vertices one cell farther in a direction; those at the border stay."""
        there = place[start] + 2 * place.new_tensor([int(each) for each in direction])
        key = (there * there.new_tensor([size * size, size, 1])).sum(1)
        at = torch.searchsorted(sorted_order, key).clamp(max=len(order) - 1)
        is_there = (sorted_order[at] == key) & ((there >= 0) & (there < size)).all(1)
        return torch.where(is_there, vert[at], start)

    own = torch.arange(len(place), device=place.device)
    before = [own] * len(_DIRECTIONS)
    for _ in range(int(steps)):
        before = [move(*each) for each in zip(before, _DIRECTIONS, strict=True)]
    after = [move(*each) for each in zip(before, _DIRECTIONS, strict=True)]
    return Cavity(
        wall, cell / 2, torch.stack(before), torch.stack(after), fraction, move(own, _DOWN)
    )
