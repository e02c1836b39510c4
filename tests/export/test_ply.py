from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh

from get3d.core import Material
from get3d.export import save_ply, texture_mesh
from get3d.export.ply import vertex_colors_u8
from get3d.geometry import is_watertight


def test_colors_come_from_the_texture(textured, tmp_path):
    save_ply(textured, tmp_path / "square.ply")
    found = trimesh.load(tmp_path / "square.ply", process=False)
    np.testing.assert_allclose(found.vertices, textured.mesh.verts)
    np.testing.assert_array_equal(found.faces, textured.mesh.faces)
    assert found.visual.vertex_colors.tolist() == [
        [255, 0, 0, 255],
        [0, 255, 0, 255],
        [255, 255, 255, 255],
        [0, 0, 255, 255],
    ]


def test_baked_colors_are_those_of_the_field(ball, tmp_path):
    textured = texture_mesh(ball(2), lambda points: points + 0.5, texture_size=256)
    save_ply(textured, tmp_path / "ball.ply")
    found = trimesh.load(tmp_path / "ball.ply", process=False)
    assert found.is_watertight
    assert is_watertight(textured.mesh)
    expected = (textured.mesh.verts.numpy() + 0.5) * 255
    np.testing.assert_allclose(found.visual.vertex_colors[:, :3], expected, atol=3)
    normals = found.vertex_normals
    np.testing.assert_allclose(normals, found.vertices / 0.4, atol=0.05)


def test_factors_multiply_in_linear_light(two_materials):
    colors = vertex_colors_u8(two_materials)
    faces, is_grey = two_materials.mesh.faces, two_materials.face_material.bool()
    glass = set(faces[~is_grey].flatten().tolist()) - set(faces[is_grey].flatten().tolist())
    # sRGB of 0.75 in linear light is 0.88.
    assert colors[sorted(glass)].tolist() == [[225, 0, 0, 96]] * len(glass)
    grey = set(faces[is_grey].flatten().tolist()) - set(faces[~is_grey].flatten().tolist())
    linear = 0.75 * ((0.5 + 0.055) / 1.055) ** 2.4
    expected = (1.055 * linear ** (1 / 2.4) - 0.055) * 255
    np.testing.assert_allclose(colors[sorted(grey)][:, :3], expected, atol=0.51)


def test_repeated_images_repeat(textured):
    moved = type(textured)(**{**vars(textured), "uvs": textured.uvs * 0.5 + 5.25})
    still = type(textured)(**{**vars(textured), "uvs": textured.uvs * 0.5 + 0.25})
    np.testing.assert_array_equal(vertex_colors_u8(moved), vertex_colors_u8(still))
    assert torch.unique(torch.from_numpy(vertex_colors_u8(still)), dim=0).shape[0] == 4


@pytest.mark.parametrize(("cutoff", "alpha"), [(0.3, 128), (0.5, 0)])
def test_alpha_modes_apply_to_corners_before_the_mean(textured, cutoff, alpha):
    """Factor 0.8 and vertex alpha 0.5: 0.4. Two vertices lie between a masked and a clear face."""
    materials = (
        Material(base_color=(1.0, 1.0, 1.0, 0.8), alpha_mode="MASK", alpha_cutoff=cutoff),
        Material(base_color=(1.0, 1.0, 1.0, 0.0), alpha_mode="BLEND"),
    )
    mesh = replace(
        textured,
        materials=materials,
        face_material=torch.tensor([0, 1]),
        vert_colors=torch.full((4, 4), 0.5),
    )
    colors, faces = vertex_colors_u8(mesh), mesh.mesh.faces
    shared = sorted(set(faces[0].tolist()) & set(faces[1].tolist()))
    assert len(shared) == 2
    assert colors[shared, 3].tolist() == [alpha] * 2
    opaque = replace(materials[0], alpha_mode="OPAQUE")
    colors = vertex_colors_u8(replace(mesh, materials=(opaque, materials[1])))
    assert colors[shared, 3].tolist() == [128] * 2
