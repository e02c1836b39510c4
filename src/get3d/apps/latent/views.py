"""Where images are taken from: cameras that circle whatever is shown, at a fitting distance."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from get3d.apps.latent.shapes import Subject
from get3d.core.contact_sheet import images_to_u8
from get3d.core.types import Cameras, Mesh
from get3d.geometry import orbit_cameras

FRONT_DEG, BACK_DEG = 150.0, 330.0
POLAR_DEG = 65.0
_FOVY_DEG = 35.0
_MARGIN = 1.05


@dataclass(frozen=True)
class Stage:
    """The box in which everything happens that is shown.

    Attributes:
        low: Its lowest corner, on the CPU.
        high: Its highest corner.
    """

    low: Float[Tensor, "3"]
    high: Float[Tensor, "3"]

    @staticmethod
    def around(meshes: Iterable[Mesh]) -> "Stage":
        """Enclose the surfaces of meshes, which are asked for one at a time.

        Raises:
            ValueError: If no mesh has a face.
        """
        low, high = torch.full((3,), math.inf), torch.full((3,), -math.inf)
        for mesh in meshes:
            used = mesh.verts[mesh.faces.flatten()].detach().float().cpu()
            if len(used):
                low, high = low.minimum(used.amin(0)), high.maximum(used.amax(0))
        if not (low <= high).all():
            raise ValueError("there is no surface to show; the model may be untrained")
        return Stage(low, high)

    def cameras(self, rotations_deg: Sequence[float], *, polar_deg: float = POLAR_DEG) -> Cameras:
        """Put cameras about the middle of the box, as near as nothing leaves the image.

        Args:
            rotations_deg: About +y, one a camera.
            polar_deg: Angle from +y: 0 looks straight down, 90 is the horizon.

        Raises:
            ValueError: If `polar_deg` is not within 0 to 180.
        """
        check_polar(polar_deg)
        tangent = math.tan(math.radians(_FOVY_DEG / 2))
        rotations = torch.deg2rad(torch.tensor(rotations_deg, dtype=torch.float32))
        polar = torch.full_like(rotations, math.radians(polar_deg))

        def at(distance: float) -> Cameras:
            return orbit_cameras(
                rotations, polar, radius=distance, fovy_rad=math.radians(_FOVY_DEG)
            )

        # A corner (x, y, z) in the camera's frame is seen if |x| and |y| are below tangent * depth.
        half = (self.high - self.low) / 2
        corners = torch.tensor(list(product(*((-side, side) for side in half.tolist()))))
        seen = corners @ at(1.0).world_to_camera[:, :3, :3].transpose(1, 2)
        needed = (seen[..., :2].abs().amax(-1) / tangent + seen[..., 2]).max().item()
        bound = max(half.norm().item(), 1e-6)
        distance = max(_MARGIN * needed, 1.5 * bound)
        cameras = at(distance)
        move = torch.eye(4)
        move[:3, 3] = -(self.low + self.high) / 2
        return replace(
            cameras,
            world_to_camera=cameras.world_to_camera @ move,
            near=(distance - bound) / 2,
            far=2 * (distance + bound),
        )


def portrait(
    subject: Subject, image_size: int, *, rotations_deg: Sequence[float] = (FRONT_DEG, BACK_DEG)
) -> UInt8[np.ndarray, "h w 4"]:
    """Show one shape from some sides, side by side; it fills the image.

    Args:
        subject: At any scale, anywhere.
        image_size: Side of each view, in pixels.
        rotations_deg: The sides; by default front and back.

    Returns:
        sRGB with alpha, as many times as wide as there are sides.
    """
    cameras = Stage.around([subject.mesh]).cameras(rotations_deg)
    images = subject.render(cameras, image_size)
    return np.concatenate(list(images_to_u8(images.permute(0, 3, 1, 2), low=0.0)), axis=1)


def video_frame(rgba: Float[Tensor, "h w 4"]) -> UInt8[np.ndarray, "h w 3"]:
    """Lay an image over white, as videos know no alpha."""
    rgb = rgba[..., :3] * rgba[..., 3:] + (1 - rgba[..., 3:])
    return images_to_u8(rgb.permute(2, 0, 1)[None], low=0.0)[0]


def check_polar(polar_deg: float) -> None:
    """Refuse an angle that no camera has.

    Raises:
        ValueError: If it is not within 0 to 180.
    """
    if not 0 <= polar_deg <= 180:
        raise ValueError(f"polar_deg must lie within 0 to 180, got {polar_deg}")


def turn_deg(num: int, *, turns: float = 1.0) -> list[float]:
    """Rotations of a camera that starts in front and goes round in even steps.

    Args:
        num: How many; the last is one step before the end, so that a loop has no jump.
        turns: Full turns; may be negative, or 0 to stand still.

    Raises:
        ValueError: If `turns` is not within -1000 to 1000.
    """
    if not -1000 <= turns <= 1000:
        raise ValueError(f"turns must be from -1000 to 1000, got {turns}")
    return [FRONT_DEG + 360.0 * turns * i / num for i in range(num)]
