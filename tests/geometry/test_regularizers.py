"""The regulariser of the field and fallback surfaces, against explicit formulas."""

import math

import pytest
import torch

from get3d.geometry import (
    bcc_grid,
    empty_penalties,
    sdf_sign_change_loss,
    sign_change_losses,
    surface_meshes,
    surface_topology,
    with_fallback_surfaces,
)

GRID = bcc_grid(8)
EDGE = torch.tensor([[0, 1], [1, 2], [0, 2]])


def softplus(value: float) -> float:
    return math.log1p(math.exp(value))


def test_sign_change_loss_by_hand():
    # Edges 0-1 and 0-2 cross. First ends: 2, twice; second ends: -1 and -3.
    sdf = torch.tensor([[2.0, -1.0, -3.0]])
    expected = softplus(2) + (softplus(1) + softplus(3)) / 2
    assert sdf_sign_change_loss(sdf, EDGE).item() == pytest.approx(expected)


def test_sign_change_loss_pools_the_batch():
    sdf = torch.tensor([[2.0, -1.0, -3.0], [1.0, 1.0, 1.0], [-1.0, -1.0, 4.0]])
    # shape 2 adds edges 1-2 and 0-2
    first = (2 * softplus(2) + 2 * softplus(1)) / 4
    second = (softplus(1) + softplus(3) + 2 * softplus(4)) / 4
    assert sdf_sign_change_loss(sdf, EDGE).item() == pytest.approx(first + second)


def test_sign_change_losses_are_those_of_each_shape_alone():
    sdf = torch.tensor([[2.0, -1.0, -3.0], [1.0, 1.0, 1.0], [-1.0, -1.0, 4.0]])
    alone = torch.stack([sdf_sign_change_loss(each[None], EDGE) for each in sdf])
    torch.testing.assert_close(sign_change_losses(sdf, EDGE), alone)
    assert alone[1] == 0


def test_sign_change_loss_pushes_crossings_together_and_passes_gradcheck():
    generator = torch.Generator().manual_seed(0)
    sdf = torch.randn(2, len(GRID.verts), dtype=torch.float64, generator=generator)
    sdf.requires_grad_()
    loss = sdf_sign_change_loss(sdf, GRID.edges)
    (gradient,) = torch.autograd.grad(loss, sdf)
    assert (gradient * sdf >= 0).all()  # descent lowers |sdf| at crossings, never raises it
    small = torch.randn(2, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s: sdf_sign_change_loss(s, EDGE), small)


def test_without_a_crossing_loss_and_gradient_are_zero():
    sdf = torch.ones(2, 3, requires_grad=True)
    loss = sdf_sign_change_loss(sdf, EDGE)
    loss.backward()
    assert loss.item() == 0
    assert (sdf.grad == 0).all()


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_fallback_surface_changes_only_empty_shapes(sign):
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(3, len(GRID.verts), generator=generator)
    raw[1] = sign * (0.1 + raw[1].abs())
    raw.requires_grad_()
    replaced, is_fallback = with_fallback_surfaces(raw, GRID)
    assert is_fallback.tolist() == [False, True, False]
    assert torch.equal(replaced[[0, 2]], raw[[0, 2]])
    assert replaced[1, GRID.centre] == 1 - raw[1].min()
    assert (replaced[1, GRID.boundary] == -1 - raw[1].max()).all()
    changed = torch.zeros(len(GRID.verts), dtype=torch.bool)
    changed[GRID.boundary] = True
    changed[GRID.centre] = True
    assert torch.equal(replaced[1, ~changed], raw[1, ~changed])
    replaced.sum().backward()
    assert (raw.grad[1, changed] == 0).all()
    assert (raw.grad[1, ~changed] == 1).all()
    assert (raw.grad[[0, 2]] == 1).all()
    topology = surface_topology(GRID, replaced)
    meshes = surface_meshes(topology, replaced, GRID.verts[topology.active_verts])
    assert all(len(mesh.faces) > 0 for mesh in meshes)


def test_without_empty_shapes_the_field_itself_is_returned():
    sdf = torch.randn(2, len(GRID.verts))
    replaced, is_fallback = with_fallback_surfaces(sdf, GRID)
    assert replaced is sdf
    assert not is_fallback.any()


def test_zero_everywhere_is_empty():
    replaced, is_fallback = with_fallback_surfaces(torch.zeros(1, len(GRID.verts)), GRID)
    assert is_fallback.all()
    assert (replaced > 0).sum() == 1


def test_empty_penalty():
    sdf = torch.tensor([[1.0, 3.0], [5.0, -5.0], [-4.0, -4.0]], requires_grad=True)
    assert empty_penalties(sdf, torch.tensor([True, False, True])).tolist() == [2, 0, 4]
    nothing = empty_penalties(sdf, torch.zeros(3, dtype=torch.bool))
    nothing.sum().backward()
    assert nothing.tolist() == [0, 0, 0]
    assert (sdf.grad == 0).all()
