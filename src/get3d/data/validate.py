"""Validation of a dataset before training: the library behind `get3d validate`."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from get3d.core import Cameras, DataError
from get3d.data.agreement import check_agreement, write_overlay
from get3d.data.dataset import scan_dataset
from get3d.data.layouts import DatasetIndex, join_cameras, list_pngs
from get3d.data.mask_scan import MaskScan, scan_masks
from get3d.geometry.cameras import (
    camera_angles,
    camera_origins,
    clip_matrices,
    to_clip,
    uncropped_side,
)

_FEW_IMAGES = 500
_SAMPLED_OBJECTS, _SAMPLED_VIEWS = 16, 24


@dataclass(frozen=True, kw_only=True)
class ValidationReport:
    """Result of `validate_dataset`.

    Attributes:
        root: The folder.
        errors: What stops or spoils a training run; each with a file and a suggested fix.
        warnings: What may spoil a training run.
        statistics: Counts, sizes and ranges by name.
        has_overlay: Whether the overlay image was written.
    """

    root: Path
    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    statistics: dict[str, str]
    has_overlay: bool = False

    @property
    def is_usable(self) -> bool:
        """Whether training can start."""
        return not self.errors


def validate_dataset(
    path: Path | str,
    *,
    overlay_path: Path | str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> ValidationReport:
    """Check a whole dataset for everything that would spoil a training run.

    Args:
        path: The dataset's folder, of any layout.
        overlay_path: PNG file to write, of images with boxes and axes projected through their
            cameras; None writes none.
        on_progress: Called with the images read so far and their number.

    Raises:
        FileNotFoundError: If there is no dataset.
    """
    root = Path(path)
    try:
        index = scan_dataset(root)
    except DataError as error:
        return ValidationReport(root=root, errors=(str(error),), warnings=(), statistics={})
    errors, warnings, has_overlay = list(index.problems), [], False
    if not index.objects:
        errors.append(f"{root}: the dataset has no usable objects")
        return ValidationReport(root=root, errors=tuple(errors), warnings=(), statistics={})
    scan = scan_masks(index, on_progress or (lambda done, total: None))
    cameras = join_cameras([views.cameras for views in index.objects])
    errors += scan.errors
    for found_errors, found_warnings in (
        _check_files(index),
        _check_masks(index, scan),
        _check_cameras(index, cameras),
    ):
        errors += found_errors
        warnings += found_warnings
    statistics = _statistics(index, cameras, scan)
    if scan.is_read.any():
        agreement = check_agreement(index, scan)
        errors += agreement.problems
        warnings += agreement.warnings
        statistics |= agreement.statistics
        if overlay_path is not None:
            has_overlay = write_overlay(Path(overlay_path), index, agreement)
    return ValidationReport(
        root=root,
        errors=tuple(errors),
        warnings=tuple(warnings),
        statistics=statistics,
        has_overlay=has_overlay,
    )


def training_warnings(path: Path | str, *, scale: float) -> list[str]:
    """List what may spoil a training run, from a sample of the objects, with the suggested fix.

    Args:
        path: The dataset's folder, of any layout.
        scale: Side of the cube in which the generator makes shapes, in scene units.

    Raises:
        FileNotFoundError: If there is no dataset.
        DataError: If its metadata cannot be read.
    """
    whole = scan_dataset(path)
    count = min(len(whole.objects), _SAMPLED_OBJECTS)
    picked = [whole.objects[index * len(whole.objects) // count] for index in range(count)]
    sample = replace(
        whole,
        objects=tuple(
            replace(
                views,
                images=views.images[:_SAMPLED_VIEWS],
                cameras=views.cameras[:_SAMPLED_VIEWS],
            )
            for views in picked
        ),
    )
    scan = scan_masks(sample, lambda done, total: None)
    found = [*_check_number(whole), *scan.errors[:1]]
    for errors, warnings in (
        _check_masks(sample, scan),
        _check_cameras(sample, join_cameras([views.cameras for views in sample.objects])),
    ):
        found += errors + warnings
    if scan.is_read.any():
        agreement = check_agreement(sample, scan, scale=scale)
        found += agreement.problems + agreement.warnings
    return found


def _fitting_side(index: DatasetIndex) -> str:
    """Return the longest side at which no object is cut off, if the cameras are known."""
    if index.distribution is None:
        return "0.5"
    return f"{uncropped_side(index.distribution):g}"


def _check_number(index: DatasetIndex) -> list[str]:
    """Warn of few images."""
    num_images = sum(len(views.images) for views in index.objects)
    if num_images >= _FEW_IMAGES:
        return []
    return [
        f"{index.root}: only {num_images} images; below about {_FEW_IMAGES} the discriminators "
        "overfit, so render more objects or views (a larger `get3d render --views`)"
    ]


def _check_files(index: DatasetIndex) -> tuple[list[str], list[str]]:
    """Check the number of objects and images, and for images without a camera."""
    errors, warnings = [], _check_number(index)
    if index.splits and not index.splits.get("train"):
        errors.append(f"{index.root}: no object is in the split 'train', so none is trained on")
    if index.layout != "transforms":
        for views in index.objects:
            folder = views.images[0].path.parent
            extra = set(list_pngs(folder)) - {image.path.name for image in views.images}
            if extra:
                warnings.append(
                    f"{folder}: {len(extra)} images without a camera are not used, such as "
                    f"{min(extra)}"
                )
    return errors, warnings


def _check_masks(index: DatasetIndex, scan: MaskScan) -> tuple[list[str], list[str]]:
    """Check for empty, full and cropped silhouettes."""
    paths = [image.path for views in index.objects for image in views.images]
    errors: list[str] = []
    warnings: list[str] = []
    num_read = int(scan.is_read.sum())
    # The published settings crop a few objects, so that is never an error.
    for flags, what, suggestion, can_be_error in (
        (
            scan.is_empty,
            "show no object (empty mask)",
            "delete their objects or render them again",
            True,
        ),
        (
            scan.is_full,
            "have no background (alpha is opaque everywhere)",
            "save images with alpha 0 outside the object",
            True,
        ),
        (
            scan.is_touching & ~scan.is_full,
            "show an object cut off by the border",
            f"render them smaller (`get3d render --longest-side {_fitting_side(index)}`) or from "
            "farther away",
            False,
        ),
    ):
        number = int(flags.sum())
        if number:
            first = paths[int(flags.nonzero()[0])]
            text = f"{first}: {number} of {num_read} images {what}, this is the first; {suggestion}"
            is_error = can_be_error and number > num_read / 2
            (errors if is_error else warnings).append(text)
    return errors, warnings


def _check_cameras(index: DatasetIndex, cameras: Cameras) -> tuple[list[str], list[str]]:
    """Check for cameras that training cannot sample: off-centre, rolled, at other distances."""
    errors: list[str] = []
    warnings: list[str] = []
    clip = to_clip(torch.zeros(1, 3), clip_matrices(cameras))[:, 0]
    is_off = (clip[:, 3] <= 0) | (clip[:, :2].abs() > clip[:, 3:]).any(dim=1)
    if is_off.any():
        paths = [image.path for views in index.objects for image in views.images]
        errors.append(
            f"{int(is_off.sum())} of {len(cameras)} cameras do not look at the origin, where the "
            f"object should be; the first is of {paths[int(is_off.nonzero()[0])]}: move the scene "
            "so that its centre is the origin"
        )
    roll_deg = torch.rad2deg(cameras.world_to_camera[:, 0, 1].clamp(-1, 1).asin().abs())
    up = cameras.world_to_camera[:, 1, 1]
    if float(up.median()) < 0:
        warnings.append(
            "most cameras are upside down; transforms.json needs a world with z up, as in Blender"
        )
    if float(roll_deg.max()) > 3:
        warnings.append(
            f"cameras are rolled by up to {float(roll_deg.max()):.0f} degrees; generated shapes "
            "are rendered without roll, so the discriminators can tell them apart"
        )
    distance = camera_origins(cameras).norm(dim=1)
    spread = float((distance.max() - distance.min()) / distance.mean())
    if spread > 0.05:
        warnings.append(
            f"distances of the cameras range from {float(distance.min()):.3g} to "
            f"{float(distance.max()):.3g}; generated shapes are rendered from the mean distance"
        )
    focal = cameras.intrinsics[:, 1]
    if float(focal.max() - focal.min()) > 0.02 * float(focal.mean()):
        warnings.append("fields of view differ; generated shapes are rendered with their mean only")
    angles_deg = torch.rad2deg(camera_angles(cameras))
    if len(cameras) > 8 and float(angles_deg[:, 0].max()) < 6.3:
        warnings.append("all rotations lie below 6.3 degrees; the files seem to hold radians")
    return errors, warnings


def _statistics(index: DatasetIndex, cameras: Cameras, scan: MaskScan) -> dict[str, str]:
    """Format counts and ranges."""
    counts = [len(views.images) for views in index.objects]
    distance = camera_origins(cameras).norm(dim=1)
    angles_deg = torch.rad2deg(camera_angles(cameras))
    fovy_deg = math.degrees(2 * math.atan(0.5 / float(cameras.intrinsics[:, 1].mean())))
    covered = scan.masks[scan.is_read].float().mean() if scan.is_read.any() else torch.zeros(())
    statistics = {
        "layout": index.layout,
        "objects": str(len(counts)),
        "images": str(sum(counts)),
        "views of an object": _span([float(count) for count in counts], 0),
        "image size": f"{scan.width_px} x {scan.width_px}",
        "covered by the object": f"{float(covered):.0%}",
        "camera distance": _span(distance.tolist(), 3),
        "vertical field of view (degrees)": f"{fovy_deg:.2f}",
        "rotation (degrees)": _span(angles_deg[:, 0].tolist(), 1),
        "polar angle (degrees)": _span(angles_deg[:, 1].tolist(), 1),
    }
    for name, names in index.splits.items():
        statistics[f"objects in {name}"] = str(len(names))
    return statistics


def _span(values: list[float], digits: int) -> str:
    """Format the range of values."""
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return low if low == high else f"{low} to {high}"
