import pytest
import torch
import trimesh

from get3d.core import Mesh
from get3d.geometry import (
    compact,
    is_watertight,
    piece_volumes,
    remove_floaters,
    remove_hidden_pieces,
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


def test_volumes_of_pieces():
    """Neither winding nor place matters; vertices without a face are no pieces."""
    mesh = joined(ball(1.0), ball(0.5, 1000.0), ball(0.25, -3.0, inward=True))
    mesh = Mesh(torch.cat([mesh.verts, torch.zeros(3, 3)]), mesh.faces)
    one = signed_volume(ball(1.0)).item()
    expected = torch.tensor([one, one / 8, one / 64]).double()
    torch.testing.assert_close(piece_volumes(mesh), expected, rtol=1e-3, atol=0)


def test_floaters_go_by_their_share_of_the_largest():
    body, small, tiny = ball(1.0), ball(0.5, 3.0), ball(0.1, -3.0)
    mesh = joined(tiny, body, small)
    kept = remove_floaters(mesh, 0.01)
    assert (kept.num_pieces, kept.num_faces) == (1, len(tiny.faces))
    assert torch.equal(kept.mesh.verts, torch.cat([body.verts, small.verts]))
    assert is_watertight(kept.mesh)
    assert len(remove_floaters(mesh, 0.2).mesh.faces) == len(body.faces)
    assert remove_floaters(mesh, 0.0).mesh is mesh


def test_pieces_inside_a_closed_one_go():
    """The wall of a hollow, and what floats in it, are hidden; what is outside or beside is not."""
    outer, wall, core = ball(1.0), ball(0.8, inward=True), ball(0.3, 0.1)
    beside, corner = ball(0.5, 3.0), Mesh(ball(0.1).verts + 0.85, ball(0.1).faces)
    mesh = joined(core, wall, outer, beside, corner)
    kept = remove_hidden_pieces(mesh)
    assert kept.num_pieces == 2
    expected = torch.cat([outer.verts, beside.verts, corner.verts])
    assert torch.equal(kept.mesh.verts, expected)


def test_pieces_that_can_be_seen_stay():
    poking = joined(ball(1.0), ball(0.3, 0.8))
    assert remove_hidden_pieces(poking).mesh is poking
    holed = ball(1.0)
    holed = joined(Mesh(holed.verts, holed.faces[1:]), ball(0.3))
    assert remove_hidden_pieces(holed).mesh is holed


def test_one_piece_and_none():
    one = ball()
    none = Mesh(one.verts, one.faces[:0])
    for mesh in (one, none):
        assert remove_hidden_pieces(mesh).num_pieces == 0
        assert remove_floaters(mesh, 1.0).num_pieces == 0
    assert len(piece_volumes(none)) == 0
    assert len(compact(none).verts) == 0


def test_share_out_of_range():
    with pytest.raises(ValueError, match=r"min_volume must lie in 0 to 1, got 1\.5"):
        remove_floaters(ball(), 1.5)
