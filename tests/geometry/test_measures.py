"""Measures against shapes with known values."""

import math

import pytest
import torch

from get3d.core.errors import MeshError
from get3d.core.types import Mesh
from get3d.geometry import (
    bcc_grid,
    connected_components,
    euler_number,
    face_areas,
    face_normals,
    is_manifold,
    is_oriented,
    is_watertight,
    join_meshes,
    marching_tets,
    roughness,
    sample_surface,
    signed_volume,
    surface_area,
    vertex_normals,
)

TET_FACES = torch.tensor([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])


def corner_tet(dtype: torch.dtype = torch.float32) -> Mesh:
    return Mesh(torch.cat([torch.zeros(1, 3), torch.eye(3)]).to(dtype), TET_FACES)


def join(*meshes: Mesh) -> Mesh:
    faces, start = [], 0
    for mesh in meshes:
        faces.append(mesh.faces + start)
        start += len(mesh.verts)
    return Mesh(torch.cat([mesh.verts for mesh in meshes]), torch.cat(faces))


def empty() -> Mesh:
    return Mesh(torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.int64))


def test_tet():
    mesh = corner_tet()
    torch.testing.assert_close(face_areas(mesh), torch.tensor([0.5, 0.5, 0.5, math.sqrt(3) / 2]))
    expected = torch.cat([-torch.eye(3)[[2, 1, 0]], torch.full((1, 3), 1 / math.sqrt(3))])
    torch.testing.assert_close(face_normals(mesh), expected)
    torch.testing.assert_close(signed_volume(mesh), torch.tensor(1 / 6))
    torch.testing.assert_close(surface_area(mesh), torch.tensor(1.5 + math.sqrt(3) / 2))
    assert euler_number(mesh) == 2
    assert is_watertight(mesh)
    assert is_manifold(mesh)
    assert is_oriented(mesh)
    outward = vertex_normals(mesh)
    assert ((mesh.verts - mesh.verts.mean(0)) * outward).sum(1).min() > 0
    torch.testing.assert_close(outward.norm(dim=1), torch.ones(4))


def wavy_surface(height: float, *, num: int = 12) -> Mesh:
    """An open square surface over x and y whose vertices alternate in height."""
    row, column = torch.meshgrid(torch.arange(num), torch.arange(num), indexing="ij")
    bumps = height * (1 - 2 * ((row + column) % 2))
    verts = torch.stack([column.double(), row.double(), bumps.double()], 2).flatten(0, 1)
    a = (row * num + column)[:-1, :-1].flatten()
    quads = [torch.stack(each, 1) for each in ((a, a + 1, a + num), (a + 1, a + num + 1, a + num))]
    return Mesh(verts, torch.cat(quads))


def test_roughness():
    assert roughness([wavy_surface(0.0)]).abs() < 1e-6
    slight, strong = roughness([wavy_surface(0.1)]), roughness([wavy_surface(0.3)])
    assert 0 < slight < strong < 1
    assert roughness([empty()]) == 0
    both = roughness([wavy_surface(0.0), wavy_surface(0.3)])
    assert both.abs()[0] < 1e-6
    assert both[1] == strong


def test_roughness_does_not_depend_on_the_size():
    mesh = wavy_surface(0.3)
    small = Mesh(mesh.verts * 1e-3, mesh.faces)
    torch.testing.assert_close(roughness([small]), roughness([mesh]), rtol=1e-3, atol=0)


def test_roughness_gradient():
    mesh = wavy_surface(0.3, num=4)

    def of(verts):
        return roughness([Mesh(verts, mesh.faces)])

    assert torch.autograd.gradcheck(of, mesh.verts.requires_grad_())
    flat = Mesh(torch.zeros(3, 3, requires_grad=True), torch.tensor([[0, 1, 2]]))
    roughness([flat]).backward()
    assert flat.verts.grad.isfinite().all()


def test_smoothing_removes_bumps_from_normals():
    mesh, up = wavy_surface(0.0), torch.tensor([0.0, 0.0, 1.0]).double()
    mesh.verts[:, 2] = torch.rand(144, generator=torch.Generator().manual_seed(0)).double() * 0.5
    tilt = [
        (vertex_normals(mesh, smoothing_steps=steps) - up).norm(dim=1).mean() for steps in (0, 1, 4)
    ]
    assert tilt[0] > 1.5 * tilt[1] > 2.25 * tilt[2]
    torch.testing.assert_close(
        vertex_normals(mesh, smoothing_steps=3).norm(dim=1), torch.ones(144).double()
    )
    assert vertex_normals(empty(), smoothing_steps=2).shape == (0, 3)


def test_volume_depends_on_winding_but_not_on_position():
    mesh = corner_tet()
    far = Mesh(mesh.verts + 100, mesh.faces)
    torch.testing.assert_close(signed_volume(far), torch.tensor(1 / 6), rtol=1e-4, atol=0)
    inside_out = Mesh(mesh.verts, mesh.faces.flip(1))
    torch.testing.assert_close(signed_volume(inside_out), torch.tensor(-1 / 6))


def test_gradients():
    verts = corner_tet(torch.float64).verts.requires_grad_()
    for measure in (surface_area, signed_volume, face_normals, vertex_normals):
        assert torch.autograd.gradcheck(lambda v, f=measure: f(Mesh(v, TET_FACES)), verts)


@pytest.mark.parametrize("size", [1.0, 1e-15])
def test_degenerate_faces_give_zero_normals_and_finite_gradients(size):
    verts = (corner_tet().verts * size).requires_grad_()
    faces = torch.tensor([[0, 1, 2], [1, 1, 2], [3, 3, 3]])
    mesh = Mesh(verts, faces)
    normals = face_normals(mesh)
    torch.testing.assert_close(normals.norm(dim=1), torch.tensor([1.0, 0.0, 0.0]))
    around = vertex_normals(mesh)
    assert (around[3] == 0).all()
    (gradient,) = torch.autograd.grad(normals.sum() + around.sum(), verts)
    assert gradient.isfinite().all()
    assert not is_manifold(mesh)


def test_holes_flips_and_pinches():
    mesh = corner_tet()
    open_mesh = Mesh(mesh.verts, mesh.faces[1:])
    assert not is_watertight(open_mesh)
    assert not is_manifold(open_mesh)
    assert is_oriented(open_mesh)
    assert euler_number(open_mesh) == 1
    flipped = Mesh(mesh.verts, torch.cat([mesh.faces[:1].flip(1), mesh.faces[1:]]))
    assert not is_oriented(flipped)
    assert not is_watertight(flipped)
    twice = Mesh(mesh.verts, torch.cat([mesh.faces, mesh.faces]))
    assert is_watertight(twice)
    assert not is_manifold(twice)
    # two tets that touch in one vertex: every edge is fine, the vertex is not
    pinched = Mesh(
        torch.cat([mesh.verts, -mesh.verts[1:]]),
        torch.cat([mesh.faces, torch.tensor([0, 4, 5, 6])[mesh.faces].flip(1)]),
    )
    assert is_watertight(pinched)
    assert not is_manifold(pinched)
    two = join(mesh, mesh)
    assert is_manifold(two)
    assert euler_number(two) == 4


def test_unreferenced_vertices_count_only_as_components():
    mesh = corner_tet()
    more = Mesh(torch.cat([mesh.verts, torch.ones(2, 3)]), mesh.faces)
    assert euler_number(more) == 2
    assert is_manifold(more)
    assert connected_components(more).tolist() == [0, 0, 0, 0, 1, 2]
    assert (vertex_normals(more)[4:] == 0).all()


def test_components_match_a_plain_search():
    generator = torch.Generator().manual_seed(0)
    for num_faces in (0, 20, 60, 200):
        faces = torch.randint(100, (num_faces, 3), generator=generator)
        labels = connected_components(Mesh(torch.zeros(100, 3), faces))
        owner = list(range(100))

        def root(vert: int, owner: list[int] = owner) -> int:
            while owner[vert] != vert:
                vert = owner[vert]
            return vert

        for a, b, c in faces.tolist():
            owner[root(b)] = root(a)
            owner[root(c)] = root(a)
        order: dict[int, int] = {}
        expected = [order.setdefault(root(vert), len(order)) for vert in range(100)]
        assert labels.tolist() == expected


def test_long_chains_are_one_component():
    steps = torch.randperm(3002, generator=torch.Generator().manual_seed(0))
    strip = Mesh(torch.zeros(3002, 3), torch.stack([steps[:-2], steps[1:-1], steps[2:]], 1))
    assert (connected_components(strip) == 0).all()


def test_samples_lie_on_their_faces_and_follow_area():
    grid = bcc_grid(12)
    mesh = marching_tets(grid.verts, 0.35 - grid.verts.norm(dim=1), grid.tets)
    drawn = sample_surface(mesh, 4000, generator=torch.Generator().manual_seed(0))
    corners = mesh.verts[mesh.faces[drawn.face_ids]]
    torch.testing.assert_close(drawn.normals, face_normals(mesh)[drawn.face_ids])
    height = ((drawn.points - corners[:, 0]) * drawn.normals).sum(1)
    torch.testing.assert_close(height, torch.zeros(4000), atol=1e-6, rtol=0)
    parts = [
        torch.linalg.cross(corners[:, i] - drawn.points, corners[:, j] - drawn.points).norm(dim=1)
        for i, j in ((0, 1), (1, 2), (2, 0))
    ]
    torch.testing.assert_close(sum(parts) / 2, face_areas(mesh)[drawn.face_ids])
    # half of the area is above the middle: a binomial within 5 standard deviations
    assert abs((drawn.points[:, 1] > 0).sum().item() - 2000) < 5 * math.sqrt(1000)
    again = sample_surface(mesh, 4000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(again.points, drawn.points)


def test_faces_without_area_are_never_picked():
    verts = torch.cat([corner_tet().verts, torch.full((1, 3), 7.0)])
    faces = torch.tensor([[4, 4, 4], [0, 1, 2], [0, 0, 3], [0, 1, 1], [0, 2, 3], [4, 4, 0]])
    drawn = sample_surface(Mesh(verts, faces), 2000, generator=torch.Generator().manual_seed(0))
    counts = torch.bincount(drawn.face_ids, minlength=6)
    assert counts[[0, 2, 3, 5]].sum() == 0
    assert abs(counts[1].item() - 1000) < 5 * math.sqrt(500)


def test_samples_carry_gradients():
    mesh = corner_tet()
    verts = mesh.verts.requires_grad_()
    points = sample_surface(
        Mesh(verts, mesh.faces), 10, generator=torch.Generator().manual_seed(0)
    ).points
    (gradient,) = torch.autograd.grad(points.sum(), verts)
    torch.testing.assert_close(gradient.sum(0), torch.full((3,), 10.0))


def test_bad_meshes_are_named():
    generator = torch.Generator()
    with pytest.raises(MeshError, match="no area"):
        sample_surface(empty(), 1, generator=generator)
    flat = Mesh(torch.zeros(3, 3), torch.arange(3)[None])
    with pytest.raises(MeshError, match="no area"):
        sample_surface(flat, 1, generator=generator)
    with pytest.raises(MeshError, match="finite"):
        sample_surface(Mesh(flat.verts * math.nan, flat.faces), 1, generator=generator)
    with pytest.raises(ValueError, match="num"):
        sample_surface(corner_tet(), -1, generator=generator)


def test_empty_mesh():
    mesh = empty()
    assert surface_area(mesh) == 0
    assert signed_volume(mesh) == 0
    assert euler_number(mesh) == 0
    assert not is_watertight(mesh)
    assert not is_manifold(mesh)
    assert connected_components(mesh).shape == (0,)
    assert vertex_normals(mesh).shape == (0, 3)


def test_normals_of_joined_meshes_are_those_of_each():
    meshes = [wavy_surface(0.1), empty(), wavy_surface(0.3)]
    joined = join_meshes(meshes)
    assert len(joined.faces) == sum(len(mesh.faces) for mesh in meshes)
    alone = torch.cat([vertex_normals(mesh, smoothing_steps=2) for mesh in meshes])
    torch.testing.assert_close(vertex_normals(joined, smoothing_steps=2), alone)
