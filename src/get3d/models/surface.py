"""Iso-surface extraction, by either method, with the inputs of the losses on surfaces.

Deformation and weights are evaluated only near the surface: the rest has no effect.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from get3d.core import Mesh
from get3d.geometry import (
    DualTopology,
    KnownSurface,
    SparseCubes,
    SparseSurface,
    TetGrid,
    VoxelGrid,
    bcc_cells,
    bcc_grid,
    crossed_edges,
    crossing_losses,
    cube_corner_steps,
    cube_corners,
    cube_weights,
    deviation_losses,
    dual_meshes,
    dual_topology,
    empty_penalties,
    extract_sparse_cubes,
    extract_sparse_surface,
    mean_by_shape,
    place_points,
    sign_change_losses,
    sparse_meshes,
    surface_meshes,
    surface_topology,
    voxel_grid,
    with_fallback_surfaces,
)
from get3d.models.config import GeneratorConfig, GridOptions
from get3d.models.fields import Fields

Grid = TetGrid | VoxelGrid


@dataclass(frozen=True, kw_only=True)
class Surface:
    """Surfaces of a batch of shapes, with the inputs of the losses on them.

    Attributes:
        meshes: One mesh per shape, differentiable.
        sdf: Signed distances on the whole grid, from the network but positive inside.
        fallback_sdf: `sdf`, with a small fallback surface in shapes that have no surface.
        is_fallback: Whether each shape has the fallback surface.
        sign_change_loss: SDF regulariser of each shape (paper, equation 2), unweighted: on the
            edges that the surface crosses, of the finer grid where there is one.
        empty_penalty: Mean |SDF| of each shape without a surface; 0 for the others.
        deviation_loss: FlexiCubes: deviation of the distances from crossings to their dual vertex,
            in scene units; 0 for other iso-surfaces.
        magnitude_loss: FlexiCubes: mean |raw alpha and beta| of the cubes that a surface crosses;
            0 for other iso-surfaces.
        is_dual: Whether FlexiCubes extracted the meshes.
    """

    meshes: list[Mesh]
    sdf: Float[Tensor, "b grid"]
    fallback_sdf: Float[Tensor, "b grid"]
    is_fallback: Bool[Tensor, " b"]
    sign_change_loss: Float[Tensor, " b"]
    empty_penalty: Float[Tensor, " b"]
    deviation_loss: Float[Tensor, " b"]
    magnitude_loss: Float[Tensor, " b"]
    is_dual: bool


def config_grid(config: GeneratorConfig) -> Grid:
    """Make the grid of a config's iso-surface, resolution and scale."""
    make = voxel_grid if config.iso_surface == "flexicubes" else bcc_grid
    return make(config.grid_resolution, scale=config.scale)


def grid_cell(config: GeneratorConfig) -> float:
    """Compute the edge length of the cells of a config's grid, in scene units."""
    return config.scale / _cells_of(config, config.grid_resolution)


def grid_offsets(raw: Float[Tensor, "*n 3"], config: GeneratorConfig) -> Float[Tensor, "*n 3"]:
    """Convert the raw deformation to offsets of grid vertices, in scene units.

    The offsets do not depend on the fineness at which the surface is extracted, so that a finer
    grid gives the same shape with more detail.

    Args:
        raw: Deformation before the tanh.
        config: Config of the generator.
    """
    # half a cube, where the grid has edges of length one
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
    """Extract the meshes of a batch; a field of one sign gets a small fallback surface.

    Args:
        fields: Fields of the shapes.
        grid: Grid of the config's iso-surface, on the device of the fields.
        config: Config of the generator.
        for_training: Split the quads of FlexiCubes in four, so that the split has a gradient.
        options: Fineness of the surface; None as in training.

    Raises:
        ConfigError: If the surface cannot be as fine as that.
    """
    options = options or GridOptions()
    options.check(config)
    raw = _inward(fields.grid_sdf(), config)
    sdf, is_fallback = with_fallback_surfaces(raw, grid)
    num_own, num_cells = _cells_of(config, config.grid_resolution), _num_cells(config, options)
    if num_cells == num_own:
        found = _on_grid(fields, grid, config, sdf, for_training)
    else:
        shape, edge = crossed_edges((sdf > 0) & ~is_fallback[:, None], grid.edges)
        known = KnownSurface(
            points=grid.verts[grid.edges[edge].flatten()],
            shape=shape.repeat_interleave(2),
            num_shapes=len(fields),
            num_cells=num_own,
            scale=config.scale,
        )
        found = _on_finer_grid(fields, config, known, num_cells, for_training)
        if is_fallback.any():
            # A fallback surface is on the grid alone: it is not in the field.
            own = _on_grid(fields, grid, config, sdf, for_training).meshes
            chosen = zip(is_fallback.tolist(), own, found.meshes, strict=True)
            found = replace(found, meshes=[a if was else b for was, a, b in chosen])
    return Surface(
        meshes=found.meshes,
        sdf=raw,
        fallback_sdf=sdf,
        is_fallback=is_fallback,
        sign_change_loss=found.sign_change_loss,
        empty_penalty=empty_penalties(raw, is_fallback),
        deviation_loss=found.deviation_loss,
        magnitude_loss=found.magnitude_loss,
        is_dual=config.iso_surface == "flexicubes",
    )


@dataclass(frozen=True)
class _Found:
    """The parts of a `Surface` that depend on the grid it is extracted on."""

    meshes: list[Mesh]
    sign_change_loss: Float[Tensor, " b"]
    deviation_loss: Float[Tensor, " b"]
    magnitude_loss: Float[Tensor, " b"]


def _inward(sdf: Float[Tensor, "*n"], config: GeneratorConfig) -> Float[Tensor, "*n"]:
    """Convert the network's signed distances to positive inside."""
    return sdf if config.sdf_inside == "positive" else -sdf


def _num_cells(config: GeneratorConfig, options: GridOptions) -> int:
    """Count the cells, along each axis, of the lattice to extract the surface on."""
    if options.grid_resolution is not None:
        return _cells_of(config, options.grid_resolution)
    times = config.subdivisions if options.subdivisions is None else options.subdivisions
    return _cells_of(config, config.grid_resolution) << times


def _cells_of(config: GeneratorConfig, resolution: int) -> int:
    """Count the cells, along each axis, of a config's kind of grid."""
    return resolution if config.iso_surface == "flexicubes" else bcc_cells(resolution)


def _on_grid(
    fields: Fields,
    grid: Grid,
    config: GeneratorConfig,
    sdf: Float[Tensor, "b grid"],
    for_training: bool,
) -> _Found:
    """Extract the surfaces on the generator's grid."""
    loss = sign_change_losses(sdf, grid.edges)
    match grid:
        case TetGrid():
            topology = surface_topology(grid, sdf.detach())
            active = topology.active_verts, topology.active_shape
            meshes = surface_meshes(topology, sdf, _positions(fields, grid, config, *active))
            return _Found(meshes, loss, torch.zeros_like(loss), torch.zeros_like(loss))
        case VoxelGrid():
            dual = dual_topology(grid, sdf.detach())
            positions = _positions(fields, grid, config, dual.active_verts, dual.active_shape)
            raw_weights = _raw_weights(fields, grid, dual.cubes, dual.cube_shape)
            return _dual_surface(
                dual, dual.at_active(sdf), positions, raw_weights, loss, for_training
            )


def _on_finer_grid(
    fields: Fields,
    config: GeneratorConfig,
    known: KnownSurface,
    num_cells: int,
    for_training: bool,
) -> _Found:
    """Extract the surfaces on a lattice finer or coarser than the generator's grid."""

    def field(points: Float[Tensor, "n 3"], shape: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
        return _inward(fields.packed(fields.sdf, points, shape), config)

    is_cubes = config.iso_surface == "flexicubes"
    sparse = (extract_sparse_cubes if is_cubes else extract_sparse_surface)(field, known, num_cells)
    sdf = sparse.sdf
    if torch.is_grad_enabled():
        # Evaluate again with gradients. Where rounding changes a sign, the first value is kept.
        again = field(sparse.points, sparse.shape)
        sdf = torch.where((again > 0) == (sdf > 0), again, sdf)
    raw = fields.packed(fields.deformation, sparse.points, sparse.shape)
    positions = sparse.points + grid_offsets(raw, config)
    edge_shape = sparse.shape[sparse.edges[:, 0]]
    loss = crossing_losses(sdf[sparse.edges], edge_shape, num_shapes=known.num_shapes)
    match sparse:
        case SparseSurface():
            meshes = sparse_meshes(sparse, sdf, positions)
            return _Found(meshes, loss, torch.zeros_like(loss), torch.zeros_like(loss))
        case SparseCubes():
            corners = _training_corners(sparse.centres, config)
            raw_weights = fields.packed(fields.flexi_weights, corners, sparse.topology.cube_shape)
            return _dual_surface(sparse.topology, sdf, positions, raw_weights, loss, for_training)


def _training_corners(
    centres: Float[Tensor, "cubes 3"], config: GeneratorConfig
) -> Float[Tensor, "cubes 8 3"]:
    """Compute the corners of cubes of the size in training about the given centres.

    The network predicts the weights of a cube from the features at its corners, so that it must be
    evaluated at corners of cubes as large as in training.
    """
    edge = config.scale / (config.grid_resolution << config.subdivisions)
    steps = cube_corner_steps(centres.device).to(centres) - 0.5
    return centres[:, None] + steps * edge


def _dual_surface(
    topology: DualTopology,
    sdf: Float[Tensor, " active"],
    positions: Float[Tensor, "active 3"],
    raw_weights: Float[Tensor, "cubes 21"],
    sign_change_loss: Float[Tensor, " b"],
    for_training: bool,
) -> _Found:
    """Place dual vertices and connect them to meshes, with the regularisers of FlexiCubes."""
    weights = cube_weights(raw_weights)
    points = place_points(topology, sdf, positions, weights)
    sizes = raw_weights[:, :20].abs().mean(1)
    magnitude = mean_by_shape(sizes, topology.cube_shape, len(sign_change_loss))
    meshes = dual_meshes(topology, points.verts, weights, splits_in_four=for_training)
    return _Found(meshes, sign_change_loss, deviation_losses(topology, points), magnitude)


def _positions(
    fields: Fields,
    grid: Grid,
    config: GeneratorConfig,
    verts: Int[Tensor, " active"],
    shape: Int[Tensor, " active"],
) -> Float[Tensor, "active 3"]:
    """Compute deformed positions of packed grid vertices, each of one shape."""
    raw = fields.packed(fields.grid_deformation, verts, shape)
    return grid.verts[verts] + grid_offsets(raw, config)


def _raw_weights(
    fields: Fields, grid: VoxelGrid, cubes: Int[Tensor, " cubes"], shape: Int[Tensor, " cubes"]
) -> Float[Tensor, "cubes 21"]:
    """Compute raw weights of packed cubes, each of one shape."""
    corners = cube_corners(cubes, grid.resolution)
    return fields.packed(fields.grid_flexi_weights, corners, shape)
