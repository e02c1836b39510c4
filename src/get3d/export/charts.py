"""A surface cut into charts: connected regions without folds, each projected along an axis."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from get3d.core.types import Mesh
from get3d.export.chart_kernels import connected_charts, free_overlaps, grow_charts
from get3d.export.packing_kernels import turn_to_least_boxes
from get3d.export.regroup_kernels import attach_scraps, cut_loose
from get3d.geometry import face_areas, face_normals
from get3d.geometry.half_edges import opposite_half_edges

# A face joins a chart if its normal is no farther from the chart's axis than the first angle and
# the surroundings' no farther than the second, and stays if no farther than the third when the
# axis is settled. The texture is stretched by one over the cosine: by 4.2 at most.
_GROW_COSINES = tuple(math.cos(math.radians(angle)) for angle in (72, 50, 76))
_LEAST_SCALE = math.cos(math.radians(76))
_SMOOTHING = 6
_SCRAP_FACES = 24
_ROUNDS = 8
_FACES_A_PART = 4
# Overlaps are looked for in cells of half a texel. Charts of more cells than that, larger than a
# texture of 2048, are looked at in larger ones.
_MAX_CELLS = 1 << 24
# Charts whose boxes waste more than the first fraction of the surface's area are cut where that
# saves at least the second fraction of the box.
_WASTE, _GAIN = 0.0003, 0.03
_CUT_ROUNDS = 6
_ATTACH_ROUNDS = 2
_BINS = 32
_ANGLES = 32


@dataclass(frozen=True)
class Charts:
    """Charts of a mesh, not yet laid out.

    Attributes:
        chart_of: Chart of each face; -1 where a face has no area.
        corners: Flat positions of each face's corners, in the mesh's units, counter-clockwise;
            faces of one chart join as on the surface.
    """

    chart_of: Int[np.ndarray, " faces"]
    corners: Float[np.ndarray, "faces 3 2"]

    @property
    def num_charts(self) -> int:
        """How many charts there are."""
        return int(self.chart_of.max()) + 1


def make_charts(mesh: Mesh, *, texel: float, longest: float = math.inf) -> Charts:
    """Cut a surface into charts that cover no point twice.

    Charts grow over neighbouring faces that look about the same way; then each is looked at along
    its mean normal, and faces that lie over others there start charts of their own.

    Args:
        mesh: In float64, on the CPU.
        texel: Size of a texel on the surface; overlaps much smaller than that do not matter.
        longest: Charts whose boxes are longer are cut between faces, if their faces are shorter.
    """
    normals, areas = face_normals(mesh).numpy(), face_areas(mesh).numpy()
    opposite = opposite_half_edges(mesh.faces).view(-1, 3)
    neighbours = torch.where(opposite < 0, -1, opposite // 3).numpy()
    smooth = _surrounding_normals(normals, areas, neighbours)
    chart_of = np.where(areas > 0, -1, -2)
    axes = np.zeros((0, 3))
    for _ in range(_ROUNDS):
        first = len(axes)
        grown = grow_charts(neighbours, normals, smooth, areas, chart_of, first, _GROW_COSINES)
        axes = np.concatenate([axes, grown])
        corners = _project(mesh, chart_of, axes)
        order = np.argsort(chart_of, kind="stable")
        starts = np.searchsorted(chart_of[order], np.arange(first, len(axes) + 1))
        most = (_MAX_CELLS, min(2 * longest / texel, _MAX_CELLS))
        if not free_overlaps(corners, order, starts, chart_of, texel / 2, *most):
            break
    alone = np.flatnonzero(chart_of == -1)
    chart_of[alone] = len(axes) + np.arange(len(alone))
    axes = np.concatenate([axes, normals[alone]])
    corners = _project(mesh, chart_of, axes)
    chart_of = connected_charts(_cut_long(chart_of, corners, longest), neighbours)
    may_be_loose = chart_of >= 0
    for _ in range(_CUT_ROUNDS):
        is_second = _cut_loose(np.where(may_be_loose, chart_of, -1), corners, areas.sum())
        if not is_second.any():
            break
        may_be_loose = np.isin(chart_of, np.unique(chart_of[is_second]))
        parts = np.where(chart_of < 0, -1, 2 * chart_of + is_second)
        chart_of = connected_charts(parts, neighbours)
    for _ in range(_ATTACH_ROUNDS):
        sizes = np.bincount(chart_of[chart_of >= 0])
        ranked = np.argsort(-sizes, kind="stable")
        moved = attach_scraps(
            mesh.verts.numpy(), mesh.faces.numpy(), neighbours, corners, chart_of, ranked, sizes,
            _SCRAP_FACES, texel / 2, most[0], _LEAST_SCALE,
        )  # fmt: skip
        chart_of = connected_charts(chart_of, neighbours)
        if not moved:
            break
    return Charts(chart_of, corners)


def _cut_loose(
    chart_of: Int[np.ndarray, " faces"], corners: Float[np.ndarray, "faces 3 2"], area: float
) -> Bool[np.ndarray, " faces"]:
    """Mark the faces that are cut off, where charts leave much of their boxes empty."""
    order = np.argsort(chart_of, kind="stable")[np.count_nonzero(chart_of < 0) :]
    starts = np.searchsorted(chart_of[order], np.arange(chart_of.max() + 2))
    turned = corners[order]
    turn_to_least_boxes(turned, starts, _ANGLES)
    is_second = np.zeros(len(chart_of), dtype=bool)
    found = np.zeros(len(order), dtype=bool)
    cut_loose(turned, starts, found, _WASTE * area, _GAIN, _BINS)
    is_second[order] = found
    return is_second


def chart_boxes(
    corners: Float[np.ndarray, "faces 3 2"], chart_of: Int[np.ndarray, " faces"]
) -> tuple[Float[np.ndarray, "charts 2"], Float[np.ndarray, "charts 2"]]:
    """Measure the lower and the upper corner of each chart's box.

    Args:
        corners: Flat positions.
        chart_of: The chart of each face; none is left out.
    """
    num_charts = int(chart_of.max()) + 1
    lows, highs = np.full((num_charts, 2), np.inf), np.full((num_charts, 2), -np.inf)
    np.minimum.at(lows, chart_of, corners.min(axis=1))
    np.maximum.at(highs, chart_of, corners.max(axis=1))
    return lows, highs


def _cut_long(
    chart_of: Int[np.ndarray, " faces"], corners: Float[np.ndarray, "faces 3 2"], longest: float
) -> Int[np.ndarray, " faces"]:
    """Cut charts across their longer side into equal parts, each face as a whole.

    Parts are some faces long: among faces as long as the chart, there is no place to cut.
    """
    shown = chart_of >= 0
    own, triangles = chart_of[shown], corners[shown]
    lows, highs = chart_boxes(triangles, own)
    sizes = np.where(highs > lows, highs - lows, 0.0)  # charts that lost all faces have none
    axis = sizes.argmax(axis=1)
    lengths = np.maximum(sizes.max(axis=1), 1e-300)
    along = np.take_along_axis(triangles, axis[own, None, None], axis=2)[..., 0]
    along -= np.take_along_axis(lows, axis[:, None], axis=1)[own]
    longest_face = np.zeros(len(lows))
    np.maximum.at(longest_face, own, np.ptp(along, axis=1))
    parts = np.ceil(lengths / np.maximum(longest, _FACES_A_PART * longest_face))
    num_parts = np.maximum(parts, 1)
    part = np.minimum(along.mean(axis=1) / lengths[own] * num_parts[own], num_parts[own] - 1)
    cut = chart_of.copy()
    cut[shown] = (np.cumsum(num_parts) - num_parts)[own] + np.floor(part)
    return cut


def _surrounding_normals(
    normals: Float[np.ndarray, "faces 3"],
    areas: Float[np.ndarray, " faces"],
    neighbours: Int[np.ndarray, "faces 3"],
) -> Float[np.ndarray, "faces 3"]:
    """Average normals over some rings of faces, so that noise does not steer the charts.

    Neighbours count by how alike they look: across a right angle not at all, so edges stay sharp.
    """
    fractions = np.where(neighbours < 0, 0.0, areas[neighbours])
    smooth = normals
    for _ in range(_SMOOTHING):
        summed = smooth * areas[:, None]
        for side in range(3):
            beside = smooth[neighbours[:, side]]
            alike = np.maximum(0.0, np.einsum("fc,fc->f", smooth, beside))
            summed += beside * (fractions[:, side] * alike)[:, None]
        lengths = np.linalg.norm(summed, axis=1, keepdims=True)
        smooth = summed / np.where(lengths > 0, lengths, 1.0)
    return smooth


def _project(
    mesh: Mesh, chart_of: Int[np.ndarray, " faces"], axes: Float[np.ndarray, "charts 3"]
) -> Float[np.ndarray, "faces 3 2"]:
    """Look at each face along its chart's axis; (right, up, axis) is right-handed."""
    smallest = np.eye(3)[np.abs(axes).argmin(axis=1)]
    right = np.cross(smallest, axes)
    right /= np.maximum(np.linalg.norm(right, axis=1, keepdims=True), 1e-300)
    frames = np.stack([right, np.cross(axes, right)], axis=2)
    return mesh.verts.numpy()[mesh.faces.numpy()] @ frames[np.maximum(chart_of, 0)]
