import math

import numpy as np
import pytest
import torch
import trimesh

from get3d.core.errors import ConfigError
from get3d.core.types import Cameras, Mesh
from get3d.render import (
    covered_pixels,
    interpolate,
    project_meshes,
    rasterize_views,
    render_mesh,
    render_meshes,
    surface_points,
)


def pixel_rays(cameras: Cameras, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Ray origins and directions [k, h, w, 3] in object space; directions have length 1 on -z."""
    focal_x, focal_y, centre_x, centre_y = cameras.intrinsics.double().T[:, :, None, None]
    x = ((torch.arange(width).double() + 0.5) / width - centre_x) / focal_x
    y = -((torch.arange(height).double()[:, None] + 0.5) / height - centre_y) / focal_y
    x, y = torch.broadcast_tensors(x, y)
    rotation = cameras.world_to_camera[:, :3, :3].double()
    directions = torch.stack([x, y, -torch.ones_like(x)], -1) @ rotation[:, None]
    origin = -(rotation.transpose(1, 2) @ cameras.world_to_camera[:, :3, 3:].double())[..., 0]
    return origin[:, None, None].expand_as(directions).numpy(), directions.numpy()


def test_positions_agree_with_ray_casting(torus, cameras) -> None:
    mesh, views, size = torus(16), cameras(3), (30, 41)
    gbuffer = render_mesh(mesh, views, size)
    origins, directions = pixel_rays(views, *size)
    shape = trimesh.Trimesh(mesh.verts.double().numpy(), mesh.faces.numpy(), process=False)
    points, rays, _ = shape.ray.intersects_location(
        origins.reshape(-1, 3), directions.reshape(-1, 3), multiple_hits=False
    )
    expected = np.zeros(origins.shape).reshape(-1, 3)
    expected[rays] = points
    hit = np.zeros(expected.shape[0], bool)
    hit[rays] = True
    covered = (gbuffer.face_id >= 0).flatten().numpy()
    assert (covered != hit).sum() <= 2  # a ray through an edge may go either way
    both = covered & hit
    error = np.abs(gbuffer.position.reshape(-1, 3).numpy() - expected)[both].max(1)
    assert np.quantile(error, 0.995) < 1e-4
    depth = ((expected - origins.reshape(-1, 3))[both] * directions.reshape(-1, 3)[both]).sum(1)
    depth /= (directions.reshape(-1, 3)[both] ** 2).sum(1)  # as a multiple of the unit along -z
    assert np.quantile(np.abs(gbuffer.depth.flatten().numpy()[both] - depth), 0.995) < 1e-4


def test_background_is_zero_and_weights_sum_to_one(sphere, cameras) -> None:
    gbuffer = render_mesh(sphere(2), cameras(2), 24)
    covered = gbuffer.face_id >= 0
    assert 0.2 < covered.float().mean() < 0.6
    assert gbuffer.barycentric[covered].sum(1).sub(1).abs().max() < 1e-5
    assert gbuffer.barycentric[covered].min() > -1e-3
    for field in (gbuffer.position, gbuffer.depth, gbuffer.barycentric):
        assert (field[~covered] == 0).all()
    assert torch.equal(gbuffer.mask[covered] > 0.3, torch.ones(int(covered.sum())).bool())


def test_weights_are_right_where_a_face_reaches_behind_the_camera(cameras) -> None:
    view = cameras(1)
    # A floor under and behind the camera: half of its corners have negative w.
    verts = torch.tensor([[-50.0, -0.3, -50], [50, -0.3, -50], [50, -0.3, 50], [-50, -0.3, 50]])
    mesh = Mesh(verts, torch.tensor([[0, 2, 1], [0, 3, 2]]))
    gbuffer = render_mesh(mesh, view, 16)
    origins, directions = pixel_rays(view, 16, 16)
    distance = (-0.3 - origins[..., 1]) / directions[..., 1]
    expected = torch.tensor(origins + distance[..., None] * directions).float()
    inside = torch.tensor((distance > 0.1) & (np.abs(expected.numpy()) < 49.9).all(-1))
    assert inside.sum() > 100
    assert torch.equal(gbuffer.face_id >= 0, inside)
    torch.testing.assert_close(gbuffer.position[inside], expected[inside], atol=2e-3, rtol=1e-4)


def test_a_batch_of_meshes_equals_single_ones(sphere, box, cameras) -> None:
    empty = Mesh(torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.int64))
    meshes, views = [sphere(1), empty, box(0.3, 0.5, 0.2)], cameras(6)
    packed = render_meshes(meshes, views, (12, 20), views_per_mesh=2, supersample=2)
    for index, mesh in enumerate(meshes):
        part = slice(2 * index, 2 * index + 2)
        alone = render_mesh(mesh, views[part], (12, 20), supersample=2)
        for name in ("face_id", "mask", "position", "depth", "barycentric"):
            torch.testing.assert_close(getattr(packed, name)[part], getattr(alone, name))
    assert (packed.mask[2:4] == 0).all()
    assert packed.mask[4:].amax() == 1


def test_interpolating_positions_gives_positions(sphere, box, cameras) -> None:
    meshes, views = [sphere(1), box(0.3, 0.5, 0.2)], cameras(4)
    gbuffer = render_meshes(meshes, views, 16, views_per_mesh=2)
    verts = torch.cat([mesh.verts for mesh in meshes])
    values = interpolate(gbuffer, verts, meshes, views_per_mesh=2)
    torch.testing.assert_close(values, gbuffer.position, atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="one per vertex"):
        interpolate(gbuffer, verts[:-1], meshes, views_per_mesh=2)


def test_selected_pixels_have_the_same_points(sphere, cameras) -> None:
    mesh, views = sphere(2), cameras(2)
    gbuffer = render_mesh(mesh, views, 16)
    packed, verts = project_meshes([mesh], views, views_per_mesh=2)
    pixels = covered_pixels(rasterize_views(packed, 16))[::7]
    points = surface_points(packed, verts, pixels, 16)
    where = pixels.image, pixels.row, pixels.column
    torch.testing.assert_close(points.position, gbuffer.position[where])
    assert len(pixels) == points.depth.shape[0] > 10


def test_gradients_of_positions_and_depth(sphere, cameras) -> None:
    mesh, views = sphere(0, dtype=torch.float64), cameras(2, dtype=torch.float64)
    views_packed, _ = project_meshes([mesh], views, views_per_mesh=2)
    pixels = covered_pixels(rasterize_views(views_packed, 6))

    def points(verts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        packed, flat = project_meshes([Mesh(verts, mesh.faces)], views, views_per_mesh=2)
        found = surface_points(packed, flat, pixels, 6)
        return found.position, found.depth

    assert torch.autograd.gradcheck(points, (mesh.verts.clone().requires_grad_(),))


def test_wrong_number_of_cameras_is_named(sphere, cameras) -> None:
    with pytest.raises(ValueError, match="1 meshes x 2 views = 2, got 3"):
        render_meshes([sphere(0)], cameras(3), 8, views_per_mesh=2)
    with pytest.raises(ConfigError, match="supersample"):
        render_mesh(sphere(0), cameras(1), 8, supersample=0)
    assert math.isclose(float(render_mesh(sphere(0), cameras(1), 1).mask.max()), 1.0)
