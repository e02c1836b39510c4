import pytest
import torch

from get3d.core.colors import linear_to_srgb, srgb_to_linear


def test_encoding_undoes_decoding() -> None:
    levels = torch.linspace(0, 1, 256)
    assert (linear_to_srgb(srgb_to_linear(levels)) - levels).abs().max() < 1e-6


def test_known_values() -> None:
    assert srgb_to_linear(torch.tensor(0.5)) == pytest.approx(0.21404, abs=1e-5)
    assert linear_to_srgb(torch.tensor(0.5)) == pytest.approx(0.73536, abs=1e-5)
    ends = torch.tensor([0.0, 1.0])
    assert torch.equal(srgb_to_linear(ends), ends)
    torch.testing.assert_close(linear_to_srgb(ends), ends)


@pytest.mark.parametrize("curve", [srgb_to_linear, linear_to_srgb])
def test_the_slope_is_finite_at_black(curve) -> None:
    color = torch.zeros(1, requires_grad=True)
    curve(color).sum().backward()
    assert torch.isfinite(color.grad).all()
    assert color.grad > 0
