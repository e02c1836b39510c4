"""Cameras that orbit a subject at a distance at which it fits the image."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from get3d.apps.latent.shapes import Subject
from get3d.core import Cameras, ConfigError, Mesh, MeshError, images_to_u8
from get3d.geometry import orbit_cameras

FRONT_DEG, BACK_DEG = 150.0, 330.0
POLAR_DEG = 65.0
_FOVY_DEG = 35.0
_MARGIN = 1.05


@dataclass(frozen=True)
class SceneBounds:
    """Bounding box of everything that is shown.

    Attributes:
        low: Lowest corner, on the CPU.
        high: Highest corner, on the CPU.
    """

    low: Float[Tensor, "3"]
    high: Float[Tensor, "3"]

    @staticmethod
    def around(meshes: Iterable[Mesh]) -> "SceneBounds":
        """Compute the bounding box of meshes, iterated one at a time.

        Raises:
            MeshError: If no mesh has a face.
        """
        low, high = torch.full((3,), math.inf), torch.full((3,), -math.inf)
        for mesh in meshes:
            used = mesh.verts[mesh.faces.flatten()].detach().float().cpu()
            if len(used):
                low, high = low.minimum(used.amin(0)), high.maximum(used.amax(0))
        if not (low <= high).all():
            raise MeshError("there is no surface to show; the model may be untrained")
        return SceneBounds(low, high)

    def cameras(self, rotations_deg: Sequence[float], *, polar_deg: float = POLAR_DEG) -> Cameras:
        """Make cameras that orbit the centre of the box, as near as the box fits the image.

        Args:
            rotations_deg: Rotation of each camera about +y.
            polar_deg: Angle from +y: 0 looks straight down, 90 is the horizon.

        Raises:
            ConfigError: If `polar_deg` is not within 0 to 180.
        """
        check_polar(polar_deg)
        tangent = math.tan(math.radians(_FOVY_DEG / 2))
        rotations = torch.deg2rad(torch.tensor(rotations_deg, dtype=torch.float32))
        polar = torch.full_like(rotations, math.radians(polar_deg))

        def at(distance: float) -> Cameras:
            return orbit_cameras(
                rotations, polar, radius=distance, fovy_rad=math.radians(_FOVY_DEG)
            )

        # A corner (x, y, z) in camera space is visible if |x| and |y| are below tangent * depth.
        half = (self.high - self.low) / 2
        corners = torch.tensor(list(product(*((-extent, extent) for extent in half.tolist()))))
        rotated = corners @ at(1.0).world_to_camera[:, :3, :3].transpose(1, 2)
        needed = (rotated[..., :2].abs().amax(-1) / tangent + rotated[..., 2]).max().item()
        bound = max(half.norm().item(), 1e-6)
        distance = max(_MARGIN * needed, 1.5 * bound)
        cameras = at(distance)
        centring = torch.eye(4)
        centring[:3, 3] = -(self.low + self.high) / 2
        return replace(
            cameras,
            world_to_camera=cameras.world_to_camera @ centring,
            near=(distance - bound) / 2,
            far=2 * (distance + bound),
        )


def portrait(
    subject: Subject, image_size: int, *, rotations_deg: Sequence[float] = (FRONT_DEG, BACK_DEG)
) -> UInt8[np.ndarray, "h w 4"]:
    """Render views of one subject, concatenated horizontally; it fills each view.

    Args:
        subject: At any scale and position.
        image_size: Width and height of each view, in pixels.
        rotations_deg: Rotation of each camera about +y; by default front and back.

    Returns:
        sRGB with straight alpha.
    """
    cameras = SceneBounds.around([subject.mesh]).cameras(rotations_deg)
    images = subject.render(cameras, image_size)
    return np.concatenate(list(images_to_u8(images.permute(0, 3, 1, 2), low=0.0)), axis=1)


def video_frame(rgba: Float[Tensor, "h w 4"]) -> UInt8[np.ndarray, "h w 3"]:
    """Composite an image on white, as videos have no alpha."""
    rgb = rgba[..., :3] * rgba[..., 3:] + (1 - rgba[..., 3:])
    return images_to_u8(rgb.permute(2, 0, 1)[None], low=0.0)[0]


def check_polar(polar_deg: float) -> None:
    """Raise ConfigError if a polar angle is not within 0 to 180 degrees."""
    if not 0 <= polar_deg <= 180:
        raise ConfigError(f"polar_deg must lie within 0 to 180, got {polar_deg}")


def turn_deg(num: int, *, turns: float = 1.0) -> list[float]:
    """Compute the rotations of a camera that starts in front and orbits in even steps.

    Args:
        num: Number of rotations; the last is one step before the end, so that a loop has no jump.
        turns: Full turns; may be negative, or 0 for a fixed camera.

    Returns:
        Rotations about +y, in degrees.

    Raises:
        ConfigError: If `turns` is not within -1000 to 1000.
    """
    if not -1000 <= turns <= 1000:
        raise ConfigError(f"turns must be from -1000 to 1000, got {turns}")
    return [FRONT_DEG + 360.0 * turns * i / num for i in range(num)]
