"""Comparing descriptors: the compiled loops against the definition."""

import sys

import numpy as np
import pytest
import torch

from get3d.metrics.light_field_matrix import light_field_matrix
from get3d.metrics.light_field_views import alignments


def random_descriptors(num: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (num, 10, 10, 47), generator=generator, dtype=torch.uint8)


def plain_distance(a: np.ndarray, b: np.ndarray) -> int:
    """The definition: light fields x light fields x alignments."""
    a, b = a.astype(int), b.astype(int)
    return min(
        np.abs(field_a - field_b[order]).sum()
        for field_a in a
        for field_b in b
        for order in alignments()
    )


def test_matrix_follows_the_definition() -> None:
    a, b = random_descriptors(2), random_descriptors(3, seed=1)
    found = light_field_matrix(a, b)
    assert found.dtype == torch.float32
    expected = [[plain_distance(x.numpy(), y.numpy()) for y in b] for x in a]
    assert found.tolist() == expected


def test_extreme_bytes_do_not_overflow() -> None:
    low = torch.zeros(1, 10, 10, 47, dtype=torch.uint8)
    assert light_field_matrix(low, torch.full_like(low, 255)).item() == 255 * 47 * 10


def test_within_one_set_is_symmetric_with_zeros() -> None:
    a = random_descriptors(4)
    within = light_field_matrix(a)
    assert torch.equal(within, light_field_matrix(a, a))
    assert torch.equal(within, within.T)
    assert within.diagonal().tolist() == [0, 0, 0, 0]
    assert (within + torch.eye(4) > 0).all()


def test_aligned_light_fields_are_found() -> None:
    """Wherever a light field appears, and however its cameras are turned, it fits exactly."""
    a = random_descriptors(1)
    for field, order in ((3, 7), (9, 59), (0, 31)):
        b = random_descriptors(1, seed=field + 1)
        b[0, field, alignments()[order]] = a[0, 4]
        assert light_field_matrix(a, b).item() == 0
    b[0, field] = a[0, 4, torch.tensor([1, 0, *range(2, 10)])]  # no rotation swaps two axes only
    assert light_field_matrix(a, b).item() > 0


def test_threads_and_tiles_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = random_descriptors(3), random_descriptors(5, seed=1)
    expected = light_field_matrix(a, b)
    module = sys.modules["get3d.metrics.light_field_matrix"]  # the function has the same name
    monkeypatch.setattr(module, "_TILE", 2)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert torch.equal(light_field_matrix(a, b), expected)


def test_progress_counts_pairs() -> None:
    seen: list[tuple[int, int]] = []
    a = random_descriptors(4)
    light_field_matrix(a, a[:3], on_progress=lambda *counts: seen.append(counts))
    assert seen[-1] == (12, 12)
    light_field_matrix(a, on_progress=lambda *counts: seen.append(counts))
    assert seen[-1] == (6, 6)


def test_empty_sets_give_empty_matrices() -> None:
    assert light_field_matrix(random_descriptors(0), random_descriptors(2)).shape == (0, 2)
    assert light_field_matrix(random_descriptors(2), random_descriptors(0)).shape == (2, 0)


def test_other_descriptors_raise() -> None:
    good = random_descriptors(1)
    with pytest.raises(ValueError, match=r"must be \[shapes, 10, 10, 47\], got \[1, 10, 10, 46\]"):
        light_field_matrix(good[..., :46])
    with pytest.raises(ValueError, match="light_field_descriptor"):
        light_field_matrix(good[:, :9])
