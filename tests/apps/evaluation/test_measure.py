import math
from dataclasses import replace

import pytest
import torch
import trimesh

from get3d.apps.evaluation.measure import geometry_hash, measure_soundness, second_color_share
from get3d.core.types import Mesh


def _ball(radius: float = 1.0, at: float = 0.0) -> Mesh:
    ball = trimesh.creation.icosphere(subdivisions=2, radius=radius)
    verts = torch.tensor(ball.vertices).float() + torch.tensor([at, 0.0, 0.0])
    return Mesh(verts, torch.tensor(ball.faces).long())


def _join(*meshes: Mesh) -> Mesh:
    verts, faces, start = [], [], 0
    for mesh in meshes:
        verts.append(mesh.verts)
        faces.append(mesh.faces + start)
        start += len(mesh.verts)
    return Mesh(torch.cat(verts), torch.cat(faces))


def test_a_ball_is_sound() -> None:
    found = measure_soundness(_ball())
    assert (found.faces, found.floaters, found.is_watertight) == (320, 0, True)
    assert found.largest_share == pytest.approx(1)


def test_a_floater_is_one_and_a_hollow_is_none() -> None:
    small = _ball(0.1, at=2.0)
    hollow = replace(_ball(0.1), faces=_ball(0.1).faces.flip(1))
    with_floater = measure_soundness(_join(_ball(), small))
    assert with_floater.floaters == 1
    assert with_floater.largest_share == pytest.approx(1 / 1.01, abs=1e-3)
    assert measure_soundness(_join(_ball(), hollow)).floaters == 0


def test_far_from_the_origin_too() -> None:
    far = _join(_ball(at=1000.0), _ball(0.1, at=1002.0))
    assert measure_soundness(far).floaters == 1


def test_seams_of_a_texture_are_no_cracks() -> None:
    ball = _ball()
    torn = Mesh(ball.verts[ball.faces.reshape(-1)], torch.arange(3 * len(ball.faces)).view(-1, 3))
    assert measure_soundness(torn) == measure_soundness(ball)


def test_an_open_surface_is_not_watertight() -> None:
    ball = _ball()
    assert not measure_soundness(Mesh(ball.verts, ball.faces[1:])).is_watertight


def test_hash_knows_a_surface_at_any_place_size_and_order() -> None:
    ball = _ball()
    known = geometry_hash(ball)
    assert len(known) == 16
    assert geometry_hash(Mesh(4 * ball.verts + 8, ball.faces.flip(0))) == known
    assert geometry_hash(Mesh(ball.verts[ball.faces.reshape(-1)], torch.arange(960).view(-1, 3)))
    moved = ball.verts.clone()
    moved[7] *= 1.01
    assert geometry_hash(Mesh(moved, ball.faces)) != known
    assert geometry_hash(Mesh(ball.verts, ball.faces[:0])) == ""


def test_shade_is_no_second_color_and_a_stripe_is_one() -> None:
    picture = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    assert math.isnan(second_color_share(picture))
    shades = torch.linspace(0.4, 1, 8)[:, None]
    picture[0, :, :, 2:6] = (torch.tensor([200.0, 100.0, 50.0])[:, None, None] * shades).byte()
    assert second_color_share(picture) == 0
    picture[0, :, :2, 2:6] = torch.tensor([20, 40, 200], dtype=torch.uint8)[:, None, None]
    assert second_color_share(picture) == pytest.approx(0.25)
