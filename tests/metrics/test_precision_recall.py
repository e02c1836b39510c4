import sys

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from get3d.metrics import precision_recall


def draw(num: int, dim: int = 4, seed: int = 0) -> torch.Tensor:
    return torch.randn(num, dim, generator=torch.Generator().manual_seed(seed))


def naive_fraction(queries: torch.Tensor, members: torch.Tensor, k: int) -> float:
    queries, members = queries.double().numpy(), members.double().numpy()
    radii = np.sort(cdist(members, members), axis=1)[:, k]  # 0 is the member itself
    return float((cdist(queries, members) <= radii).any(1).mean())


@pytest.mark.parametrize("k", [1, 3, 10])
@pytest.mark.parametrize("shift", [0.0, 100.0])
def test_agrees_with_plain_search(k, shift, monkeypatch):
    module = sys.modules["get3d.metrics.precision_recall"]  # the function has the same name
    monkeypatch.setattr(module, "_ROWS", 64)
    generated, reference = draw(150) + 0.7 + shift, draw(130, seed=1) + shift
    precision, recall = precision_recall(generated, reference, k)
    assert precision == pytest.approx(naive_fraction(generated, reference, k))
    assert recall == pytest.approx(naive_fraction(reference, generated, k))
    assert 0 < precision < 1


def test_same_and_unlike_sets():
    features = draw(60)
    assert precision_recall(features, features) == (1.0, 1.0)
    assert precision_recall(features, draw(60, seed=1) + 100) == (0.0, 0.0)


def test_one_mode_of_two_is_precise_but_misses_half():
    reference = torch.cat([draw(200, 2), draw(200, 2, seed=1) + 50])
    precision, recall = precision_recall(draw(400, 2, seed=2), reference)
    assert precision > 0.85
    assert 0.4 < recall <= 0.5


def test_one_feature_again_and_again():
    reference = draw(50)
    collapsed = reference[:1].expand(50, 4)
    precision, recall = precision_recall(collapsed, reference)
    assert precision == 1.0
    assert recall == pytest.approx(1 / 50)


def test_bad_input_raises():
    with pytest.raises(ValueError, match="features_generated must be at least 4 rows"):
        precision_recall(draw(3), draw(9))
    with pytest.raises(ValueError, match="features_reference must be at least 4 rows"):
        precision_recall(draw(9), draw(3))
    with pytest.raises(ValueError, match="of 4 and of 5 values"):
        precision_recall(draw(9), draw(9, 5))
    with pytest.raises(ValueError, match="features_reference must be finite, but 9 of 9"):
        precision_recall(draw(9), draw(9) * torch.inf)
    with pytest.raises(ValueError, match="k must be at least 1"):
        precision_recall(draw(9), draw(9), k=0)
