import torch

from get3d.core.weights import fingerprint


def test_fingerprint_depends_on_weights() -> None:
    layer = torch.nn.Linear(3, 2)
    before = fingerprint(layer)
    assert fingerprint(layer) == before
    assert len(before) == 8
    with torch.no_grad():
        layer.weight[0, 0] += 1e-3
    assert fingerprint(layer) != before
