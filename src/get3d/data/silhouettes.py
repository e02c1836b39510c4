"""Do masks and cameras belong together? Carving a visual hull tells.

A point of an object lies inside its silhouette in every view. If the cameras are right, the points
for which that holds fill all silhouettes again; if an angle has the wrong sign, they do not.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from get3d.core.types import Cameras
from get3d.geometry.cameras import camera_angles, camera_origins, clip_matrices, orbit_cameras
from get3d.geometry.cameras import to_clip as project

_GRID = 40
_LEAST_SEEN = 0.6  # share of the views that must show a point
MASK_SIDE = 64


@dataclass(frozen=True, kw_only=True)
class Hull:
    """What the silhouettes of one object leave of space.

    Attributes:
        low: Smallest coordinates, in scene units; zero if nothing is left.
        high: Largest coordinates.
        explained: Share of the silhouettes' area that the hull fills.
    """

    low: Float[Tensor, "3"]
    high: Float[Tensor, "3"]
    explained: float


def carve_hull(masks: Bool[Tensor, "views s s"], cameras: Cameras, *, half_extent: float) -> Hull:
    """Carve the visual hull of an object on a coarse grid, and compare it with its silhouettes.

    What lies outside an image or behind a camera is not carved away by it, but points that most
    images do not show are left out.

    Args:
        masks: Silhouettes, at least two.
        cameras: One a silhouette.
        half_extent: Half the side of the cube about the origin that is looked at, in scene units.

    Returns:
        The hull's box, and how well it explains the silhouettes.
    """
    # NumPy on one core: the arrays are small, and waking threads would cost more than the work.
    axis = ((np.arange(_GRID, dtype=np.float32) + 0.5) / _GRID * 2 - 1) * half_extent
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    matrices = clip_matrices(cameras).numpy()
    side = masks.shape[-1]
    # One pixel of margin, so that thin parts survive the coarse grid.
    wide = _grow(masks.numpy()).reshape(len(masks), -1)
    times_seen = np.zeros(len(points), dtype=np.int64)
    for matrix, silhouette in zip(matrices, wide, strict=True):
        # View by view, because the first few already carve most of the grid away.
        pixels, is_seen = _project_pixels(points, matrix, side)
        is_kept = silhouette[pixels] | ~is_seen
        points, times_seen = points[is_kept], (times_seen + is_seen)[is_kept]
    points = points[times_seen > _LEAST_SEEN * len(masks)]
    hits = np.zeros_like(wide)
    for matrix, hit in zip(matrices, hits, strict=True):
        pixels, is_seen = _project_pixels(points, matrix, side)
        hit[pixels[is_seen]] = True
    filled = _grow(hits.reshape(masks.shape)) & masks.numpy()
    kept = torch.from_numpy(points) if len(points) else torch.zeros(1, 3)
    return Hull(
        low=kept.amin(dim=0),
        high=kept.amax(dim=0),
        explained=float(filled.sum() / max(int(masks.sum()), 1)),
    )


def camera_alternatives(cameras: Cameras) -> Mapping[str, Cameras]:
    """List the usual mistakes about cameras, with the cameras as they would be without each.

    Args:
        cameras: As a dataset has them.

    Returns:
        What would be wrong with the data, and the cameras corrected for it.
    """
    flip_x = torch.diag(torch.tensor([-1.0, 1.0, 1.0, 1.0]))
    flip_y = torch.diag(torch.tensor([1.0, -1.0, 1.0, 1.0]))
    matrices = cameras.world_to_camera
    angles = camera_angles(cameras)
    swapped = orbit_cameras(
        angles[:, 0],
        (math.pi / 2 - angles[:, 1]).clamp(0, math.pi),
        radius=float(camera_origins(cameras).norm(dim=-1).mean()),
        fovy_rad=2 * math.atan(0.5 / float(cameras.intrinsics[:, 1].mean())),
    )
    return {
        "the rotation runs the other way round, or the images are mirrored": replace(
            cameras, world_to_camera=flip_x @ matrices @ flip_x
        ),
        "the elevation has the opposite sign, or the images are upside down": replace(
            cameras, world_to_camera=flip_y @ matrices @ flip_y
        ),
        "the elevations are angles from the vertical instead of from the horizon": swapped,
    }


def mask_reach(masks: Bool[Tensor, "views s s"], cameras: Cameras) -> Float[Tensor, " views"]:
    """How far from the origin each silhouette reaches, sideways at the origin's distance.

    Args:
        masks: Silhouettes.
        cameras: One a silhouette.

    Returns:
        Largest distance along the image axes, in scene units; 0 for an empty silhouette.
    """
    clip = project(torch.zeros(1, 3), clip_matrices(cameras))[:, 0]
    centre = clip[:, :2] / clip[:, 3:]
    side = masks.shape[-1]
    axis = (torch.arange(side) + 0.5) / side * 2 - 1
    along_x = (axis - centre[:, :1]).abs() * masks.any(dim=1)
    along_y = (axis - centre[:, 1:]).abs() * masks.any(dim=2)
    focal = 2 * cameras.intrinsics[:, :2]
    reach = torch.stack([along_x.amax(dim=1), along_y.amax(dim=1)], dim=1)
    return (reach / focal * clip[:, 3:]).amax(dim=1)


def _project_pixels(
    points: Float[np.ndarray, "points 3"], matrix: Float[np.ndarray, "4 4"], side: int
) -> tuple[Int[np.ndarray, " points"], Bool[np.ndarray, " points"]]:
    """Index of the pixel that each point falls on, and whether it is on the image at all."""
    x, y, _, w = (points @ matrix[:, :3].T + matrix[:, 3]).T
    half = side / 2 / np.maximum(w, 1e-6)
    columns, rows = x * half + side / 2, y * half + side / 2
    is_seen = (w > 1e-6) & (columns >= 0) & (columns < side) & (rows >= 0) & (rows < side)
    columns = np.where(is_seen, columns, 0).astype(np.int64)
    rows = np.where(is_seen, rows, 0).astype(np.int64)
    return rows * side + columns, is_seen


def _grow(masks: Bool[np.ndarray, "views s s"]) -> Bool[np.ndarray, "views s s"]:
    """Grow silhouettes by one pixel."""
    padded = np.pad(masks, ((0, 0), (1, 1), (1, 1)))
    wide = padded[:, 1:-1] | padded[:, :-2] | padded[:, 2:]
    return wide[:, :, 1:-1] | wide[:, :, :-2] | wide[:, :, 2:]
