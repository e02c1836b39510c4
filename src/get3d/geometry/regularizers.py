"""What keeps a learnt signed distance field sane (paper, section 3.1.1 and equation 2)."""

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
    """Discourage changes of sign along grid edges, and with them floaters and inner walls.

    Over the edges of the whole batch that change sign: binary cross-entropy of each end's SDF,
    taken as a logit, against the sign of the other end; the means over first and second ends are
    added (paper, equation 2). Without a crossing it is zero, and its gradient too.

    Args:
        sdf: Signed distances, positive inside.
        edges: The two ends of each grid edge.
    """
    with torch.no_grad():
        shape, edge = crossed_edges(sdf > 0, edges)
        ends = edges[edge] + (shape * sdf.shape[1])[:, None]
    return crossing_loss(sdf.reshape(-1)[ends])


def crossing_loss(values: Float[Tensor, "crossings 2"]) -> Float[Tensor, ""]:
    """`sdf_sign_change_loss` of edges that are known to change sign.

    Args:
        values: Signed distances at the two ends of each of them, positive inside.
    """
    if len(values) == 0:
        return values.sum()
    targets = (values.detach() > 0).to(values).flip(1)
    # Both ends have equally many terms: twice the mean over all is the sum of the two means.
    return 2 * F.binary_cross_entropy_with_logits(values, targets)


@torch.no_grad()
def _rescue_values(
    sdf: Float[Tensor, "shapes verts"],
) -> tuple[Bool[Tensor, " shapes"], Float[Tensor, ""], Float[Tensor, ""]]:
    """Find the shapes of one sign, and the values that give them a surface."""
    occupied = sdf > 0
    return occupied.all(1) | ~occupied.any(1), 1 - sdf.min(), -1 - sdf.max()


def rescue_empty(
    sdf: Float[Tensor, "shapes verts"], grid: TetGrid | VoxelGrid
) -> tuple[Float[Tensor, "shapes verts"], Bool[Tensor, " shapes"]]:
    """Give a shape whose SDF has one sign on the whole grid a surface, as the release does.

    The vertex nearest the origin becomes `1 - min(sdf)`, positive, and every vertex on the bounding
    box `-1 - max(sdf)`, negative, with the extremes over the whole batch. No gradient goes through
    these; all other values keep theirs.

    Args:
        sdf: Signed distances at the grid's vertices, positive inside.
        grid: The grid.

    Returns:
        The field, the very same one where nothing was to be rescued, and which shapes were.
    """
    was_rescued, inside, outside = _rescue_values(sdf)
    if not was_rescued.any():
        return sdf, was_rescued
    rescued = sdf.clone()
    shapes = was_rescued.nonzero()
    rescued[shapes, grid.boundary] = outside
    rescued[shapes, grid.centre] = inside
    return rescued, was_rescued


def empty_penalty(
    sdf: Float[Tensor, "shapes verts"], was_rescued: Bool[Tensor, " shapes"]
) -> Float[Tensor, ""]:
    """Mean |SDF| of the rescued shapes: pulls a field of one sign back towards zero.

    Args:
        sdf: Signed distances.
        was_rescued: From `rescue_empty`; where none was, the penalty is zero and so its gradient.
    """
    chosen = sdf[was_rescued]
    return chosen.abs().mean() if len(chosen) > 0 else chosen.sum()
