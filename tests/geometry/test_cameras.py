"""Cameras: published matrices, and invariants for any angle."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from get3d.core.errors import ConfigError
from get3d.core.types import Cameras
from get3d.geometry import (
    CameraDistribution,
    camera_angles,
    camera_origins,
    clip_matrices,
    orbit_cameras,
    sample_cameras,
    to_clip,
)

REFERENCE = Path(__file__).parents[1] / "fixtures" / "cameras.npz"
FOVY_RAD = 2 * math.atan(16 / 35)


@pytest.fixture
def published() -> dict[str, torch.Tensor]:
    with np.load(REFERENCE) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def test_published_matrices(published):
    radius = float(published["radius"][0])
    cameras = orbit_cameras(
        published["rotation_theta"][:, 0],
        published["elevation_phi"][:, 0],
        radius=radius,
        fovy_rad=float(published["fovy_radians"]),
    )
    torch.testing.assert_close(
        cameras.world_to_camera, published["world2cam"], atol=1e-5, rtol=1e-5
    )
    torch.testing.assert_close(camera_origins(cameras), published["origin"], atol=1e-5, rtol=1e-5)
    expected = published["projection"].float() @ published["world2cam"]
    torch.testing.assert_close(clip_matrices(cameras), expected, atol=1e-5, rtol=1e-5)
    angles = camera_angles(cameras)
    turn = (angles[:, 0] - published["rotation_theta"][:, 0]) / (2 * math.pi)
    torch.testing.assert_close(turn, turn.round(), atol=1e-6, rtol=0)
    torch.testing.assert_close(angles[:, 1:], published["elevation_phi"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_axes_are_rigid_and_look_at_the_origin_even_from_the_poles(dtype):
    polar = torch.tensor([0.0, 1e-7, 1.0, math.pi / 2, math.pi - 1e-6, math.pi], dtype=dtype)
    rotation = torch.linspace(0, 6, 6, dtype=dtype)
    cameras = orbit_cameras(rotation, polar, radius=1.5, fovy_rad=0.7)
    axes = cameras.world_to_camera[:, :3, :3]
    assert axes.dtype == dtype
    torch.testing.assert_close(
        axes @ axes.transpose(1, 2), torch.eye(3, dtype=dtype).expand(6, 3, 3), atol=1e-6, rtol=0
    )
    torch.testing.assert_close(torch.linalg.det(axes), torch.ones(6, dtype=dtype))
    clip = to_clip(torch.zeros(1, 3, dtype=dtype), clip_matrices(cameras))[:, 0]
    torch.testing.assert_close(clip[:, :2], torch.zeros(6, 2, dtype=dtype), atol=1e-6, rtol=0)
    torch.testing.assert_close(clip[:, 3], torch.full((6,), 1.5, dtype=dtype))
    torch.testing.assert_close(camera_origins(cameras).norm(dim=-1), clip[:, 3])


def test_angles_invert_orbit():
    rotation = torch.tensor([0.0, 0.3, 3.1, 6.2, 6.2831])
    polar = torch.tensor([0.0, 0.4, math.pi / 2, 3.0, math.pi])
    angles = camera_angles(orbit_cameras(rotation, polar, radius=1.2, fovy_rad=0.8))
    assert (angles[:, 0] >= 0).all()
    assert (angles[:, 0] < 2 * math.pi).all()
    turn = (angles[:, 0] - rotation) / (2 * math.pi)
    torch.testing.assert_close(turn, turn.round(), atol=1e-6, rtol=0)
    torch.testing.assert_close(angles[:, 1], polar, atol=1e-5, rtol=0)


def test_up_is_up_and_nearer_is_nearer():
    cameras = orbit_cameras(torch.zeros(1), torch.tensor([1.2]), radius=2.0, fovy_rad=0.8)
    back = camera_origins(cameras)[0] / 2
    points = torch.stack([torch.tensor([0.0, 0.1, 0.0]), torch.zeros(3), 0.3 * back])
    clip = to_clip(points, clip_matrices(cameras))[0]
    ndc = clip[:, :3] / clip[:, 3:]
    assert ndc[0, 1] < ndc[1, 1]  # row 0 is the top
    assert ndc[2, 2] < ndc[1, 2]


def test_planes_field_of_view_and_principal_point():
    camera = Cameras(torch.eye(4)[None], torch.tensor([[0.7, 0.9, 0.4, 0.3]]), near=0.5, far=4.0)
    points = torch.tensor([[0.0, 0.0, -0.5], [0.0, 0.0, -4.0], [0.5, 0.5, -1.0]])
    clip = to_clip(points, clip_matrices(camera))[0]
    ndc = clip[:, :3] / clip[:, 3:]
    torch.testing.assert_close(ndc[:2, 2], torch.tensor([-1.0, 1.0]))
    uv = (ndc[:, :2] + 1) / 2  # fraction of the width, and of the height from the top
    torch.testing.assert_close(uv[0], torch.tensor([0.4, 0.3]))
    torch.testing.assert_close(uv[2], torch.tensor([0.4 + 0.35, 0.3 - 0.45]))
    wide = orbit_cameras(torch.zeros(1), torch.tensor([math.pi / 2]), radius=2.0, fovy_rad=1.0)
    top = to_clip(torch.tensor([[0.0, 2 * math.tan(0.5), 0.0]]), clip_matrices(wide))[0, 0]
    torch.testing.assert_close(top[1] / top[3], torch.tensor(-1.0))


def test_sampling_stays_in_range_and_follows_the_generator():
    ranges = CameraDistribution(
        radius=1.2, fovy_deg=49.13, rotation_deg=(30.0, 90.0), polar_deg=(60.0, 90.0)
    )
    cameras = sample_cameras(ranges, 500, generator=torch.Generator().manual_seed(0))
    degrees = torch.rad2deg(camera_angles(cameras))
    assert degrees[:, 0].min() >= 30 - 1e-3
    assert degrees[:, 0].max() <= 90 + 1e-3
    assert degrees[:, 1].min() >= 60 - 1e-3
    assert degrees[:, 1].max() <= 90 + 1e-3
    # uniform: means within 5 standard errors of the middle
    assert abs(degrees[:, 0].mean() - 60) < 5 * 60 / math.sqrt(12 * 500)
    assert abs(degrees[:, 1].mean() - 75) < 5 * 30 / math.sqrt(12 * 500)
    again = sample_cameras(ranges, 500, generator=torch.Generator().manual_seed(0))
    assert torch.equal(again.world_to_camera, cameras.world_to_camera)
    assert len(sample_cameras(ranges, 0, generator=torch.Generator())) == 0


def test_gradient_reaches_the_points():
    cameras = orbit_cameras(
        torch.tensor([0.2], dtype=torch.float64),
        torch.tensor([1.0], dtype=torch.float64),
        radius=1.2,
        fovy_rad=FOVY_RAD,
    )
    points = torch.rand(3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p: to_clip(p, clip_matrices(cameras)), points)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"radius": 0.0}, "radius"),
        ({"radius": math.nan}, "radius"),
        ({"fovy_deg": 180.0}, "fovy_deg"),
        ({"rotation_deg": (10.0, 0.0)}, "rotation_deg"),
        ({"polar_deg": (-1.0, 90.0)}, "polar_deg"),
        ({"polar_deg": (0.0, math.nan)}, "polar_deg"),
    ],
)
def test_bad_distribution_is_named(wrong, message):
    with pytest.raises(ConfigError, match=message):
        CameraDistribution(**{"radius": 1.2, "fovy_deg": 49.0, **wrong})


def test_bad_arguments_are_named():
    angle = torch.zeros(1)
    with pytest.raises(ConfigError, match="radius"):
        orbit_cameras(angle, angle, radius=-1.0, fovy_rad=0.8)
    with pytest.raises(ConfigError, match="fovy_rad"):
        orbit_cameras(angle, angle, radius=1.0, fovy_rad=0.0)
    with pytest.raises(ValueError, match="num"):
        sample_cameras(
            CameraDistribution(radius=1.0, fovy_deg=40.0), -1, generator=torch.Generator()
        )
    with pytest.raises(ValueError, match="near"):
        clip_matrices(Cameras(torch.eye(4)[None], torch.ones(1, 4), near=2.0, far=1.0))
