"""What an exported file shows is what the colour field shows: no seams, no black, nothing moved."""

import math

import pytest
import torch
from skimage import measure

from get3d.core import Mesh
from get3d.data import load_mesh
from get3d.export import save, texture_mesh
from get3d.geometry import orbit_cameras
from get3d.render import render_mesh, render_textured


def waves(points):
    speed = torch.tensor([18.0, 28.0, 22.0])
    return 0.5 + 0.5 * torch.sin(points * speed + points.roll(1, dims=1) * 7)


@pytest.fixture(scope="module")
def lumps() -> Mesh:
    """A rough surface of two parts, as networks make them."""
    along = torch.linspace(-0.5, 0.5, 28)
    x, y, z = torch.meshgrid(along, along, along, indexing="ij")
    bumps = 0.03 * torch.sin(31 * x + 5 * y) * torch.sin(27 * y + 9 * z) * torch.cos(29 * z + x)
    body = 0.3 - torch.sqrt(x**2 + (y + 0.1) ** 2 + z**2)
    ball = 0.1 - torch.sqrt((x - 0.2) ** 2 + (y - 0.35) ** 2 + z**2)
    verts, faces, _, _ = measure.marching_cubes((torch.maximum(body, ball) + bumps).numpy(), 0.0)
    return Mesh(torch.from_numpy(verts / 27 - 0.5), torch.from_numpy(faces[:, ::-1].copy()).long())


@pytest.mark.parametrize("suffix", [".glb", ".obj"])
def test_image_of_the_file_is_image_of_the_field(lumps, tmp_path, suffix):
    path = tmp_path / f"lumps{suffix}"
    save(texture_mesh(lumps, waves, texture_size=512), path)
    rotation = torch.tensor([0.3, 2.4, 4.5])
    cameras = orbit_cameras(
        rotation, torch.tensor([1.2, 0.8, 1.9]), radius=1.2, fovy_rad=math.radians(49)
    )
    found = render_textured(load_mesh(path), cameras, 256, supersample=1)
    seen = render_mesh(lumps, cameras, 256)
    is_covered = seen.face_id >= 0
    # Splitting vertices may move a silhouette by the rounding of a pixel, no more.
    assert ((found[..., 3] > 0.5) != is_covered).sum() < 20
    both = is_covered & (found[..., 3] > 0.5)
    error = found[both][:, :3] - waves(seen.position[both])
    assert -10 * error.square().mean().log10() > 40
    assert error.abs().max() < 0.15
