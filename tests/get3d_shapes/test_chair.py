from itertools import pairwise

import numpy as np
import pytest
import torch

from get3d.core.types import Mesh
from get3d.geometry import (
    connected_components,
    euler_number,
    is_manifold,
    is_watertight,
    signed_volume,
)
from get3d_shapes import CATEGORIES, SPLITS, Shape, build_shape, shape_seed
from get3d_shapes.chair import make_chair

NUM = 24


@pytest.fixture(scope="module")
def chairs() -> list[Shape]:
    seeds = [shape_seed("chair", "test", 7, index) for index in range(NUM)]
    return [build_shape("chair", seed, texture_size=128) for seed in seeds]


def test_chairs_are_whole(chairs: list[Shape]) -> None:
    for chair in chairs:
        mesh = chair.mesh.mesh
        assert is_manifold(mesh), chair.caption
        assert int(connected_components(mesh).max()) == 0, chair.caption
        assert signed_volume(mesh) > 0.003
        assert 500 < len(mesh.faces) < 12_000
        low, high = mesh.verts.amin(0), mesh.verts.amax(0)
        assert (high - low).max() == pytest.approx(1)
        torch.testing.assert_close(low, -high, atol=1e-6, rtol=0)
        # Files know points by their position, which must not tear the surface either.
        points, index = np.unique(mesh.verts.numpy(), axis=0, return_inverse=True)
        faces = torch.from_numpy(index.reshape(-1)[mesh.faces.numpy()])
        assert is_watertight(Mesh(torch.from_numpy(points), faces)), chair.caption


def test_chairs_vary(chairs: list[Shape]) -> None:
    assert len({euler_number(chair.mesh.mesh) for chair in chairs}) >= 5
    assert len({chair.caption for chair in chairs}) == NUM
    assert len({chair.labels["base"] for chair in chairs}) >= 4
    for chair in chairs:
        texture = chair.mesh.materials[0].texture
        assert texture is not None
        assert texture[..., :3].std() > 0.01


def test_textures_and_parts_fit_the_faces(chairs: list[Shape]) -> None:
    for chair in chairs:
        assert chair.mesh.uvs.min() >= 0
        assert chair.mesh.uvs.max() <= 1
        assert chair.mesh.uv_faces.max() < len(chair.mesh.uvs)
        assert len(chair.face_parts) == len(chair.mesh.mesh.faces)
        assert int(chair.face_parts.max()) < len(chair.part_names)


def test_labels_tell_of_the_shape(chairs: list[Shape]) -> None:
    for chair in chairs:
        names, labels = set(chair.part_names), chair.labels
        assert ("rocker" in names) == (labels["base"] == "rockers")
        assert ("spoke" in names) == (labels["base"] == "star")
        assert ("spindle" in names) == (labels["back"] in ("spindles", "hoop"))
        has_arms = labels["arms"] in ("posts", "loops", "brackets", "padded")
        assert ("arm" in names or labels["back"] == "barrel") == has_arms
        assert not any(value == "" for value in labels.values())
        assert set(labels) == set(chairs[0].labels)
        if labels["back"] == "lattice":
            assert euler_number(chair.mesh.mesh) < -2


def test_the_back_is_behind(chairs: list[Shape]) -> None:
    """The front looks along +z: what is highest stands behind the middle."""
    behind = [c.mesh.mesh.verts[c.mesh.mesh.verts[:, 1].argmax(), 2] < 0 for c in chairs]
    assert sum(behind) == NUM


def test_a_seed_gives_one_chair() -> None:
    first, second = (build_shape("chair", 5, texture_size=128) for _ in range(2))
    assert torch.equal(first.mesh.mesh.verts, second.mesh.mesh.verts)
    assert torch.equal(first.mesh.mesh.faces, second.mesh.mesh.faces)
    assert first.caption == second.caption
    textures = [shape.mesh.materials[0].texture for shape in (first, second)]
    assert textures[0] is not None
    assert torch.equal(textures[0], textures[1])


def test_splits_seeds_and_categories_share_no_shape() -> None:
    seeds = {
        shape_seed(category, split, seed, index)
        for category in ("chair", "vessel")
        for split in SPLITS
        for seed in (0, 1, 11)
        for index in range(500)
    }
    assert len(seeds) == 2 * 3 * 3 * 500
    assert max(seeds) < 1 << 53  # what JSON readers keep
    assert shape_seed("chair", "train", 1, 11) != shape_seed("chair", "train", 11, 1)


@pytest.mark.slow
def test_captions_read_well() -> None:
    captions = [make_chair(np.random.default_rng(seed)).caption for seed in range(80)]
    assert len(set(captions)) > 70
    for caption in captions:
        words = caption.split()
        assert words[0] in ("a", "an")
        pairs = list(pairwise(words))
        assert all(noun[0] not in "aeiou" for article, noun in pairs if article == "a"), caption
        assert not any(first == second for first, second in pairs), caption


def test_unknown_category() -> None:
    with pytest.raises(ValueError, match=r"unknown category 'chiar'; .*chair"):
        build_shape("chiar", 0)
    assert "chair" in CATEGORIES
