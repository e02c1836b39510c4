"""Sampling of surface points, as in the published evaluation."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from get3d.core import ConfigError, Mesh, TexturedMesh
from get3d.geometry import check_surface, sample_surface


@dataclass(frozen=True, kw_only=True)
class PointProtocol:
    """Protocol of Chamfer distances, saved with every score.

    The defaults are the published protocol of GET3D. Settings with a single choice are here to be
    saved with the score.

    Attributes:
        num_points: Points of each shape, sampled uniformly by area.
        seed: Seed of the points, together with the seed of each shape.
        normalization: Normalization of the mesh.
        distance: Distance of two sets of points.
    """

    num_points: int = 2048
    seed: int = 0
    normalization: Literal["divided by the longest side of its box, not re-centred"] = (
        "divided by the longest side of its box, not re-centred"
    )
    distance: Literal["mean of squared nearest distances, both directions summed"] = (
        "mean of squared nearest distances, both directions summed"
    )

    def __post_init__(self) -> None:
        """Validate the values; raise ConfigError."""
        if self.num_points < 1:
            raise ConfigError(f"num_points must be at least 1, got {self.num_points}")
        if self.seed < 0:
            raise ConfigError(f"seed must not be negative, got {self.seed}")


def sample_points(
    mesh: Mesh | TexturedMesh, protocol: PointProtocol, *, seed: int
) -> Float[Tensor, "n 3"]:
    """Sample points uniformly by area on a mesh scaled to a longest extent of 1.

    The points are sampled on the CPU in double precision, so that they do not depend on the device
    of the mesh. The bounding box is that of the faces; unused vertices are ignored.

    Args:
        mesh: The shape, in any units.
        protocol: Number of points, and the seed of the evaluation.
        seed: Seed of this shape, at least 0.

    Returns:
        Points in float32, on the device of the mesh, in units of the longest extent.

    Raises:
        MeshError: If the mesh has no faces or no area, or a vertex of a face is not finite.

    Example:
        >>> triangle = Mesh(4 * torch.eye(3), torch.tensor([[0, 1, 2]]))
        >>> points = sample_points(triangle, PointProtocol(num_points=5), seed=0)
        >>> points.shape, points.sum(1)
        (torch.Size([5, 3]), tensor([1., 1., 1., 1., 1.]))
    """
    surface = mesh.mesh if isinstance(mesh, TexturedMesh) else mesh
    check_surface(surface)
    verts, faces = surface.verts.detach().cpu().double(), surface.faces.cpu()
    corners = verts[faces.reshape(-1)]
    longest = (corners.amax(0) - corners.amin(0)).max()
    mixed = np.random.SeedSequence([protocol.seed, seed]).generate_state(1, np.uint64)
    generator = torch.Generator().manual_seed(int(mixed[0]))
    scaled = Mesh(verts / longest, faces)
    points = sample_surface(scaled, protocol.num_points, generator=generator).points
    return points.to(surface.verts.device, torch.float32)
