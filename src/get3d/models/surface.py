"""From a field to meshes, by either iso-surface, with what the losses on them need.

Offsets and weights are evaluated only where a surface passes: the rest would change nothing.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from get3d.core import Mesh
from get3d.geometry import (
    TetGrid,
    VoxelGrid,
    bcc_cells,
    bcc_grid,
    crossing_loss,
    cube_corners,
    cube_weights,
    deviation_loss,
    dual_meshes,
    dual_topology,
    empty_penalty,
    place_points,
    rescue_empty,
    sdf_sign_change_loss,
    surface_meshes,
    surface_topology,
    trace_surface,
    traced_meshes,
    voxel_grid,
)
from get3d.models.config import GeneratorConfig, GridOptions
from get3d.models.fields import Fields
from get3d.models.packing import row_slots, to_rows

Grid = TetGrid | VoxelGrid


@dataclass(frozen=True, kw_only=True)
class Surface:
    """The surfaces of a batch, with what the losses on them need.

    Attributes:
        meshes: One a shape, differentiable.
        sdf: Signed distances on the whole grid, as the network made them but positive inside.
        rescued_sdf: The same, but shapes without a surface given a small one.
        was_rescued: Which shapes had no surface.
        sign_change_loss: Regulariser on the edges that the surfaces cross, without its weight; on
            those of the finer grid where there is one.
        empty_penalty: Mean |SDF| of the shapes without a surface; 0 if there is none.
        deviation_loss: FlexiCubes: how unevenly crossings lie about dual vertices, in scene units;
            0 for other iso-surfaces.
        magnitude_loss: FlexiCubes: mean |raw alpha and beta| of the cubes that the surfaces cross;
            0 for other iso-surfaces.
    """

    meshes: list[Mesh]
    sdf: Float[Tensor, "b grid"]
    rescued_sdf: Float[Tensor, "b grid"]
    was_rescued: Bool[Tensor, " b"]
    sign_change_loss: Float[Tensor, ""]
    empty_penalty: Float[Tensor, ""]
    deviation_loss: Float[Tensor, ""]
    magnitude_loss: Float[Tensor, ""]


def config_grid(config: GeneratorConfig) -> Grid:
    """Make the grid of a config's iso-surface, resolution and scale."""
    make = voxel_grid if config.iso_surface == "flexicubes" else bcc_grid
    return make(config.grid_resolution, scale=config.scale)


def grid_offsets(raw: Float[Tensor, "*n 3"], config: GeneratorConfig) -> Float[Tensor, "*n 3"]:
    """Turn the raw deformation into offsets of grid vertices, in scene units.

    What the network learnt are offsets of this size: the same at any fineness of the surface, since
    a finer grid is to show more of the same shape.
    """
    # half a cube, where cubes fill a side of length one
    halves = 2 if config.iso_surface == "flexicubes" else 1
    resolution = config.grid_resolution << config.subdivisions
    return raw.tanh() / (resolution * config.deformation_multiplier * halves)


def extract_surface(
    fields: Fields,
    grid: Grid,
    config: GeneratorConfig,
    *,
    for_training: bool,
    options: GridOptions | None = None,
) -> Surface:
    """Extract the meshes of a batch; a shape whose field has one sign gets a small surface.

    Args:
        fields: Of the shapes.
        grid: Of the config's iso-surface, on the device of the fields.
        config: Of the generator.
        for_training: Split the quads of FlexiCubes in four, so that the split has a gradient.
        options: How fine; None as in training.

    Raises:
        ValueError: If the surface cannot be as fine as that.
    """
    options = options or GridOptions()
    options.check(config)
    raw = _inward(fields.grid_sdf(), config)
    sdf, was_rescued = rescue_empty(raw, grid)
    deviation = magnitude = raw.new_zeros(())
    match grid:
        case TetGrid():
            num_cells = _num_cells(config, options)
            meshes, sign_change = _tetrahedra(fields, grid, config, sdf, was_rescued, num_cells)
        case VoxelGrid():
            dual = dual_topology(grid, sdf.detach())
            raw_weights = _raw_weights(fields, grid, dual.cubes, dual.cube_shape)
            weights = cube_weights(raw_weights)
            active = (dual.active_verts, dual.active_shape)
            points = place_points(dual, sdf, _positions(fields, grid, config, *active), weights)
            meshes = dual_meshes(dual, points.verts, weights, splits_in_four=for_training)
            sign_change = sdf_sign_change_loss(sdf, grid.edges)
            deviation = deviation_loss(dual, points)
            sizes = raw_weights[:, :20].abs()
            magnitude = sizes.mean() if len(sizes) > 0 else sizes.sum()
    return Surface(
        meshes=meshes,
        sdf=raw,
        rescued_sdf=sdf,
        was_rescued=was_rescued,
        sign_change_loss=sign_change,
        empty_penalty=empty_penalty(raw, was_rescued),
        deviation_loss=deviation,
        magnitude_loss=magnitude,
    )


def _inward(sdf: Float[Tensor, "*n"], config: GeneratorConfig) -> Float[Tensor, "*n"]:
    """Turn the network's signed distances so that they are positive inside."""
    return sdf if config.sdf_inside == "positive" else -sdf


def _num_cells(config: GeneratorConfig, options: GridOptions) -> int:
    """Count the cells along each side of the lattice that the surface is wanted on."""
    if options.grid_resolution is not None:
        return bcc_cells(options.grid_resolution)
    times = config.subdivisions if options.subdivisions is None else options.subdivisions
    return bcc_cells(config.grid_resolution) << times


def _tetrahedra(
    fields: Fields,
    grid: TetGrid,
    config: GeneratorConfig,
    sdf: Float[Tensor, "b grid"],
    was_rescued: Bool[Tensor, " b"],
    num_cells: int,
) -> tuple[list[Mesh], Float[Tensor, ""]]:
    """March through the tets of the grid or, if that is finer, of a lattice of so many cells.

    Rescued shapes have their surface on the grid alone: no field knows of it.

    Returns:
        The meshes, and the regulariser on the edges that they cross.
    """
    topology = surface_topology(grid, sdf.detach())
    verts, shape = topology.active_verts, topology.active_shape
    is_finer = num_cells > bcc_cells(config.grid_resolution)
    if not is_finer or was_rescued.any():
        meshes = surface_meshes(topology, sdf, _positions(fields, grid, config, verts, shape))
    if not is_finer:
        return meshes, sdf_sign_change_loss(sdf, grid.edges)
    kept = ~was_rescued[shape]
    fine, sign_change = _traced(fields, config, grid.verts[verts[kept]], shape[kept], num_cells)
    if was_rescued.any():
        pairs = zip(was_rescued.tolist(), meshes, fine, strict=True)
        fine = [coarse if was else mesh for was, coarse, mesh in pairs]
    return fine, sign_change


def _traced(
    fields: Fields,
    config: GeneratorConfig,
    points: Float[Tensor, "points 3"],
    shape: Int[Tensor, " points"],
    num_cells: int,
) -> tuple[list[Mesh], Float[Tensor, ""]]:
    """Find the surfaces of a fine lattice from points near those of the grid."""

    def field(points: Float[Tensor, "n 3"], shape: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
        return _inward(fields.sdf_packed(points, shape), config)

    traced = trace_surface(
        field,
        points,
        shape,
        num_shapes=len(fields),
        num_coarse=bcc_cells(config.grid_resolution),
        num_cells=num_cells,
        scale=config.scale,
    )
    sdf = traced.sdf
    if torch.is_grad_enabled():
        # The few values that matter, once more. Rounding may turn a sign: the first one holds.
        again = field(traced.points, traced.shape)
        sdf = torch.where((again > 0) == (sdf > 0), again, sdf)
    raw = fields.deformation_packed(traced.points, traced.shape)
    positions = traced.points + grid_offsets(raw, config)
    ends = sdf[traced.topology.edge_verts]
    return traced_meshes(traced, sdf, positions), crossing_loss(ends)


def _positions(
    fields: Fields,
    grid: Grid,
    config: GeneratorConfig,
    verts: Int[Tensor, " active"],
    shape: Int[Tensor, " active"],
) -> Float[Tensor, "active 3"]:
    """Deformed positions of packed grid vertices, each of one shape."""
    slots, width = row_slots(shape, len(fields))
    rows = to_rows(verts, slots, num_rows=len(fields), width=width)
    raw = fields.grid_deformation(rows).flatten(0, 1)[slots]
    return grid.verts[verts] + grid_offsets(raw, config)


def _raw_weights(
    fields: Fields, grid: VoxelGrid, cubes: Int[Tensor, " cubes"], shape: Int[Tensor, " cubes"]
) -> Float[Tensor, "cubes 21"]:
    """Raw weights of packed cubes, each of one shape."""
    slots, width = row_slots(shape, len(fields))
    rows = to_rows(cubes, slots, num_rows=len(fields), width=width)
    corners = cube_corners(rows, grid.resolution)
    return fields.grid_flexi_weights(corners).flatten(0, 1)[slots]
