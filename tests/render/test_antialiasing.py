import pytest
import torch
from torch import Tensor

from get3d.core.types import Cameras, Mesh
from get3d.render import (
    antialias_mask,
    project_meshes,
    rasterize_views,
    render_mask,
    render_mesh,
)
from get3d.render.antialiasing import crossing_distances, find_crossings


def project(verts: Tensor, faces: Tensor, cameras: Cameras):
    return project_meshes([Mesh(verts, faces)], cameras, views_per_mesh=len(cameras))[0]


def hard_area(verts: Tensor, faces: Tensor, cameras: Cameras, size: int) -> Tensor:
    return (rasterize_views(project(verts, faces, cameras), size) >= 0).double().mean((1, 2))


def gradient_error(mesh: Mesh, moves: Tensor, cameras: Cameras, size: int, supersample=1) -> float:
    """Relative error of d(mean mask)/d(move) against differences of a finely sampled coverage."""
    verts = mesh.verts.clone().requires_grad_()
    mask = render_mask(project(verts, mesh.faces, cameras), size, supersample=supersample)
    rows = [torch.autograd.grad(each.mean(), verts, retain_graph=True)[0] for each in mask]
    ours = torch.stack(rows).flatten(1) @ moves.flatten(1).T
    step = 3e-3
    differences = [
        (hard_area(mesh.verts + step * move, mesh.faces, cameras, 1536)
         - hard_area(mesh.verts - step * move, mesh.faces, cameras, 1536)) / (2 * step)
        for move in moves
    ]  # fmt: skip
    expected = torch.stack(differences, 1)
    return float((ours - expected).norm() / expected.norm())


def rigid_moves(verts: Tensor) -> Tensor:
    """Translations along x, y and z, and a scaling."""
    moves = torch.eye(3, dtype=verts.dtype)[:, None].expand(3, verts.shape[0], 3)
    return torch.cat([moves, verts[None]])


@pytest.mark.parametrize("size", [64, 256, 512])
@pytest.mark.parametrize("shape", ["coarse", "fine", "torus", "box", "two"])
def test_gradient_of_the_area_of_shapes(shape, size, sphere, torus, box, cameras) -> None:
    double = torch.float64
    mesh = {
        "coarse": lambda: sphere(1, dtype=double),
        "fine": lambda: sphere(5, dtype=double),  # 20,480 faces: three per pixel
        "torus": lambda: torus(60, dtype=double),
        "box": lambda: box(0.5, 0.4, 0.6, dtype=double),
        "two": lambda: two_objects(sphere(3, 0.28, dtype=double), box(0.3, 0.3, 0.3, dtype=double)),
    }[shape]()
    error = gradient_error(mesh, rigid_moves(mesh.verts), cameras(3, dtype=double), size)
    assert error < (0.03 if size == 64 else 0.015)


def two_objects(first: Mesh, second: Mesh) -> Mesh:
    verts = torch.cat([first.verts + 0.12, second.verts - 0.12])
    return Mesh(verts, torch.cat([first.faces, second.faces + first.verts.shape[0]]))


@pytest.mark.slow
def test_gradient_of_a_rough_surface_with_several_faces_per_pixel(sphere, cameras) -> None:
    mesh = sphere(5, dtype=torch.float64)
    noise = torch.rand(
        mesh.verts.shape[0], 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    mesh = Mesh(mesh.verts * (1 + 0.03 * (noise * 2 - 1)), mesh.faces)
    moves = rigid_moves(mesh.verts)
    # Details below the size of a pixel need supersampling.
    assert gradient_error(mesh, moves, cameras(3, dtype=torch.float64), 64) < 0.15
    assert gradient_error(mesh, moves, cameras(3, dtype=torch.float64), 64, supersample=4) < 0.06


def test_gradient_of_single_vertices(box, cameras) -> None:
    mesh = box(0.5, 0.4, 0.6, dtype=torch.float64)
    directions = torch.tensor([[0.6, 0.48, 0.64]], dtype=torch.float64).expand(8, 3)
    moves = torch.diag_embed(directions.T).movedim(0, 2)  # one vertex at a time, [8, 8, 3]
    assert gradient_error(mesh, moves, cameras(2, dtype=torch.float64), 128) < 0.05


def test_mask_values_are_areas(sphere, box, cameras) -> None:
    views = cameras(4)
    for mesh in (sphere(1), sphere(4), box(0.5, 0.4, 0.6)):
        fine = rasterize_views(project(mesh.verts, mesh.faces, views), 32 * 16) >= 0
        expected = torch.nn.functional.avg_pool2d(fine.float(), 16)
        for supersample, tolerance in ((1, 0.16), (2, 0.1)):
            mask = render_mesh(mesh, views, 32, supersample=supersample).mask
            assert mask.min() >= 0
            assert mask.max() <= 1
            assert (mask - expected).abs().max() < 2.5 * tolerance
            assert (mask - expected).pow(2).mean().sqrt() < tolerance / 5
            assert (mask.mean((1, 2)) - expected.mean((1, 2))).abs().max() < 2e-3


def test_gradcheck_of_crossings_and_of_an_upright_rectangle(sphere, cameras) -> None:
    mesh, views = sphere(1, dtype=torch.float64), cameras(1, dtype=torch.float64)
    packed = project(mesh.verts, mesh.faces, views)
    face_id = rasterize_views(packed, (9, 11))
    crossings = find_crossings(packed, face_id)
    assert crossings.covered.shape[0] > 10

    def distances(verts: Tensor) -> Tensor:
        return crossing_distances(project(verts, mesh.faces, views), crossings, face_id)[0]

    verts = mesh.verts.clone().requires_grad_()
    torch.testing.assert_close(distances(verts).detach(), crossings.distance, atol=2e-3, rtol=0)
    assert torch.autograd.gradcheck(distances, (verts,))
    # Upright edges have constant weights, so here even the mask itself can be checked.
    corners = torch.tensor([[-0.52, -0.31], [0.47, -0.31], [0.47, 0.66], [-0.52, 0.66]]).double()
    clip = torch.cat([corners * 2, torch.zeros(4, 1), torch.full((4, 1), 2.0)], 1).double()
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])

    def mask(left_top: Tensor, right_bottom: Tensor, w: Tensor) -> Tensor:
        from get3d.render import pack_views

        low = torch.cat([left_top, right_bottom])
        xy = torch.stack([low[[0, 2, 2, 0]], low[[1, 1, 3, 3]]], 1)
        moved = torch.cat([xy, clip[:, 2:3], w.expand(4, 1)], 1)
        views = pack_views([moved], [faces])
        return antialias_mask(views, rasterize_views(views, (7, 8)))

    inputs = [clip[0, :2].clone(), clip[2, :2].clone(), clip[:1, 3:].clone()]
    assert torch.autograd.gradcheck(mask, [each.requires_grad_() for each in inputs])


def test_clamped_pixels_keep_their_gradient() -> None:
    from get3d.render import pack_views

    # A needle thinner than a pixel over one pixel centre: reduced at both edges.
    x = torch.tensor([[0.48], [0.52], [0.52], [0.48]], requires_grad=True)
    y = torch.tensor([[-3.0], [-3.0], [3.0], [3.0]])
    clip = torch.cat([(x - 0.5) * 2, y, torch.zeros(4, 1), torch.ones(4, 1)], 1)
    views = pack_views([clip], [torch.tensor([[0, 1, 2], [0, 2, 3]])])
    mask = antialias_mask(views, rasterize_views(views, (1, 3)))
    torch.testing.assert_close(mask.detach(), torch.tensor([[[0.0, 0.12, 0.0]]]))
    mask.sum().backward()
    right = x.grad[1] + x.grad[2]
    torch.testing.assert_close(right, torch.tensor([3.0]))  # pixels per unit of x, which spans 3


def test_image_borders_and_empty_meshes_have_no_crossings() -> None:
    from get3d.render import pack_views

    full = torch.tensor([[-9.0, -9, 0, 1], [9, -9, 0, 1], [0, 30, 0, 1]], requires_grad=True)
    views = pack_views(
        [full, torch.zeros(0, 4)], [torch.tensor([[0, 1, 2]]), torch.zeros(0, 3).long()]
    )
    mask = antialias_mask(views, rasterize_views(views, (3, 4)))
    assert torch.equal(mask.detach(), torch.stack([torch.ones(3, 4), torch.zeros(3, 4)]))
    mask.sum().backward()
    assert (full.grad == 0).all()


def test_backends_give_the_same_mask(sphere, cameras) -> None:
    mesh = sphere(2)
    masks = []
    for backend in ("numba", "torch"):
        masks.append(render_mesh(mesh, cameras(2), 20, backend=backend).mask)
    assert torch.equal(*masks)


def test_a_sphere_can_be_fitted_to_silhouettes(sphere, cameras) -> None:
    mesh, views = sphere(3), cameras(8)
    x, y, z = mesh.verts.unbind(1)
    bump = 0.18 * torch.exp(-((x - 0.3) ** 2 + y**2 + z**2) / 0.02)
    target = torch.stack([x * 1.15 + bump, y * 0.6, z * 0.8], 1)
    wanted = render_mask(project(target, mesh.faces, views), 64)
    fine_wanted = rasterize_views(project(target, mesh.faces, views), 128) >= 0
    edges = torch.cat([mesh.faces[:, :2], mesh.faces[:, 1:]])

    def overlap(verts: Tensor) -> float:
        fine = rasterize_views(project(verts, mesh.faces, views), 128) >= 0
        return float((fine & fine_wanted).sum() / (fine | fine_wanted).sum())

    shift = torch.zeros_like(mesh.verts, requires_grad=True)
    optimizer = torch.optim.Adam([shift], lr=0.01)
    assert overlap(mesh.verts) < 0.75
    for _ in range(60):
        optimizer.zero_grad()
        mask = render_mask(project(mesh.verts + shift, mesh.faces, views), 64)
        stretch = (shift[edges[:, 0]] - shift[edges[:, 1]]).pow(2).mean()
        ((mask - wanted).pow(2).mean() + 2.0 * stretch).backward()
        optimizer.step()
    assert overlap((mesh.verts + shift).detach()) > 0.95
