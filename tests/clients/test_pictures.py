"""Chromium (three.js, WebGL) and Blender (Cycles) show our files as our renderer does.

GLB files in both, USDZ files in Blender.
"""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

import get3d
from get3d.core import Cameras, Material, Mesh, TexturedMesh
from get3d.export import AssetOptions, make_asset, save, texture_mesh
from get3d.geometry import orbit_cameras
from get3d.render import render_textured
from get3d_shapes import build_shape
from tests.clients.clients import (
    Client,
    blender_command,
    chromium_command,
    color_error,
    make_client,
    overlap,
)

SIZE = 256
# The browser shows bare colours. Cycles lights the material as imported: corners are dimmer.
COLOR_TOLERANCE = {"chromium": 0.02, "blender": 0.1}


@pytest.fixture(params=["chromium .glb", "blender .glb", "blender .usdz"])
def program_and_suffix(request: pytest.FixtureRequest) -> list[str]:
    return request.param.split()


@pytest.fixture
def name(program_and_suffix: list[str]) -> str:
    return program_and_suffix[0]


@pytest.fixture
def file(program_and_suffix: list[str], tmp_path: Path) -> Path:
    return tmp_path / f"shape{program_and_suffix[1]}"


@pytest.fixture
def client(name: str, tmp_path: Path) -> Client:
    command = {"chromium": chromium_command, "blender": blender_command}[name]()
    (tmp_path / "images").mkdir()
    return make_client(command, tmp_path / "images")


@pytest.fixture
def cameras() -> Cameras:
    return orbit_cameras(
        torch.tensor([0.4, 2.9]), torch.tensor([1.2, 0.9]), radius=1.6, fovy_rad=math.radians(45)
    )


def make_ball() -> Mesh:
    ball = trimesh.creation.icosphere(subdivisions=3, radius=0.4)
    return Mesh(torch.tensor(ball.vertices).float(), torch.tensor(ball.faces).long())


def sides(points: torch.Tensor) -> torch.Tensor:
    """Red above, blue on the +x side, green on the -x side."""
    red, green, blue = torch.eye(3)
    return torch.where(
        points[:, 1:2] > 0.2, red, torch.where(points[:, :1] > 0, blue, green)
    ).float()


def check(
    client: Client, shapes: list[TexturedMesh], cameras: Cameras, file: Path, tolerance: float
) -> None:
    """Silhouettes agree, colours roughly."""
    paths = [file.with_stem(f"{index}") for index in range(len(shapes))]
    for shape, path in zip(shapes, paths, strict=True):
        save(shape, path)
    images = client(paths, cameras, SIZE).images_u8 / 255
    for shape, found in zip(shapes, images, strict=True):
        ours = render_textured(shape, cameras, SIZE).numpy()
        for view in range(len(cameras)):
            assert overlap(found[view, ..., 3], ours[view, ..., 3]) > 0.97
            assert color_error(found[view], ours[view]) < tolerance


def test_the_comparison_tells_images_apart(cameras):
    """Other views, mirrored images and wrong colours are beyond what the tests below allow."""
    chair = build_shape("chair", 4, texture_size=256).mesh
    first, second = render_textured(chair, cameras, SIZE).numpy()
    assert overlap(first[..., 3], first[..., 3]) == 1
    assert overlap(first[..., 3], second[..., 3]) < 0.6
    assert overlap(first[..., 3], first[:, ::-1, 3]) < 0.6
    assert overlap(first[..., 3], np.roll(first[..., 3], 1, axis=1)) < 0.97
    limit = max(COLOR_TOLERANCE.values())
    assert color_error(first, first[..., [2, 1, 0, 3]]) > limit
    assert color_error(first, first ** (2.2, 2.2, 2.2, 1)) > limit  # linear taken for sRGB


def test_upright_textured_and_not_mirrored(client, file):
    """Seen from +z, without our renderer: red above, green on the left, blue on the right."""
    save(texture_mesh(make_ball(), sides, texture_size=256), file)
    from_z = torch.eye(4)[None].clone()
    from_z[:, 2, 3] = -2
    camera = Cameras(from_z, torch.tensor([[1.0, 1.0, 0.5, 0.5]]))
    shown = client([file], camera, SIZE)
    assert shown.contents == [{"meshes": 1, "images": 1}]
    image = shown.images_u8[0, 0].astype(int)
    middle = SIZE // 2
    assert image[middle - 45, middle, 3] == image[middle, middle, 3] == 255
    assert image[0, 0, 3] == 0
    assert image[middle - 45, middle, :3].argmax() == 0
    assert image[middle + 10, middle - 40, :3].argmax() == 1
    assert image[middle + 10, middle + 40, :3].argmax() == 2


def test_a_chair_looks_as_in_our_renderer(client, name, cameras, file):
    chair = build_shape("chair", 4, texture_size=256).mesh
    check(client, [chair], cameras, file, COLOR_TOLERANCE[name])


def test_a_lens_that_is_off_centre(client, name, cameras, file):
    chair = build_shape("chair", 4, texture_size=256).mesh
    aside = torch.tensor([0.0, 0.0, 0.1, -0.07])
    shifted = replace(cameras, intrinsics=cameras.intrinsics + aside)
    check(client, [chair], shifted, file, COLOR_TOLERANCE[name])


def test_colours_at_the_vertices(client, name, file):
    smooth = make_asset(
        make_ball(), lambda points: points + 0.5, options=AssetOptions(colors="vertices")
    )
    save(smooth, file)
    cameras = orbit_cameras(torch.tensor([0.4]), torch.tensor([1.2]), radius=1.6, fovy_rad=0.8)
    found = client([file], cameras, SIZE).images_u8[0, 0] / 255
    ours = render_textured(smooth, cameras, SIZE)[0].numpy()
    assert color_error(found, ours) < COLOR_TOLERANCE[name]


def test_see_through_looks_the_same_in_both_formats(cameras, tmp_path):
    """Alpha of the image and of the factor; our renderer shows no back through the front."""
    client = make_client(blender_command(), tmp_path)
    ball = texture_mesh(make_ball(), sides, texture_size=256)
    image = ball.materials[0].texture * torch.tensor([1.0, 1.0, 1.0, 0.5])
    pale = Material(base_color=(1.0, 0.7, 1.0, 0.8), texture=image)
    for suffix in (".glb", ".usdz"):
        save(replace(ball, materials=(pale,)), tmp_path / f"ball{suffix}")
    shown = client([tmp_path / "ball.glb", tmp_path / "ball.usdz"], cameras, SIZE)
    glb, usdz = shown.images_u8 / 255
    covered = glb[..., 3] > 0.5
    assert 0.05 < covered.mean() < 0.5
    assert not (glb[..., 3] > 0.99).any()
    # Sixteen samples a pixel, each through or not.
    assert np.abs(glb - usdz)[covered].mean() < 0.05


@pytest.mark.slow
def test_shapes_of_the_bundled_model(client, name, cameras, file):
    shapes = get3d.load().generate(4, texture_size=256)
    check(client, shapes, cameras, file, COLOR_TOLERANCE[name])
