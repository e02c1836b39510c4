"""The feature network that ships with get3d: a small classifier of procedural shapes.

It was trained to classify category and attributes of the shapes of `get3d shapes` from renders on
black (scripts/train_shape_features.py). Scores of its features are called fd_shapes and kd_shapes:
they compare models trained on similar data, and are not the FID.
"""

import json
from importlib.resources import files
from json import JSONDecodeError
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from get3d.core import ModelError, atomic_path
from get3d.core.weights import fingerprint
from get3d.metrics.features import FeatureExtractor

SHAPE_FEATURES_NAME = "get3d-shape-features-1"
"""Name of the network; its number counts up when weights or layers change, as scores change too."""

IMAGE_SIZE, DIM = 96, 256
_WIDTHS = (32, 64, 128, DIM)

Heads = dict[str, tuple[str, ...]]
"""Values of each attribute, by name: "category", and "chair/legs" for an attribute of chairs."""


def load_shape_features(*, device: torch.device | str) -> FeatureExtractor:
    """Load the shipped feature network: 256 features of images of any size, on black.

    Args:
        device: Device of the network.

    Raises:
        FileNotFoundError: If this build of get3d ships without it.
        ModelError: If its file is damaged.
    """
    network = load_shape_network(device=device)
    return FeatureExtractor(
        name=SHAPE_FEATURES_NAME,
        dim=DIM,
        resize=f"{IMAGE_SIZE} x {IMAGE_SIZE}, mean of areas",
        fingerprint=fingerprint(network),
        network=network,
        images_at_once=256,
    )


def load_shape_network(
    path: Path | str | None = None, *, device: torch.device | str
) -> "ShapeNetwork":
    """Load the network with its classifiers.

    Args:
        path: File from `save_shape_network`; None for the shipped one.
        device: Device of the network.

    Raises:
        FileNotFoundError: If there is no such file.
        ModelError: If it is damaged or holds another network.
    """
    file = shipped_weights() if path is None else Path(path)
    if not file.is_file():
        raise FileNotFoundError(
            f"{file}: no such file; this network is made by scripts/train_shape_features.py and "
            "ships with releases of get3d"
        )
    try:
        with safe_open(file, framework="pt") as content:
            metadata = content.metadata() or {}
            tensors = {name: content.get_tensor(name).float() for name in content.keys()}  # noqa: SIM118
        heads = {name: tuple(values) for name, values in json.loads(metadata["heads"]).items()}
        if metadata.get("name") != SHAPE_FEATURES_NAME:
            raise ModelError(f"it is {metadata.get('name')}, this get3d uses {SHAPE_FEATURES_NAME}")
        network = ShapeNetwork(heads)
        network.load_state_dict(tensors, strict=True)
    except (SafetensorError, KeyError, JSONDecodeError, ModelError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"{file}: no weights of {SHAPE_FEATURES_NAME} ({reason}); install get3d again"
        ) from error
    return network.to(device).eval().requires_grad_(False)


def save_shape_network(network: "ShapeNetwork", path: Path | str) -> None:
    """Write a network atomically, with its weights rounded to float16.

    Args:
        network: Network whose weights are in the range of float16.
        path: Path of a .safetensors file.
    """
    metadata = {"name": SHAPE_FEATURES_NAME, "heads": json.dumps(network.heads)}
    tensors = {
        name: value.half().contiguous().cpu() for name, value in network.state_dict().items()
    }
    with atomic_path(path) as temp_path:
        temp_path.touch()
        mode = temp_path.stat().st_mode
        save_file(tensors, temp_path, metadata=metadata)
        temp_path.chmod(mode)  # safetensors makes it readable by the owner alone


def shipped_weights() -> Path:
    """Return the path of the shipped network."""
    return Path(str(files("get3d.metrics"))) / "weights" / f"{SHAPE_FEATURES_NAME}.safetensors"


def resize_by_area(images: Float[Tensor, "n c h w"], size: int) -> Float[Tensor, "n c size size"]:
    """Resize images by area: every output pixel is the exact mean of the area that it covers.

    Args:
        images: Images in any range.
        size: Height and width of the result, in pixels.

    Example:
        >>> resize_by_area(torch.tensor([[[[0.0, 3.0, 6.0]]]]), 2)[0, 0, 0]
        tensor([1., 5.])
    """
    for axis in (2, 3):
        length = images.shape[axis]
        if length != size:
            edges = torch.arange(size + 1, dtype=torch.float64) * (length / size)
            starts = torch.arange(length, dtype=torch.float64)
            overlap = torch.minimum(edges[1:, None], starts + 1.0) - torch.maximum(
                edges[:-1, None], starts
            )
            weight = (overlap.clamp(min=0.0) * (size / length)).to(images)
            images = torch.tensordot(images, weight, dims=([axis], [1])).movedim(-1, axis)
    return images


class ShapeNetwork(nn.Module):
    """Residual network of 1.2 million weights (He et al. 2016), with a classifier per attribute.

    Attributes:
        heads: Values of each attribute.
    """

    def __init__(self, heads: Heads) -> None:
        """Draw the weights.

        Args:
            heads: Values of each attribute, in the order of the classifiers.
        """
        super().__init__()
        self.heads = heads
        self.stem = nn.Conv2d(3, _WIDTHS[0], 3, stride=2, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(_WIDTHS[0])
        before = (_WIDTHS[0], *_WIDTHS[:-1])
        self.blocks = nn.Sequential(
            *(
                _Block(narrow, wide, stride=1 if index == 0 else 2)
                for index, (narrow, wide) in enumerate(zip(before, _WIDTHS, strict=True))
            )
        )
        self.classifier = nn.Linear(DIM, sum(len(values) for values in heads.values()))

    def forward(self, images_u8: UInt8[Tensor, "n 3 h w"]) -> Float[Tensor, "n 256"]:
        """Compute the features of images in bytes, of any size."""
        return self.encode(resize_by_area(images_u8.float() / 127.5 - 1.0, IMAGE_SIZE))

    def encode(self, images: Float[Tensor, "n 3 96 96"]) -> Float[Tensor, "n 256"]:
        """Compute the features of images in [-1, 1]."""
        x = F.relu(self.stem_norm(self.stem(images)))
        features: Tensor = self.blocks(x).mean((2, 3))
        return features

    def classify(self, features: Float[Tensor, "n 256"]) -> dict[str, Float[Tensor, "n _"]]:
        """Classify every attribute.

        Args:
            features: Features from `encode`.

        Returns:
            Logits of the values of each attribute, in the order of `heads`.
        """
        sizes = [len(values) for values in self.heads.values()]
        logits = self.classifier(features).split(sizes, dim=1)
        return dict(zip(self.heads, logits, strict=True))


class _Block(nn.Module):
    """Residual block of two convolutions."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.norm_1 = nn.BatchNorm2d(out_channels)
        self.conv_2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm_2 = nn.BatchNorm2d(out_channels)
        self.shortcut = (
            nn.Identity()
            if in_channels == out_channels
            else nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)
        )

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h2 w2"]:
        y = F.relu(self.norm_1(self.conv_1(x)))
        return F.relu(self.norm_2(self.conv_2(y)) + self.shortcut(x))
