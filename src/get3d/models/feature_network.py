"""The frozen ImageNet network of a projected GAN (Sauer et al. 2021): EfficientNet-Lite0.

It ends with the last block (Tan and Le 2019; no squeeze-and-excite, ReLU6), and its convolutions
have the batch normalisation after them in their weights.
"""

import hashlib
from importlib.resources import files
from pathlib import Path
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from get3d.core import ModelError
from get3d.models.layers import Stack

_NAME = "efficientnet-lite0"
# Per stage: blocks, kernel, stride, expansion, channels.
_STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80),
           (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320))  # fmt: skip

FeatureMaps = tuple[
    Float[Tensor, "n 24 h4 w4"],
    Float[Tensor, "n 40 h8 w8"],
    Float[Tensor, "n 112 h16 w16"],
    Float[Tensor, "n 320 h32 w32"],
]
"""Features at strides 4, 8, 16 and 32; sizes are rounded up at each halving."""


def load_feature_network(source: str) -> "FeatureNetwork":
    """Load the frozen network, on the CPU and in float32.

    Args:
        source: "imagenet" for the weights that ship with get3d, or the path of a .safetensors file
            with the same tensors (scripts/convert_feature_weights.py).

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If the file cannot be read.
        ModelError: If the file is damaged or holds other tensors.
    """
    is_bundled = source == "imagenet"
    bundled = Path(str(files("get3d.models"))) / "weights" / f"{_NAME}.safetensors"
    file = bundled if is_bundled else Path(source)
    fix = "install get3d again" if is_bundled else 'get another copy, or use "imagenet"'
    if not file.is_file():
        raise FileNotFoundError(
            f"{file}: no such file of {_NAME} weights; "
            + (
                fix
                if is_bundled
                else 'give discriminator.features the path where it is, or use "imagenet"'
            )
        )
    network = FeatureNetwork()
    expected = dict(network.named_buffers())
    try:
        tensors = load_file(file)
        for name in sorted(expected.keys() | tensors.keys()):
            if name not in tensors or name not in expected:
                raise ModelError(f"{name} is {'unexpected' if name in tensors else 'missing'}")
            found, wanted = tuple(tensors[name].shape), tuple(expected[name].shape)
            if found != wanted:
                raise ModelError(f"{name} has the shape {found}, not {wanted}")
            expected[name].copy_(tensors[name])
            if not (tensors[name].is_floating_point() and expected[name].isfinite().all()):
                raise ModelError(f"{name} has values that are not finite floating-point numbers")
    except OSError as error:  # safetensors does not name the file
        raise OSError(f"{file}: cannot be read ({error}); {fix}") from error
    except (SafetensorError, ModelError) as error:
        reason = " ".join(str(error).split())[:200]  # in one line
        raise ModelError(f"{file}: no weights of {_NAME} ({reason}); {fix}") from error
    return network


class FeatureNetwork(nn.Module):
    """EfficientNet-Lite0 up to its last block; its weights come from `load_feature_network`.

    Weights are non-persistent buffers: they move with `.to(device)`, are in no state dict and get
    no gradient. Gradients flow to the images. Training and evaluation mode are the same.

    Attributes:
        strides: Strides of the feature maps.
        channels: Channels of the feature maps.
        min_size: Least width and height of images, in pixels.
    """

    strides: ClassVar[tuple[int, ...]] = (4, 8, 16, 32)
    channels: ClassVar[tuple[int, ...]] = (24, 40, 112, 320)
    min_size: ClassVar[int] = 32

    def __init__(self) -> None:
        """Build the layers, with weights of zero."""
        super().__init__()
        self.stem = _FoldedConv(32, 3, kernel=3, stride=2)
        width, blocks = 32, list[_Block]()
        for count, kernel, stride, expansion, channels in _STAGES:
            for index in range(count):
                once = 1 if index else stride
                blocks.append(_Block(width, channels, kernel, stride=once, expansion=expansion))
                width = channels
        self.blocks: Stack[_Block] = Stack(blocks)

    @property
    def fingerprint(self) -> str:
        """Hash of the weights, 16 hexadecimal digits: the same whatever file they come from."""
        digest = hashlib.sha256()
        for name, values in sorted(self.named_buffers()):
            digest.update(name.encode() + values.cpu().numpy().tobytes())
        return digest.hexdigest()[:16]

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> FeatureMaps:
        """Compute the feature maps after blocks 2, 4, 10 and 15.

        Args:
            images: RGB in [-1, 1] of 32 x 32 pixels or more; they are not resized.

        Raises:
            ValueError: If the images are smaller.
        """
        if min(images.shape[2:]) < self.min_size:
            got = "{} x {}".format(*images.shape[2:])
            raise ValueError(f"images must be 32 x 32 pixels or more, got {got}; resize them first")
        # The published network takes (byte - 127) / 128. The shift is applied here, before zero
        # padding; the factor 127.5 / 128 is in the stem's weights. All layers keep channels last.
        x = (images + 1.0 / 255.0).contiguous(memory_format=torch.channels_last)
        x = F.relu6(self.stem(x), inplace=True)
        outputs = [x := block(x) for block in self.blocks]
        return cast("FeatureMaps", tuple(outputs[index] for index in (2, 4, 10, 15)))


class _Block(nn.Module):
    """Inverted residual block (MBConv): expand, depthwise convolution, project."""

    def __init__(self, narrow: int, out: int, kernel: int, *, stride: int, expansion: int) -> None:
        super().__init__()
        wide = narrow * expansion
        self.expand = _FoldedConv(wide, narrow) if expansion > 1 else None
        self.depthwise = _FoldedConv(wide, 1, kernel=kernel, stride=stride)
        self.project = _FoldedConv(out, wide)
        self.is_residual = stride == 1 and narrow == out

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        # In place: the backward pass of a convolution does not need its output.
        y = x if self.expand is None else F.relu6(self.expand(x), inplace=True)
        y = self.project(F.relu6(self.depthwise(y), inplace=True))
        return y.add_(x) if self.is_residual else y


class _FoldedConv(nn.Module):
    """Convolution with folded batch normalisation, padded as in TensorFlow ("same")."""

    weight: Float[Tensor, "c2 c_per_group kernel kernel"]
    bias: Float[Tensor, " c2"]

    def __init__(self, out: int, in_per_group: int, *, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        for name, shape in (("weight", (out, in_per_group, kernel, kernel)), ("bias", (out,))):
            self.register_buffer(name, torch.zeros(shape), persistent=False)
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        padding, groups = self.kernel // 2, x.shape[1] // self.weight.shape[1]
        if self.stride == 2:  # ceil(size / 2) pixels; if padding is odd, the end gets more
            rows, columns = (self.kernel - 2 + size % 2 for size in x.shape[2:])
            edges = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
            x, padding = F.pad(x, edges), 0
        return F.conv2d(x, self.weight, self.bias, self.stride, padding, groups=groups)
