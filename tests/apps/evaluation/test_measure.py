import math
from dataclasses import replace

import pytest
import torch
import trimesh

from get3d.apps.evaluation.measure import (
    measure_soundness,
    second_color_fraction,
)
from get3d.core.types import Mesh
from get3d.geometry import surface_signature


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


def test_soundness_of_a_sphere() -> None:
    found = measure_soundness(_ball())
    assert (found.faces, found.floaters, found.is_watertight) == (320, 0, True)
    assert found.largest_fraction == pytest.approx(1)
    assert found.volume_over_hull == pytest.approx(1, abs=1e-4)


def test_floaters_count_but_cavities_do_not() -> None:
    small = _ball(0.1, at=2.0)
    hollow = replace(_ball(0.1), faces=_ball(0.1).faces.flip(1))
    with_floater = measure_soundness(_join(_ball(), small))
    assert with_floater.floaters == 1
    assert with_floater.largest_fraction == pytest.approx(1 / 1.01, abs=1e-3)
    assert measure_soundness(_join(_ball(), hollow)).floaters == 0


def test_soundness_far_from_the_origin() -> None:
    far = _join(_ball(at=1000.0), _ball(0.1, at=1002.0))
    assert measure_soundness(far).floaters == 1


def test_texture_seams_do_not_open_the_surface() -> None:
    ball = _ball()
    torn = Mesh(ball.verts[ball.faces.reshape(-1)], torch.arange(3 * len(ball.faces)).view(-1, 3))
    assert measure_soundness(torn) == measure_soundness(ball)


def test_an_open_surface_is_not_watertight() -> None:
    ball = _ball()
    assert not measure_soundness(Mesh(ball.verts, ball.faces[1:])).is_watertight


def test_signature_is_invariant_to_position_size_and_order() -> None:
    ball = _ball()
    stretched = Mesh(ball.verts * torch.tensor([1.0, 0.7, 0.4]), ball.faces)
    known = surface_signature(stretched)
    torn = stretched.verts[stretched.faces.reshape(-1)]
    copies = [
        Mesh(4 * stretched.verts + 8, stretched.faces.flip(0)),
        Mesh(torn, torch.arange(len(torn)).view(-1, 3)),
        Mesh((stretched.verts * 1e5).round() / 1e5, stretched.faces),
    ]
    for copy in copies:
        assert surface_signature(copy) == pytest.approx(known, abs=1e-4)
    others = [
        Mesh(ball.verts * torch.tensor([1.0, 0.7, 0.401]), ball.faces),
        Mesh(stretched.verts.flip(1), stretched.faces),
        Mesh(stretched.verts, stretched.faces[1:]),
    ]
    for other in others:
        assert surface_signature(other) != pytest.approx(known, abs=1e-4)


def test_signature_equals_the_exact_moments() -> None:
    box = trimesh.creation.box((1.0, 0.5, 0.25))
    found = surface_signature(Mesh(torch.tensor(box.vertices), torch.tensor(box.faces)))
    assert found[0] == pytest.approx(box.area)
    assert found[1] == pytest.approx(box.volume)
    assert found[2:5] == pytest.approx([0.5, 0.25, 0.125])
    points, _ = trimesh.sample.sample_surface(box, 200_000, seed=0)
    spread = (points - points.mean(0)).T @ (points - points.mean(0)) / len(points)
    assert found[5:] == pytest.approx(spread[[0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]], abs=2e-3)


def test_second_color_ignores_shading_and_counts_stripes() -> None:
    image = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    assert math.isnan(second_color_fraction(image))
    shades = torch.linspace(0.4, 1, 8)[:, None]
    image[0, :, :, 2:6] = (torch.tensor([200.0, 100.0, 50.0])[:, None, None] * shades).byte()
    assert second_color_fraction(image) == 0
    image[0, :, :2, 2:6] = torch.tensor([20, 40, 200], dtype=torch.uint8)[:, None, None]
    assert second_color_fraction(image) == pytest.approx(0.25)
