"""Index of a dataset's images and cameras; readers of the get3d and the published layout."""

import io
import json
import math
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from get3d.core import Cameras, DataError, from_dict, is_plain_name, shorten
from get3d.data.camera_checks import check_cameras
from get3d.data.image_files import MAX_IMAGE_SIZE, ImageFile
from get3d.geometry.cameras import CameraDistribution, camera_angles, camera_origins, orbit_cameras

Layout = Literal["get3d", "published", "transforms"]

METADATA_NAME = "dataset.json"
FORMAT = "get3d-dataset"
FORMAT_VERSION = 1
# Blender camera of the published data: 35 mm lens, 32 mm sensor, 1.2 units away.
PUBLISHED_RADIUS = 1.2
PUBLISHED_FOVY_RAD = 2 * math.atan(16 / 35)
_ANGLES_BYTES = 1 << 24
_MOST_DEGREES = 720
# What values of another type than expected raise.
_ODD_VALUES = (LookupError, TypeError, ValueError, AttributeError, RuntimeError, ArithmeticError)


@dataclass(frozen=True, kw_only=True)
class ObjectViews:
    """The images of one object.

    Attributes:
        name: `category/object` or a folder name; unique in the dataset.
        images: Image files, in the order of the cameras.
        cameras: Cameras, one per image.
    """

    name: str
    images: tuple[ImageFile, ...]
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
    if not metadata.get("complete"):
        raise DataError(
            f"{path}: rendering did not finish; run the same `get3d render` command again"
        )
    objects, problems = [], []
    try:
        entries = object_entries(metadata)
        for name, entry in entries.items():
            try:
                objects.append(_get3d_object(root, name, entry))
            except DataError as error:
                problems.append(str(error))
        distribution = from_dict(CameraDistribution, metadata["distribution"])
        splits = _read_splits(metadata["splits"], entries.keys())
        image_size = metadata["image_size"]
        if type(image_size) is not int or not 0 < image_size <= MAX_IMAGE_SIZE:
            raise ValueError(f"image_size is {shorten(image_size)}")
        light = metadata["config"].get("light") if "config" in metadata else None
    except _ODD_VALUES as error:
        raise damaged_metadata(path, error, "render the dataset again") from error
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

    A folder in img/ with PNG files and no folders is an object without a category. Distance and
    field of view are those of the published renders; angle ranges come from the files.

    Args:
        root: Folder with img/ and camera/.

    Returns:
        The index; `problems` lists objects with wrong or missing files.
    """
    # Not by glob, for which a folder that may not be read is an empty one.
    categories = [path for path in (root / "img").iterdir() if path.is_dir()]
    folders = []
    for category in categories:
        inside = [path for path in category.iterdir() if path.is_dir()]
        folders += inside or ([category] if list_pngs(category) else [])
    folders.sort()
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
            f"{path}: format version {shorten(metadata.get('version'))}, but this get3d reads "
            f"version {FORMAT_VERSION}; update get3d or render the dataset again"
        )
    return metadata


def object_entries(metadata: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the objects of a dataset.json by name; raise ValueError if a name is no plain one.

    Names become parts of paths, so that any other could lead out of the dataset's folder.
    """
    entries: dict[str, Mapping[str, Any]] = {}
    for entry in metadata["objects"]:
        name = entry["name"]
        parts = name.split("/") if isinstance(name, str) else []
        if len(parts) != 2 or not all(map(is_plain_name, parts)) or name in entries:
            raise ValueError(
                f"{shorten(name)} is no name of an object; names are `category/object`, each once"
            )
        entries[name] = entry
    return entries


def damaged_metadata(path: Path, error: Exception, suggestion: str) -> DataError:
    """Make the error for a dataset.json with values of other types."""
    reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return DataError(f"{path}: damaged metadata ({reason}); {suggestion}")


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
    try:
        names = [entry.name for entry in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    # By length first: 1000.png comes after 999.png.
    return sorted(
        (name for name in names if name.lower().endswith(".png") and not name.startswith(".")),
        key=lambda name: (len(name), name),
    )


def _get3d_object(root: Path, name: str, entry: Mapping[str, Any]) -> ObjectViews:
    """Index one object of a dataset.json; raise DataError if it cannot be used."""
    cameras = check_cameras(
        f"{root / METADATA_NAME}: {name}",
        torch.tensor(entry["world_to_camera"], dtype=torch.float64),
        torch.tensor(entry["intrinsics"], dtype=torch.float64),
    )
    folder = root / "img" / name
    paths = tuple(folder / image_name(index) for index in range(len(cameras)))
    present = set(list_pngs(folder))
    missing = [image.name for image in paths if image.name not in present]
    if missing:
        raise DataError(
            f"{folder}: {len(missing)} of {len(paths)} images are missing, the first is "
            f"{missing[0]}; run the same `get3d render` command again"
        )
    _camera_angles(root, name, len(cameras))  # not used here, but other programs read them
    return ObjectViews(name=name, images=tuple(map(ImageFile, paths)), cameras=cameras)


def _read_splits(splits: object, names: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return the splits of a dataset.json; raise ValueError if they hold something else."""
    if not isinstance(splits, dict):
        raise ValueError(f"splits are {shorten(splits)}, no lists of objects by name")
    for split, members in splits.items():
        if not isinstance(members, list):
            raise ValueError(f"the split {shorten(split)} is no list of objects")
        for member in members:
            if not isinstance(member, str) or member not in names:
                raise ValueError(
                    f"the split {shorten(split)} holds {shorten(member)}, which is no object"
                )
    return {split: tuple(members) for split, members in splits.items()}


def _published_object(root: Path, name: str) -> ObjectViews:
    """Index one object of the published layout."""
    folder = root / "img" / name
    names = list_pngs(folder)
    if not names:
        raise DataError(f"{folder}: no PNG images; render this object or delete the folder")
    rotation_deg, elevation_deg = _camera_angles(root, name, len(names))
    return ObjectViews(
        name=name,
        images=tuple(ImageFile(folder / image) for image in names),
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
    if not path.exists():
        raise DataError(
            f"{path}: missing; every image needs a camera, so render this object again or delete "
            "its images"
        )
    if not path.is_file() or path.stat().st_size > _ANGLES_BYTES:
        raise DataError(f"{path}: is no file of angles; render this object again")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about headers of Python 2
            values = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
        if not isinstance(values, np.ndarray):
            raise ValueError("it is an archive of arrays")
    except PermissionError:
        raise
    except Exception as error:  # damaged headers raise errors of any class
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{path}: cannot be read ({reason}); render this object again") from error
    if values.dtype.kind not in "fiu" or not (np.abs(values) <= _MOST_DEGREES).all():
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
