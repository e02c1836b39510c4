import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import trimesh

from get3d.core.types import Cameras, Mesh
from get3d.geometry.cameras import orbit_cameras


def _mesh(shape: trimesh.Trimesh, dtype: torch.dtype = torch.float32) -> Mesh:
    return Mesh(
        torch.tensor(np.asarray(shape.vertices), dtype=dtype),
        torch.tensor(np.asarray(shape.faces), dtype=torch.int64),
    )


@pytest.fixture
def sphere() -> Callable[..., Mesh]:
    def make(level: int, radius: float = 0.4, dtype: torch.dtype = torch.float32) -> Mesh:
        return _mesh(trimesh.creation.icosphere(subdivisions=level, radius=radius), dtype)

    return make


@pytest.fixture
def box() -> Callable[..., Mesh]:
    def make(*extents: float, dtype: torch.dtype = torch.float32) -> Mesh:
        return _mesh(trimesh.creation.box(extents), dtype)

    return make


@pytest.fixture
def torus() -> Callable[..., Mesh]:
    def make(sections: int, dtype: torch.dtype = torch.float32) -> Mesh:
        shape = trimesh.creation.torus(
            0.3, 0.12, major_sections=2 * sections, minor_sections=sections
        )
        return _mesh(shape, dtype)

    return make


@pytest.fixture
def cameras() -> Callable[..., Cameras]:
    def make(num: int, radius: float = 1.4, dtype: torch.dtype = torch.float32) -> Cameras:
        turns = torch.linspace(0.1, 0.1 + 2 * math.pi * (1 - 1 / num), num, dtype=dtype)
        polar = torch.linspace(0.8, 1.5, num, dtype=dtype)
        return orbit_cameras(turns, polar, radius=radius, fovy_rad=math.radians(49.0))

    return make
