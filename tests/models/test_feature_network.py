"""The frozen EfficientNet-Lite0: equal to the published network, without parameters, file errors.

tests/fixtures/feature_network.npz has every 17th feature of the original package with its original
32-bit weights, for three batches of images; scripts/convert_feature_weights.py writes it.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from get3d.core import ModelError
from get3d.models import FeatureNetwork, feature_network, load_feature_network

FIXTURE = Path(__file__).parents[1] / "fixtures" / "feature_network.npz"
WEIGHTS = Path(feature_network.__file__).parent / "weights" / "efficientnet-lite0.safetensors"
# Half precision is off by up to 2^-11 (0.05 %) per weight. Over 46 layers the root mean square
# error of the features grows to 0.15 to 0.29 % of their root mean square.
HALF_PRECISION_ERROR = 0.005

Tensors = dict[str, Tensor]


@pytest.fixture(scope="module")
def network() -> FeatureNetwork:
    return load_feature_network("imagenet")


def striped_images(number: int) -> Tensor:
    with np.load(FIXTURE) as recorded:
        return torch.from_numpy(recorded[f"images_u8_{number}"]).float() / 127.5 - 1.0


def relative_error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("number", [0, 1, 2], ids=["64x64", "96x128", "45x70"])
def test_features_are_those_of_the_original_network(network: FeatureNetwork, number: int) -> None:
    images = striped_images(number)
    features = network(images)
    for level, (found, channels) in enumerate(zip(features, network.channels, strict=True)):
        stride = network.strides[level]
        height, width = (-(-size // stride) for size in images.shape[2:])
        assert found.shape == (len(images), channels, height, width)
        with np.load(FIXTURE) as recorded:
            expected = torch.from_numpy(recorded[f"features_{number}_{level}"])
        assert relative_error(found.flatten()[::17], expected) < HALF_PRECISION_ERROR


@pytest.mark.parametrize("number", [0, 1, 2])
def test_layers_are_those_of_the_installed_package(number: int) -> None:
    """With our weights in it and batch norms that do nothing, the package returns the same."""
    package = pytest.importorskip("efficientnet_lite_pytorch")
    original = package.EfficientNet.from_name("efficientnet-lite0", image_size=None).eval()
    ours = load_feature_network("imagenet")
    original.requires_grad_(False)

    def copy(layer: nn.Module, conv: nn.Module, norm: nn.Module, factor: float = 1.0) -> None:
        conv.weight.copy_(layer.weight * factor)
        norm.running_mean.zero_()
        norm.running_var.fill_(1.0 - norm.eps)
        norm.weight.fill_(1.0)
        norm.bias.copy_(layer.bias)

    copy(ours.stem, original._conv_stem, original._bn0, 128.0 / 127.5)
    for block, theirs in zip(ours.blocks, original._blocks, strict=True):
        if block.expand is not None:
            copy(block.expand, theirs._expand_conv, theirs._bn0)
        copy(block.depthwise, theirs._depthwise_conv, theirs._bn1)
        copy(block.project, theirs._project_conv, theirs._bn2)

    images = striped_images(number)
    x = ((images + 1.0) * 127.5 - 127.0) / 128.0
    x = original._swish(original._bn0(original._conv_stem(x)))
    outputs = [x := block(x) for block in original._blocks]
    expected = [outputs[index] for index in (2, 4, 10, 15)]
    for found, wanted in zip(ours(images), expected, strict=True):
        assert relative_error(found, wanted) < 1e-5  # roundings of 32 bits, 6e-8, over 46 layers


def test_nothing_is_trained_or_saved_but_everything_moves(network: FeatureNetwork) -> None:
    parent = nn.Sequential(network)
    assert parent.state_dict() == {}
    assert list(parent.parameters()) == []
    assert not any(buffer.requires_grad for buffer in network.buffers())
    assert all(buffer.dtype == torch.float32 for buffer in network.buffers())
    moved = FeatureNetwork().to("meta")
    assert all(buffer.is_meta for buffer in moved.buffers())


def test_training_mode_changes_nothing() -> None:
    network = load_feature_network("imagenet")
    images = striped_images(0)
    for one, other in zip(network.eval()(images), network.train()(images), strict=True):
        assert torch.equal(one, other)


def test_the_gradient_reaches_the_images(network: FeatureNetwork) -> None:
    images = striped_images(0)[:1, :, :32, :40].clone().requires_grad_()

    def total(images: Tensor) -> Tensor:
        return torch.stack([features.square().mean() for features in network(images)]).sum()

    (gradient,) = torch.autograd.grad(total(images), images)
    assert (gradient != 0).all()
    step = 1e-4 * gradient / gradient.norm()
    with torch.no_grad():
        difference = float(total(images + step) - total(images - step))
    # A difference of 0.03 of totals of 379 in 32 bits: known to about 0.5 %. A longer step crosses
    # more corners of ReLU6.
    assert difference == pytest.approx(2.0 * float((gradient * step).sum()), rel=0.02)


def test_a_gradient_penalty_can_be_taken_through_it(network: FeatureNetwork) -> None:
    images = striped_images(0)[:1, :, :32, :32].clone().requires_grad_()
    head = torch.full((320,), 0.1, requires_grad=True)
    logits = network(images)[3].mean((2, 3)) @ head
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    gradient.square().sum().backward()
    assert head.grad is not None
    assert head.grad.abs().sum() > 0


@pytest.mark.parametrize("size", [(31, 64), (64, 31)])
def test_small_images_raise(network: FeatureNetwork, size: tuple[int, int]) -> None:
    with pytest.raises(
        ValueError, match=rf"must be 32 x 32 pixels or more, got {size[0]} x {size[1]}"
    ):
        network(torch.zeros(1, 3, *size))


def test_weights_may_come_from_a_file(network: FeatureNetwork, tmp_path: Path) -> None:
    wide = {name: value.float() for name, value in load_file(WEIGHTS).items()}
    save_file(wide, tmp_path / "own.safetensors")
    own = load_feature_network(str(tmp_path / "own.safetensors"))
    for (name, one), (_, other) in zip(own.named_buffers(), network.named_buffers(), strict=True):
        assert torch.equal(one, other), name


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for source in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(FileNotFoundError, match=r"no such file.*use \"imagenet\"") as caught:
            load_feature_network(str(source))
        assert str(caught.value).startswith(str(source))


def test_a_damaged_file_raises(tmp_path: Path) -> None:
    file = tmp_path / "damaged.safetensors"
    for content in (b"", b"no tensors", WEIGHTS.read_bytes()[:-100]):
        file.write_bytes(content)
        with pytest.raises(ModelError, match=r"damaged.safetensors: no weights of eff.*use \"im"):
            load_feature_network(str(file))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("stem.bias"), "stem.bias is missing"),
        (lambda tensors: tensors.update(head=torch.zeros(1)), "head is unexpected"),
        (
            lambda tensors: tensors.update({"stem.bias": torch.zeros(31)}),
            r"stem.bias has the shape \(31,\), not \(32,\)",
        ),
        (
            lambda tensors: tensors.update({"stem.bias": torch.zeros(32, dtype=torch.int32)}),
            "stem.bias has values that are not finite floating-point numbers",
        ),
        (
            lambda tensors: tensors["stem.bias"].fill_(torch.nan),
            "stem.bias has values that are not finite",
        ),
        (
            lambda tensors: tensors["stem.bias"].fill_(torch.inf),
            "stem.bias has values that are not finite",
        ),
    ],
    ids=["missing", "unexpected", "shape", "type", "nan", "infinite"],
)
def test_other_tensors_raise(
    change: Callable[[Tensors], object], message: str, tmp_path: Path
) -> None:
    tensors = load_file(WEIGHTS)
    change(tensors)
    save_file(tensors, tmp_path / "other.safetensors")
    with pytest.raises(ModelError, match=message) as caught:
        load_feature_network(str(tmp_path / "other.safetensors"))
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(str(tmp_path / "other.safetensors"))


def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(file: Path) -> None:
        raise PermissionError("Permission denied (os error 13)")  # so safetensors says it

    file = tmp_path / "secret.safetensors"
    file.touch()
    monkeypatch.setattr(feature_network, "load_file", fail)
    with pytest.raises(OSError, match=r"secret\.safetensors: cannot be read \(Permission denied"):
        load_feature_network(str(file))


def test_a_fingerprint_is_of_the_weights(network: FeatureNetwork) -> None:
    other = load_feature_network("imagenet")
    assert other.fingerprint == network.fingerprint
    other.stem.bias[0] += 1
    assert other.fingerprint != network.fingerprint
