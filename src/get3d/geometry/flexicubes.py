"""FlexiCubes: a dual surface whose vertices can be moved within their cubes by weights.

Shen et al., "Flexible isosurface extraction for gradient-based mesh optimization", 2023.
As in marching tetrahedra there are two steps: topology, with integers only (`dual_topology`), and
vertex positions, which are differentiable in the field, the grid vertices and the weights.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from get3d.core.types import Mesh
from get3d.geometry.dual_cases import CUBE_EDGES
from get3d.geometry.dual_topology import DualTopology, find_dual_topology
from get3d.geometry.marching_tets import zero_weights
from get3d.geometry.regularizers import mean_by_shape
from get3d.geometry.topology import check_fields
from get3d.geometry.voxel_grid import VoxelGrid

NUM_WEIGHTS = 21
_SCALE = 0.5  # largest deviation of alpha and beta from 1; width of the range of gamma


@dataclass(frozen=True)
class CubeWeights:
    """Weights that move the surface within cubes; all positive.

    Attributes:
        edges: beta, the weight of each edge's crossing in its dual vertex; about 1.
        corners: alpha, a factor on the field at each corner; about 1.
        split: gamma; a quad is split along the diagonal with the larger product.
    """

    edges: Float[Tensor, "cubes 12"]
    corners: Float[Tensor, "cubes 8"]
    split: Float[Tensor, " cubes"]


@dataclass(frozen=True)
class DualPoints:
    """Positions of a dual surface, packed as in its `DualTopology`, in scene units.

    Attributes:
        crossings: Zeros of the field on the edges of each cube, without alpha.
        verts: Dual vertices.
    """

    crossings: Float[Tensor, "crossings 3"]
    verts: Float[Tensor, "verts 3"]


def cube_weights(raw: Float[Tensor, "cubes 21"]) -> CubeWeights:
    """Bound the outputs of a network: alpha and beta in (0.5, 1.5), gamma in (0.25, 0.75).

    Args:
        raw: 12 values for the edges, 8 for the corners, 1 for the split; zeros are neutral.
    """
    bounded = raw[:, :20].tanh() * _SCALE + 1
    split = raw[:, 20].sigmoid() * _SCALE + (1 - _SCALE) / 2
    return CubeWeights(bounded[:, :12], bounded[:, 12:], split)


def flexicubes(
    grid: VoxelGrid,
    sdf: Float[Tensor, " verts"],
    *,
    verts: Float[Tensor, "verts 3"] | None = None,
    raw_weights: Float[Tensor, "cubes 21"] | None = None,
    splits_in_four: bool = False,
) -> Mesh:
    """Extract the surface of one field.

    Points with `sdf > 0` are inside; faces wind counter-clockwise seen from outside. The mesh is a
    closed manifold, except that it is open where the surface reaches the grid's boundary.

    Args:
        grid: The grid.
        sdf: Signed distances at the grid vertices, positive inside; differentiable.
        verts: Deformed positions of the grid vertices, in scene units; differentiable.
        raw_weights: Arguments of `cube_weights`; None is neutral. Differentiable.
        splits_in_four: As in `dual_meshes`.

    Raises:
        ValueError: If a size does not match the grid, or a number is not finite.

    Example:
        >>> from get3d.geometry import voxel_grid
        >>> grid = voxel_grid(4)
        >>> mesh = flexicubes(grid, 0.3 - grid.verts.norm(dim=1))
        >>> mesh.verts.shape, mesh.faces.shape
        (torch.Size([32, 3]), torch.Size([60, 3]))
    """
    verts = grid.verts if verts is None else verts
    if raw_weights is None:
        raw_weights = sdf.new_zeros(1, NUM_WEIGHTS).expand(grid.num_cubes, -1)
    sizes = {"sdf": (sdf, len(grid.verts)), "verts": (verts, len(grid.verts))}
    for name, (values, size) in (sizes | {"raw_weights": (raw_weights, grid.num_cubes)}).items():
        if len(values) != size:
            raise ValueError(f"{name} must have {size} rows for this grid, got {len(values)}")
        if not values.isfinite().all():
            raise ValueError(f"{name} must be finite, got NaN or infinity")
    topology = dual_topology(grid, sdf[None])
    weights = cube_weights(raw_weights[topology.cubes])
    active = topology.at_active(sdf[None]), verts[topology.active_verts]
    points = place_points(topology, *active, weights)
    return dual_meshes(topology, points.verts, weights, splits_in_four=splits_in_four)[0]


@torch.no_grad()
def dual_topology(grid: VoxelGrid, sdf: Float[Tensor, "shapes verts"]) -> DualTopology:
    """Find the crossed cubes, the dual vertices and the quads of a batch of fields.

    Args:
        grid: The grid.
        sdf: Signed distances at the grid vertices, positive inside; zero and NaN count as outside.

    Raises:
        ValueError: If there is no shape, or `sdf` has another number of vertices than the grid.
    """
    check_fields(sdf, len(grid.verts))
    return find_dual_topology(sdf > 0, resolution=grid.resolution)


def place_points(
    topology: DualTopology,
    active_sdf: Float[Tensor, " active"],
    active_positions: Float[Tensor, "active 3"],
    weights: CubeWeights,
) -> DualPoints:
    """Compute the crossings, and the dual vertices as their weighted means.

    Args:
        topology: Result of `dual_topology` for the same field.
        active_sdf: Signed distances at `topology.active_verts`; differentiable.
        active_positions: Positions of `topology.active_verts`, after deformation, in scene units;
            differentiable.
        weights: Weights of `topology.cubes`; differentiable.
    """
    cube, edge = topology.crossing_cube, topology.crossing_edge
    ends = topology.crossing_active.view(-1)
    edge_ends = torch.from_numpy(CUBE_EDGES).to(edge.device).index_select(0, edge)
    corners = (cube[:, None] * 8 + edge_ends).view(-1)
    factors = weights.corners.reshape(-1).index_select(0, corners).view(-1, 2)
    values = active_sdf.index_select(0, ends).view(-1, 2)
    here, there = active_positions.index_select(0, ends).view(-1, 2, 3).unbind(1)

    def zeros(values: Float[Tensor, "crossings 2"]) -> Float[Tensor, "crossings 3"]:
        weight = zero_weights(values[:, 0], values[:, 1])[:, None]
        return here * (1 - weight) + there * weight

    moved = zeros(values * factors)
    edge_weight = weights.edges.reshape(-1).index_select(0, cube * 12 + edge)[:, None]
    sums = _segment_sums(torch.cat([moved * edge_weight, edge_weight], dim=1), topology.vert_sizes)
    return DualPoints(zeros(values), sums[:, :3] / sums[:, 3:])


def deviation_losses(topology: DualTopology, points: DualPoints) -> Float[Tensor, " shapes"]:
    """Compute mean |distance of a crossing from its dual vertex - mean of these distances|.

    Keeps dual vertices centred among their crossings, so that the mesh stays regular. Crossings are
    computed without alpha, as in the reference values. In scene units; zero without a surface.

    Args:
        topology: Topology of the surface.
        points: Result of `place_points`.

    Returns:
        One mean per shape.
    """
    vert, num_shapes = topology.crossing_vert, len(topology.vert_counts)
    distance = (points.crossings - points.verts.index_select(0, vert)).norm(dim=1)
    mean = _segment_sums(distance[:, None], topology.vert_sizes)[:, 0] / topology.vert_sizes
    deviation = (distance - mean.index_select(0, vert)).abs()
    shapes = torch.arange(num_shapes, device=vert.device).repeat_interleave(topology.vert_counts)
    return mean_by_shape(deviation, shapes[vert], num_shapes)


def dual_meshes(
    topology: DualTopology,
    verts: Float[Tensor, "verts 3"],
    weights: CubeWeights,
    *,
    splits_in_four: bool,
) -> list[Mesh]:
    """Split the quads into triangles.

    Args:
        topology: Topology of the surface.
        verts: Dual vertices, from `place_points`.
        weights: Weights of `topology.cubes`.
        splits_in_four: Split into four triangles around a point between the two diagonals, which
            makes the split differentiable (for training). Otherwise into two triangles, along the
            diagonal with the larger product of gammas at its ends.

    Returns:
        One mesh per shape; without vertices where the surface is empty.
    """
    quads = topology.quads
    gammas = weights.split.index_select(0, topology.quad_cubes.view(-1)).view(-1, 4)
    even, odd = gammas[:, 0] * gammas[:, 2], gammas[:, 1] * gammas[:, 3]
    shape_verts = list(verts.split(topology.vert_counts.tolist()))
    quad_counts = topology.quad_counts.tolist()
    firsts = (topology.vert_counts.cumsum(0) - topology.vert_counts).repeat_interleave(
        topology.quad_counts, output_size=len(quads)
    )
    local = quads - firsts[:, None]
    if not splits_in_four:
        turned = torch.where((even > odd)[:, None], local, local.roll(1, dims=1))
        faces = torch.stack([turned[:, [0, 1, 2]], turned[:, [0, 2, 3]]], dim=1)
        parts = [part.flatten(0, 1) for part in faces.split(quad_counts)]
        return [Mesh(*both) for both in zip(shape_verts, parts, strict=True)]

    corners = verts.index_select(0, quads.view(-1)).view(-1, 4, 3)
    fraction = (even / (even + odd))[:, None]
    centres = (corners[:, 0] + corners[:, 2]) * (fraction / 2)
    centres = centres + (corners[:, 1] + corners[:, 3]) * ((1 - fraction) / 2)
    meshes = []
    for own, added, quad in zip(
        shape_verts, centres.split(quad_counts), local.split(quad_counts), strict=True
    ):
        centre = (torch.arange(len(quad), device=quad.device) + len(own))[:, None].expand(-1, 4)
        faces = torch.stack([quad, quad.roll(-1, dims=1), centre], dim=2)
        meshes.append(Mesh(torch.cat([own, added]), faces.flatten(0, 1)))
    return meshes


def _segment_sums(
    rows: Float[Tensor, "rows c"], sizes: Int[Tensor, " segments"]
) -> Float[Tensor, "segments c"]:
    """Sum rows segment by segment, always in the same order."""
    return torch.segment_reduce(rows, "sum", lengths=sizes, axis=0, unsafe=True)
