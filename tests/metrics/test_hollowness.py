import math

import numpy as np
import pytest
import torch
import trimesh
from scipy.spatial import ConvexHull

from get3d.core.types import Mesh
from get3d.metrics import volume_over_hull


def _mesh(made: trimesh.Trimesh) -> Mesh:
    return Mesh(torch.tensor(made.vertices).float(), torch.tensor(made.faces).long())


def _join(*meshes: Mesh) -> Mesh:
    starts = np.cumsum([0, *(len(mesh.verts) for mesh in meshes[:-1])]).tolist()
    faces = [mesh.faces + start for mesh, start in zip(meshes, starts, strict=True)]
    return Mesh(torch.cat([mesh.verts for mesh in meshes]), torch.cat(faces))


def _ball(radius: float = 1.0, at: float = 0.0) -> Mesh:
    ball = trimesh.creation.icosphere(subdivisions=3, radius=radius)
    ball.apply_translation([at, 0, 0])
    return _mesh(ball)


def _cup() -> Mesh:
    """A square cup of 10 x 10 x 10 with walls and a bottom of 1: 1000 - 8 x 8 x 9 of matter."""
    square = torch.tensor([[-1.0, -1.0], [1, -1], [1, 1], [-1, 1]])

    def ring(half: float, height: float) -> torch.Tensor:
        return torch.cat([half * square, torch.full((4, 1), height)], 1)

    rings = torch.cat([ring(5, 0), ring(5, 10), ring(4, 10), ring(4, 1)])  # up, in and down
    faces = [[0, 2, 1], [0, 3, 2], [12, 13, 14], [12, 14, 15]]  # below, and the inner bottom
    for start in (0, 4, 8):
        for corner in range(4):
            low, right = start + corner, start + (corner + 1) % 4
            faces += [[low, right, right + 4], [low, right + 4, low + 4]]
    return Mesh(rings, torch.tensor(faces))


def test_convex_shapes_are_one() -> None:
    assert volume_over_hull(_ball()) == pytest.approx(1, abs=1e-6)
    assert volume_over_hull(_mesh(trimesh.creation.box((3, 1, 0.01)))) == pytest.approx(1, abs=1e-6)


def test_a_cup_has_the_ratio_of_its_walls() -> None:
    assert volume_over_hull(_cup()) == pytest.approx((1000 - 8 * 8 * 9) / 1000, abs=1e-6)


def test_a_torus_agrees_with_other_hulls() -> None:
    torus = trimesh.creation.torus(1.0, 0.25)
    expected = torus.volume / ConvexHull(torus.vertices).volume
    assert 0.3 < expected < 0.7
    assert volume_over_hull(_mesh(torus)) == pytest.approx(expected, abs=1e-5)


def test_the_largest_component_by_area_counts() -> None:
    assert volume_over_hull(_join(_ball(1, at=20), _cup())) == pytest.approx(0.424, abs=1e-5)
    assert volume_over_hull(_join(_cup(), _ball(9, at=40))) == pytest.approx(1, abs=1e-5)


def test_place_size_winding_and_seams_do_not_matter() -> None:
    cup = _cup()
    inward = Mesh(cup.verts, cup.faces.flip(1))
    distant = Mesh(cup.verts * 1e-3 + 1, cup.faces)
    torn = Mesh(cup.verts[cup.faces.reshape(-1)], torch.arange(3 * len(cup.faces)).view(-1, 3))
    for same in (inward, distant, torn):
        assert volume_over_hull(same) == pytest.approx(0.424, abs=1e-3)
    assert not cup.verts.requires_grad
    assert volume_over_hull(Mesh(cup.verts.requires_grad_(), cup.faces)) > 0


def test_what_bounds_no_volume_is_not_measured() -> None:
    cup = _cup()
    none = Mesh(torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.long))
    open_cup = Mesh(cup.verts, cup.faces[1:])
    infinite = Mesh(cup.verts.detach() / 0, cup.faces)
    square = torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    turn = torch.linalg.qr(torch.tensor([[1.0, 2, 3], [0, 1, 4], [5, 6, 0]]))[0]
    flat = Mesh(square, torch.tensor([[0, 1, 2], [0, 2, 3], [0, 2, 1], [0, 3, 2]]))
    tilted = Mesh((square + 3) @ turn, flat.faces)
    point = Mesh(torch.zeros(3, 3), torch.tensor([[0, 1, 2]]))
    for mesh in (none, open_cup, infinite, flat, tilted, point):
        assert math.isnan(volume_over_hull(mesh))
