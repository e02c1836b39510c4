"""Where the images and cameras of a dataset lie on disk, whichever of three layouts it has."""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from get3d.core import Cameras, from_dict
from get3d.geometry.cameras import CameraDistribution, camera_angles, camera_origins, orbit_cameras

Layout = Literal["get3d", "published", "transforms"]

METADATA_NAME = "dataset.json"
FORMAT = "get3d-dataset"
FORMAT_VERSION = 1
# Blender camera of the published data: 35 mm lens, 32 mm sensor, 1.2 units away.
PUBLISHED_RADIUS = 1.2
PUBLISHED_FOVY_RAD = 2 * math.atan(16 / 35)


class DatasetError(ValueError):
    """A dataset that cannot be read as it is; the message names the file and the remedy."""


@dataclass(frozen=True, kw_only=True)
class ObjectViews:
    """The images of one object.

    Attributes:
        name: `category/object` or a folder name; unique in the dataset.
        image_paths: In the order of the cameras.
        cameras: One an image.
    """

    name: str
    image_paths: tuple[Path, ...]
    cameras: Cameras


@dataclass(frozen=True, kw_only=True)
class DatasetIndex:
    """Everything about a dataset but its pixels.

    Attributes:
        layout: How the files are arranged.
        root: The folder.
        objects: Those that can be used, sorted by name.
        distribution: From the metadata, or estimated from the cameras; None without cameras.
        splits: Object names by split; empty if the dataset has none.
        image_size: Side of the square images if the metadata says it.
        light: How the images were lit, as for `get3d render`: studio or none; None if unknown.
        problems: What is wrong with the others, each naming a file and a remedy.
    """

    layout: Layout
    root: Path
    objects: tuple[ObjectViews, ...]
    distribution: CameraDistribution | None
    splits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    image_size: int | None = None
    light: str | None = None
    problems: tuple[str, ...] = ()


def angles_to_cameras(
    rotation_deg: Sequence[float],
    elevation_deg: Sequence[float],
    *,
    radius: float = PUBLISHED_RADIUS,
    fovy_rad: float = PUBLISHED_FOVY_RAD,
) -> Cameras:
    """Build the cameras that the published layout describes by two angles.

    Args:
        rotation_deg: About +y.
        elevation_deg: Above the horizon, so the polar angle is 90 degrees less this.
        radius: Distance from the origin, in scene units.
        fovy_rad: Vertical field of view.

    Returns:
        One camera a pair of angles.
    """
    rotation = torch.deg2rad(torch.as_tensor(rotation_deg, dtype=torch.float64))
    polar = torch.deg2rad(90.0 - torch.as_tensor(elevation_deg, dtype=torch.float64))
    cameras = orbit_cameras(rotation, polar, radius=radius, fovy_rad=fovy_rad)
    return Cameras(cameras.world_to_camera.float(), cameras.intrinsics.float())


def join_cameras(parts: Sequence[Cameras]) -> Cameras:
    """Put the cameras of several objects behind each other."""
    return Cameras(
        torch.cat([part.world_to_camera for part in parts]),
        torch.cat([part.intrinsics for part in parts]),
    )


def estimate_distribution(cameras: Cameras) -> CameraDistribution:
    """Estimate from where images were taken.

    The ranges of a uniform distribution are a little wider than those of a sample, so each end is
    moved out by the mean gap. Rotations count as a full circle unless a wide sector is empty.

    Args:
        cameras: At least one.

    Returns:
        Mean distance and field of view, and the ranges of both angles.
    """
    angles_deg = torch.rad2deg(camera_angles(cameras)).double()
    radius = float(camera_origins(cameras).norm(dim=-1).mean())
    fovy_rad = 2 * math.atan(0.5 / float(cameras.intrinsics[:, 1].mean()))
    rotation, polar = angles_deg.unbind(-1)
    margin = float(polar.max() - polar.min()) / max(len(cameras) - 1, 1)
    return CameraDistribution(
        radius=round(radius, 6),
        fovy_deg=round(math.degrees(fovy_rad), 4),
        rotation_deg=_rotation_range(rotation),
        polar_deg=(
            round(max(float(polar.min()) - margin, 0.0), 2),
            round(min(float(polar.max()) + margin, 180.0), 2),
        ),
    )


def read_get3d(root: Path) -> DatasetIndex:
    """Index a folder written by `get3d render`.

    Args:
        root: Folder with dataset.json.

    Returns:
        The index; objects with missing files are told in `problems`.

    Raises:
        DatasetError: If dataset.json is cut off, of another format or version, or incomplete.
    """
    path = root / METADATA_NAME
    metadata = read_metadata(path)
    objects, problems = [], []
    if not metadata.get("complete"):
        raise DatasetError(
            f"{path}: rendering did not finish; run the same `get3d render` command again"
        )
    try:
        for entry in metadata["objects"]:
            matrices = torch.tensor(entry["world_to_camera"], dtype=torch.float32)
            intrinsics = torch.tensor(entry["intrinsics"], dtype=torch.float32)
            num = len(matrices)
            if num == 0 or matrices.shape != (num, 4, 4) or intrinsics.shape != (num, 4):
                raise ValueError(f"{entry['name']} has cameras of another form")
            cameras = Cameras(matrices, intrinsics)
            folder = root / "img" / entry["name"]
            paths = tuple(folder / image_name(index) for index in range(len(cameras)))
            present = list_pngs(folder)
            missing = [image.name for image in paths if image.name not in present]
            if missing:
                problems.append(
                    f"{folder}: {len(missing)} of {len(paths)} images are missing, the first is "
                    f"{missing[0]}; run the same `get3d render` command again"
                )
                continue
            try:  # not used here, but other programs go by them, and a damaged copy is no data set
                _camera_angles(root, entry["name"], num)
            except DatasetError as error:
                problems.append(str(error))
                continue
            objects.append(ObjectViews(name=entry["name"], image_paths=paths, cameras=cameras))
        distribution = from_dict(CameraDistribution, metadata["distribution"])
        splits = {name: tuple(names) for name, names in metadata["splits"].items()}
        image_size = int(metadata["image_size"])
        light = metadata["config"].get("light") if "config" in metadata else None
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise DatasetError(
            f"{path}: damaged metadata ({type(error).__name__}: {error}); render the dataset again"
        ) from error
    return DatasetIndex(
        layout="get3d",
        root=root,
        objects=tuple(objects),
        distribution=distribution,
        splits=splits,
        image_size=image_size,
        light=light if light in ("studio", "none") else None,
        problems=tuple(problems),
    )


def read_published(root: Path) -> DatasetIndex:
    """Index a folder in the published layout: img/CATEGORY/OBJECT and camera/CATEGORY/OBJECT.

    Distance and field of view are those of the published renders; angle ranges come from the files.

    Args:
        root: Folder with img/ and camera/.

    Returns:
        The index; objects with wrong or missing files are told in `problems`.
    """
    folders = sorted(path for path in (root / "img").glob("*/*") if path.is_dir())
    names = [folder.relative_to(root / "img").as_posix() for folder in folders]
    return index_objects(
        "published", root, [partial(_published_object, root, name) for name in names]
    )


def index_objects(
    layout: Layout, root: Path, readers: Iterable[Callable[[], ObjectViews]]
) -> DatasetIndex:
    """Index a dataset without metadata: its camera distribution is estimated.

    Args:
        layout: How the files are arranged.
        root: The folder.
        readers: Read one object each, or raise `DatasetError`.

    Returns:
        The index; objects that could not be read are told in `problems`.
    """
    objects, problems = [], []
    for read in readers:
        try:
            objects.append(read())
        except DatasetError as error:
            problems.append(str(error))
    return DatasetIndex(
        layout=layout,
        root=root,
        objects=tuple(objects),
        distribution=(
            estimate_distribution(join_cameras([views.cameras for views in objects]))
            if objects
            else None
        ),
        problems=tuple(problems),
    )


def read_metadata(path: Path) -> dict[str, Any]:
    """Read a dataset.json and check that it is one.

    Args:
        path: The file.

    Returns:
        Its content.

    Raises:
        DatasetError: If it is cut off, or of another format or version.
    """
    metadata = read_json(path)
    if metadata.get("format") != FORMAT:
        raise DatasetError(f"{path}: not written by get3d (its format is not {FORMAT!r})")
    if metadata.get("version") != FORMAT_VERSION:
        raise DatasetError(
            f"{path}: format version {metadata.get('version')!r}, but this get3d reads version "
            f"{FORMAT_VERSION}; update get3d or render the dataset again"
        )
    return metadata


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds named values.

    Args:
        path: The file.

    Returns:
        Its content.

    Raises:
        DatasetError: If it is no such file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DatasetError(f"{path}: not valid JSON ({error}); it may be cut off") from error
    if not isinstance(content, dict):
        raise DatasetError(f"{path}: holds a list where named values are needed")
    return content


def image_name(index: int) -> str:
    """File name of a view: 000.png, 001.png, ..."""
    return f"{index:03d}.png"


def list_pngs(folder: Path) -> list[str]:
    """Names of the finished PNG files in a folder, sorted; empty if there is no folder."""
    if not folder.is_dir():
        return []
    names = (entry.name for entry in folder.iterdir())
    # By length first: 1000.png comes after 999.png.
    return sorted(
        (name for name in names if name.lower().endswith(".png") and not name.startswith(".")),
        key=lambda name: (len(name), name),
    )


def _published_object(root: Path, name: str) -> ObjectViews:
    """Index one object of the published layout."""
    folder = root / "img" / name
    names = list_pngs(folder)
    if not names:
        raise DatasetError(f"{folder}: no PNG images; render this object or delete the folder")
    rotation_deg, elevation_deg = _camera_angles(root, name, len(names))
    return ObjectViews(
        name=name,
        image_paths=tuple(folder / image for image in names),
        cameras=angles_to_cameras(rotation_deg.tolist(), elevation_deg.tolist()),
    )


def _camera_angles(
    root: Path, name: str, num_images: int
) -> tuple[Float[np.ndarray, " images"], Float[np.ndarray, " images"]]:
    """Read the rotation and the elevation of an object's cameras, in degrees."""
    angles = []
    for kind in ("rotation", "elevation"):
        path = root / "camera" / name / f"{kind}.npy"
        values = _read_angles(path)
        if len(values) != num_images:
            raise DatasetError(
                f"{path}: {len(values)} angles for {num_images} images in {root / 'img' / name}; "
                "there must be one angle an image, so render this object again or delete both "
                "folders"
            )
        angles.append(values)
    return angles[0], angles[1]


def _read_angles(path: Path) -> Float[np.ndarray, " images"]:
    """Read one camera file."""
    try:
        values = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise DatasetError(
            f"{path}: missing; every image needs a camera, so render this object again or delete "
            "its images"
        ) from error
    except (ValueError, EOFError, OSError) as error:
        raise DatasetError(f"{path}: cannot be read ({error}); render this object again") from error
    if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        raise DatasetError(f"{path}: holds values that are no angles; render this object again")
    return values.reshape(-1).astype(np.float64)


def _rotation_range(rotation_deg: Float[Tensor, " images"]) -> tuple[float, float]:
    """Find the sector that rotations come from."""
    num = len(rotation_deg)
    ordered = rotation_deg.sort().values
    gaps = torch.diff(ordered, append=ordered[:1] + 360.0)
    widest = int(gaps.argmax())
    # The widest of n random gaps on a circle is about 360 ln(n) / n; three times that is no chance.
    if num < 3 or float(gaps[widest]) < 3 * 360.0 * math.log(num) / num:
        return (0.0, 360.0)
    low = float(ordered[(widest + 1) % num])
    width = 360.0 - float(gaps[widest])
    margin = width / (num - 1)
    low -= margin
    return (round(low, 2), round(low + min(width + 2 * margin, 360.0), 2))
