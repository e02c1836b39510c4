"""Tri-plane lookup: features of 3D points from three planes (paper, section 3.1.1; EG3D)."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from get3d.models.ops.sparse import SparseMap

AXES = ((0, 1), (1, 2), (0, 2))  # of the xy, yz and xz plane; the first runs along the width


def normalize_points(points: Float[Tensor, "*n 3"], *, extent: float) -> Float[Tensor, "*n 3"]:
    """Map the cube of edge length `extent` about the origin to [-1, 1], clamping points outside."""
    return (points * (2.0 / extent)).clamp(-1.0, 1.0)


def sample_triplane(
    planes: Float[Tensor, "b channels h w"], points: Float[Tensor, "*b n 3"], *, extent: float
) -> Float[Tensor, "b n c"]:
    """Sum bilinear lookups of 3D points on the xy, yz and xz planes.

    Points outside the cube are clamped to its faces, so that a vertex moved slightly out by its
    offset gets the feature of the border.

    Args:
        planes: Feature maps; a third of the channels belongs to each plane, in that order.
        points: Object-space positions, in scene units, of each sample or shared by all.
        extent: Edge length of the cube that the planes cover, in scene units.

    Raises:
        ValueError: If the points have another number of samples than the planes.
    """
    points = normalize_points(points, extent=extent)
    if points.ndim == 2:
        points = points.expand(len(planes), -1, -1)
    if len(points) != len(planes):
        raise ValueError(f"points of {len(points)} samples for planes of {len(planes)}")
    xy, yz, xz = planes.chunk(3, dim=1)
    # One after the other, to hold no more than three features of a point at once.
    features = _sample(xy, points, AXES[0])
    features = features + _sample(yz, points, AXES[1])
    return features + _sample(xz, points, AXES[2])


def _sample(
    plane: Float[Tensor, "b c h w"], points: Float[Tensor, "b n 3"], axes: tuple[int, int]
) -> Float[Tensor, "b n c"]:
    """Sample a plane bilinearly at coordinates in [-1, 1], with zeros beyond the border."""
    coordinates = points[..., list(axes)]
    values = F.grid_sample(
        plane, coordinates[:, :, None], mode="bilinear", padding_mode="zeros", align_corners=False
    )
    return values[..., 0].transpose(1, 2)


class GridLookup(nn.Module):
    """Tri-plane lookup at the vertices of a grid, which share most of their plane coordinates.

    The vertices of a lattice project onto few distinct points of each plane (about N^(2/3)), so the
    planes are sampled there only; a vertex's feature is the sum of three such rows. Linear maps can
    be applied to the rows, of which there are fewer, before that sum. On a grid without repeated
    coordinates the cost is that of `sample_triplane`.

    Attributes:
        index: Indices of the three rows of every grid vertex.
        bias_fraction: Fraction of a bias in each row: 1 in the first plane, of which every vertex
            has one row, 0 in the others.
    """

    index: Int[Tensor, "n 3"]
    bias_fraction: Float[Tensor, "m 1"]

    def __init__(self, verts: Float[Tensor, "n 3"], *, extent: float, resolution: int) -> None:
        """Find the distinct coordinates.

        Args:
            verts: Grid vertices, in scene units.
            extent: Edge length of the cube that the planes cover, in scene units.
            resolution: Width and height of the planes, in texels.
        """
        super().__init__()
        points = normalize_points(verts, extent=extent)
        texels, weights, index, start = [], [], [], 0
        for plane, axes in enumerate(AXES):
            pairs, inverse = torch.unique(points[:, axes], dim=0, return_inverse=True)
            texel, weight = bilinear_taps(pairs, resolution)
            texels.append(texel * 3 + plane)  # the planes of a texel follow each other
            weights.append(weight)
            index.append(inverse + start)
            start += len(pairs)
        self.reading = SparseMap(torch.cat(texels), torch.cat(weights), 3 * resolution**2)
        self.register_buffer("index", torch.stack(index, dim=1).int(), persistent=False)
        is_first = torch.arange(start, device=verts.device)[:, None] <= index[0].max()
        self.register_buffer("bias_fraction", is_first.to(verts.dtype), persistent=False)

    def read(self, planes: Float[Tensor, "b channels h w"]) -> Float[Tensor, "b m c"]:
        """Sample each plane at its distinct coordinates; one row each."""
        texels = planes.permute(0, 2, 3, 1).flatten(1, 2)
        return self.reading(texels.unflatten(2, (3, -1)).flatten(1, 2))

    def gather_at(
        self, rows: Float[Tensor, "b m c"], verts: Int[Tensor, "b k"]
    ) -> Float[Tensor, "b k c"]:
        """Sum the three rows of some grid vertices of each sample.

        Args:
            rows: Rows from `read`, or linear maps of them.
            verts: Indices of grid vertices.
        """
        shift = torch.arange(len(rows), device=rows.device)[:, None] * rows.shape[1]
        flat = rows.flatten(0, 1)
        xy, yz, xz = self.index[verts].long().unbind(2)
        features = flat.index_select(0, (xy + shift).flatten())
        features = features + flat.index_select(0, (yz + shift).flatten())
        features = features + flat.index_select(0, (xz + shift).flatten())
        return features.unflatten(0, verts.shape)


def bilinear_taps(
    coordinates: Float[Tensor, "n 2"], size: int
) -> tuple[Int[Tensor, "n 4"], Float[Tensor, "n 4"]]:
    """Compute the four texels that `sample_triplane` interpolates, and their weights.

    Args:
        coordinates: Plane coordinates in [-1, 1]; the first runs along the width.
        size: Width and height of the plane, in texels.

    Returns:
        Texel indices, row by row, and weights; zero for texels outside the plane.
    """
    place = ((coordinates + 1) * size - 1) / 2
    low = place.floor()
    steps = torch.cartesian_prod(torch.arange(2), torch.arange(2)).to(low)
    texel = low[:, None] + steps
    weight = torch.where(steps > 0, (place - low)[:, None], 1 - (place - low)[:, None]).prod(2)
    is_inside = ((texel >= 0) & (texel < size)).all(2)
    column, row = texel.long().clamp(0, size - 1).unbind(2)
    return row * size + column, weight * is_inside
