"""Visual hulls, to check that masks and cameras belong together.

A point of an object projects into its silhouette in every view. With correct cameras, the points
for which that holds fill all silhouettes; if an angle has the wrong sign, they do not.
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
_LEAST_VISIBLE = 0.6  # least fraction of the views whose image contains a point
MASK_SIZE = 64


@dataclass(frozen=True, kw_only=True)
class Hull:
    """Visual hull of one object.

    Attributes:
        low: Smallest coordinates, in scene units; zero if the hull is empty.
        high: Largest coordinates.
        explained: Fraction of the silhouettes' area that the hull fills.
    """

    low: Float[Tensor, "3"]
    high: Float[Tensor, "3"]
    explained: float


def carve_hull(masks: Bool[Tensor, "views s s"], cameras: Cameras, *, half_extent: float) -> Hull:
    """Carve the visual hull of an object on a coarse grid, and compare it with its silhouettes.

    A view does not carve points outside its image or behind its camera, but points outside most
    images are discarded.

    Args:
        masks: Silhouettes, at least two.
        cameras: Cameras, one per silhouette.
        half_extent: Half the size of the grid, a cube about the origin, in scene units.
    """
    # NumPy on one core: the arrays are small, so threads would cost more than they gain.
    axis = ((np.arange(_GRID, dtype=np.float32) + 0.5) / _GRID * 2 - 1) * half_extent
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    matrices = clip_matrices(cameras).numpy()
    size = masks.shape[-1]
    # One pixel of margin, so that thin parts survive the coarse grid.
    wide = _dilate(masks.numpy()).reshape(len(masks), -1)
    num_visible = np.zeros(len(points), dtype=np.int64)
    for matrix, silhouette in zip(matrices, wide, strict=True):
        # View by view, because the first few carve most of the grid.
        pixels, is_visible = _project_pixels(points, matrix, size)
        is_kept = silhouette[pixels] | ~is_visible
        points, num_visible = points[is_kept], (num_visible + is_visible)[is_kept]
    points = points[num_visible > _LEAST_VISIBLE * len(masks)]
    hits = np.zeros_like(wide)
    for matrix, hit in zip(matrices, hits, strict=True):
        pixels, is_visible = _project_pixels(points, matrix, size)
        hit[pixels[is_visible]] = True
    filled = _dilate(hits.reshape(masks.shape)) & masks.numpy()
    kept = torch.from_numpy(points) if len(points) else torch.zeros(1, 3)
    return Hull(
        low=kept.amin(dim=0),
        high=kept.amax(dim=0),
        explained=float(filled.sum() / max(int(masks.sum()), 1)),
    )


def camera_alternatives(cameras: Cameras) -> Mapping[str, Cameras]:
    """List the usual mistakes in camera conventions, with the cameras corrected for each.

    Args:
        cameras: Cameras of a dataset.

    Returns:
        Corrected cameras by a description of the mistake.
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
    """Compute how far each silhouette extends from the origin, in the image plane through it.

    Args:
        masks: Silhouettes.
        cameras: Cameras, one per silhouette.

    Returns:
        Largest distance along the image axes, in scene units; 0 for an empty silhouette.
    """
    clip = project(torch.zeros(1, 3), clip_matrices(cameras))[:, 0]
    centre = clip[:, :2] / clip[:, 3:]
    size = masks.shape[-1]
    axis = (torch.arange(size) + 0.5) / size * 2 - 1
    along_x = (axis - centre[:, :1]).abs() * masks.any(dim=1)
    along_y = (axis - centre[:, 1:]).abs() * masks.any(dim=2)
    focal = 2 * cameras.intrinsics[:, :2]
    reach = torch.stack([along_x.amax(dim=1), along_y.amax(dim=1)], dim=1)
    return (reach / focal * clip[:, 3:]).amax(dim=1)


def _project_pixels(
    points: Float[np.ndarray, "points 3"], matrix: Float[np.ndarray, "4 4"], size: int
) -> tuple[Int[np.ndarray, " points"], Bool[np.ndarray, " points"]]:
    """Return the index of the pixel that each point projects to, and whether it is in the image."""
    x, y, _, w = (points @ matrix[:, :3].T + matrix[:, 3]).T
    half = size / 2 / np.maximum(w, 1e-6)
    columns, rows = x * half + size / 2, y * half + size / 2
    is_visible = (w > 1e-6) & (columns >= 0) & (columns < size) & (rows >= 0) & (rows < size)
    columns = np.where(is_visible, columns, 0).astype(np.int64)
    rows = np.where(is_visible, rows, 0).astype(np.int64)
    return rows * size + columns, is_visible


def _dilate(masks: Bool[np.ndarray, "views s s"]) -> Bool[np.ndarray, "views s s"]:
    """Dilate silhouettes by one pixel."""
    padded = np.pad(masks, ((0, 0), (1, 1), (1, 1)))
    wide = padded[:, 1:-1] | padded[:, :-2] | padded[:, 2:]
    return wide[:, :, 1:-1] | wide[:, :, :-2] | wide[:, :, 2:]
