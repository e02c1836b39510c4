"""Small datasets in each layout."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from get3d.core.types import Cameras
from get3d.data.layouts import angles_to_cameras
from get3d.geometry.cameras import clip_matrices, to_clip

SIZE = 32


def ball_image(cameras: Cameras, size: int, *, centre: list[float] | None = None) -> np.ndarray:
    """RGBA image of a small ball; its silhouette is close enough to a disc."""
    point = torch.tensor([centre or [0.0, 0.1, 0.2]])
    clip = to_clip(point, clip_matrices(cameras))[0, 0]
    x, y = ((clip[:2] / clip[3] + 1) / 2 * size).tolist()
    rows, columns = np.mgrid[:size, :size] + 0.5
    radius = 0.2 / float(clip[3]) * float(cameras.intrinsics[0, 1]) * size
    image = np.zeros((size, size, 4), np.uint8)
    image[np.hypot(columns - x, rows - y) < radius] = (200, 100, 50, 255)
    return image


def published(root: Path, *, num_objects: int = 2, num_views: int = 6) -> Path:
    """Write the published layout."""
    rng = np.random.default_rng(0)
    for index in range(num_objects):
        name = f"things/thing_{index}"
        rotation, elevation = rng.uniform(0, 360, num_views), rng.uniform(0, 30, num_views)
        (root / "img" / name).mkdir(parents=True)
        (root / "camera" / name).mkdir(parents=True)
        np.save(root / "camera" / name / "rotation.npy", rotation)
        np.save(root / "camera" / name / "elevation.npy", elevation)
        cameras = angles_to_cameras(rotation.tolist(), elevation.tolist())
        for view in range(num_views):
            image = ball_image(cameras[view : view + 1], SIZE)
            Image.fromarray(image).save(root / "img" / name / f"{view:03d}.png")
    return root


def blender(root: Path, *, num_views: int = 6, names: tuple[str, ...] = ("",)) -> Path:
    """Write NeRF folders: the same ball, the world with z up."""
    y_up_to_z_up = np.array([[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]], float)
    for name in names:
        folder = root / name
        (folder / "train").mkdir(parents=True)
        rotation = np.linspace(0, 360, num_views, endpoint=False)
        cameras = angles_to_cameras(rotation.tolist(), [20.0] * num_views, radius=1.5)
        frames = []
        for view in range(num_views):
            image = ball_image(cameras[view : view + 1], SIZE)
            Image.fromarray(image).save(folder / "train" / f"r_{view}.png")
            to_world = np.linalg.inv(cameras.world_to_camera[view].double().numpy())
            frames.append(
                {
                    "file_path": f"./train/r_{view}",
                    "transform_matrix": (y_up_to_z_up @ to_world).tolist(),
                }
            )
        content = {"camera_angle_x": 2 * math.atan(16 / 35), "frames": frames}
        (folder / "transforms_train.json").write_text(json.dumps(content))
    return root


@pytest.fixture
def make_published() -> Callable[..., Path]:
    """Writer of the published layout."""
    return published


@pytest.fixture
def make_blender() -> Callable[..., Path]:
    """Writer of NeRF folders."""
    return blender
