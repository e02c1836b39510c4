import pytest
import torch
import trimesh

from get3d.core import Material, Mesh, TexturedMesh


@pytest.fixture
def ball():
    return make_ball


def make_ball(subdivisions: int = 2, radius: float = 0.4) -> Mesh:
    sphere = trimesh.creation.icosphere(subdivisions=subdivisions, radius=radius)
    return Mesh(
        torch.tensor(sphere.vertices, dtype=torch.float32),
        torch.tensor(sphere.faces, dtype=torch.int64),
    )


@pytest.fixture
def textured() -> TexturedMesh:
    """A square of two triangles with an image of four colours: left bottom red, right bottom
    green, left top blue, right top white."""
    image = torch.ones(8, 8, 4)
    image[:4, :4, :3] = torch.tensor([0.0, 0.0, 1.0])
    image[4:, :4, :3] = torch.tensor([1.0, 0.0, 0.0])
    image[4:, 4:, :3] = torch.tensor([0.0, 1.0, 0.0])
    corners = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    return TexturedMesh(
        mesh=Mesh(torch.cat([corners - 0.5, torch.zeros(4, 1)], dim=1), faces),
        uvs=corners,
        uv_faces=faces,
        materials=(Material(texture=image),),
        face_material=torch.zeros(2, dtype=torch.int64),
    )


@pytest.fixture
def two_materials() -> TexturedMesh:
    """A ball, half plain red glass and half a grey image, with vertex colours."""
    mesh = make_ball(1)
    num_faces, num_verts = len(mesh.faces), len(mesh.verts)
    return TexturedMesh(
        mesh=mesh,
        uvs=mesh.verts[:, :2] + 0.5,
        uv_faces=mesh.faces,
        materials=(
            Material(base_color=(1.0, 0.0, 0.0, 0.5), name="red glass"),
            Material(texture=torch.full((4, 4, 4), 0.5), name="grey"),
            Material(name="unused"),
        ),
        face_material=(torch.arange(num_faces) >= num_faces // 2).long(),
        vert_colors=torch.full((num_verts, 4), 0.75),
    )
