"""Points on the surface of a shape, as the published evaluation draws them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from get3d.core.types import Mesh, TexturedMesh
from get3d.geometry import check_surface, sample_surface


@dataclass(frozen=True, kw_only=True)
class PointProtocol:
    """How shapes become points and points become a score: saved beside every Chamfer score.

    The defaults are the published protocol of GET3D. What has one choice only is here so that a
    saved score says it.

    Attributes:
        num_points: Drawn on each shape, uniformly by area.
        seed: Of the draws; goes together with the seed of each shape.
        normalization: What is done to the mesh before.
        distance: What is measured between two sets of points.
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
        """Refuse what no shape can follow."""
        if self.num_points < 1:
            raise ValueError(f"num_points must be at least 1, got {self.num_points}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}")


def sample_points(
    mesh: Mesh | TexturedMesh, protocol: PointProtocol, *, seed: int
) -> Float[Tensor, "n 3"]:
    """Draw points uniformly by area on a mesh whose longest side is made 1.

    They are drawn on the CPU in double precision, so a seed means the same points wherever the
    mesh is. The box is that of the faces: vertices that no face uses belong to no surface.

    Args:
        mesh: The shape, in any units.
        protocol: How many points, and the seed of the evaluation.
        seed: Of this shape, so that shapes are sampled independently; at least 0.

    Returns:
        float32, on the device of the mesh; one scene unit is the longest side of the box.

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
