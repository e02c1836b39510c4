import math

import torch
from torch import Tensor

from get3d.models.layers import EqualConv, EqualLinear, ModulatedConv, ModulatedLinear, ToRGB


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def modulated_weights(layer: ModulatedConv, w: Tensor) -> Tensor:
    """The definition: a copy of the weights for each sample."""
    style = layer.affine(w)
    spatial = (1,) * (layer.weight.ndim - 2)
    weight = layer.weight[None] * style[:, None].reshape(len(w), 1, -1, *spatial)
    norm = (weight.flatten(2).square().sum(2) + 1e-8).rsqrt()
    return weight * norm.reshape(*norm.shape, 1, *spatial)


def expect(y: Tensor) -> Tensor:
    return torch.nn.functional.leaky_relu(y, 0.2) * math.sqrt(2)


def test_equalised_layers_start_with_unit_variance() -> None:
    x = torch.randn(2000, 64, generator=torch.Generator().manual_seed(0))
    for multiplier in (1.0, 0.01):
        assert 0.9 < EqualLinear(64, 64, lr_multiplier=multiplier)(x).std() < 1.1
    images = torch.randn(4, 64, 16, 16, generator=torch.Generator().manual_seed(0))
    conv = EqualConv(64, 64, kernel=(3, 3), is_linear=True)
    assert 0.9 < conv(images)[..., 1:-1, 1:-1].std() < 1.1


def test_learning_rate_multiplier_scales_the_bias() -> None:
    layer = EqualLinear(3, 2, lr_multiplier=0.01, bias_init=0.5)
    torch.testing.assert_close(layer(torch.zeros(1, 3)), torch.full((1, 2), 0.5))


def test_convolution_with_scaled_activations_is_that_with_scaled_weights() -> None:
    for dims in (2, 3):
        layer = ModulatedConv(5, 4, 6, dims=dims).double()
        layer.bias.data = randn(4, seed=1)
        x, w = randn(3, 5, *(4,) * dims), randn(3, 6, seed=2)
        weights = modulated_weights(layer, w)
        convolve = torch.nn.functional.conv2d if dims == 2 else torch.nn.functional.conv3d
        expected = torch.stack(
            [
                convolve(a[None], b, layer.bias, padding=1)[0]
                for a, b in zip(x, weights, strict=True)
            ]
        )
        torch.testing.assert_close(layer(x, w), expect(expected))
        torch.testing.assert_close(layer(x, w, gain=0.5), expect(expected) * 0.5)


def test_noise_is_constant_and_scaled() -> None:
    layer = ModulatedConv(5, 4, 6, noise_size=4).double()
    x, w = randn(3, 5, 4, 4), randn(3, 6, seed=2)
    without = layer(x, w)
    layer.noise_strength.data.fill_(0.5)
    weights = modulated_weights(layer, w)
    expected = torch.stack(
        [
            torch.nn.functional.conv2d(a[None], b, padding=1)[0]
            for a, b in zip(x, weights, strict=True)
        ]
    )
    torch.testing.assert_close(layer(x, w), expect(expected + layer.noise * 0.5))
    assert not torch.equal(layer(x, w), without)


def test_points_are_pixels_of_a_pointwise_convolution() -> None:
    layer = ModulatedLinear(5, 4, 6).double()
    layer.bias.data = randn(4, seed=1)
    x, w = randn(3, 7, 5), randn(3, 6, seed=2)
    expected = torch.einsum("bnc,boc->bno", x, modulated_weights(layer, w)) + layer.bias
    torch.testing.assert_close(layer(x, w), expect(expected))


def test_colour_layer_does_not_demodulate() -> None:
    layer = ToRGB(5, 3, 6).double()
    x, w = randn(2, 7, 5), randn(2, 6, seed=2)
    style = layer.affine(w)
    expected = torch.einsum("bnc,oc->bno", x * style[:, None], layer.weight) / math.sqrt(5)
    torch.testing.assert_close(layer(x, w), expected)
    layer.affine.bias.data *= 2
    layer.affine.weight.data *= 2
    torch.testing.assert_close(layer(x, w), expected * 2)


def test_activations_are_clamped() -> None:
    layer = ModulatedLinear(1, 1, 2)
    for scale in (1e6, -1e6):
        with torch.no_grad():
            result = layer(torch.full((1, 1, 1), scale) * layer.weight.sign(), torch.zeros(1, 2))
        assert result.abs().item() <= 256 * math.sqrt(2) + 1e-3


def test_gradients() -> None:
    for layer, shape in (
        (ModulatedConv(2, 3, 4, upsamples=True, noise_size=4), (2, 2, 2, 2)),
        (ModulatedConv(2, 3, 4, dims=3), (2, 2, 2, 2, 2)),
        (ModulatedLinear(2, 3, 4), (2, 5, 2)),
    ):
        layer = layer.double()
        inputs = randn(*shape).requires_grad_(), randn(2, 4, seed=1).requires_grad_()
        assert torch.autograd.gradcheck(layer, inputs)


def test_the_clamp_is_of_the_published_value_before_the_gain() -> None:
    """256 after the leaky ReLU's gain of sqrt(2), times the gain that the layer is called with."""
    layer = ModulatedConv(2, 3, 4).double()
    layer.bias.data += 1e6
    x, w = randn(1, 2, 5, 5), randn(1, 4)
    for gain in (1.0, 0.5):
        expected = torch.full((1, 3, 5, 5), 256 * math.sqrt(2) * gain, dtype=torch.float64)
        torch.testing.assert_close(layer(x, w, gain=gain), expected)
