"""Reading features of 3D points from three planes (paper, section 3.1.1; EG3D)."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

AXES = ((0, 1), (1, 2), (0, 2))  # of the xy, yz and xz plane; the first runs along the width


def normalize_points(points: Float[Tensor, "*n 3"], *, extent: float) -> Float[Tensor, "*n 3"]:
    """Map the cube around the origin with side `extent` to [-1, 1], clamping what lies outside."""
    return (points * (2.0 / extent)).clamp(-1.0, 1.0)


def sample_triplane(
    planes: Float[Tensor, "b channels h w"], points: Float[Tensor, "*b n 3"], *, extent: float
) -> Float[Tensor, "b n c"]:
    """Sum bilinear lookups of 3D points on the xy, yz and xz planes.

    Points outside the cube are clamped to its faces, so a vertex pushed slightly out by its offset
    still gets the border's feature. Coordinates carry no gradient.

    Args:
        planes: Feature maps; a third of the channels belongs to each plane, in that order.
        points: Object-space positions, in scene units, of each sample or shared by all.
        extent: Side of the cube that the planes cover, in scene units.

    Raises:
        ValueError: If the points are of another number of samples than the planes.
    """
    points = normalize_points(points.detach(), extent=extent)
    if points.ndim == 2:
        points = points.expand(len(planes), -1, -1)
    if len(points) != len(planes):
        raise ValueError(f"points of {len(points)} samples for planes of {len(planes)}")
    features = [
        _sample(plane, points[..., list(axes)])
        for plane, axes in zip(planes.chunk(3, dim=1), AXES, strict=True)
    ]
    return features[0] + features[1] + features[2]


def _sample(
    plane: Float[Tensor, "b c h w"], coordinates: Float[Tensor, "b n 2"]
) -> Float[Tensor, "b n c"]:
    """Bilinear lookup at coordinates in [-1, 1]; zero beyond the outermost pixel centres."""
    values = F.grid_sample(
        plane, coordinates[:, :, None], mode="bilinear", padding_mode="zeros", align_corners=False
    )
    return values[..., 0].transpose(1, 2)


class GridLookup(nn.Module):
    """Tri-plane lookup at the vertices of a grid, which share most of their plane coordinates.

    The vertices of a lattice project onto few distinct points of each plane (about N^(2/3)), so the
    planes are read there only; a vertex's feature is the sum of three such rows. Linear maps can be
    applied to the rows before that sum, where there are fewer of them. On a grid without repeated
    coordinates nothing is gained and nothing lost.
    """

    pairs: Float[Tensor, "m 2"]
    index: Int[Tensor, "n 3"]

    def __init__(self, verts: Float[Tensor, "n 3"], *, extent: float) -> None:
        """Find the distinct coordinates.

        Args:
            verts: Grid vertices, in scene units.
            extent: Side of the cube that the planes cover, in scene units.
        """
        super().__init__()
        points = normalize_points(verts, extent=extent)
        found = [torch.unique(points[:, axes], dim=0, return_inverse=True) for axes in AXES]
        starts = [0]
        for pairs, _ in found:
            starts.append(starts[-1] + len(pairs))
        self.spans = tuple(pairwise(starts))
        index = torch.stack(
            [inverse + a for (_, inverse), (a, _) in zip(found, self.spans, strict=True)], 1
        )
        self.register_buffer("pairs", torch.cat([pairs for pairs, _ in found]), persistent=False)
        self.register_buffer("index", index, persistent=False)

    def sample(self, planes: Float[Tensor, "b channels h w"]) -> Float[Tensor, "b m c"]:
        """Read each plane at its distinct coordinates; one row each."""
        pairs = self.pairs.expand(len(planes), -1, -1)
        return torch.cat(
            [
                _sample(plane, pairs[:, a:b].to(planes.dtype))
                for plane, (a, b) in zip(planes.chunk(3, dim=1), self.spans, strict=True)
            ],
            dim=1,
        )

    def gather(self, rows: Float[Tensor, "b m c"]) -> Float[Tensor, "b n c"]:
        """Sum the three rows of every grid vertex."""
        xy, yz, xz = self.index.unbind(1)
        return rows[:, xy] + rows[:, yz] + rows[:, xz]

    def gather_at(
        self, rows: Float[Tensor, "b m c"], verts: Int[Tensor, "b k"]
    ) -> Float[Tensor, "b k c"]:
        """Sum the three rows of some grid vertices of each sample."""
        shape = torch.arange(len(rows), device=rows.device)[:, None]
        xy, yz, xz = self.index[verts].unbind(2)
        return rows[shape, xy] + rows[shape, yz] + rows[shape, xz]
