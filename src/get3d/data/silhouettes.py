"""Do masks and cameras belong together? Carving a visual hull tells.

A point of an object lies inside its silhouette in every view. If the cameras are right, the points
for which that holds fill all silhouettes again; if an angle has the wrong sign, they do not.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from get3d.core.types import Cameras
from get3d.geometry.cameras import camera_angles, camera_origins, clip_matrices, orbit_cameras
from get3d.geometry.cameras import to_clip as project

_GRID = 32
_LEAST_SEEN = 0.6  # share of the views that must show a point
MASK_SIDE = 48


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

    What lies outside a picture or behind a camera is not carved away by it, but points that most
    pictures do not show are left out.

    Args:
        masks: Silhouettes, at least two.
        cameras: One a silhouette.
        half_extent: Half the side of the cube about the origin that is looked at, in scene units.

    Returns:
        The hull's box, and how well it explains the silhouettes.
    """
    axis = ((torch.arange(_GRID) + 0.5) / _GRID * 2 - 1) * half_extent
    points = torch.cartesian_prod(axis, axis, axis)
    side = masks.shape[-1]
    # One pixel of margin, so that thin parts survive the coarse grid.
    wide = _grow(masks).flatten(1)
    for view in range(len(masks)):
        # View by view, because the first few already carve most of the grid away.
        pixels, is_seen = _project_pixels(points, cameras[view : view + 1], side)
        points = points[wide[view][pixels[0]] | ~is_seen[0]]
    pixels, is_seen = _project_pixels(points, cameras, side)
    is_kept = is_seen.float().mean(dim=0) > _LEAST_SEEN
    points, pixels, is_seen = points[is_kept], pixels[:, is_kept], is_seen[:, is_kept]
    hits = torch.zeros_like(wide)
    first_pixel = torch.arange(len(masks))[:, None] * side * side
    hits.view(-1)[(pixels + first_pixel)[is_seen]] = True
    filled = _grow(hits.view_as(masks)) & masks
    kept = points if len(points) else torch.zeros(1, 3)
    return Hull(
        low=kept.amin(dim=0),
        high=kept.amax(dim=0),
        explained=float(filled.sum() / masks.sum().clamp(min=1)),
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
    points: Float[Tensor, "points 3"], cameras: Cameras, side: int
) -> tuple[Int[Tensor, "views points"], Bool[Tensor, "views points"]]:
    """Index of the pixel that each point falls on, and whether it is on the picture at all."""
    clip = project(points, clip_matrices(cameras))
    pixels = (clip[..., :2] / clip[..., 3:].clamp(min=1e-6) + 1) / 2 * side
    is_seen = (clip[..., 3] > 1e-6) & ((pixels >= 0) & (pixels < side)).all(dim=-1)
    columns, rows = pixels.clamp(0, side - 1).long().unbind(-1)
    return rows * side + columns, is_seen


def _grow(masks: Bool[Tensor, "views s s"]) -> Bool[Tensor, "views s s"]:
    """Grow silhouettes by one pixel."""
    return functional.max_pool2d(masks.float().unsqueeze(1), 3, 1, 1).squeeze(1) > 0
