"""Do the cameras of a dataset agree with its images? Numbers, and an image for eyes."""

from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Bool
from torch import Tensor

from get3d.core.contact_sheet import contact_sheet, save_png
from get3d.core.types import Cameras
from get3d.data.image_files import read_image
from get3d.data.layouts import DatasetError, DatasetIndex, join_cameras
from get3d.data.mask_scan import MaskScan
from get3d.data.overlay import draw_overlay
from get3d.data.silhouettes import Hull, camera_alternatives, carve_hull, mask_reach

_HULL_OBJECTS = 12
_HULL_VIEWS = 24
_OVERLAY_IMAGES = 16
_LEAST_AGREEMENT = 0.85
_LEAST_GAIN = 0.05
_LARGE_SIDE = 1.25  # hulls are somewhat larger than objects, which fit a cube of side 1

Silhouettes = tuple[Bool[Tensor, "_ s s"], Cameras]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How well silhouettes and cameras agree.

    Attributes:
        hulls: Of some objects, by their number in the dataset.
        problems: What is wrong, with a suggestion; at most one.
        warnings: What is worth a look; at most one.
        statistics: In words, by name.
    """

    hulls: dict[int, Hull]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    statistics: dict[str, str]


def check_agreement(index: DatasetIndex, scan: MaskScan) -> Agreement:
    """Carve hulls of some objects through their cameras; if they misfit, try the usual mistakes.

    Args:
        index: The dataset.
        scan: Its silhouettes.

    Returns:
        What was found; nothing for a dataset with fewer than three views of each object.
    """
    cameras = join_cameras([views.cameras for views in index.objects])
    half_extent = float(mask_reach(scan.masks, cameras)[scan.is_read].quantile(0.99)) * 1.2
    silhouettes = {
        number: pair
        for number in _pick_objects(index, _HULL_OBJECTS)
        if len((pair := _object_silhouettes(index, scan, number))[1]) >= 3
    }
    if not silhouettes or half_extent == 0:
        return Agreement(hulls={}, problems=(), warnings=(), statistics={})
    hulls = {
        number: carve_hull(*pair, half_extent=half_extent) for number, pair in silhouettes.items()
    }
    explained = sum(hull.explained for hull in hulls.values()) / len(hulls)
    # What is cut off by the border may reach on without end: it does not tell how large it is.
    whole = [
        hull
        for number, hull in hulls.items()
        if not scan.is_touching[_image_range(index, number)].any()
    ]
    side = max((float((hull.high - hull.low).max()) for hull in whole), default=0.0)
    problems: tuple[str, ...] = ()
    if explained < 1 - _LEAST_GAIN:
        problems = _find_mistake(index.root, list(silhouettes.values()), half_extent, explained)
    warnings: tuple[str, ...] = ()
    if side > _LARGE_SIDE:
        warnings = (
            f"{index.root}: objects fill a cube of side {side:.2f}, but shapes are made in one of "
            f"side 1 by default; train with --generator.scale {side:.2f} (and with sdf_base "
            "sphere, a sdf_base_radius of a third of it), or scale the cameras' positions down",
        )
    return Agreement(
        hulls=hulls,
        problems=problems,
        warnings=warnings,
        statistics={
            "silhouettes explained by their cameras": f"{explained:.1%}",
            "objects fit a cube of side": f"{side:.2f}" if whole else "unknown: all are cut off",
        },
    )


def write_overlay(path: Path, index: DatasetIndex, agreement: Agreement) -> None:
    """Draw the box of some objects' hulls on two images each, through their cameras.

    Args:
        path: PNG file to write.
        index: The dataset.
        agreement: From `check_agreement`.
    """
    images, labels = [], []
    for number, hull in list(agreement.hulls.items())[: _OVERLAY_IMAGES // 2]:
        views = index.objects[number]
        for view in (0, len(views.image_paths) // 2):
            try:
                image = read_image(views.image_paths[view])
            except DatasetError:
                continue
            camera = views.cameras[view : view + 1]
            images.append(draw_overlay(image, camera, hull.low, hull.high))
            labels.append(f"{views.name} {views.image_paths[view].stem}")
    if images:
        save_png(path, contact_sheet(images, columns=4, labels=labels))


def _find_mistake(
    root: Path, silhouettes: list[Silhouettes], half_extent: float, explained: float
) -> tuple[str, ...]:
    """Try the usual mistakes about cameras, and say which one explains the silhouettes better."""
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
    """Numbers of some objects, spread evenly over all."""
    count = min(count, len(index.objects))
    return [number * len(index.objects) // count for number in range(count)]


def _object_silhouettes(index: DatasetIndex, scan: MaskScan, number: int) -> Silhouettes:
    """Silhouettes and cameras of one object, without images that say nothing."""
    images = _image_range(index, number)
    is_good = (scan.is_read & ~scan.is_empty & ~scan.is_full)[images]
    picked = is_good.nonzero().squeeze(1)[:_HULL_VIEWS]
    return scan.masks[images][picked], index.objects[number].cameras[picked]


def _image_range(index: DatasetIndex, number: int) -> slice:
    """Where the images of an object stand among those of all."""
    start = sum(len(views.image_paths) for views in index.objects[:number])
    return slice(start, start + len(index.objects[number].image_paths))
