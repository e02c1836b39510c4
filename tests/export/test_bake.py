import pytest
import torch
import torch.nn.functional as F

from get3d.core import Mesh
from get3d.export import bake
from get3d.export.atlas import unwrap
from get3d.export.bake import bake_texture, texture_mesh
from get3d.geometry import sample_surface


def wavy(points):
    return 0.5 + 0.5 * torch.sin(9 * points + points.roll(1, dims=1) * 5)


def look_up(texture, uvs):
    grid = torch.stack([uvs[:, 0] * 2 - 1, 1 - uvs[:, 1] * 2], dim=1)[None, None]
    found = F.grid_sample(texture.permute(2, 0, 1)[None], grid, align_corners=False)
    return found[0, :, 0].T


def unit_square(dtype=torch.float32):
    corners = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]], dtype=dtype)
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    return Mesh(F.pad(corners, (0, 1)), faces), corners, faces


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_row_0_is_the_top_and_centres_are_at_halves(dtype):
    mesh, uvs, uv_faces = unit_square(dtype)
    texture = bake_texture(mesh, uvs, uv_faces, lambda points: points, 4)
    along = (torch.arange(4, dtype=dtype) + 0.5) / 4
    torch.testing.assert_close(texture[..., 0], along.expand(4, 4))
    torch.testing.assert_close(texture[..., 1], along.flip(0)[:, None].expand(4, 4))


@pytest.mark.parametrize("size", [128, 257])
def test_lookups_give_the_field_back(ball, size):
    """Everywhere on the surface, seams and chart corners included."""
    mesh = ball(3)
    textured = texture_mesh(mesh, wavy, texture_size=size)
    samples = sample_surface(mesh, 20_000, generator=torch.Generator().manual_seed(0))
    triangles = mesh.verts[mesh.faces[samples.face_ids]]
    weights = torch.linalg.solve(triangles.transpose(1, 2), samples.points.unsqueeze(2))
    uvs = (textured.uvs[textured.uv_faces[samples.face_ids]] * weights).sum(dim=1)
    found = look_up(textured.materials[0].texture[..., :3], uvs)
    error = (found - wavy(samples.points)).square()
    assert -10 * error.mean().log10() > 45
    assert error.max().sqrt() < 0.1


def test_no_texel_is_black(ball):
    """A field of one colour fills the whole image, so no mip level can bring in another."""
    color = torch.tensor([0.2, 0.5, 0.9])
    textured = texture_mesh(ball(2), lambda points: color.expand(len(points), 3), texture_size=100)
    expected = torch.cat([color, torch.ones(1)]).expand(100, 100, 4)
    torch.testing.assert_close(textured.materials[0].texture, expected)


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_smaller_mip_levels_stay_near_the_field(ball, level):
    """Between charts, too, there are colours of the surface close by: a gentle field shows it."""
    mesh = ball(4)
    textured = texture_mesh(mesh, lambda points: 0.6 + 0.4 * points, texture_size=256)
    texture = textured.materials[0].texture[..., :3]
    smaller = F.avg_pool2d(texture.permute(2, 0, 1), 2**level).permute(1, 2, 0)
    uvs = textured.uvs[textured.uv_faces].mean(dim=1)
    found, expected = look_up(smaller, uvs), 0.6 + 0.4 * mesh.verts[mesh.faces].mean(dim=1)
    # No lookup leaves the field's own range, and the error grows with the size of the texels.
    assert smaller.min() > 0.6 - 0.4 * 0.41
    assert (found - expected).abs().mean() < 0.006 * 2**level


def test_charts_smaller_than_a_texel_are_painted():
    mesh, _, faces = unit_square()
    uvs = torch.tensor([[0.51, 0.51], [0.52, 0.51], [0.52, 0.52], [0.51, 0.52]])
    texture = bake_texture(mesh, uvs, faces, lambda points: points * 0 + 0.7, 4)
    torch.testing.assert_close(texture, torch.full((4, 4, 3), 0.7))


def test_field_is_evaluated_on_the_surface_in_chunks(ball, monkeypatch):
    asked = []

    def color(points):
        asked.append(points)
        return points.abs()

    found = []
    for size in (10_000, bake.CHUNK_POINTS):
        asked.clear()
        monkeypatch.setattr(bake, "CHUNK_POINTS", size)
        found.append(texture_mesh(ball(3, radius=0.4), color, texture_size=256))
        assert (max(map(len, asked)) > 10_000) == (size > 10_000)
        radius = torch.cat(asked).norm(dim=1)
        assert radius.max() < 0.4001
        assert radius.min() > 0.38  # no lower than the faces of the polyhedron
        assert len(radius) <= 256 * 256
    images = [each.materials[0].texture for each in found]
    assert torch.equal(*images)


def test_colors_are_clipped_and_geometry_is_kept(ball):
    mesh = ball(1)
    textured = texture_mesh(mesh, lambda points: points * 100, texture_size=32)
    texture = textured.materials[0].texture
    assert texture.min() == 0
    assert texture.max() == 1
    assert torch.equal(textured.mesh.verts, mesh.verts)
    assert torch.equal(textured.mesh.faces, mesh.faces)


def test_no_gradient_is_recorded(ball):
    mesh = ball(1)
    mesh = Mesh(mesh.verts.requires_grad_(), mesh.faces)
    textured = texture_mesh(mesh, lambda points: points.abs(), texture_size=32)
    assert not textured.mesh.verts.requires_grad
    assert not textured.materials[0].texture.requires_grad


def test_faces_without_area_do_no_harm(ball):
    mesh = ball(1)
    mesh = Mesh(mesh.verts, torch.cat([torch.tensor([[0, 0, 5], [7, 7, 7]]), mesh.faces]))
    uvs, uv_faces = unwrap(mesh, texture_size=64)
    assert bake_texture(mesh, uvs, uv_faces, wavy, 64).isfinite().all()


def test_field_of_another_shape(ball):
    with pytest.raises(ValueError, match=r"must return \[\d+, 3\], got"):
        texture_mesh(ball(1), lambda points: points[None], texture_size=32)


def test_field_that_is_not_finite(ball):
    with pytest.raises(ValueError, match="not finite"):
        texture_mesh(ball(1), lambda points: points / 0, texture_size=32)


def test_no_faces():
    mesh = Mesh(torch.zeros(3, 3), torch.zeros(0, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match="no faces"):
        texture_mesh(mesh, wavy, texture_size=32)
    with pytest.raises(ValueError, match="no faces"):
        bake_texture(mesh, torch.zeros(0, 2), mesh.faces, wavy, 32)


@pytest.mark.parametrize("bad", [-5_000_000, 4])
def test_wrong_indices(bad):
    mesh, uvs, faces = unit_square()
    wrong = faces.clone()
    wrong[1, 1] = bad
    with pytest.raises(ValueError, match=f"uv_faces has index {bad}, but there are 4 texture"):
        bake_texture(mesh, uvs, wrong, wavy, 32)
    with pytest.raises(ValueError, match=f"faces has index {bad}, but there are 4 vertices"):
        bake_texture(Mesh(mesh.verts, wrong), uvs, faces, wavy, 32)
    with pytest.raises(ValueError, match="uv_faces has 1 rows for 2 faces"):
        bake_texture(mesh, uvs, faces[:1], wavy, 32)
