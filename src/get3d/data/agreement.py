"""Consistency of a dataset's cameras with its silhouettes, and an overlay image to inspect it."""

import math
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Bool
from torch import Tensor

from get3d.core import Cameras, DataError, contact_sheet, save_png
from get3d.data.layouts import DatasetIndex, join_cameras
from get3d.data.mask_scan import MaskScan
from get3d.data.overlay import draw_overlay
from get3d.data.silhouettes import Hull, camera_alternatives, carve_hull, mask_reach

_HULL_OBJECTS = 12
_HULL_VIEWS = 24
_OVERLAY_IMAGES = 16
_LEAST_AGREEMENT = 0.85
_LEAST_GAIN = 0.05
# Hulls are somewhat larger than objects, which should fill most of the generator's cube.
_LARGE_SIZE, _SMALL_SIZE = 1.25, 0.7

Silhouettes = tuple[Bool[Tensor, "_ s s"], Cameras]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Consistency of silhouettes and cameras.

    Attributes:
        hulls: Visual hulls of some objects, by the index of the object.
        problems: Errors with suggested fixes; at most one.
        warnings: Warnings; at most one.
        statistics: Formatted statistics, by name.
    """

    hulls: dict[int, Hull]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    statistics: dict[str, str]


def check_agreement(
    index: DatasetIndex, scan: MaskScan, *, scale: float | None = None
) -> Agreement:
    """Carve visual hulls of some objects; if they do not fit, try the usual camera mistakes.

    Args:
        index: The dataset.
        scan: Silhouettes of the dataset.
        scale: Side of the cube in which the generator makes shapes, in scene units; None if that
            is not known, so that objects are not too small for it.

    Returns:
        The findings; a warning alone for a dataset with fewer than three views of each object.
    """
    cameras = join_cameras([views.cameras for views in index.objects])
    half_extent = float(mask_reach(scan.masks, cameras)[scan.is_read].quantile(0.99)) * 1.2
    silhouettes = {
        number: pair
        for number in _pick_objects(index, _HULL_OBJECTS)
        if len((pair := _object_silhouettes(index, scan, number))[1]) >= 3
    }
    if not silhouettes or half_extent == 0:
        text = f"{index.root}: cameras and silhouettes cannot be compared (no object with 3 views)"
        return Agreement(hulls={}, problems=(), warnings=(text,), statistics={})
    hulls = {
        number: carve_hull(*pair, half_extent=half_extent) for number, pair in silhouettes.items()
    }
    explained = sum(hull.explained for hull in hulls.values()) / len(hulls)
    # The size of objects that are cut off by the border is unknown.
    uncropped = [
        hull
        for number, hull in hulls.items()
        if not scan.is_touching[_image_range(index, number)].any()
    ]
    size = max((float((hull.high - hull.low).max()) for hull in uncropped), default=0.0)
    problems: tuple[str, ...] = ()
    if explained < 1 - _LEAST_GAIN:
        problems = _find_mistake(index.root, list(silhouettes.values()), half_extent, explained)
    warnings: tuple[str, ...] = ()
    least, scale = _SMALL_SIZE * (scale or 0.0), scale or 1.0
    if uncropped and not least <= size <= _LARGE_SIZE * scale:
        is_large = size > scale
        effect = "are cut off at its faces" if is_large else "use little of its resolution"
        fitting = math.ceil(size * (100 if is_large else 110)) / 100
        warnings = (
            f"{index.root}: objects fit a cube of size {size:.2f}, but shapes are made in one of "
            f"size {scale:g} and {effect}; train with --generator.scale {fitting:.2f} (with "
            f"sdf_base sphere also --generator.sdf-base-radius {fitting / 3:.2f})",
        )
    return Agreement(
        hulls=hulls,
        problems=problems,
        warnings=warnings,
        statistics={
            "silhouettes explained by their cameras": f"{explained:.1%}",
            "objects fit a cube of size": (
                f"{size:.2f}" if uncropped else "unknown: all are cut off"
            ),
        },
    )


def write_overlay(path: Path, index: DatasetIndex, agreement: Agreement) -> bool:
    """Project the bounding boxes of some objects' hulls on two images each.

    Args:
        path: PNG file to write.
        index: The dataset.
        agreement: Result of `check_agreement`.

    Returns:
        Whether there was a hull to draw; else no file is written.
    """
    images, labels = [], []
    for number, hull in list(agreement.hulls.items())[: _OVERLAY_IMAGES // 2]:
        views = index.objects[number]
        for view in (0, len(views.images) // 2):
            try:
                image = views.images[view].read()
            except DataError:
                continue
            camera = views.cameras[view : view + 1]
            images.append(draw_overlay(image, camera, hull.low, hull.high))
            labels.append(f"{views.name} {views.images[view].path.stem}")
    if images:
        save_png(path, contact_sheet(images, columns=4, labels=labels))
    return bool(images)


def _find_mistake(
    root: Path, silhouettes: list[Silhouettes], half_extent: float, explained: float
) -> tuple[str, ...]:
    """Return a message if the correction of a usual mistake explains the silhouettes better."""
    sums: dict[str, float] = {}
    for masks, cameras in silhouettes:
        for text, alternative in camera_alternatives(cameras).items():
            hull = carve_hull(masks, alternative, half_extent=half_extent)
            sums[text] = sums.get(text, 0.0) + hull.explained
    text = max(sums, key=lambda name: sums[name])
    best = sums[text] / len(silhouettes)
    if best > explained + max(_LEAST_GAIN, 0.3 * (1 - explained)):
        return (
            f"{root}: cameras and images disagree: {text} (that would explain {best:.0%} of the "
            f"silhouettes, now it is {explained:.0%}); look at the overlay, correct the cameras",
        )
    if explained < _LEAST_AGREEMENT:
        return (
            f"{root}: silhouettes of one object contradict each other through their cameras "
            f"(only {explained:.0%} explained); look at the overlay and check the convention",
        )
    return ()


def _pick_objects(index: DatasetIndex, count: int) -> list[int]:
    """Return indices of some objects, evenly spaced."""
    count = min(count, len(index.objects))
    return [number * len(index.objects) // count for number in range(count)]


def _object_silhouettes(index: DatasetIndex, scan: MaskScan, number: int) -> Silhouettes:
    """Return silhouettes and cameras of one object, without empty and full ones."""
    images = _image_range(index, number)
    is_good = (scan.is_read & ~scan.is_empty & ~scan.is_full)[images]
    picked = is_good.nonzero().squeeze(1)[:_HULL_VIEWS]
    return scan.masks[images][picked], index.objects[number].cameras[picked]


def _image_range(index: DatasetIndex, number: int) -> slice:
    """Return the range of an object's images among those of all objects."""
    start = sum(len(views.images) for views in index.objects[:number])
    return slice(start, start + len(index.objects[number].images))
