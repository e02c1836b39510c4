"""Light-field descriptors and distances of meshes: invariances and differences."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from get3d.core.errors import MeshError
from get3d.core.types import Mesh
from get3d.metrics.light_field import (
    LightFieldProtocol,
    describe_silhouettes,
    light_field_descriptor,
    light_field_distance,
)
from get3d.metrics.light_field_matrix import light_field_matrix
from get3d.metrics.light_field_views import dodecahedron_rotations, light_field_rotations

OTHER_KIND = 3000.0
"""Shapes of different kinds are farther apart than this."""


def to_mesh(shape: trimesh.Trimesh) -> Mesh:
    return Mesh(torch.tensor(shape.vertices), torch.tensor(shape.faces))


def table(leg: float = 0.8) -> Mesh:
    """A top on four legs, one of them thicker, so that no turn maps it onto itself."""
    parts = [trimesh.creation.box([1.2, 0.1, 0.8])]
    for x, z in ((-0.5, -0.3), (-0.5, 0.3), (0.5, -0.3), (0.5, 0.3)):
        parts.append(trimesh.creation.box([0.2 if x + z > 0.7 else 0.1, leg, 0.1]))
        parts[-1].apply_translation([x, -leg / 2, z])
    return to_mesh(trimesh.util.concatenate(parts))


def turned(mesh: Mesh, rotation: np.ndarray) -> Mesh:
    return Mesh(mesh.verts @ torch.tensor(rotation.T.copy()), mesh.faces)


@pytest.fixture(scope="module")
def descriptor() -> torch.Tensor:
    return light_field_descriptor(table())


def test_ball_looks_the_same_from_everywhere() -> None:
    found = light_field_descriptor(to_mesh(trimesh.creation.icosphere(4))).int()
    assert found.shape == (10, 10, 47)
    assert found[..., 1:45].max() <= 12  # pixels of the rim, in moments of high order
    assert found[..., 1:45].float().mean() < 1
    assert found[..., 45].min() >= 252  # circular
    assert found[..., 46].max() <= 1  # not eccentric


def test_place_and_size_do_not_matter(descriptor: torch.Tensor) -> None:
    moved = Mesh(table().verts * 0.01 - 7, table().faces)
    assert torch.equal(light_field_descriptor(moved), descriptor)


def test_finer_triangles_do_not_matter(descriptor: torch.Tensor) -> None:
    shape = trimesh.Trimesh(table().verts, table().faces, process=False)
    fine = light_field_descriptor(to_mesh(shape.subdivide().subdivide()))
    # New vertices are on the edges up to rounding: single pixels may change.
    assert (fine.int() - descriptor.int()).abs().float().mean() < 0.05


def test_winding_and_thread_count_do_not_matter(
    descriptor: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert torch.equal(
        light_field_descriptor(Mesh(table().verts, table().faces.flip(1))), descriptor
    )


def test_turning_by_a_rotation_of_a_light_field_permutes_its_images(
    descriptor: torch.Tensor,
) -> None:
    """Each image is seen again by another camera, turned in the plane: all but equal."""
    for field, which in ((0, 7), (6, 44)):
        tilt = light_field_rotations()[field]
        again = turned(table(), tilt @ dodecahedron_rotations()[which] @ tilt.T)
        distance = light_field_matrix(descriptor[None], light_field_descriptor(again)[None])
        assert distance.item() < 350


def test_any_orientation_is_about_the_same_shape() -> None:
    """Cameras come to within some 14 degrees of one another: not the same images, but alike."""
    low = LightFieldProtocol(image_size=128)
    shapes = [table()]
    for angle in (0.4, 1.1, 2.5):
        rotation = trimesh.transformations.rotation_matrix(angle, [0.3, 0.6, 0.2])[:3, :3]
        shapes.append(turned(table(), rotation))
    distances = light_field_matrix(torch.stack([light_field_descriptor(s, low) for s in shapes]))
    assert distances.max() < OTHER_KIND
    assert distances[0, 1:].min() > 0


def test_distances_tell_kinds_apart(descriptor: torch.Tensor) -> None:
    shapes = [
        descriptor,
        light_field_descriptor(table(leg=0.75)),
        light_field_descriptor(to_mesh(trimesh.creation.icosphere(2))),
        light_field_descriptor(to_mesh(trimesh.creation.box([0.1, 0.1, 2]))),
    ]
    distances = light_field_matrix(torch.stack(shapes))
    assert distances[0, 1] < 2000
    assert distances[0, 2:].min() > OTHER_KIND
    assert distances[2, 3] > OTHER_KIND


def test_distance_is_symmetric_and_zero_for_itself() -> None:
    low = LightFieldProtocol(image_size=64)
    box = to_mesh(trimesh.creation.box([1, 2, 3]))
    assert light_field_distance(box, box, low) == 0
    assert light_field_distance(box, table(), low) == light_field_distance(table(), box, low) > 0


def test_open_surfaces_have_descriptors() -> None:
    corners = torch.tensor([[0.0, 0, 0], [4, 0, 0], [4, 1, 0], [0, 1, 0]])
    surface = Mesh(corners, torch.tensor([[0, 1, 2], [0, 2, 3]]))
    assert (
        light_field_distance(surface, turned(surface, np.eye(3, dtype=np.float32)[[1, 2, 0]]))
        < 1500
    )


def test_every_setting_changes_the_bytes() -> None:
    silhouette = np.zeros((1, 40, 40), bool)
    silhouette[0, 10:30, 5:15] = silhouette[0, 20:30, 5:36] = True
    base = describe_silhouettes(silhouette)
    zernike = describe_silhouettes(silhouette, LightFieldProtocol(zernike_range=5.0))
    fourier = describe_silhouettes(silhouette, LightFieldProtocol(fourier_range=0.8))
    assert (zernike[:, :35] < base[:, :35]).any()
    np.testing.assert_array_equal(zernike[:, 35:], base[:, 35:])
    assert (fourier[:, 35:45] < base[:, 35:45]).any()
    np.testing.assert_array_equal(fourier[:, :35], base[:, :35])
    coarse = light_field_descriptor(table(), LightFieldProtocol(image_size=32))
    assert not torch.equal(coarse, light_field_descriptor(table()))


def test_values_beyond_a_range_become_255() -> None:
    bar = np.zeros((1, 40, 40), bool)
    bar[0, 20, 2:38] = True
    tight = LightFieldProtocol(zernike_range=0.01, fourier_range=0.01)
    assert describe_silhouettes(bar, tight).max() == 255


def test_invalid_meshes_raise() -> None:
    mesh = table()
    with pytest.raises(MeshError, match="no faces"):
        light_field_descriptor(Mesh(mesh.verts, mesh.faces[:0]))
    with pytest.raises(MeshError, match="NaN or infinity"):
        light_field_distance(mesh, Mesh(mesh.verts * torch.nan, mesh.faces))
    with pytest.raises(MeshError, match="no area"):
        light_field_descriptor(Mesh(mesh.verts * 0, mesh.faces))


@pytest.mark.parametrize(
    ("name", "value"),
    [("image_size", 8), ("zernike_range", 0.0), ("fourier_range", float("inf"))],
)
def test_useless_settings_raise(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must"):
        LightFieldProtocol(**{name: value})


def test_agrees_with_values_of_the_original_programs() -> None:
    """GET3D_LFD_VALUES: {"name|name": distance}; GET3D_LFD_MESHES: a folder of name.glb."""
    values, folder = os.environ.get("GET3D_LFD_VALUES"), os.environ.get("GET3D_LFD_MESHES")
    if not (values and folder):
        pytest.skip("GET3D_LFD_VALUES and GET3D_LFD_MESHES name no original values and meshes")
    stats = pytest.importorskip("scipy.stats")
    published = {
        tuple(pair.split("|")): value
        for pair, value in json.loads(Path(values).read_text()).items()
    }
    names = sorted({name for pair in published for name in pair})
    shapes = [trimesh.load(Path(folder) / f"{name}.glb", force="mesh") for name in names]
    distances = light_field_matrix(
        torch.stack([light_field_descriptor(to_mesh(shape)) for shape in shapes])
    )
    ours = [distances[names.index(a), names.index(b)].item() for a, b in published]
    assert stats.spearmanr(ours, list(published.values())).statistic > 0.95
    ratios = [
        mine / theirs
        for mine, (pair, theirs) in zip(ours, published.items(), strict=True)
        if pair[0] != pair[1]
    ]
    assert 0.95 < np.median(ratios) < 1.05
    assert 0.8 < min(ratios) < max(ratios) < 1.25
