"""Chamfer distances against k-d trees, and against shapes whose distance is known."""

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from get3d.metrics import chamfer, chamfer_distance, chamfer_matrix


def by_trees(a: torch.Tensor, b: torch.Tensor) -> float:
    a, b = a.double().numpy(), b.double().numpy()
    forth, back = cKDTree(b).query(a)[0], cKDTree(a).query(b)[0]
    return float(np.mean(forth**2) + np.mean(back**2))


def matrix_by_trees(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.tensor([[by_trees(one, other) for other in b] for one in a]).float()


def surface_points(shapes: int, points: int, seed: int = 0) -> torch.Tensor:
    """Points on ellipsoids of several proportions: thin, round, and apart."""
    random = torch.Generator().manual_seed(seed)
    axes = torch.rand(shapes, 1, 3, generator=random) + 0.05
    directions = torch.randn(shapes, points, 3, generator=random)
    shift = 0.2 * torch.randn(shapes, 1, 3, generator=random)
    return axes * torch.nn.functional.normalize(directions, dim=2) + shift


@pytest.mark.parametrize("sizes", [(1, 1), (1, 40), (5, 16), (17, 33), (128, 333), (2048, 2048)])
def test_matrix_is_that_of_trees(sizes):
    a, b = surface_points(3, sizes[0]), surface_points(4, sizes[1], seed=1)
    expected = matrix_by_trees(a, b)
    torch.testing.assert_close(chamfer_matrix(a, b), expected, rtol=1e-5, atol=0)


def special_points() -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(2)
    cloud = torch.rand(200, 3, generator=random)
    return {
        "one point many times": cloud[:1].expand(200, 3).clone(),
        "few places": (4 * cloud).floor(),
        "plane": cloud * torch.tensor([1.0, 0.0, 1.0]),
        "line": cloud * torch.tensor([0.0, 1.0, 0.0]),
        "two clusters": 0.01 * cloud + torch.arange(200)[:, None] % 2,
        "far away": cloud + 1000.0,
        "tiny": 1e-12 * cloud,
        "box": cloud,
    }


def test_special_sets_are_compared_exactly():
    points = torch.stack(list(special_points().values()))
    expected = matrix_by_trees(points, points)
    torch.testing.assert_close(chamfer_matrix(points, points), expected, rtol=1e-5, atol=1e-30)
    tensors = chamfer._tensor_matrix(points, None, None)
    torch.testing.assert_close(tensors, expected, rtol=1e-5, atol=1e-30)


def test_far_from_the_origin_near_points_keep_their_precision():
    points = torch.rand(100, 3, generator=torch.Generator().manual_seed(0)) + 100.0
    moved = points + torch.tensor([2.0**-14, 0.0, 0.0])
    torch.testing.assert_close(
        chamfer_distance(points, moved), torch.tensor(2.0**-27), rtol=1e-6, atol=0
    )


@pytest.mark.parametrize("compute", [chamfer._compiled_matrix, chamfer._tensor_matrix])
def test_within_a_set_the_matrix_is_symmetric_and_zero_on_its_diagonal(compute, monkeypatch):
    monkeypatch.setattr(chamfer, "_TILE", 3)
    points = surface_points(8, 50)
    calls = []
    within = compute(points, None, lambda *call: calls.append(call))
    torch.testing.assert_close(within, compute(points, points, None), rtol=1e-6, atol=0)
    assert (within == within.T).all()
    assert (within.diagonal() == 0).all()
    assert calls[-1] == (28, 28)


@pytest.mark.parametrize("chunk", [1, 700, 40 * 30 * 2])
def test_tensor_code_does_not_depend_on_its_chunks(chunk, monkeypatch):
    a, b = surface_points(3, 40), surface_points(5, 30, seed=1)
    expected = chamfer_matrix(a, b)
    monkeypatch.setattr(chamfer, "_CHUNK", chunk)
    calls = []
    found = chamfer._tensor_matrix(a, b, lambda *call: calls.append(call))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)
    assert calls == [(5, 15), (10, 15), (15, 15)]


def test_threads_and_progress(monkeypatch):
    a, b = surface_points(7, 20), surface_points(9, 20, seed=1)
    expected = chamfer_matrix(a, b)
    monkeypatch.setattr(chamfer, "_TILE", 2)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    calls = []
    assert torch.equal(chamfer_matrix(a, b, on_progress=lambda *call: calls.append(call)), expected)
    assert len(calls) == 1
    assert calls[-1] == (63, 63)


def test_empty_sets_of_shapes_have_empty_matrices():
    assert chamfer_matrix(torch.zeros(0, 5, 3), torch.zeros(2, 4, 3)).shape == (0, 2)
    assert chamfer_matrix(torch.zeros(0, 5, 3)).shape == (0, 0)
    assert chamfer_distance(torch.zeros(0, 5, 3), torch.zeros(4, 3)).shape == (0,)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_leading_axes_broadcast(dtype):
    a, b = surface_points(3, 20).to(dtype)[:, None], surface_points(4, 25, seed=1).to(dtype)
    found = chamfer_distance(a, b)
    assert found.dtype == dtype
    expected = matrix_by_trees(a[:, 0], b).to(dtype)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)
    torch.testing.assert_close(chamfer_distance(a[1, 0], b[2]), expected[1, 2])
    torch.testing.assert_close(chamfer_distance(b, a), expected)


def test_two_spheres_are_twice_the_square_of_their_gap_apart():
    directions = torch.nn.functional.normalize(
        torch.randn(8000, 3, generator=torch.Generator().manual_seed(0)), dim=1
    )
    near, far = 0.5 * directions[:4000], directions[4000:]
    assert chamfer_distance(near, far) == pytest.approx(2 * 0.5**2, rel=5e-3)


def test_gradient():
    a, b = surface_points(2, 6).double(), surface_points(2, 8, seed=1).double()
    assert torch.autograd.gradcheck(
        chamfer_distance, (a.requires_grad_(), b.requires_grad_()), fast_mode=True
    )
    single = a.detach().float().requires_grad_()
    value = chamfer_distance(single, b.detach().float())
    value.sum().backward()
    assert single.grad.abs().sum() > 0
    torch.testing.assert_close(
        value, chamfer_distance(single.detach(), b.detach().float()), rtol=1e-5, atol=0
    )


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_points_that_are_not_finite_raise(value):
    good, bad = torch.zeros(3, 4, 3), torch.zeros(3, 4, 3)
    bad[1, 2, 0] = value
    for compute in (chamfer_matrix, chamfer_distance):
        with pytest.raises(ValueError, match=r"points_b .* 1 of 3 shapes .* first at \[1\]"):
            compute(good, bad)
        with pytest.raises(ValueError, match="points_a must be finite"):
            compute(bad, good)


def test_shapes_without_points_raise():
    for compute in (chamfer_matrix, chamfer_distance):
        with pytest.raises(ValueError, match="points_b must be one or more points"):
            compute(torch.zeros(2, 4, 3), torch.zeros(2, 0, 3))


def test_types_do_not_mix():
    with pytest.raises(ValueError, match="same type and device"):
        chamfer_distance(torch.zeros(4, 3), torch.zeros(4, 3).double())
