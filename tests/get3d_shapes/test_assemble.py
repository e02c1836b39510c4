import numpy as np
import pytest
import torch

from get3d.geometry import euler_number, is_manifold, orbit_cameras
from get3d.render import render_textured
from get3d_shapes.assemble import DisconnectedError, assemble
from get3d_shapes.design import Part
from get3d_shapes.finishes import Plain
from get3d_shapes.primitives import box, lathe
from get3d_shapes.solids import Solid

RED = Plain((0.9, 0.1, 0.1), "glass", "red")
GREEN = Plain((0.1, 0.9, 0.1), "glass", "green")
BLUE = Plain((0.1, 0.1, 0.9), "glass", "blue")


def _assemble(*parts: Part):
    return assemble(parts, texture_size=128, rng=np.random.default_rng(0))


def test_parts_keep_their_finish_and_their_faces() -> None:
    """Green stands on red: seen from the side, up is green, down is red, and nothing else."""
    mesh, face_part = _assemble(
        Part("foot", box(1, 1, 1), RED), Part("head", box(0.6, 1, 0.6).moved(0, 0.95, 0), GREEN)
    )
    assert is_manifold(mesh.mesh)
    assert euler_number(mesh.mesh) == 2
    heights = mesh.mesh.verts[mesh.mesh.faces].mean(1)[:, 1]
    assert heights[face_part == 1].mean() > heights[face_part == 0].mean()
    cameras = orbit_cameras(torch.tensor([3.0]), torch.tensor([1.5]), radius=2.5, fovy_rad=0.7)
    (image,) = render_textured(mesh, cameras, 64, supersample=1)
    shown = image[image[..., 3] > 0]
    is_green, is_red = shown[:, 1] > 0.7, shown[:, 0] > 0.7
    assert (is_green | is_red).all()
    rows = torch.arange(64)[:, None].expand(64, 64)[image[..., 3] > 0]
    assert rows[is_green].max() <= rows[is_red].min() + 6


def test_box_is_centred_with_longest_side_one() -> None:
    mesh, _ = _assemble(Part("box", box(1, 4, 2).moved(5, 5, 5), RED))
    low, high = mesh.mesh.verts.amin(0), mesh.mesh.verts.amax(0)
    torch.testing.assert_close(low, -high)
    torch.testing.assert_close(high - low, torch.tensor([0.25, 1.0, 0.5]))


def test_cuts_make_holes_and_sides_have_their_own_finish() -> None:
    hole = lathe(np.array([(0.2, -1.0), (0.2, 2.0)]), 12)
    mesh, _ = _assemble(Part("block", box(1, 1, 1), RED, cuts=(hole,), sides={"top": BLUE}))
    assert is_manifold(mesh.mesh)
    assert euler_number(mesh.mesh) == 0
    cameras = orbit_cameras(torch.tensor([0.0]), torch.tensor([0.01]), radius=2.5, fovy_rad=0.7)
    (image,) = render_textured(mesh, cameras, 64, supersample=1)
    assert image[32, 32, 3] == 0  # through the hole
    assert image[32, 20, 2] > 0.7


def test_hollows_are_filled() -> None:
    walls = [box(1, 0.1, 1).moved(0, y, 0) for y in (0, 0.9)]
    walls += [box(0.1, 1, 1).moved(x, 0, 0) for x in (-0.45, 0.45)]
    walls += [box(1, 1, 0.1).moved(0, 0, z) for z in (-0.45, 0.45)]
    mesh, _ = _assemble(*(Part("wall", wall, RED) for wall in walls))
    assert euler_number(mesh.mesh) == 2


def test_what_cannot_be_united() -> None:
    apart = Part("far", box(1, 1, 1).moved(3, 0, 0), RED)
    with pytest.raises(DisconnectedError, match="2 components"):
        _assemble(Part("near", box(1, 1, 1), RED), apart)
    whole = box(1, 1, 1)
    with pytest.raises(ValueError, match="part 'lid' is not a closed"):
        _assemble(Part("lid", Solid(whole.patches[:-1]), RED))
    with pytest.raises(ValueError, match="part 'inside out' is not"):
        _assemble(Part("inside out", whole.flipped(), RED))
