import math

import pytest
import torch
from torch import Tensor

from get3d.core.types import Cameras, Mesh
from get3d.geometry import orbit_cameras
from get3d.models.rendering import nearest_covered
from get3d.render import (
    antialias_mask,
    find_occlusions,
    layer_pixels,
    occlusion_kernels,
    pack_views,
    project_meshes,
    rasterize_views,
)
from get3d.render.occlusion import pair_half_edges

DOUBLE = torch.float64


def project(verts: Tensor, faces: Tensor, cameras: Cameras):
    return project_meshes([Mesh(verts, faces)], cameras, views_per_mesh=len(cameras))[0]


def draw(verts: Tensor, faces: Tensor, color: Tensor, cameras: Cameras, size: int, block_size: int):
    """Antialiased images of a mesh whose faces have constant colours, on black."""
    views = project(verts, faces, cameras)
    face_id = rasterize_views(views, size * block_size)
    mask = torch.nn.functional.avg_pool2d(antialias_mask(views, face_id)[:, None], block_size)[:, 0]
    base = nearest_covered(face_id, block_size)
    layers = layer_pixels(views, face_id, base, block_size)
    colors = layers.blend(color[layers.pixels.face][:, None])[:, 0]
    image = torch.zeros(mask.shape, dtype=verts.dtype)
    return (
        image.index_put((base.image, base.row // block_size, base.column // block_size), colors)
        * mask
    )


def hard_mean(verts: Tensor, faces: Tensor, color: Tensor, cameras: Cameras, size: int) -> Tensor:
    face_id = rasterize_views(project(verts, faces, cameras), size)
    return torch.where(face_id >= 0, color[face_id.clamp(min=0)], 0.0).mean((1, 2))


def gradient_error(
    scene, moves: Tensor, cameras: Cameras, size: int, block_size: int, step: float = 3e-3
) -> float:
    """Relative error of d(mean colour)/d(move) against differences of finely sampled images."""
    mesh, color = scene
    verts = mesh.verts.clone().requires_grad_()
    image = draw(verts, mesh.faces, color, cameras, size, block_size)
    rows = [torch.autograd.grad(each.mean(), verts, retain_graph=True)[0] for each in image]
    ours = torch.stack(rows).flatten(1) @ moves.flatten(1).T
    differences = [
        (hard_mean(mesh.verts + step * move, mesh.faces, color, cameras, 1536)
         - hard_mean(mesh.verts - step * move, mesh.faces, color, cameras, 1536)) / (2 * step)
        for move in moves
    ]  # fmt: skip
    expected = torch.stack(differences, 1)
    return float((ours - expected).norm() / expected.norm())


def join(*parts: Mesh) -> tuple[Mesh, Tensor]:
    """Join meshes; also return each vertex's part."""
    faces, first = [], 0
    for part in parts:
        faces.append(part.faces + first)
        first += part.verts.shape[0]
    part_of = torch.cat([torch.full((p.verts.shape[0],), i) for i, p in enumerate(parts)])
    return Mesh(torch.cat([p.verts for p in parts]), torch.cat(faces)), part_of


def colored(*parts: Mesh, values=(1.0, 0.3, 0.6)):
    mesh, part_of = join(*parts)
    color = torch.tensor(values, dtype=mesh.verts.dtype)[part_of[mesh.faces[:, 0]]]
    return (mesh, color), part_of


def rigid_moves(verts: Tensor, part_of: Tensor, part: int) -> Tensor:
    """Translations of one part along x, y and z, and a scaling about its centre."""
    is_part = (part_of == part)[:, None].to(verts.dtype)
    shifts = torch.eye(3, dtype=verts.dtype)[:, None] * is_part
    centre = (verts * is_part).sum(0) / is_part.sum()
    return torch.cat([shifts, ((verts - centre) * is_part)[None]])


def shifted(mesh: Mesh, *shift: float) -> Mesh:
    return Mesh(mesh.verts + torch.tensor(shift, dtype=mesh.verts.dtype), mesh.faces)


def lathe(profile: list[tuple[float, float]], turns: int) -> Mesh:
    """Turn a closed profile (radius, height) about the y axis; both ends lie on it."""
    angle = torch.arange(turns, dtype=DOUBLE) * (2 * math.pi / turns)
    ring = torch.stack([angle.cos(), torch.zeros(turns, dtype=DOUBLE), angle.sin()], 1)
    up = torch.tensor([0.0, 1, 0], dtype=DOUBLE)
    inner = profile[1:-1]
    verts = [ring * radius + up * height for radius, height in inner]
    poles = [up[None] * profile[0][1], up[None] * profile[-1][1]]
    i = torch.arange(turns)
    j = (i + 1) % turns
    faces, last = [], (len(inner) - 1) * turns
    for k in range(len(inner) - 1):
        a, b, c, d = (k * turns + i, k * turns + j, (k + 1) * turns + i, (k + 1) * turns + j)
        faces += [torch.stack([a, c, b], 1), torch.stack([b, c, d], 1)]
    south, north = len(inner) * turns, len(inner) * turns + 1
    faces.append(torch.stack([torch.full_like(i, south), i, j], 1))
    faces.append(torch.stack([torch.full_like(i, north), last + j, last + i], 1))
    return Mesh(torch.cat(verts + poles), torch.cat(faces))


def cup(turns: int = 48, rows: int = 8) -> tuple[tuple[Mesh, Tensor], Tensor]:
    """An open cup with a sharp rim, dark outside and light inside; each vertex's profile index."""
    outside = [(0.0, -0.3), (0.25, -0.3)]
    outside += [(0.25 + 0.1 * k / rows, -0.3 + 0.5 * k / rows) for k in range(1, rows + 1)]
    inside = [(0.35 - 0.14 * k / rows, 0.2 - 0.44 * k / rows) for k in range(1, rows + 1)]
    mesh = lathe([*outside, *inside, (0.0, -0.24)], turns)
    is_inside = torch.zeros(mesh.verts.shape[0], dtype=torch.bool)
    is_inside[(len(outside) - 1) * turns : -2] = True
    is_inside[-1] = True
    color = torch.where(is_inside[mesh.faces].any(1), 1.0, 0.3).to(DOUBLE)
    return (mesh, color), is_inside


def oblique(num: int = 3, polar: float = 0.75) -> Cameras:
    turns = torch.linspace(0.3, 4.0, num, dtype=DOUBLE)
    return orbit_cameras(
        turns,
        torch.full((num,), polar, dtype=DOUBLE),
        radius=1.4,
        fovy_rad=math.radians(49.0),
    )


def room(box) -> Mesh:
    """Walls around everything, so that every outline is an occlusion contour."""
    return box(4.0, 4.0, 4.0, dtype=DOUBLE)


def linked_rings(torus) -> list[Mesh]:
    ring = torus(24, dtype=DOUBLE)
    # Thinner, so that they pass through each other without touching.
    angle = torch.atan2(ring.verts[:, 1], ring.verts[:, 0])
    axis = torch.stack([angle.cos(), angle.sin(), torch.zeros_like(angle)], 1) * 0.3
    verts = axis + (ring.verts - axis) * 0.5
    return [
        shifted(Mesh(verts, ring.faces), -0.15, 0, 0),
        shifted(Mesh(verts[:, [0, 2, 1]], ring.faces.flip(1)), 0.15, 0, 0),
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("block_size", "tolerance"), [(1, 0.05), (2, 0.03), (4, 0.02)])
def test_gradient_of_a_body_before_walls(block_size, tolerance, sphere, torus, box) -> None:
    for body in (sphere(3, 0.3, dtype=DOUBLE), torus(24, dtype=DOUBLE)):
        scene, part_of = colored(body, room(box))
        moves = rigid_moves(scene[0].verts, part_of, 0)
        assert gradient_error(scene, moves, oblique(), 64, block_size) < tolerance


def test_gradient_where_the_faces_are_smaller_than_pixels(sphere, box) -> None:
    scene, part_of = colored(sphere(5, 0.3, dtype=DOUBLE), room(box))  # 7 faces per pixel
    moves = rigid_moves(scene[0].verts, part_of, 0)
    assert gradient_error(scene, moves, oblique(), 64, 4) < 0.02


@pytest.mark.slow
def test_gradient_of_linked_rings(torus, box) -> None:
    scene, part_of = colored(*linked_rings(torus), room(box))
    for part in (0, 1):
        moves = rigid_moves(scene[0].verts, part_of, part)
        # Three surfaces meet in many of the pixels, of which 6 span the width of a ring.
        assert gradient_error(scene, moves, oblique(), 64, 4) < 0.08
        assert gradient_error(scene, moves, oblique(), 256, 1) < 0.05


def test_gradient_of_the_rim_of_a_cup() -> None:
    (mesh, color), is_inside = cup()
    is_rim = ((mesh.verts[:, 1] - 0.2).abs() < 1e-6)[:, None].to(DOUBLE)
    every = torch.zeros(mesh.verts.shape[0], dtype=torch.int64)
    moves = [*rigid_moves(mesh.verts, every, 0), is_rim * mesh.verts.new_tensor([0.0, 1, 0])]
    assert gradient_error((mesh, color), torch.stack(moves), oblique(), 64, 4) < 0.05
    # Only the inside goes down: neither outline nor rim moves.
    verts = mesh.verts.clone().requires_grad_()
    image = draw(verts, mesh.faces, color, oblique(), 64, 4)
    (gradient,) = torch.autograd.grad(image.sum(), verts)
    below = is_inside & (mesh.verts[:, 1] < 0.1)
    assert gradient[is_rim[:, 0] > 0].abs().max() > 1
    assert (gradient[below] == 0).all()


def test_a_convex_body_alone_has_no_pairs(sphere, box, cameras) -> None:
    for mesh in (sphere(2), sphere(4), box(0.5, 0.4, 0.6)):
        views = project(mesh.verts, mesh.faces, cameras(3))
        assert len(find_occlusions(views, rasterize_views(views, 128)).near_depth) == 0


def test_pairs_are_the_pixels_between_parts(sphere, box) -> None:
    (mesh, color), _ = colored(sphere(3, 0.3, dtype=DOUBLE), room(box))
    views = project(mesh.verts, mesh.faces, oblique())
    face_id = rasterize_views(views, 96)
    found = find_occlusions(views, face_id)
    seen = color[face_id].flatten()
    image = seen.view(-1, 96, 96)
    num_steps = (image[:, 1:] != image[:, :-1]).sum() + (image[:, :, 1:] != image[:, :, :-1]).sum()
    assert len(found.near_depth) == num_steps
    assert (seen[found.crossings.covered] == 1).all()
    assert (seen[found.crossings.empty] < 1).all()
    assert (found.near_depth < found.far_depth).all()


def test_backends_find_the_same(torus, box, cameras) -> None:
    for parts in ([torus(24, dtype=DOUBLE)], [*linked_rings(torus), room(box)]):
        mesh, _ = join(*parts)
        # A face that is wound the other way, and one edge with three faces.
        faces = torch.cat([mesh.faces, torch.tensor([[0, 1, 40]])])
        faces[5] = faces[5].flip(0)
        views = project(mesh.verts, faces, oblique())
        face_id = rasterize_views(views, 96)
        one, two = (find_occlusions(views, face_id, backend=name) for name in ("numba", "torch"))
        for name in ("covered", "empty", "ends", "distance", "is_across"):
            torch.testing.assert_close(getattr(one.crossings, name), getattr(two.crossings, name))
        torch.testing.assert_close(one.near_depth, two.near_depth)
        torch.testing.assert_close(one.far_depth, two.far_depth)


def test_pair_half_edges() -> None:
    # Two triangles wound alike, one the other way round, one edge of three faces, one degenerate.
    faces = torch.tensor([[0, 1, 2], [2, 1, 3], [1, 3, 4], [5, 6, 7], [5, 6, 8], [5, 6, 9]])
    views = pack_views([torch.rand(10, 4), torch.rand(3, 4)], [faces, torch.tensor([[0, 1, 2]])])
    expected = [-1, 3, -1, 1, 6, -1, 4, -1, -1] + [-2, -1, -1] * 3 + [-1] * 3
    assert pair_half_edges(views).tolist() == expected
    compiled = occlusion_kernels.find_opposite(faces.numpy(), 10)
    assert compiled.tolist() == expected[:-3]


def test_open_surfaces_end_at_their_boundary(box) -> None:
    corners = torch.tensor([[-0.3, -0.2, 0], [0.3, -0.2, 0], [0.3, 0.2, 0], [-0.3, 0.2, 0]])
    square = Mesh(corners.to(DOUBLE), torch.tensor([[0, 1, 2], [0, 2, 3]]))
    scene, part_of = colored(square, room(box))
    moves = rigid_moves(scene[0].verts, part_of, 0)
    assert gradient_error(scene, moves, oblique(), 64, 4) < 0.03


def test_any_triangles_are_accepted() -> None:
    rng = torch.Generator().manual_seed(0)
    verts = torch.rand(60, 3, generator=rng) - 0.5
    verts[:3] *= 40  # some behind the cameras
    faces = torch.randint(0, 60, (200, 3), generator=rng)
    verts.requires_grad_()
    image = draw(verts, faces, torch.rand(200, generator=rng), as_float(oblique()), 32, 2)
    image.sum().backward()
    assert image.isfinite().all()
    assert verts.grad.isfinite().all()
    assert verts.grad.any()


def as_float(cameras: Cameras) -> Cameras:
    return orbit_cameras(
        torch.linspace(0.3, 4.0, len(cameras)), torch.full((len(cameras),), 0.75),
        radius=1.4, fovy_rad=math.radians(49.0),
    )  # fmt: skip


def test_a_batch_equals_one_by_one(torus, box) -> None:
    rings, _ = join(*linked_rings(torus))
    empty = Mesh(torch.zeros(0, 3, dtype=DOUBLE), torch.zeros(0, 3, dtype=torch.int64))
    meshes = [empty, cup()[0][0], empty, rings]
    cameras = oblique(8)
    views, _ = project_meshes(meshes, cameras, views_per_mesh=2)
    face_id = rasterize_views(views, 64)
    layers = layer_pixels(views, face_id, nearest_covered(face_id, 4), 4)
    positions = torch.stack([layers.pixels.row, layers.pixels.column, layers.pixels.face], 1)
    together, fractions = layers.blend(positions.to(DOUBLE)), []
    apart = []
    for i in range(8):
        alone, _ = project_meshes([meshes[i // 2]], cameras[i : i + 1])
        seen = rasterize_views(alone, 64)
        one = layer_pixels(alone, seen, nearest_covered(seen, 4), 4)
        where = torch.stack([one.pixels.row, one.pixels.column, one.pixels.face], 1)
        apart.append(one.blend(where.to(DOUBLE)))
        fractions.append(one.fraction)
    torch.testing.assert_close(together, torch.cat(apart))
    torch.testing.assert_close(layers.fraction, torch.cat(fractions))
    assert (layers.pixels.image.diff() >= 0).all()


def test_fractions_sum_to_one_and_lie_between(torus, box) -> None:
    mesh, _ = join(*linked_rings(torus), room(box))
    views = project(mesh.verts, mesh.faces, oblique())
    for block_size in (1, 2, 4):
        face_id = rasterize_views(views, 64 * block_size)
        layers = layer_pixels(views, face_id, nearest_covered(face_id, block_size), block_size)
        total = torch.zeros(len(layers.base), dtype=DOUBLE)
        total = total.index_add(0, layers.mixed, layers.fraction)
        total = total.index_add(0, layers.extra_of, layers.extra_fraction)[layers.mixed]
        torch.testing.assert_close(total, torch.ones_like(total))
        assert layers.fraction.min() >= 0
        assert layers.extra_fraction.min() >= 0
        assert len(layers.extra) < 2 * len(layers.mixed)


def test_values_are_areas(torus, box) -> None:
    (mesh, color), _ = colored(*linked_rings(torus), room(box))
    views = project(mesh.verts, mesh.faces, oblique())
    expected = torch.nn.functional.avg_pool2d(color[rasterize_views(views, 32 * 16)], 16)
    for block_size, tolerance in ((1, 0.03), (4, 0.01)):
        image = draw(mesh.verts, mesh.faces, color, oblique(), 32, block_size)
        assert (image - expected).pow(2).mean().sqrt() < tolerance
