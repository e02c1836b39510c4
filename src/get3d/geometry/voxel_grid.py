"""The grid of cubes that carries the signed distance field for FlexiCubes.

Vertices and neighbours of a cube follow from the resolution by arithmetic, without tables.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from get3d.core.errors import ConfigError


@dataclass(frozen=True)
class VoxelGrid:
    """A cube divided into resolution^3 cubes. Vertices and cubes are numbered with z fastest.

    Attributes:
        verts: Positions, in scene units; the grid is centred on the origin.
        edges: The two ends of each edge, int64, each edge once, along x, then y, then z.
        boundary: Indices of the vertices on the bounding box.
        centre: Index of the vertex nearest the origin.
        resolution: Cubes along each axis.
    """

    verts: Float[Tensor, "verts 3"]
    edges: Int[Tensor, "edges 2"]
    boundary: Int[Tensor, " boundary"]
    centre: Int[Tensor, ""]
    resolution: int

    def to(self, device: torch.device | str) -> "VoxelGrid":
        """Copy all tables to a device."""
        return VoxelGrid(
            self.verts.to(device),
            self.edges.to(device),
            self.boundary.to(device),
            self.centre.to(device),
            self.resolution,
        )

    @property
    def num_cubes(self) -> int:
        """Number of cubes."""
        return self.resolution**3


def voxel_grid(resolution: int, *, scale: float = 1.0) -> VoxelGrid:
    """Divide a cube centred on the origin into smaller cubes.

    Args:
        resolution: Cubes along each axis.
        scale: Edge length of the whole cube, in scene units.

    Raises:
        ConfigError: If `resolution` is below 3 or `scale` is not positive.

    Example:
        >>> grid = voxel_grid(4)
        >>> grid.verts.shape, grid.edges.shape, grid.num_cubes
        (torch.Size([125, 3]), torch.Size([300, 2]), 64)
    """
    if resolution < 3:
        raise ConfigError(f"resolution must be at least 3, got {resolution}")
    if not 0 < scale < float("inf"):
        raise ConfigError(f"scale must be positive and finite, got {scale}")
    unit = _unit_grid(resolution)
    return replace(unit, verts=unit.verts * scale)


def cube_places(cubes: Int[Tensor, "*n"], resolution: int) -> Int[Tensor, "*n 3"]:
    """Return the integer coordinates of cubes along x, y and z.

    Args:
        cubes: Cube numbers.
        resolution: Cubes along each axis of the grid.
    """
    row = cubes // resolution
    return torch.stack([row // resolution, row % resolution, cubes % resolution], dim=-1)


def cube_corners(cubes: Int[Tensor, "*n"], resolution: int) -> Int[Tensor, "*n 8"]:
    """Return the eight vertices of each cube; corner c is at bits 0, 1, 2 of c along x, y, z.

    Args:
        cubes: Cube numbers.
        resolution: Cubes along each axis of the grid.
    """
    size = resolution + 1
    strides = torch.tensor([size**2, size, 1], device=cubes.device)
    first = (cube_places(cubes, resolution) * strides).sum(-1)
    return first[..., None] + (cube_corner_steps(cubes.device) * strides).sum(1)


def cube_corner_steps(device: torch.device) -> Int[Tensor, "8 3"]:
    """Return the steps along x, y, z from a cube's first corner to corner c: bits 0, 1, 2 of c.

    Args:
        device: Device of the result.
    """
    return torch.tensor([[c & 1, c >> 1 & 1, c >> 2] for c in range(8)], device=device)


@lru_cache(maxsize=4)
def _unit_grid(resolution: int) -> VoxelGrid:
    """Build the grid of edge length one."""
    steps = torch.arange(resolution + 1) / resolution - 0.5
    verts = torch.cartesian_prod(steps, steps, steps)
    index = torch.arange(len(verts)).reshape((resolution + 1,) * 3)
    edges = []
    for axis in range(3):
        starts, ends = (index.narrow(axis, first, resolution) for first in (0, 1))
        edges.append(torch.stack([starts.flatten(), ends.flatten()], dim=1))
    return VoxelGrid(
        verts=verts,
        edges=torch.cat(edges),
        boundary=(verts.abs().amax(1) == 0.5).nonzero().squeeze(1),
        centre=verts.square().sum(1).argmin(),
        resolution=resolution,
    )
