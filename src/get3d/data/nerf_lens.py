"""Lenses of transforms.json, as instant-ngp, nerfstudio and Blender's exporters write them."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from get3d.core import DataError, shorten
from get3d.data.undistort import Distortion

# Names of camera_model whose undistorted image is that of a pinhole camera.
_PERSPECTIVE_MODELS = (
    "PERSPECTIVE",
    "SIMPLE_PINHOLE",
    "PINHOLE",
    "SIMPLE_RADIAL",
    "RADIAL",
    "OPENCV",
)
# What instant-ngp writes for its other lenses.
_OTHER_LENSES = ("is_fisheye", "ftheta_p0", "latlong", "equirectangular", "orthographic")
_FOCAL_KEYS = ("fl_{}", "camera_angle_{}", "{}_fov")

Intrinsics = tuple[float, float, float, float]


def check_camera_model(where: str, values: Mapping[str, Any]) -> None:
    """Raise DataError if a lens is no perspective one; names it and what to do.

    Args:
        where: File and frame, for the message.
        values: Keys of the frame, and of the file where the frame has none.
    """
    model = values.get("camera_model", "PERSPECTIVE")
    others = [key for key in _OTHER_LENSES if values.get(key)]
    if others or not isinstance(model, str) or model.upper() not in _PERSPECTIVE_MODELS:
        name = others[0] if others else f"camera_model {shorten(model)}"
        raise DataError(
            f"{where}: {name} cannot be used, only perspective cameras; undistort the images to "
            "PINHOLE first, such as with `colmap image_undistorter`"
        )


def read_intrinsics(
    file: Mapping[str, Any], frame: Mapping[str, Any], image_size: Callable[[], tuple[int, int]]
) -> Intrinsics:
    """Read the intrinsics of a frame, relative to the image size.

    A frame's own focal length, of whatever key, counts before that of the file. Keys are, in this
    order: focal lengths in pixels (`fl_x`), fields of view in radians (`camera_angle_x`) or degrees
    (`x_fov`). One axis stands for both, as images are square.

    Args:
        file: Keys of the whole file.
        frame: Keys of the frame.
        image_size: Reads width and height of the image in pixels; called only if values in pixels
            are given without `w` and `h`.

    Raises:
        KeyError: If there is no focal length.
        ValueError: If a value is no number, or the image is not square.
    """
    merged = {**file, **frame}
    has_own = any(key.format(axis) in frame for axis in "xy" for key in _FOCAL_KEYS)
    lens = frame if has_own else file
    if "w" in merged and "h" in merged:
        width, height = float(merged["w"]), float(merged["h"])
    elif {"fl_x", "fl_y"} & lens.keys() or {"cx", "cy"} & merged.keys():
        width, height = map(float, image_size())
    else:
        width = height = 1.0
    if width != height:
        raise ValueError(f"images must be square, got {width:g} x {height:g} pixels")
    focal_x, focal_y = _focal(lens, "x", width), _focal(lens, "y", height)
    focal = focal_x if focal_x is not None else focal_y
    if focal is None:
        raise KeyError("fl_x or camera_angle_x")
    return (
        focal,
        focal if focal_y is None else focal_y,
        float(merged.get("cx", width / 2)) / width,
        float(merged.get("cy", height / 2)) / height,
    )


def read_distortion(
    where: str, values: Mapping[str, Any], intrinsics: Intrinsics
) -> Distortion | None:
    """Read the distortion of a lens; None if all coefficients are zero.

    Args:
        where: File and frame, for the message.
        values: Keys of the frame, and of the file where the frame has none.
        intrinsics: Intrinsics of the frame, relative to the image size.

    Raises:
        DataError: If images with that distortion cannot be resampled; says what to do.
    """
    names = ("k1", "k2", "k3", "k4", "p1", "p2")
    k1, k2, k3, k4, p1, p2 = coefficients = [float(values.get(name) or 0.0) for name in names]
    if not any(coefficients):
        return None
    distortion = Distortion(intrinsics=intrinsics, radial=(k1, k2, k3), tangential=(p1, p2))
    if k4 or not all(map(math.isfinite, coefficients)) or not distortion.is_invertible():
        given = ", ".join(
            f"{name} {value:g}" for name, value in zip(names, coefficients, strict=True) if value
        )
        # Programs disagree on k4, which OpenCV divides by.
        reason = "k4 has no agreed meaning" if k4 else "the image would be folded over itself"
        raise DataError(
            f"{where}: distortion {given} cannot be undone ({reason}); undistort the images first, "
            "such as with `colmap image_undistorter`"
        )
    return distortion


def _focal(values: Mapping[str, Any], axis: str, size: float) -> float | None:
    """Return the focal length along an axis relative to the image size; None if there is none."""
    pixels, radians, degrees = (values.get(key.format(axis)) for key in _FOCAL_KEYS)
    if pixels is not None:
        return float(pixels) / size
    if radians is not None:
        return 0.5 / math.tan(float(radians) / 2)
    return None if degrees is None else 0.5 / math.tan(math.radians(float(degrees)) / 2)
