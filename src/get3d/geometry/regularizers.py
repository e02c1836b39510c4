"""Regularisation of a learned signed distance field (paper, section 3.1.1 and equation 2)."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from get3d.geometry.tet_grid import TetGrid
from get3d.geometry.topology import crossed_edges
from get3d.geometry.voxel_grid import VoxelGrid


def sdf_sign_change_loss(
    sdf: Float[Tensor, "shapes verts"], edges: Int[Tensor, "edges 2"]
) -> Float[Tensor, ""]:
    """Penalise sign changes along grid edges, which reduces floaters and internal surfaces.

    Over the edges of the whole batch that change sign: binary cross-entropy of each end's SDF, as a
    logit, against the sign of the other end; the means over first and second ends are added (paper,
    equation 2). Zero, with zero gradient, if no edge changes sign. Training uses
    `sign_change_losses`, one value per shape.

    Args:
        sdf: Signed distances, positive inside.
        edges: The two ends of each grid edge.
    """
    values = _crossing_values(sdf, edges)[0]
    losses = _cross_entropy(values)
    return losses.mean() if len(losses) > 0 else losses.sum()


def sign_change_losses(
    sdf: Float[Tensor, "shapes verts"], edges: Int[Tensor, "edges 2"]
) -> Float[Tensor, " shapes"]:
    """Compute `sdf_sign_change_loss` separately for each shape.

    Args:
        sdf: Signed distances, positive inside.
        edges: The two ends of each grid edge.
    """
    return crossing_losses(*_crossing_values(sdf, edges), num_shapes=len(sdf))


def crossing_losses(
    values: Float[Tensor, "crossings 2"], shape: Int[Tensor, " crossings"], *, num_shapes: int
) -> Float[Tensor, " shapes"]:
    """Compute `sign_change_losses` for edges that are known to change sign.

    Args:
        values: Signed distances at the two ends of each edge, positive inside.
        shape: Index of each edge's shape.
        num_shapes: Number of shapes.
    """
    return mean_by_shape(_cross_entropy(values), shape, num_shapes)


def mean_by_shape(
    values: Float[Tensor, " n"], shape: Int[Tensor, " n"], num_shapes: int
) -> Float[Tensor, " shapes"]:
    """Average packed values over each shape; 0 for a shape that has none.

    Args:
        values: Values of all shapes, packed.
        shape: Index of each value's shape.
        num_shapes: Number of shapes.
    """
    sums = values.new_zeros(num_shapes).index_add(0, shape, values)
    counts = torch.bincount(shape, minlength=num_shapes)
    return sums / counts.clamp(min=1)


def _crossing_values(
    sdf: Float[Tensor, "shapes verts"], edges: Int[Tensor, "edges 2"]
) -> tuple[Float[Tensor, "crossings 2"], Int[Tensor, " crossings"]]:
    """Return the SDF at both ends of the edges that change sign, and the edges' shapes."""
    with torch.no_grad():
        shape, edge = crossed_edges(sdf > 0, edges)
        ends = edges[edge] + (shape * sdf.shape[1])[:, None]
    return sdf.reshape(-1)[ends], shape


def _cross_entropy(values: Float[Tensor, "crossings 2"]) -> Float[Tensor, " crossings"]:
    """Return the cross-entropies of both ends, each against the sign of the other, summed."""
    targets = (values.detach() > 0).to(values).flip(1)
    return F.binary_cross_entropy_with_logits(values, targets, reduction="none").sum(1)


@torch.no_grad()
def _fallback_values(
    sdf: Float[Tensor, "shapes verts"],
) -> tuple[Bool[Tensor, " shapes"], Float[Tensor, " shapes"], Float[Tensor, " shapes"]]:
    """Find the shapes of one sign; return the inner and outer values of their fallback surfaces."""
    occupied = sdf > 0
    return occupied.all(1) | ~occupied.any(1), 1 - sdf.amin(1), -1 - sdf.amax(1)


def with_fallback_surfaces(
    sdf: Float[Tensor, "shapes verts"], grid: TetGrid | VoxelGrid
) -> tuple[Float[Tensor, "shapes verts"], Bool[Tensor, " shapes"]]:
    """Add a fallback surface to shapes whose SDF has one sign everywhere, as the release does.

    The vertex nearest the origin is set to `1 - min(sdf)`, positive, and every vertex on the
    bounding box to `-1 - max(sdf)`, negative, with the extremes over the shape (in the release:
    over the batch). No gradient flows through these values.

    Args:
        sdf: Signed distances at the grid's vertices, positive inside.
        grid: The grid.

    Returns:
        The field (the same tensor if no shape needs a fallback), and whether each shape has one.
    """
    is_fallback, inside, outside = _fallback_values(sdf)
    if not is_fallback.any():
        return sdf, is_fallback
    replaced = sdf.clone()
    shapes = is_fallback.nonzero()
    replaced[shapes, grid.boundary] = outside[shapes]
    replaced[shapes, grid.centre] = inside[shapes]
    return replaced, is_fallback


def empty_penalties(
    sdf: Float[Tensor, "shapes verts"], is_fallback: Bool[Tensor, " shapes"]
) -> Float[Tensor, " shapes"]:
    """Compute mean |SDF| of shapes without a surface, which pulls fields of one sign to zero.

    Args:
        sdf: Signed distances.
        is_fallback: Result of `with_fallback_surfaces`; the penalty of other shapes is zero.
    """
    shapes = is_fallback.nonzero()[:, 0]
    return sdf.new_zeros(len(sdf)).index_add(0, shapes, sdf[shapes].abs().mean(1))
