"""Properties of every category."""

import pytest
import torch

from get3d.geometry import connected_components, is_manifold, is_oriented, is_watertight
from get3d_shapes import CATEGORIES, build_shape, shape_seed


def seeds(category: str, count: int) -> list[int]:
    return [shape_seed(category, "validation", 0, index) for index in range(count)]


@pytest.mark.parametrize("category", ["vehicle", "vessel"])
def test_shapes_are_connected_watertight_and_textured(category: str) -> None:
    labels: dict[str, set[str]] = {}
    for seed in seeds(category, 8):
        shape = build_shape(category, seed, texture_size=128)
        mesh = shape.mesh.mesh
        assert is_watertight(mesh)
        assert is_manifold(mesh)
        assert is_oriented(mesh)
        assert len(connected_components(mesh).unique()) == 1
        extent = mesh.verts.amax(0) - mesh.verts.amin(0)
        assert extent.max() == pytest.approx(1)
        (material,) = shape.mesh.materials
        assert material.texture is not None
        assert material.texture[..., :3].flatten(0, 1).std(0).max() > 0.01
        assert len(shape.face_parts) == len(mesh.faces)
        assert int(shape.face_parts.max()) < len(shape.part_names)
        assert shape.labels["kind"] in shape.caption
        for name, value in shape.labels.items():
            labels.setdefault(name, set()).add(value)
    assert len(labels["kind"]) >= 3
    assert len(labels["color"]) >= 3


@pytest.mark.parametrize("category", list(CATEGORIES))
def test_the_same_seed_gives_the_same_shape(category: str) -> None:
    (seed, other) = seeds(category, 2)
    first, second = (build_shape(category, seed, texture_size=128) for _ in range(2))
    assert torch.equal(first.mesh.mesh.verts, second.mesh.mesh.verts)
    assert torch.equal(first.mesh.materials[0].texture, second.mesh.materials[0].texture)
    assert first.caption == second.caption
    different = build_shape(category, other, texture_size=128).mesh.mesh.verts
    assert different.shape != first.mesh.mesh.verts.shape or not torch.equal(
        different, first.mesh.mesh.verts
    )


def test_vehicles_stand_on_wheels_of_one_height() -> None:
    for seed in seeds("vehicle", 4):
        shape = build_shape("vehicle", seed, texture_size=128)
        faces = shape.mesh.mesh.faces
        tyres = [index for index, name in enumerate(shape.part_names) if name == "tyre"]
        assert len(tyres) == 2 * int(shape.labels["axles"])
        floor = shape.mesh.mesh.verts[:, 1].min()
        for tyre in tyres:
            own = faces[shape.face_parts == tyre].unique()
            assert shape.mesh.mesh.verts[own, 1].min() == pytest.approx(floor.item(), abs=1e-4)


def test_vessels_are_hollow() -> None:
    """A handle, and the hollow itself, take volume away from the convex hull."""
    import trimesh

    for seed in seeds("vessel", 6):
        shape = build_shape("vessel", seed, texture_size=128)
        if shape.labels["closure"] != "none":
            continue
        mesh = trimesh.Trimesh(
            shape.mesh.mesh.verts.numpy(), shape.mesh.mesh.faces.numpy(), process=False
        )
        assert mesh.volume < 0.5 * mesh.convex_hull.volume
