"""Methods of what users hold: `TexturedMesh` and `Model`."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

import get3d
from get3d.core import Cameras, ConfigError, Material, Mesh, MeshError, TexturedMesh
from get3d.data import load_mesh
from get3d.models import Generator, GeneratorConfig


@pytest.fixture
def ball() -> TexturedMesh:
    """A red ball with a texture."""
    sphere = trimesh.creation.icosphere(subdivisions=2)
    texture = torch.tensor([1.0, 0.0, 0.0, 1.0]).expand(16, 16, 4).contiguous()
    faces = torch.tensor(np.array(sphere.faces), dtype=torch.int64)
    return TexturedMesh(
        mesh=Mesh(torch.tensor(sphere.vertices, dtype=torch.float32), faces),
        uvs=torch.full((1, 2), 0.5),
        uv_faces=torch.zeros_like(faces),
        materials=(Material(texture=texture),),
        face_material=torch.zeros(len(faces), dtype=torch.int64),
    )


@pytest.fixture
def model() -> get3d.Model:
    config = GeneratorConfig(
        z_dim=8, w_dim=8, plane_resolution=4, channel_base=16, grid_resolution=8, sdf_base="sphere"
    )
    return get3d.Model(Generator(config), get3d.ModelInfo(name="small"))


def test_representations_are_short(ball: TexturedMesh, model: get3d.Model) -> None:
    assert repr(ball.mesh) == "Mesh(verts=float32 [162, 3], faces=int64 [320, 3])"
    assert repr(ball.materials[0]) == "Material(texture=float32 [16, 16, 4])"
    assert "materials=(Material(texture=float32 [16, 16, 4]),)" in repr(ball)
    assert "normals" not in repr(ball)  # left out at their default
    cameras = Cameras(torch.eye(4).expand(2, 4, 4), torch.ones(2, 4))
    assert repr(cameras) == "Cameras(world_to_camera=float32 [2, 4, 4], intrinsics=float32 [2, 4])"
    assert repr(model) == "Model(small, on cpu)"


def test_export_is_save(ball: TexturedMesh, tmp_path: Path) -> None:
    ball.export(tmp_path / "a.glb")
    get3d.save(ball, tmp_path / "b" / "a.glb")
    assert (tmp_path / "a.glb").read_bytes() == (tmp_path / "b" / "a.glb").read_bytes()
    assert len(load_mesh(tmp_path / "a.glb").mesh.faces) == 320
    with pytest.raises(ConfigError, match=r"cannot be written as '\.fbx'"):
        ball.export(tmp_path / "a.fbx")


def test_to_trimesh_keeps_surface_and_texture(ball: TexturedMesh) -> None:
    found = ball.to_trimesh()
    assert isinstance(found, trimesh.Trimesh)
    assert found.faces.shape == (320, 3)
    assert found.volume == pytest.approx(
        trimesh.Trimesh(ball.mesh.verts, ball.mesh.faces).volume, rel=1e-5
    )
    color = np.asarray(found.visual.material.baseColorTexture)[0, 0]
    assert color[:3].tolist() == [255, 0, 0]
    half = replace(
        ball,
        materials=(*ball.materials, Material(base_color=(0.0, 1.0, 0.0, 1.0), name="green")),
        face_material=torch.arange(320) // 160,
    )
    assert half.to_trimesh().faces.shape == (320, 3)
    colored = replace(
        ball,
        uvs=ball.uvs[:0],
        materials=(Material(),),
        vert_colors=torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(162, 4),
    )
    assert colored.to_trimesh().visual.vertex_colors[0].tolist() == [0, 0, 255, 255]


def test_show_is_an_image_on_white(ball: TexturedMesh) -> None:
    image = ball.show(32)
    assert image.size == (64, 32)
    assert image.mode == "RGB"
    assert image.getpixel((0, 0)) == (255, 255, 255)
    red, green, _ = image.getpixel((16, 16))
    assert red > green + 50


def test_meshes_without_faces(ball: TexturedMesh) -> None:
    empty = replace(
        ball,
        mesh=Mesh(ball.mesh.verts, ball.mesh.faces[:0]),
        uv_faces=ball.uv_faces[:0],
        face_material=ball.face_material[:0],
    )
    for use in (empty.to_trimesh, empty.show):
        with pytest.raises(MeshError):
            use()


@pytest.mark.parametrize("arguments", [{"seed": "7"}, {"texture_seed": 0.5}, {"num": "2"}])
def test_seeds_of_another_type(model: get3d.Model, arguments: dict[str, object]) -> None:
    # The tests' type checker raises one of its own; without it the text names the argument.
    with pytest.raises(TypeError, match=next(iter(arguments))):
        model.generate(**arguments)
    check = getattr(get3d.Model.iter_generate, "__wrapped__", None)
    if check is not None:
        with pytest.raises(TypeError, match="must be a whole number such as 7, got"):
            check(model, **({"num": 1} | arguments))
