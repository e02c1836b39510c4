"""Validation of the cameras that a file holds."""

import torch
from jaxtyping import Float
from torch import Tensor

from get3d.core import Cameras, DataError

_RIGID_TOLERANCE = 1e-3
_FOCAL_RANGE = (0.0043, 575.0)  # fields of view of a little over 179, under 0.1 degrees
_MOST_OFF_CENTRE = 10.0


def check_cameras(
    where: str,
    world_to_camera: Float[Tensor, "..."],
    intrinsics: Float[Tensor, "..."],
    *,
    view: str = "view",
) -> Cameras:
    """Validate cameras, which training cannot do with wrong ones: its losses become NaN.

    Args:
        where: File and object, for the message.
        world_to_camera: Matrices [views, 4, 4], of any values and shape.
        intrinsics: As in `Cameras`, [views, 4], of any values and shape.
        view: What a view is called, for the message.

    Returns:
        The cameras, as float32.

    Raises:
        DataError: If a camera is not finite or not rigid, is in no sane distance of the origin, or
            has no sane lens; names the view.
    """
    num = len(world_to_camera) if world_to_camera.ndim else 0
    if num == 0 or world_to_camera.shape != (num, 4, 4) or intrinsics.shape != (num, 4):
        raise DataError(f"{where}: needs a 4 x 4 matrix and four intrinsics for each {view}")
    rotation = world_to_camera[:, :3, :3]
    last = world_to_camera.new_tensor([0, 0, 0, 1])
    excess = rotation @ rotation.mT - torch.eye(3, dtype=rotation.dtype)
    is_rigid = (
        (excess.abs().amax((1, 2)) <= _RIGID_TOLERANCE)
        & (torch.linalg.det(rotation.nan_to_num()) > 0)
        & ((world_to_camera[:, 3] - last).abs().amax(1) <= _RIGID_TOLERANCE)
    )
    near, far = Cameras.near, Cameras.far
    distance = world_to_camera[:, :3, 3].norm(dim=1)
    focal, centre = intrinsics[:, :2], intrinsics[:, 2:]
    for is_good, problem in (
        (
            is_rigid,
            "is not a rotation and a translation; scaled or mirrored cameras cannot be used",
        ),
        (
            (distance >= near) & (distance <= far),
            f"must stand {near:g} to {far:g} from the origin, where the object is; scale the scene",
        ),
        (
            ((focal >= _FOCAL_RANGE[0]) & (focal <= _FOCAL_RANGE[1])).all(1)
            & (centre.abs() <= _MOST_OFF_CENTRE).all(1),
            "must have focal lengths of "
            f"{_FOCAL_RANGE[0]:g} to {_FOCAL_RANGE[1]:g} image sizes and a centre in the image",
        ),
    ):
        if not is_good.all():
            first = int((~is_good).nonzero()[0])
            raise DataError(f"{where}, {view} {first}: the camera {problem}")
    return Cameras(world_to_camera.float(), intrinsics.float())
