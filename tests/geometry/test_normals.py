import math

import pytest
import torch
import trimesh

from get3d.core import Mesh
from get3d.core.errors import ConfigError
from get3d.geometry import face_normals, split_normals, vertex_normals


def to_mesh(shape) -> Mesh:
    return Mesh(torch.tensor(shape.vertices).float(), torch.tensor(shape.faces).long())


def test_a_box_has_six_flat_faces():
    mesh = to_mesh(trimesh.creation.box())
    split = split_normals(mesh, crease_rad=math.radians(40))
    assert len(split.normals) == 24  # four corners per face
    expected = face_normals(mesh)[:, None].expand(-1, 3, -1)
    torch.testing.assert_close(split.normals[split.faces], expected)


def test_a_ball_has_no_crease():
    mesh = to_mesh(trimesh.creation.icosphere(subdivisions=3))
    split = split_normals(mesh, crease_rad=math.radians(40))
    assert len(split.normals) == len(mesh.verts)
    torch.testing.assert_close(split.normals[split.faces], vertex_normals(mesh)[mesh.faces])


def test_a_cylinder_is_smooth_around_and_sharp_at_its_rims():
    mesh = to_mesh(trimesh.creation.cylinder(radius=1, height=2, sections=32))
    split = split_normals(mesh, crease_rad=math.radians(40))
    upward = split.normals[:, 2].abs()
    assert ((upward > 0.999) | (upward < 1e-3)).all()
    around = split.normals[split.faces][:, :, 2].abs() < 1e-3
    radial = split.normals[split.faces][around]
    outward = mesh.verts[mesh.faces][around] * torch.tensor([1.0, 1.0, 0.0])
    assert (radial * outward).sum(dim=1).min() > 0.99


def test_open_edges_and_no_faces():
    mesh = to_mesh(trimesh.creation.box())
    one = Mesh(mesh.verts, mesh.faces[:1])
    assert len(split_normals(one, crease_rad=1.0).normals) == 3
    none = split_normals(Mesh(mesh.verts, mesh.faces[:0]), crease_rad=1.0)
    assert (len(none.normals), len(none.faces)) == (0, 0)


def test_angle_out_of_range():
    with pytest.raises(ConfigError, match="crease_rad must lie in 0 to pi, got 40"):
        split_normals(to_mesh(trimesh.creation.box()), crease_rad=40.0)
