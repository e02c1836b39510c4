"""The FID's network against its published layout, and its resizing against a slow oracle."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from get3d.metrics.features import FeatureExtractor
from get3d.metrics.inception import FILE_URLS, INCEPTION_NAME, load_inception
from get3d.metrics.inception_network import InceptionV3, resize_like_tensorflow_1


def published_layout() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the published file: rows of (name, out, in, kernel height, width)."""
    rows: list[tuple[str, int, int, int, int]] = [
        ("Conv2d_1a_3x3", 32, 3, 3, 3),
        ("Conv2d_2a_3x3", 32, 32, 3, 3),
        ("Conv2d_2b_3x3", 64, 32, 3, 3),
        ("Conv2d_3b_1x1", 80, 64, 1, 1),
        ("Conv2d_4a_3x3", 192, 80, 3, 3),
    ]
    for name, wide, pool in (("5b", 192, 32), ("5c", 256, 64), ("5d", 288, 64)):
        rows += [
            (f"Mixed_{name}.branch1x1", 64, wide, 1, 1),
            (f"Mixed_{name}.branch5x5_1", 48, wide, 1, 1),
            (f"Mixed_{name}.branch5x5_2", 64, 48, 5, 5),
            (f"Mixed_{name}.branch3x3dbl_1", 64, wide, 1, 1),
            (f"Mixed_{name}.branch3x3dbl_2", 96, 64, 3, 3),
            (f"Mixed_{name}.branch3x3dbl_3", 96, 96, 3, 3),
            (f"Mixed_{name}.branch_pool", pool, wide, 1, 1),
        ]
    rows += [
        ("Mixed_6a.branch3x3", 384, 288, 3, 3),
        ("Mixed_6a.branch3x3dbl_1", 64, 288, 1, 1),
        ("Mixed_6a.branch3x3dbl_2", 96, 64, 3, 3),
        ("Mixed_6a.branch3x3dbl_3", 96, 96, 3, 3),
    ]
    for name, c in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
        rows += [
            (f"Mixed_{name}.branch1x1", 192, 768, 1, 1),
            (f"Mixed_{name}.branch7x7_1", c, 768, 1, 1),
            (f"Mixed_{name}.branch7x7_2", c, c, 1, 7),
            (f"Mixed_{name}.branch7x7_3", 192, c, 7, 1),
            (f"Mixed_{name}.branch7x7dbl_1", c, 768, 1, 1),
            (f"Mixed_{name}.branch7x7dbl_2", c, c, 7, 1),
            (f"Mixed_{name}.branch7x7dbl_3", c, c, 1, 7),
            (f"Mixed_{name}.branch7x7dbl_4", c, c, 7, 1),
            (f"Mixed_{name}.branch7x7dbl_5", 192, c, 1, 7),
            (f"Mixed_{name}.branch_pool", 192, 768, 1, 1),
        ]
    rows += [
        ("Mixed_7a.branch3x3_1", 192, 768, 1, 1),
        ("Mixed_7a.branch3x3_2", 320, 192, 3, 3),
        ("Mixed_7a.branch7x7x3_1", 192, 768, 1, 1),
        ("Mixed_7a.branch7x7x3_2", 192, 192, 1, 7),
        ("Mixed_7a.branch7x7x3_3", 192, 192, 7, 1),
        ("Mixed_7a.branch7x7x3_4", 192, 192, 3, 3),
    ]
    for name, wide in (("7b", 1280), ("7c", 2048)):
        rows += [
            (f"Mixed_{name}.branch1x1", 320, wide, 1, 1),
            (f"Mixed_{name}.branch3x3_1", 384, wide, 1, 1),
            (f"Mixed_{name}.branch3x3_2a", 384, 384, 1, 3),
            (f"Mixed_{name}.branch3x3_2b", 384, 384, 3, 1),
            (f"Mixed_{name}.branch3x3dbl_1", 448, wide, 1, 1),
            (f"Mixed_{name}.branch3x3dbl_2", 384, 448, 3, 3),
            (f"Mixed_{name}.branch3x3dbl_3a", 384, 384, 1, 3),
            (f"Mixed_{name}.branch3x3dbl_3b", 384, 384, 3, 1),
            (f"Mixed_{name}.branch_pool", 192, wide, 1, 1),
        ]
    layout: dict[str, tuple[int, ...]] = {"fc.weight": (1008, 2048), "fc.bias": (1008,)}
    for name, out, into, height, width in rows:
        layout[f"{name}.conv.weight"] = (out, into, height, width)
        for part in ("weight", "bias", "running_mean", "running_var"):
            layout[f"{name}.bn.{part}"] = (out,)
    return layout


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    """Random weights in the published layout, scaled so that signals neither die nor explode."""
    random = torch.Generator().manual_seed(0)
    tensors = {}
    for name, shape in published_layout().items():
        if name.endswith("conv.weight"):
            scale = math.sqrt(2 / math.prod(shape[1:]))
            tensors[name] = torch.randn(shape, generator=random) * scale
        else:
            is_one = name.endswith(("running_var", "bn.weight"))
            tensors[name] = torch.full(shape, float(is_one))
    return tensors


@pytest.fixture(scope="module")
def extractor(weights, tmp_path_factory) -> FeatureExtractor:
    path = tmp_path_factory.mktemp("weights") / "inception.safetensors"
    save_file(weights, path)
    return load_inception(path, device="cpu")


def make_images(num: int, size: int = 40) -> torch.Tensor:
    random = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (num, 3, size, size), dtype=torch.uint8, generator=random)


def test_layout_is_the_published_one() -> None:
    with torch.device("meta"):
        network = InceptionV3()
    state = network.state_dict()
    found = {name: tuple(state[name].shape) for name in state if "num_batches" not in name}
    assert found == published_layout()
    assert sum(parameter.numel() for parameter in network.parameters()) == 23_850_960
    assert all(m.eps == 1e-3 for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d))


def test_features(extractor) -> None:
    images = make_images(3)
    features = extractor(images)
    assert features.shape == (3, 2048)
    assert features.dtype == torch.float32
    assert features.isfinite().all()
    assert features.std(0).mean() > 1e-3  # images differ
    assert extractor.dim == 2048
    assert extractor.name == INCEPTION_NAME
    one_by_one = torch.cat([extractor(image[None]) for image in images])
    torch.testing.assert_close(features, one_by_one, rtol=1e-4, atol=1e-5)


def test_pooling_leaves_out_what_is_outside(extractor) -> None:
    # With a constant input, an average that counted zeros outside would darken the border.
    block = extractor.network.Mixed_5b
    constant = torch.ones(1, 192, 7, 7)
    pooled = block(constant)[:, -32:]
    torch.testing.assert_close(pooled, pooled[:, :, 3:4, 3:4].expand_as(pooled))


def test_last_block_pools_by_maximum(extractor) -> None:
    spike = torch.zeros(1, 2048, 5, 5)
    spike[:, :, 2, 2] = 9.0
    pooled = extractor.network.Mixed_7c(spike)[:, -192:]
    assert torch.equal(pooled[..., 1:4, 1:4], pooled[..., 2:3, 2:3].expand(1, 192, 3, 3))
    block = extractor.network.Mixed_7b
    constant = torch.ones(1, 1280, 5, 5)
    spiked = constant.clone()
    spiked[..., 2, 2] = 9.0
    ratio = block(spiked)[:, -192:, 1, 1] / block(constant)[:, -192:, 1, 1].clamp(min=1e-6)
    assert ratio[ratio > 0].median() == pytest.approx(17 / 9, rel=1e-4)  # (8 + 9) / 9


@pytest.mark.parametrize(("height", "width", "size"), [(5, 8, 13), (16, 9, 7), (11, 11, 11)])
def test_resize_against_a_slow_oracle(height, width, size) -> None:
    image = np.random.default_rng(0).uniform(0, 255, (height, width))
    slow = np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            y, x = i * height / size, j * width / size
            top, left = int(y), int(x)
            bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
            dy, dx = y - top, x - left
            upper = image[top, left] * (1 - dx) + image[top, right] * dx
            lower = image[bottom, left] * (1 - dx) + image[bottom, right] * dx
            slow[i, j] = upper * (1 - dy) + lower * dy
    fast = resize_like_tensorflow_1(torch.from_numpy(image)[None, None], size)[0, 0]
    np.testing.assert_allclose(fast.numpy(), slow, rtol=0, atol=1e-9)


@pytest.mark.parametrize("size", [64, 128, 512])
def test_resize_is_the_affine_grid_of_the_published_port(size) -> None:
    images = torch.rand(2, 3, size, size + 5, generator=torch.Generator().manual_seed(0))
    theta = torch.eye(2, 3)
    theta[0, 2] = 1 / (size + 5) - 1 / 299
    theta[1, 2] = 1 / size - 1 / 299
    grid = torch.nn.functional.affine_grid(
        theta.expand(2, 2, 3), [2, 3, 299, 299], align_corners=False
    )
    sampled = torch.nn.functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    # Positions of up to 512 pixels in float32.
    torch.testing.assert_close(
        resize_like_tensorflow_1(images, 299), sampled, rtol=0, atol=512 * 2e-7
    )


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(2, 1, 8, 8, dtype=torch.uint8), "3 channels.*grey"),
        (torch.zeros(2, 4, 8, 8, dtype=torch.uint8), "3 channels.*composite"),
        (torch.zeros(2, 8, 8, 3, dtype=torch.uint8), "3 channels.*permute"),
        (torch.zeros(2, 3, 8, 8), "must be bytes"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), "axes"),
        (torch.zeros(0, 3, 8, 8, dtype=torch.uint8), "at least one image"),
    ],
)
def test_other_images_raise(extractor, images, message) -> None:
    with pytest.raises(ValueError, match=message):
        extractor(images)


def test_found_in_the_cache_of_torch_hub(weights, tmp_path, monkeypatch, extractor) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"https://.*pth.*checkpoints.*fd_shapes"):
        load_inception(device="cpu")
    path = tmp_path / "hub" / "checkpoints" / next(iter(FILE_URLS))
    path.parent.mkdir(parents=True)
    counters = {
        name.replace("running_mean", "num_batches_tracked"): torch.tensor(0)
        for name in weights
        if name.endswith("running_mean")
    }
    torch.save(weights | counters, path)  # newer files count steps, older ones do not
    found = load_inception(device="cpu")
    assert found.fingerprint == extractor.fingerprint


def test_missing_file(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.pth: no such file; download https"):
        load_inception(tmp_path / "none.pth", device="cpu")


def test_torchvision_weights_raise(weights, tmp_path) -> None:
    path = tmp_path / "inception_v3_google-0cc3c7bd.pth"
    torch.save({"AuxLogits.conv0.conv.weight": torch.zeros(1), "fc.bias": torch.zeros(1000)}, path)
    with pytest.raises(ValueError, match="torchvision's ImageNet weights, not the FID weights"):
        load_inception(path, device="cpu")
    torch.save({"fc.weight": torch.zeros(1000, 2048)}, path)
    with pytest.raises(ValueError, match="torchvision's ImageNet weights, not the FID weights"):
        load_inception(path, device="cpu")


def test_other_files_are_refused_in_one_line(weights, tmp_path) -> None:
    def message(path: Path) -> str:
        with pytest.raises(ValueError, match=str(path.name)) as caught:
            load_inception(path, device="cpu")
        assert "\n" not in str(caught.value)
        return str(caught.value)

    other = {name: weights[name] for name in weights if "Mixed_7c" not in name}
    other["fc.bias"] = torch.zeros(7)
    other["fc.weight"] = torch.full((1008, 2048), torch.nan)
    save_file(other | {"head.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    text = message(tmp_path / "other.safetensors")
    assert "45 tensors missing, such as Mixed_7c" in text
    assert "1 tensors unexpected, such as head.weight" in text
    assert "1 tensors of another shape, such as fc.bias" in text
    assert "1 tensors not finite, such as fc.weight" in text
    for suffix in ("pth", "safetensors"):
        (tmp_path / f"cut.{suffix}").write_bytes(b"PK\x03\x04 not a file")
        assert "neither PyTorch nor safetensors can read" in message(tmp_path / f"cut.{suffix}")
    torch.save([1, 2], tmp_path / "list.pth")
    assert "holds no state dict" in message(tmp_path / "list.pth")
    torch.save({"code": Path}, tmp_path / "code.pth")
    assert "neither PyTorch nor safetensors can read" in message(tmp_path / "code.pth")
