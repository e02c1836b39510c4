"""Heads on frozen features: constant and trained weights, and a plain implementation."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from get3d.core import Images
from get3d.models import DiscriminatorConfig, DiscriminatorPair, load_feature_network
from get3d.models.discriminator import encode_angles
from get3d.models.feature_discriminator import FeatureDiscriminator, FeatureProjection

TINY = {"image_size": 32, "channel_base": 64, "channel_max": 8, "feature_image_size": 64}


def make(*, seed: int = 0, **changes: object) -> DiscriminatorPair:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return DiscriminatorPair(DiscriminatorConfig(**({"features": "imagenet"} | TINY | changes)))


def batch(num: int = 2, size: int = 32) -> tuple[Images, Tensor]:
    rng = torch.Generator().manual_seed(0)
    images = Images(
        torch.rand(num, 3, size, size, generator=rng) * 2 - 1,
        torch.rand(num, 1, size, size, generator=rng),
    )
    return images, torch.rand(num, 2, generator=rng)


def test_mixing_weights_are_fixed_and_saved() -> None:
    one, other = make(seed=0), make(seed=1)
    assert one.features is not None
    assert other.features is not None
    ours, theirs = one.features.project.state_dict(), other.features.project.state_dict()
    assert set(ours) == {f"{kind}{level}" for kind in ("channels", "scales") for level in range(4)}
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert {f"features.project.{name}" for name in ours} <= set(one.state_dict())
    assert not list(one.features.project.parameters())
    heads = [next(each.features.heads.parameters()) for each in (one, other)]
    assert not torch.equal(*heads)


def test_the_frozen_network_is_neither_saved_nor_trained() -> None:
    discriminator = make()
    assert discriminator.features is not None
    network = discriminator.features.project.network
    size = sum(tensor.numel() for tensor in network.buffers())
    assert sum(tensor.numel() for tensor in discriminator.state_dict().values()) < size / 2
    assert not any("network" in name for name in discriminator.state_dict())
    before = [buffer.clone() for buffer in network.buffers()]
    images, angles = batch()
    logits = discriminator(images, angles)
    assert logits.features is not None
    logits.features.sum().backward()
    assert all(p.grad is not None for p in discriminator.features.parameters())
    assert all(buffer.grad is None for buffer in discriminator.features.project.buffers())
    assert all(torch.equal(a, b) for a, b in zip(before, network.buffers(), strict=True))


def test_none_is_as_published() -> None:
    discriminator = make(features="none")
    images, angles = batch()
    assert discriminator.features is None
    assert discriminator.project(images.rgb) == []
    assert discriminator(images, angles).features is None
    assert not any(name.startswith("features") for name in discriminator.state_dict())
    # The heads are drawn last: the other networks start alike with and without them.
    with_features = make().state_dict()
    for name, value in discriminator.state_dict().items():
        assert torch.equal(value, with_features[name])


@pytest.mark.parametrize(
    ("feature_image_size", "patches"),
    [
        (32, 16 + 16 + 4 + 1),  # maps of 8, 4, 2 and 1; only the first is halved
        (64, 16 + 16 + 16 + 4),
        (128, 4 * 16),
        (100, 3 * 9 + 16),  # 25, 13, 7 and 4; halves are rounded down
    ],
)
def test_patches(feature_image_size: int, patches: int) -> None:
    images, angles = batch(1)
    logits = make(feature_image_size=feature_image_size)(images, angles)
    assert logits.features is not None
    assert logits.features.shape == (1, patches)


@pytest.mark.parametrize("feature_image_size", [32, 100, 128, 129, 224, 256])
def test_images_of_every_coarse_size(feature_image_size: int) -> None:
    discriminator = make(image_size=64, feature_image_size=feature_image_size)
    for size in (32, 16, 8):
        images, angles = batch(2, size)
        logits = discriminator(images, angles)
        assert logits.features is not None
        assert logits.features.shape[1] >= 4  # one a level at least
        assert logits.features.isfinite().all()


@pytest.mark.parametrize(
    ("feature_image_size", "image_size", "size"),
    [(64, 32, 64), (64, 16, 32), (64, 8, 32), (128, 32, 128), (128, 16, 64), (256, 8, 64)],
)
def test_images_are_scaled_in_proportion(
    feature_image_size: int, image_size: int, size: int
) -> None:
    maps = make(feature_image_size=feature_image_size).project(batch(1, image_size)[0].rgb)
    assert [level.shape[-1] for level in maps] == [size // stride for stride in (4, 8, 16, 32)]


def test_large_images_are_shrunk_without_aliases() -> None:
    """Stripes of one pixel become grey at half the size."""
    network, seen = load_feature_network("imagenet"), []
    network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    stripes = torch.tensor([1.0, -1.0]).repeat(32).expand(1, 3, 64, 64)
    FeatureProjection(network, magnification=0.5, min_size=32)(stripes)
    assert seen[0].shape == (1, 3, 32, 32)
    assert seen[0][..., 1:-1].abs().max() < 1e-6


def test_cameras_matter_only_with_the_condition() -> None:
    images, angles = batch()
    for condition in (True, False):
        discriminator = make(camera_condition=condition).eval()
        one, other = (discriminator(images, each).features for each in (angles, angles + 1))
        assert one is not None
        assert other is not None
        assert torch.equal(one, other) != condition


def test_features_may_be_handed_over() -> None:
    discriminator = make().eval()
    images, angles = batch()
    computed = discriminator(images, angles)
    handed = discriminator(images, angles, discriminator.project(images.rgb))
    assert computed.features is not None
    assert handed.features is not None
    assert torch.equal(computed.features, handed.features)
    assert torch.equal(computed.rgb, handed.rgb)


def test_silhouettes_do_not_matter_to_the_heads() -> None:
    discriminator = make(rgb_sees_mask=True).eval()
    images, angles = batch()
    other = discriminator(Images(images.rgb, 1 - images.mask), angles)
    expected = discriminator(images, angles).features
    assert expected is not None
    assert other.features is not None
    assert torch.equal(other.features, expected)


def plain_logits(features: FeatureDiscriminator, rgb: Tensor, angles: Tensor) -> Tensor:
    """Compute the heads' logits with functions alone, from the state dict's tensors.

    Spectral norms are u W v, with the vectors as they are (evaluation mode).
    """
    state = features.state_dict(keep_vars=True)

    def weight(name: str) -> Tensor:
        matrix = state[f"{name}.parametrizations.weight.original"]
        u, v = (state[f"{name}.parametrizations.weight.0._{each}"] for each in "uv")
        return matrix / (u @ matrix.flatten(1) @ v)

    size = 64 * rgb.shape[-1] // 32
    maps = features.project.network(F.interpolate(rgb, size=(size, size), mode="bilinear"))
    logits, coarser = {}, None
    for level in (3, 2, 1, 0):
        x = F.conv2d(maps[level], state[f"project.channels{level}"])
        if coarser is not None:
            x = x + F.interpolate(coarser, scale_factor=2, mode="bilinear")
        coarser = x = F.conv2d(x, state[f"project.scales{level}"], padding=1)
        head, index = f"heads.{level}", 0
        for _ in range((2, 1, 0, 0)[level]):  # maps of 16, 8, 4 and 2
            layer, norm = f"{head}.layers.{index}", f"{head}.layers.{index + 1}"
            x = F.conv2d(x, weight(layer), state[f"{layer}.bias"], stride=2, padding=1)
            x = F.group_norm(x, 8, state[f"{norm}.weight"], state[f"{norm}.bias"])
            x, index = F.leaky_relu(x, 0.2), index + 3
        layer = f"{head}.layers.{index}"
        x = F.leaky_relu(F.conv2d(x, weight(layer), state[f"{layer}.bias"], padding=1), 0.2)
        out = F.conv2d(x, weight(f"{head}.out"), state[f"{head}.out.bias"])[:, 0]
        camera = encode_angles(angles) @ state[f"{head}.camera.weight"].T
        camera = camera + state[f"{head}.camera.bias"]
        out = out + torch.einsum("nchw,nc->nhw", x, camera) / math.sqrt(64)
        logits[level] = out.flatten(1)
    return torch.cat([logits[level] for level in range(4)], 1)


def test_a_plain_version_has_the_same_loss_and_gradients() -> None:
    discriminator = make().double().eval()
    features = discriminator.features
    assert features is not None
    images, angles = batch()
    rgb, angles = images.rgb.double().requires_grad_(), angles.double()
    ours = F.softplus(-features(features.project(rgb), encode_angles(angles))).mean()
    theirs = F.softplus(-plain_logits(features, rgb, angles)).mean()
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=0)
    inputs = (rgb, *features.parameters())
    for one, other in zip(
        torch.autograd.grad(ours, inputs), torch.autograd.grad(theirs, inputs), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-12)


def test_impossible_sizes_raise() -> None:
    with pytest.raises(ValueError, match="feature_image_size must be at least 32, got 31"):
        DiscriminatorConfig(feature_image_size=31)


def test_images_may_be_smaller_than_the_frozen_network_takes() -> None:
    images, angles = batch(2, 8)
    logits = make(image_size=8, feature_image_size=32)(images, angles)
    assert logits.features is not None
    assert logits.features.shape == (2, 37)


@pytest.mark.parametrize("size", [2049, 10**9])
def test_feature_images_are_not_too_large(size: int) -> None:
    with pytest.raises(ValueError, match=f"feature_image_size must be at most 2048, got {size}"):
        DiscriminatorConfig(feature_image_size=size)


@pytest.mark.parametrize("features", ["", " "])
def test_features_need_a_name(features: str) -> None:
    with pytest.raises(ValueError, match=r'features must be "none", "imagenet" or the path'):
        DiscriminatorConfig(features=features)
