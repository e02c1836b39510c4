"""Index of a dataset's images and cameras; readers of the get3d and the published layout."""

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

from get3d.core import Cameras, DataError, from_dict
from get3d.geometry.cameras import CameraDistribution, camera_angles, camera_origins, orbit_cameras

Layout = Literal["get3d", "published", "transforms"]

METADATA_NAME = "dataset.json"
FORMAT = "get3d-dataset"
FORMAT_VERSION = 1
# Blender camera of the published data: 35 mm lens, 32 mm sensor, 1.2 units away.
PUBLISHED_RADIUS = 1.2
PUBLISHED_FOVY_RAD = 2 * math.atan(16 / 35)


@dataclass(frozen=True, kw_only=True)
class ObjectViews:
    """The images of one object.

    Attributes:
        name: `category/object` or a folder name; unique in the dataset.
        image_paths: Image files, in the order of the cameras.
        cameras: Cameras, one per image.
    """

    name: str
    image_paths: tuple[Path, ...]
    cameras: Cameras


@dataclass(frozen=True, kw_only=True)
class DatasetIndex:
    """Index of a dataset: everything except its pixels.

    Attributes:
        layout: Layout of the files.
        root: The folder.
        objects: Usable objects, sorted by name.
        distribution: Camera distribution, from the metadata or estimated; None without cameras.
        splits: Object names by split; empty if the dataset has none.
        image_size: Width of the images in pixels, if the metadata has it.
        light: Light on the images, as for `get3d render`: studio or none; None if unknown.
        problems: What is wrong with the other objects, each with a file and a suggested fix.
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
    """Make the cameras that the published layout describes by two angles.

    Args:
        rotation_deg: Rotation about +y, one per camera.
        elevation_deg: Angle above the horizon; the polar angle is 90 degrees less it.
        radius: Distance from the origin, in scene units.
        fovy_rad: Vertical field of view.
    """
    rotation = torch.deg2rad(torch.as_tensor(rotation_deg, dtype=torch.float64))
    polar = torch.deg2rad(90.0 - torch.as_tensor(elevation_deg, dtype=torch.float64))
    cameras = orbit_cameras(rotation, polar, radius=radius, fovy_rad=fovy_rad)
    return Cameras(cameras.world_to_camera.float(), cameras.intrinsics.float())


def join_cameras(parts: Sequence[Cameras]) -> Cameras:
    """Concatenate the cameras of several objects."""
    return Cameras(
        torch.cat([part.world_to_camera for part in parts]),
        torch.cat([part.intrinsics for part in parts]),
    )


def estimate_distribution(cameras: Cameras) -> CameraDistribution:
    """Estimate the camera distribution of a dataset.

    The ranges of a uniform distribution are a little wider than those of a sample, so each end is
    extended by the mean gap. Rotations count as a full circle unless a wide sector is empty.

    Args:
        cameras: At least one camera.

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
        The index; `problems` lists objects with missing files.

    Raises:
        DataError: If dataset.json is cut off, of another format or version, or incomplete.
    """
    path = root / METADATA_NAME
    metadata = read_metadata(path)
    objects, problems = [], []
    if not metadata.get("complete"):
        raise DataError(
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
            try:  # not used here, but other programs read them
                _camera_angles(root, entry["name"], num)
            except DataError as error:
                problems.append(str(error))
                continue
            objects.append(ObjectViews(name=entry["name"], image_paths=paths, cameras=cameras))
        distribution = from_dict(CameraDistribution, metadata["distribution"])
        splits = {name: tuple(names) for name, names in metadata["splits"].items()}
        image_size = int(metadata["image_size"])
        light = metadata["config"].get("light") if "config" in metadata else None
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise DataError(
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
        The index; `problems` lists objects with wrong or missing files.
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
        layout: Layout of the files.
        root: The folder.
        readers: Functions that read one object each, or raise `DataError`.

    Returns:
        The index; `problems` lists objects that could not be read.
    """
    objects, problems = [], []
    for read in readers:
        try:
            objects.append(read())
        except DataError as error:
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
    """Read and validate a dataset.json.

    Raises:
        DataError: If it is cut off, or of another format or version.
    """
    metadata = read_json(path)
    if metadata.get("format") != FORMAT:
        raise DataError(f"{path}: not written by get3d (its format is not {FORMAT!r})")
    if metadata.get("version") != FORMAT_VERSION:
        raise DataError(
            f"{path}: format version {metadata.get('version')!r}, but this get3d reads version "
            f"{FORMAT_VERSION}; update get3d or render the dataset again"
        )
    return metadata


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object; raise DataError if it does not."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not valid JSON ({error}); it may be cut off") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: holds a list where named values are needed")
    return content


def image_name(index: int) -> str:
    """Return the file name of a view: 000.png, 001.png, ..."""
    return f"{index:03d}.png"


def list_pngs(folder: Path) -> list[str]:
    """List the names of the finished PNG files in a folder, sorted; empty if there is no folder."""
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
        raise DataError(f"{folder}: no PNG images; render this object or delete the folder")
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
            raise DataError(
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
        raise DataError(
            f"{path}: missing; every image needs a camera, so render this object again or delete "
            "its images"
        ) from error
    except (ValueError, EOFError, OSError) as error:
        raise DataError(f"{path}: cannot be read ({error}); render this object again") from error
    if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        raise DataError(f"{path}: holds values that are no angles; render this object again")
    return values.reshape(-1).astype(np.float64)


def _rotation_range(rotation_deg: Float[Tensor, " images"]) -> tuple[float, float]:
    """Estimate the sector of rotations, in degrees."""
    num = len(rotation_deg)
    ordered = rotation_deg.sort().values
    gaps = torch.diff(ordered, append=ordered[:1] + 360.0)
    widest = int(gaps.argmax())
    # The widest of n random gaps on a circle is about 360 ln(n) / n; a sector must be 3x that.
    if num < 3 or float(gaps[widest]) < 3 * 360.0 * math.log(num) / num:
        return (0.0, 360.0)
    low = float(ordered[(widest + 1) % num])
    width = 360.0 - float(gaps[widest])
    margin = width / (num - 1)
    low -= margin
    return (round(low, 2), round(low + min(width + 2 * margin, 360.0), 2))
