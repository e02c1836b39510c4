"""Datasets in the NeRF and Blender layout: transforms.json and images, one folder per object.

Their world has z up and their cameras look along -z; ours has y up, so their (x, y, z) is our
(x, z, -y). Distances stay as they are in the file.
"""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from get3d.core import DataError, shorten
from get3d.data.camera_checks import check_cameras
from get3d.data.image_files import ImageFile, read_size
from get3d.data.layouts import DatasetIndex, ObjectViews, index_objects, read_json
from get3d.data.nerf_lens import check_camera_model, read_distortion, read_intrinsics

# transforms_val.json and transforms_test.json have held-out views, so they are not read.
TRANSFORMS_NAMES = ("transforms.json", "transforms_train.json")
_Z_UP_TO_Y_UP = torch.tensor(
    [[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]],
    dtype=torch.float64,
)
_RIGID_TOLERANCE = 1e-3


def find_transforms(root: Path) -> list[Path]:
    """List the transforms files of a dataset.

    Args:
        root: A folder of one object, or a folder of such folders.

    Returns:
        One file per object, sorted; empty if this is no such dataset.
    """
    folders = [root, *sorted(path for path in root.iterdir() if path.is_dir())]
    found = []
    for folder in folders:
        files = [folder / name for name in TRANSFORMS_NAMES if (folder / name).is_file()]
        found.extend(files[:1])
    return found


def read_transforms(root: Path) -> DatasetIndex:
    """Index a NeRF or Blender dataset.

    Args:
        root: A folder of one object, or a folder of such folders.

    Returns:
        The index; `problems` lists objects with wrong or missing files.
    """
    readers = [partial(_read_object, path, root) for path in find_transforms(root)]
    return index_objects("transforms", root, readers)


def _read_object(path: Path, root: Path) -> ObjectViews:
    """Index one transforms file of a dataset."""
    content = read_json(path)
    frames = content.pop("frames", None)
    if not isinstance(frames, list) or not frames:
        raise DataError(f"{path}: has no frames; it must list one per image")
    images, matrices, intrinsics = [], [], []
    for index, frame in enumerate(frames):
        where = f"{path}: frame {index}"
        try:
            matrix = torch.tensor(frame["transform_matrix"], dtype=torch.float64)
            image_path = _image_path(path, frame, "file_path", root)
            mask_path = (
                _image_path(path, frame, "mask_path", root) if frame.get("mask_path") else None
            )
            values = {**content, **frame}
            check_camera_model(where, values)
            lens = read_intrinsics(content, frame, partial(read_size, image_path))
            images.append(ImageFile(image_path, mask_path, read_distortion(where, values, lens)))
        except (KeyError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
            if isinstance(error, DataError):
                raise
            reason = f"{type(error).__name__}: {str(error)[:300]}"
            raise DataError(f"{where} cannot be used ({reason})") from error
        intrinsics.append(lens)
        matrices.append(_world_to_camera(matrix, where))
    return ObjectViews(
        name=path.parent.resolve().name,
        images=tuple(images),
        cameras=check_cameras(
            str(path),
            torch.stack(matrices),
            torch.tensor(intrinsics, dtype=torch.float64),
            view="frame",
        ),
    )


def _image_path(path: Path, frame: Mapping[str, Any], key: str, root: Path) -> Path:
    """Find an image of a frame, inside the dataset's folder; the suffix may be left out."""
    name = frame[key]
    if not isinstance(name, str) or "\0" in name:
        raise TypeError(f"{key} is {shorten(name)}, no name of a file")
    image = Path(os.path.normpath(path.parent.absolute() / name))
    if not image.is_relative_to(os.path.normpath(root.absolute())) or not image.name:
        raise DataError(
            f"{path}: {key} {shorten(name)} leads out of {root}, where images are not read; move "
            "it inside, or name the folder that holds both"
        )
    image = path.parent / name
    for candidate in (image, Path(f"{image}.png")):
        if candidate.is_file():
            return candidate
    raise DataError(f"{image}: missing, but {path} lists it; add it or remove its frame")


def _world_to_camera(matrix: torch.Tensor, where: str) -> torch.Tensor:
    """Convert a camera-to-world matrix with z up to a world-to-camera matrix with y up."""
    if matrix.shape != (4, 4) or not matrix.isfinite().all():
        raise DataError(f"{where}: transform_matrix must be 4 x 4 finite numbers")
    if not torch.equal(matrix[3], matrix.new_tensor([0, 0, 0, 1])):
        raise DataError(f"{where}: the last row of transform_matrix must be 0 0 0 1")
    rotation = matrix[:3, :3]
    error = (rotation @ rotation.T - torch.eye(3, dtype=torch.float64)).abs().max()
    if error > _RIGID_TOLERANCE or torch.linalg.det(rotation) < 0:
        raise DataError(
            f"{where}: transform_matrix is not a rotation and a translation; scaled or mirrored "
            "cameras cannot be used"
        )
    return torch.linalg.inv(_Z_UP_TO_Y_UP @ matrix)
