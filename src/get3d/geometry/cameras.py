"""Cameras that orbit the origin, and their projection to clip space.

An angle pair is (rotation, polar). The polar angle is measured from +y: 0 looks straight down, 90
degrees is the horizon. At rotation 0 the camera is on the -z side; increasing rotation moves it
counter-clockwise seen from above, as in the published release.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from get3d.core.errors import ConfigError
from get3d.core.types import Cameras

_POLE = 1e-6  # relative horizontal distance below which the rotation is undefined
_FOVY_DEG = (0.1, 179.0)


@dataclass(frozen=True, kw_only=True)
class CameraDistribution:
    """Distribution of the cameras of a dataset; stored with the dataset.

    Attributes:
        radius: Distance of the camera from the origin, in scene units.
        fovy_deg: Vertical field of view of the square image, in degrees.
        rotation_deg: Lowest and highest rotation about +y, in degrees; sampled uniformly.
        polar_deg: Angle between +y and the camera, in degrees: 0 looks straight down, 90 is the
            horizon; two are the range of random cameras.
    """

    radius: float
    fovy_deg: float
    rotation_deg: tuple[float, float] = (0.0, 360.0)
    polar_deg: tuple[float, float] = (60.0, 90.0)

    def __post_init__(self) -> None:
        """Validate the ranges; raise ConfigError."""
        if not 0 < self.radius <= Cameras.far:
            raise ConfigError(
                f"radius must be positive and at most {Cameras.far:g}, got {self.radius}"
            )
        if not _FOVY_DEG[0] <= self.fovy_deg <= _FOVY_DEG[1]:
            raise ConfigError(
                f"fovy_deg must lie in {_FOVY_DEG[0]:g} to {_FOVY_DEG[1]:g}, got {self.fovy_deg}"
            )
        _check_range("rotation_deg", self.rotation_deg, -360.0, 720.0)
        _check_range("polar_deg", self.polar_deg, 0.0, 180.0)


def orbit_cameras(
    rotation_rad: Float[Tensor, " views"],
    polar_rad: Float[Tensor, " views"],
    *,
    radius: float,
    fovy_rad: float,
) -> Cameras:
    """Place cameras on a sphere around the origin, looking at it, for square images.

    The camera axes are closed-form functions of the angles rather than a cross product with "up",
    so looking straight down or up is not a special case.

    Args:
        rotation_rad: Rotation about +y, in radians.
        polar_rad: Angle from +y, in radians, in [0, pi].
        radius: Distance from the origin, in scene units.
        fovy_rad: Vertical field of view, in radians.

    Raises:
        ConfigError: If `radius` is not positive or `fovy_rad` is not between 0 and pi.

    Example:
        >>> cameras = orbit_cameras(torch.zeros(1), torch.zeros(1), radius=2.0, fovy_rad=0.8)
        >>> camera_origins(cameras)[0, 1]
        tensor(2.)
    """
    if not (math.isfinite(radius) and radius > 0):
        raise ConfigError(f"radius must be positive and finite, got {radius}")
    if not 0 < fovy_rad < math.pi:
        raise ConfigError(f"fovy_rad must lie between 0 and pi, got {fovy_rad}")
    azimuth = -rotation_rad - math.pi / 2
    sin_a, cos_a, zero = azimuth.sin(), azimuth.cos(), torch.zeros_like(azimuth)
    sin_p, cos_p = polar_rad.sin(), polar_rad.cos()
    one = torch.ones_like(zero)
    right = torch.stack([sin_a, zero, -cos_a, zero], dim=-1)
    up = torch.stack([-cos_p * cos_a, sin_p, -cos_p * sin_a, zero], dim=-1)
    back = torch.stack([sin_p * cos_a, cos_p, sin_p * sin_a, -radius * one], dim=-1)
    last = torch.stack([zero, zero, zero, one], dim=-1)
    focal = 0.5 / math.tan(fovy_rad / 2)
    return Cameras(
        world_to_camera=torch.stack([right, up, back, last], dim=1),
        intrinsics=torch.stack([focal * one, focal * one, 0.5 * one, 0.5 * one], dim=-1),
    )


def uncropped_side(distribution: CameraDistribution) -> float:
    """Return the longest side at which no object about the origin is cut off in any image.

    Args:
        distribution: The cameras, of square images.

    Returns:
        Side of the largest cube about the origin that lies in the images of all cameras, less a
        margin of 2 %, in scene units, rounded down to three digits.

    Example:
        >>> uncropped_side(CameraDistribution(radius=1.2, fovy_deg=49.13))
        0.564
    """
    rotation_rad = torch.deg2rad(torch.arange(90.0))  # a cube looks the same from four sides
    low, high = (math.radians(value) for value in distribution.polar_deg)
    angles = torch.cartesian_prod(rotation_rad, torch.linspace(low, high, 91))
    cameras = orbit_cameras(*angles.T, radius=1.0, fovy_rad=math.radians(distribution.fovy_deg))
    half = torch.tensor([-0.5, 0.5])
    corners = torch.cartesian_prod(half, half, half)
    rotated = corners @ cameras.world_to_camera[:, :3, :3].transpose(1, 2)
    # A corner (x, y, z) is in the image if |x| and |y| are below tangent * (radius - z).
    tangent = math.tan(math.radians(distribution.fovy_deg) / 2)
    needed = float((rotated[..., :2].abs().amax(-1) / tangent + rotated[..., 2]).max())
    return math.floor(980 * distribution.radius / needed) / 1000


def sample_cameras(
    distribution: CameraDistribution, num: int, *, generator: torch.Generator
) -> Cameras:
    """Sample cameras with rotation and polar angle uniform in their ranges.

    Args:
        distribution: Ranges of the angles, distance and field of view.
        num: Number of cameras.
        generator: Source of the random numbers; the cameras are created on its device.

    Raises:
        ValueError: If `num` is negative.
    """
    if num < 0:
        raise ValueError(f"num must not be negative, got {num}")
    uniform = torch.rand(num, 2, generator=generator, device=generator.device)
    return uniform_cameras(distribution, uniform)


def uniform_cameras(distribution: CameraDistribution, uniform: Float[Tensor, "views 2"]) -> Cameras:
    """Map numbers in [0, 1] linearly to cameras in the ranges of rotation and polar angle.

    Args:
        distribution: Ranges of the angles, distance and field of view.
        uniform: Positions in the two ranges, in [0, 1].
    """
    ranges = torch.tensor([distribution.rotation_deg, distribution.polar_deg]).to(uniform.device)
    angles_rad = torch.deg2rad(ranges[:, 0] + uniform * (ranges[:, 1] - ranges[:, 0]))
    return orbit_cameras(
        angles_rad[:, 0],
        angles_rad[:, 1],
        radius=distribution.radius,
        fovy_rad=math.radians(distribution.fovy_deg),
    )


def camera_angles(cameras: Cameras) -> Float[Tensor, "views 2"]:
    """Return rotation in [0, 2 pi) and polar angle in [0, pi] of each camera, in radians.

    The discriminator is conditioned on these angles. Exactly above or below the origin, where the
    position does not define the rotation, the camera's right-hand axis does.
    """
    x, y, z = camera_origins(cameras).unbind(-1)
    horizontal = torch.hypot(x, z)
    at_pole = horizontal <= _POLE * y.abs()
    right = cameras.world_to_camera[:, 0]
    azimuth = torch.where(at_pole, torch.atan2(right[:, 0], -right[:, 2]), torch.atan2(z, x))
    rotation = torch.remainder(-azimuth - math.pi / 2, 2 * math.pi)
    rotation = torch.where(rotation >= 2 * math.pi, torch.zeros_like(rotation), rotation)
    return torch.stack([rotation, torch.atan2(horizontal, y)], dim=-1)


def camera_origins(cameras: Cameras) -> Float[Tensor, "views 3"]:
    """Return the positions of the camera centres, in scene units (the transforms are rigid)."""
    rotation, translation = cameras.world_to_camera[:, :3, :3], cameras.world_to_camera[:, :3, 3]
    return -(rotation * translation[:, :, None]).sum(1)  # no matrix product: see clip_matrices


def clip_matrices(cameras: Cameras) -> Float[Tensor, "views 4 4"]:
    """Return the matrices from world to clip space: projection times world-to-camera.

    The projection negates y so that image row 0 is the top, and maps the near plane to z/w = -1 and
    the far plane to 1.

    Raises:
        ValueError: If the planes are not ordered 0 < near < far.
    """
    near, far = cameras.near, cameras.far
    if not 0 < near < far:
        raise ValueError(f"near and far must satisfy 0 < near < far, got {near} and {far}")
    focal_x, focal_y, centre_x, centre_y = cameras.intrinsics.unbind(-1)
    projection = cameras.world_to_camera.new_zeros(len(cameras), 4, 4)
    projection[:, 0, 0] = 2 * focal_x
    projection[:, 0, 2] = 1 - 2 * centre_x
    projection[:, 1, 1] = -2 * focal_y
    projection[:, 1, 2] = 1 - 2 * centre_y
    projection[:, 2, 2] = -(far + near) / (far - near)
    projection[:, 2, 3] = -2 * far * near / (far - near)
    projection[:, 3, 2] = -1
    # Not as a matrix product, which a GPU may round to ten bits (TF32).
    return (projection[:, :, :, None] * cameras.world_to_camera[:, None]).sum(2)


def to_clip(
    points: Float[Tensor, "points 3"], matrices: Float[Tensor, "views 4 4"]
) -> Float[Tensor, "views points 4"]:
    """Transform object-space points to the clip space of each view.

    Args:
        points: Positions, in scene units.
        matrices: Matrices from `clip_matrices`.
    """
    linear, offset = matrices[:, :, :3], matrices[:, None, :, 3]
    return points @ linear.transpose(1, 2) + offset


def _check_range(name: str, bounds: tuple[float, float], low: float, high: float) -> None:
    """Raise ConfigError if a range in degrees is reversed or exceeds [low, high]."""
    if not low <= bounds[0] <= bounds[1] <= high:
        raise ConfigError(
            f"{name} must be (lowest, highest) within {low:g} to {high:g} degrees, got {bounds}"
        )
