import time

import numpy as np
import pytest
import torch
import trimesh

from get3d.core import Mesh
from get3d.export.atlas import unwrap
from get3d.export.texture_size import check_texture_size
from get3d.geometry import connected_components, face_areas
from get3d.render import rasterize


def to_mesh(shape) -> Mesh:
    return Mesh(
        torch.tensor(shape.vertices, dtype=torch.float32),
        torch.tensor(shape.faces, dtype=torch.int64),
    )


def uv_areas(uvs, uv_faces):
    first, second, third = uvs[uv_faces].unbind(dim=1)
    a, b = second - first, third - first
    return (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).abs() / 2


def chart_texels(uvs, uv_faces, size):
    """The chart that each texel's centre lies in, -1 outside."""
    flat = torch.cat([uvs, torch.zeros(len(uvs), 1)], dim=1)
    clip = torch.cat([flat[:, :1] * 2 - 1, 1 - flat[:, 1:2] * 2, flat[:, 2:], flat[:, 2:] + 1], 1)
    face_of = rasterize(clip, uv_faces, size).long()
    chart_of = connected_components(Mesh(flat, uv_faces))[uv_faces[:, 0]]
    return torch.where(face_of < 0, -1, chart_of[face_of.clamp(min=0)])


SHAPES = {
    "ball of several blocks": trimesh.creation.icosphere(subdivisions=4),
    "box": trimesh.creation.box(),
    "two components": trimesh.util.concatenate(
        [trimesh.creation.icosphere(2), trimesh.creation.torus(2, 0.5, 16, 8)]
    ),
    "open": trimesh.Trimesh(*(lambda b: (b.vertices, b.faces[:7]))(trimesh.creation.box())),
}


@pytest.mark.parametrize("name", SHAPES)
def test_charts_cover_every_face_once_and_keep_apart(name):
    mesh = to_mesh(SHAPES[name])
    size = 256
    uvs, uv_faces = unwrap(mesh, texture_size=size)
    assert uv_faces.shape == mesh.faces.shape
    assert uvs.min() >= 0
    assert uvs.max() <= 1
    areas = uv_areas(uvs, uv_faces)
    assert (areas > 0).all()
    # Texels are proportional to area: no face is squeezed much.
    density = areas / face_areas(mesh)
    assert density.max() / density.min() < 10
    chart_of = chart_texels(uvs, uv_faces, size)
    covered = (chart_of >= 0).sum() / size**2
    # Overlapping charts would cover less than their areas add up to.
    assert covered == pytest.approx(areas.sum().item(), rel=0.02)
    assert covered > 0.4
    for shift in (1, 2):
        for axis in (0, 1):
            here = chart_of.narrow(axis, 0, size - shift)
            there = chart_of.narrow(axis, shift, size - shift)
            assert not ((here >= 0) & (there >= 0) & (here != there)).any()


def test_uv_seams_share_the_vertices():
    """Each texture coordinate belongs to one vertex, so that seams do not tear the surface."""
    mesh = to_mesh(SHAPES["box"])
    uvs, uv_faces = unwrap(mesh)
    vert_of = torch.full((len(uvs),), -1)
    vert_of[uv_faces.flatten()] = mesh.faces.flatten()
    assert torch.equal(vert_of[uv_faces], mesh.faces)


def test_same_mesh_same_atlas():
    mesh = to_mesh(SHAPES["ball of several blocks"])
    first, second = unwrap(mesh), unwrap(mesh)
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])


@pytest.mark.parametrize("scale", [2.0**-14, 2.0**13])
def test_scale_does_not_matter(scale):
    """Powers of two, so that rounding is the same."""
    mesh = to_mesh(SHAPES["two components"])
    _, uv_faces = unwrap(Mesh(mesh.verts * scale, mesh.faces))
    assert torch.equal(uv_faces, unwrap(mesh)[1])


def test_slivers_get_texels():
    verts = torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0.5, 1e-4, 0]])
    mesh = Mesh(verts, torch.tensor([[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]]))
    uvs, uv_faces = unwrap(mesh)
    assert (uv_areas(uvs, uv_faces) > 0).all()


def test_faces_without_area_take_none():
    ball = to_mesh(SHAPES["box"])
    extra = torch.tensor([[0, 0, 1], [2, 2, 2]])
    mesh = Mesh(ball.verts, torch.cat([extra, ball.faces]))
    uvs, uv_faces = unwrap(mesh)
    areas = uv_areas(uvs, uv_faces)
    assert torch.equal(areas[:2], torch.zeros(2))
    assert (areas[2:] > 0).all()
    assert uvs.isfinite().all()


def test_three_faces_at_one_edge():
    verts = torch.tensor([[0.0, 0, 0], [0, 1, 0], [1, 0, 0], [-1, 0, 0.2], [0, 0, 1]])
    mesh = Mesh(verts, torch.tensor([[0, 1, 2], [0, 1, 3], [0, 1, 4]]))
    uvs, uv_faces = unwrap(mesh)
    assert (uv_areas(uvs, uv_faces) > 0).all()


def test_float64_stays():
    mesh = to_mesh(SHAPES["box"])
    assert unwrap(Mesh(mesh.verts.double(), mesh.faces))[0].dtype == torch.float64


def test_nothing_to_unwrap():
    with pytest.raises(ValueError, match="no faces"):
        unwrap(Mesh(torch.zeros(3, 3), torch.zeros(0, 3, dtype=torch.int64)))


def test_no_face_has_area():
    mesh = Mesh(torch.ones(3, 3), torch.tensor([[0, 1, 2], [0, 0, 1]]))
    with pytest.raises(ValueError, match="all faces of the mesh are without area"):
        unwrap(mesh)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_positions_must_be_finite(bad):
    mesh = to_mesh(SHAPES["box"])
    mesh.verts[3, 1] = bad
    with pytest.raises(ValueError, match="1 of 8 vertex positions are not finite"):
        unwrap(mesh)


@pytest.mark.slow
def test_time_grows_no_faster_than_the_faces():
    """Sixteen times the faces may take sixteen times as long, not 256 times."""
    taken_s = []
    for subdivisions in (5, 5, 7):  # the first one compiles
        ball = to_mesh(trimesh.creation.icosphere(subdivisions))
        noise = torch.randn(len(ball.verts), 1, generator=torch.Generator().manual_seed(0))
        rough = Mesh(ball.verts * (1 + 0.5 / len(ball.verts) ** 0.5 * noise), ball.faces)
        start = time.process_time()
        unwrap(rough)
        taken_s.append(time.process_time() - start)
    assert taken_s[2] < 3 * 16 * taken_s[1]


def needles(num: int) -> Mesh:
    """Triangles of length 0.3 and width 1e-6."""
    generator = torch.Generator().manual_seed(0)
    verts = torch.rand(num, 1, 3, generator=generator, dtype=torch.float64).repeat(1, 3, 1)
    verts[:, 1] += torch.randn(num, 3, generator=generator) * 0.3
    verts[:, 2] += torch.randn(num, 3, generator=generator) * 1e-6
    return Mesh(verts.reshape(-1, 3), torch.arange(3 * num).view(-1, 3))


def turned_cylinder(sections: int, radius: float) -> Mesh:
    shape = trimesh.creation.cylinder(radius, 1.0, sections=sections)
    shape.apply_transform(trimesh.transformations.rotation_matrix(0.7, [1, 2, 3]))
    return to_mesh(shape)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mesh", "texture_size", "limit_s"),
    [
        (turned_cylinder(512, 0.02), 4096, 10),  # takes 0.6 s; by boxes of cells 24 s
        (turned_cylinder(512, 1e-5), 1024, 10),
        (needles(3000), 2048, 10),  # takes 0.3 s; at full length they never ended
        (needles(3000), 4096, 20),
    ],
)
def test_long_faces_take_bounded_time(mesh, texture_size, limit_s):
    unwrap(to_mesh(SHAPES["box"]))  # compiles
    start = time.process_time()
    uvs, uv_faces = unwrap(mesh, texture_size=texture_size)
    assert time.process_time() - start < limit_s
    assert uvs.isfinite().all()
    assert (uv_areas(uvs.double(), uv_faces) > 0).float().mean() > 0.9


def test_more_needles_than_fit_are_refused_before_they_are_packed(monkeypatch):
    unwrap(needles(3000), texture_size=512)
    monkeypatch.setattr("get3d.export.packing.place_charts", None)
    message = "16 is too small for the 3000 charts of this mesh; 512 is enough"
    with pytest.raises(ValueError, match=message):
        unwrap(needles(3000), texture_size=16)


def test_a_long_rod_uses_its_texture():
    """Alone it would be ten times as long as the texture at full density: it is cut and folded."""
    angle = torch.linspace(0, 1, 400)
    spine = torch.stack([angle, angle * 0.3, angle * 0.2], dim=1)
    rim = torch.tensor([[0.0, 1, 0], [0, 0, 1], [0, -1, -1]]) * 1e-3
    verts = (spine[:, None] + rim).reshape(-1, 3)
    first = torch.arange(3 * 399)
    beside = first.view(-1, 3).roll(-1, 1).flatten()
    faces = torch.cat(
        [
            torch.stack([first, beside, first + 3], 1),
            torch.stack([beside, beside + 3, first + 3], 1),
        ]
    )
    mesh = Mesh(verts, faces)
    uvs, uv_faces = unwrap(mesh, texture_size=512)
    density = uv_areas(uvs, uv_faces) / face_areas(mesh)
    assert uv_areas(uvs, uv_faces).sum() > 0.1
    assert density.max() / density.min() < 10


@pytest.mark.parametrize("scale", [1e-100, 1e100, 1e300])
def test_any_finite_size(scale):
    mesh = to_mesh(SHAPES["box"])
    uvs, _ = unwrap(Mesh(mesh.verts.double() * scale, mesh.faces))
    torch.testing.assert_close(uvs, unwrap(Mesh(mesh.verts.double(), mesh.faces))[0])


@pytest.mark.parametrize("bad", [64.5, None, 0, -3, 16385, "64"])
def test_sizes_of_textures(bad):
    with pytest.raises(
        ValueError, match=r"texture_size must be from 1 to 16384(, a whole number)?,"
    ):
        check_texture_size(bad)
    check_texture_size(np.int64(64))


def test_no_texture_is_large_enough(monkeypatch):
    monkeypatch.setattr("get3d.export.atlas.MAX_TEXTURE_SIZE", 64)
    with pytest.raises(ValueError, match="no size up to 64 is enough, so simplify"):
        unwrap(needles(3000), texture_size=16)


def test_wrong_indices():
    mesh = to_mesh(SHAPES["box"])
    mesh.faces[2, 1] = 8
    with pytest.raises(ValueError, match="faces has index 8, but there are 8 vertices"):
        unwrap(mesh)


def test_texture_too_small_for_the_charts():
    boxes = [trimesh.creation.box().apply_translation([3 * i, 0, 0]) for i in range(100)]
    mesh = to_mesh(trimesh.util.concatenate(boxes))
    with pytest.raises(
        ValueError, match=r"texture_size 16 is too small for the \d+ charts"
    ) as info:
        unwrap(mesh, texture_size=16)
    unwrap(mesh, texture_size=int(str(info.value).split(";")[1].split()[0]))
