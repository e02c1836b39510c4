import time

import numpy as np
import pytest
import torch
import trimesh

from get3d.core import Mesh
from get3d.core.errors import ConfigError
from get3d.geometry import (
    component_volumes,
    is_watertight,
    remove_floaters,
    remove_hidden_components,
    remove_unreferenced_vertices,
    signed_volume,
)


def ball(radius: float = 1.0, x: float = 0.0, *, inward: bool = False) -> Mesh:
    sphere = trimesh.creation.icosphere(subdivisions=2, radius=radius)
    faces = torch.tensor(sphere.faces).long()
    verts = torch.tensor(sphere.vertices).float() + torch.tensor([x, 0.0, 0.0])
    return Mesh(verts, faces.flip(1) if inward else faces)


def joined(*meshes: Mesh) -> Mesh:
    shifts = torch.tensor([0] + [len(mesh.verts) for mesh in meshes[:-1]]).cumsum(0)
    return Mesh(
        torch.cat([mesh.verts for mesh in meshes]),
        torch.cat([mesh.faces + shift for mesh, shift in zip(meshes, shifts, strict=True)]),
    )


def test_volumes_of_components():
    """Independent of winding and position; unreferenced vertices are ignored."""
    mesh = joined(ball(1.0), ball(0.5, 1000.0), ball(0.25, -3.0, inward=True))
    mesh = Mesh(torch.cat([mesh.verts, torch.zeros(3, 3)]), mesh.faces)
    one = signed_volume(ball(1.0)).item()
    expected = torch.tensor([one, one / 8, one / 64]).double()
    torch.testing.assert_close(component_volumes(mesh), expected, rtol=1e-3, atol=0)


def test_floaters_are_removed_by_their_fraction_of_the_largest():
    body, small, tiny = ball(1.0), ball(0.5, 3.0), ball(0.1, -3.0)
    mesh = joined(tiny, body, small)
    kept = remove_floaters(mesh, 0.01)
    assert (kept.num_components, kept.num_faces) == (1, len(tiny.faces))
    assert torch.equal(kept.mesh.verts, torch.cat([body.verts, small.verts]))
    assert is_watertight(kept.mesh)
    assert len(remove_floaters(mesh, 0.2).mesh.faces) == len(body.faces)
    assert remove_floaters(mesh, 0.0).mesh is mesh


def test_components_inside_a_closed_one_are_removed():
    """The wall of a cavity, and components in it, are hidden; those outside are not."""
    outer, wall, core = ball(1.0), ball(0.8, inward=True), ball(0.3, 0.1)
    beside, corner = ball(0.5, 3.0), Mesh(ball(0.1).verts + 0.85, ball(0.1).faces)
    mesh = joined(core, wall, outer, beside, corner)
    kept = remove_hidden_components(mesh)
    assert kept.num_components == 2
    expected = torch.cat([outer.verts, beside.verts, corner.verts])
    assert torch.equal(kept.mesh.verts, expected)


def test_visible_components_stay():
    poking = joined(ball(1.0), ball(0.3, 0.8))
    assert remove_hidden_components(poking).mesh is poking
    holed = ball(1.0)
    holed = joined(Mesh(holed.verts, holed.faces[1:]), ball(0.3))
    assert remove_hidden_components(holed).mesh is holed


def extruded(*outline: tuple[float, float]) -> Mesh:
    """A closed prism of height 1 over a simple outline, counter-clockwise."""
    shape = trimesh.creation.extrude_triangulation(
        np.array(outline), np.array(_ears(list(outline))), height=1.0
    )
    return Mesh(torch.tensor(shape.vertices).float(), torch.tensor(shape.faces).long())


def _ears(outline):
    """Triangulate a polygon by ear clipping."""
    left, faces = list(range(len(outline))), []

    def turn(a, b, c):
        (ax, ay), (bx, by), (cx, cy) = (outline[i] for i in (a, b, c))
        return (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)

    while len(left) > 2:
        for place in range(len(left)):
            a, b, c = left[place - 1], left[place], left[(place + 1) % len(left)]
            others = (d for d in left if d not in (a, b, c))
            if turn(a, b, c) > 0 and not any(
                turn(a, b, d) >= 0 and turn(b, c, d) >= 0 and turn(c, a, d) >= 0 for d in others
            ):
                faces.append((a, b, c))
                left.pop(place)
                break
    return faces


def arch() -> Mesh:
    """An upside-down U: legs at x from 0 to 1 and from 3 to 4, a seat above y = 3."""
    return extruded((0, 0), (1, 0), (1, 3), (3, 3), (3, 0), (4, 0), (4, 4), (0, 4))


def box(low, high) -> Mesh:
    shape = trimesh.creation.box(bounds=[low, high])
    return Mesh(torch.tensor(shape.vertices).float(), torch.tensor(shape.faces).long())


def turned(mesh: Mesh) -> Mesh:
    around = trimesh.transformations.rotation_matrix(0.7, [1, 2, 3])[:3, :3]
    return Mesh((mesh.verts.double() @ torch.tensor(around)).float(), mesh.faces)


@pytest.mark.parametrize("turn", [turned, lambda mesh: mesh])
def test_a_rung_whose_ends_lie_in_the_legs_stays(turn):
    """All its corners are inside the arch, its middle is visible."""
    assert is_watertight(arch())
    mesh = turn(joined(arch(), box((0.5, 1.0, 0.4), (3.5, 1.2, 0.6))))
    assert remove_hidden_components(mesh).mesh is mesh
    # One entirely inside the seat is removed.
    within = turn(joined(arch(), box((0.2, 3.2, 0.4), (3.8, 3.6, 0.6))))
    assert remove_hidden_components(within).num_components == 1


@pytest.mark.parametrize("turn", [turned, lambda mesh: mesh])
def test_a_ball_in_the_gap_stays(turn):
    """It lies in the bounding box of the arch, not in the arch."""
    small = ball(0.3)
    mesh = turn(joined(arch(), Mesh(small.verts + torch.tensor([2.0, 1.5, 0.5]), small.faces)))
    assert remove_hidden_components(mesh).mesh is mesh


@pytest.mark.parametrize("scale", [2.0**-20, 1.0, 2.0**20])
def test_nested_shells_are_removed_in_any_order_and_size(scale):
    shells = [ball(radius) for radius in (0.3, 1.0, 0.5, 0.9, 0.1)]
    mesh = joined(*shells)
    kept = remove_hidden_components(Mesh(mesh.verts * scale, mesh.faces))
    assert kept.num_components == 4
    assert torch.equal(kept.mesh.verts, shells[1].verts * scale)


def test_components_that_touch_stay():
    mesh = joined(box((-1, -1, -1), (1, 1, 1)), box((-0.5, -0.5, -0.5), (0.5, 0.5, 1)))
    assert remove_hidden_components(turned(mesh)).num_components == 0


def test_time_is_linear_in_the_number_of_small_components():
    """One ray per component, and only nearby triangles: not components times triangles."""
    shape = trimesh.creation.icosphere(subdivisions=6)
    shell = Mesh(torch.tensor(shape.vertices).float(), torch.tensor(shape.faces).long())
    places = torch.rand(300, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    small = [Mesh(ball(0.01).verts + place, ball(0.01).faces) for place in places]
    remove_hidden_components(joined(ball(), ball(0.5)))  # compiles
    start = time.process_time()
    assert remove_hidden_components(joined(shell, *small)).num_components == 300
    # Takes about 0.3 s; with rays from 26 corners per component to all triangles, over 20 s.
    assert time.process_time() - start < 5


def flat_square(size: float, x: float, angle: float) -> Mesh:
    """A rotated flat square of 200 triangles."""
    along = torch.linspace(0, size, 11, dtype=torch.float64)
    flat = torch.cartesian_prod(along, along, torch.zeros(1, dtype=torch.float64))
    around = trimesh.transformations.rotation_matrix(angle, [1, 2, 3])[:3, :3]
    first = torch.arange(110)[torch.arange(110) % 11 != 10]
    faces = [torch.stack([first, first + 11, first + 12], dim=1)]
    faces.append(torch.stack([first, first + 12, first + 1], dim=1))
    verts = flat @ torch.tensor(around) + torch.tensor([x, 0.0, 0.0])
    return Mesh(verts.float(), torch.cat(faces))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_flat_components_are_compared_by_area(dtype):
    """Their volume is rounding error, which must not matter."""
    alike = joined(*(flat_square(1.0, 3.0 * i, 0.7 + i) for i in range(5)))
    alike = Mesh(alike.verts.to(dtype), alike.faces)
    assert component_volumes(alike).tolist() == [0.0] * 5
    assert remove_floaters(alike, 1.0 - 1e-6).num_components == 0
    # A large square, a small closed component, and a tiny square.
    mesh = joined(ball(0.05), flat_square(2.0, 1.0, 0.7), flat_square(0.1, -1.0, 0.7))
    kept = remove_floaters(Mesh(mesh.verts.to(dtype), mesh.faces), 0.01)
    assert (kept.num_components, kept.num_faces) == (1, 200)


def test_one_component_and_none():
    one = ball()
    none = Mesh(one.verts, one.faces[:0])
    for mesh in (one, none):
        assert remove_hidden_components(mesh).num_components == 0
        assert remove_floaters(mesh, 1.0).num_components == 0
    assert len(component_volumes(none)) == 0
    assert len(remove_unreferenced_vertices(none).verts) == 0


def test_fraction_out_of_range():
    with pytest.raises(ConfigError, match=r"min_volume must lie in 0 to 1, got 1\.5"):
        remove_floaters(ball(), 1.5)
