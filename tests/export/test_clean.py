import pytest
import torch

from get3d.core import Mesh
from get3d.export import AssetOptions, Cleaning, clean_mesh, decimate
from get3d.geometry import (
    bcc_grid,
    face_areas,
    is_watertight,
    marching_tets,
    signed_volume,
)


@pytest.fixture
def messy(ball) -> Mesh:
    """A ball with a small one beside it and a bubble in it."""
    body, small, bubble = ball(3), ball(1, radius=0.02), ball(2, radius=0.2)
    verts = torch.cat([body.verts, small.verts + 0.5, bubble.verts])
    num_body, num_small = len(body.verts), len(small.verts)
    faces = [body.faces, small.faces + num_body, bubble.faces.flip(1) + num_body + num_small]
    return Mesh(verts, torch.cat(faces))


def test_by_default_nothing_changes(messy):
    cleaned = clean_mesh(messy, Cleaning())
    assert cleaned.mesh is messy
    assert cleaned.notes == ()


def test_every_step_says_what_it_did(messy):
    cleaned = clean_mesh(messy, Cleaning(floaters=0.01, hidden=True, slivers=0.1, faces=500))
    assert cleaned.notes[:3] == (
        "floaters below 0.01 of the largest component: removed 1 component, 80 faces",
        "hidden: removed 1 component, 320 faces",
        "faces 500: simplified 1280 faces to 500",
    )
    assert cleaned.notes[3].startswith("slivers below 0.1: ")
    assert is_watertight(cleaned.mesh)


@pytest.mark.parametrize("num_faces", [20, 200, 1000])
def test_decimation_keeps_a_ball_a_ball(ball, num_faces):
    mesh = ball(3)
    fewer = decimate(mesh, num_faces)
    assert 0.9 * num_faces <= len(fewer.faces) <= num_faces
    assert is_watertight(fewer)
    assert fewer.verts.dtype == mesh.verts.dtype
    share = {20: 0.5, 200: 0.95, 1000: 0.99}[num_faces]
    assert share < signed_volume(fewer) / signed_volume(mesh) < 1.02


@pytest.mark.parametrize("num_faces", [50, 200, 500])
def test_decimation_of_a_rough_surface_reaches_few_faces_and_spends_them_well(num_faces):
    """Marching tetrahedra leave needles, where collapses got stuck and left small components."""
    grid = bcc_grid(40)
    x, y, z = (40 * grid.verts).unbind(1)
    waves = 0.01 * (x.sin() + (1.3 * y).sin() + (0.7 * z + x).sin())
    rough = marching_tets(grid.verts, 0.3 - grid.verts.norm(dim=1) + waves, grid.tets)
    assert len(rough.faces) > 3000
    fewer = decimate(rough, num_faces)
    assert 0.9 * num_faces <= len(fewer.faces) <= num_faces
    assert is_watertight(fewer)
    areas = face_areas(fewer)
    assert (areas < 1e-4 * areas.sum()).double().mean() < 0.05
    assert 0.9 < signed_volume(fewer) / signed_volume(rough) < 1.05


def test_decimation_leaves_no_sheets_of_two_faces(ball):
    """A small component that has collapsed is gone, not two triangles back to back."""
    body = ball(4)
    small = [ball(1, radius=0.005) for _ in range(20)]
    steps = torch.linspace(-0.4, 0.4, 20)
    verts = [body.verts] + [
        c.verts + torch.tensor([x, 0.6, 0.0]) for c, x in zip(small, steps, strict=True)
    ]
    starts = torch.tensor([0] + [len(v) for v in verts[:-1]]).cumsum(0)
    parts = [body.faces] + [ball.faces for ball in small]
    faces = torch.cat([part + start for part, start in zip(parts, starts, strict=True)])
    fewer = decimate(Mesh(torch.cat(verts), faces), 400)
    corners = fewer.faces.sort(dim=1).values
    assert len(corners.unique(dim=0)) == len(corners)
    assert is_watertight(fewer)


def test_few_faces_stay_as_they_are(ball):
    mesh = ball(1)
    assert decimate(mesh, 80) is mesh


def test_no_face_left(ball, monkeypatch):
    mesh = ball(1)
    empty = Mesh(mesh.verts, mesh.faces[:0])
    monkeypatch.setattr("get3d.export.clean.decimate", lambda *_: empty)
    with pytest.raises(ValueError, match="cleaning left no faces"):
        clean_mesh(mesh, Cleaning(faces=4))


def test_positions_must_be_finite(ball):
    mesh = ball(1)
    mesh.verts[3] = torch.nan
    with pytest.raises(ValueError, match="1 of 42 vertex positions are not finite"):
        clean_mesh(mesh, Cleaning(hidden=True))


@pytest.mark.parametrize("bad", [-1, 42, 50_000_000])
def test_wrong_indices(ball, bad):
    """They would be read and written outside of the arrays."""
    mesh = ball(1)
    mesh.faces[3, 1] = bad
    for task in (lambda: decimate(mesh, 20), lambda: clean_mesh(mesh, Cleaning())):
        with pytest.raises(ValueError, match=f"faces has index {bad}, but there are 42 vertices"):
            task()


def test_an_empty_mesh_was_not_emptied_by_cleaning(ball):
    mesh = ball(1)
    with pytest.raises(ValueError, match="the mesh has no faces, so there is nothing to clean"):
        clean_mesh(Mesh(mesh.verts, mesh.faces[:0]), Cleaning(hidden=True))


@pytest.mark.parametrize("exponent", [-20, -8, 8, 17, 20])
def test_decimation_does_not_mind_the_scale(ball, exponent):
    mesh, scale = ball(3), 2.0**exponent
    fewer, scaled = decimate(mesh, 200), decimate(Mesh(mesh.verts * scale, mesh.faces), 200)
    assert torch.equal(scaled.faces, fewer.faces)
    torch.testing.assert_close(scaled.verts, fewer.verts * scale)


def test_decimation_far_from_the_origin(ball):
    mesh = ball(3)
    moved = decimate(Mesh(mesh.verts.double() + 1e4, mesh.faces), 200)
    assert 180 <= len(moved.faces) <= 200
    assert signed_volume(moved) / signed_volume(mesh) > 0.95


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"floaters": 2.0}, "floaters must lie in 0 to 1, got 2.0"),
        ({"slivers": -0.1}, "slivers must lie in 0 to 0.5, got -0.1"),
        ({"faces": 3}, "faces must be at least 4, got 3"),
        ({"crease_deg": 181.0}, "crease_deg must lie in 0 to 180, got 181.0"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        AssetOptions(**options)


def test_decimation_to_nothing(ball):
    with pytest.raises(ValueError, match="num_faces must be at least 4, got 0"):
        decimate(ball(1), 0)
