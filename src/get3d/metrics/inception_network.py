"""The layers of Inception-v3 as in the TensorFlow graph of 2015 (Szegedy et al. 2015)."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

DIM, IMAGE_SIZE = 2048, 299
NUM_CLASSES = 1008  # of that graph; later ImageNet networks have 1000


def resize_like_tensorflow_1(
    images: Float[Tensor, "n c h w"], size: int
) -> Float[Tensor, "n c size size"]:
    """Resize bilinearly as `tf.image.resize_bilinear` of TensorFlow 1 did by default.

    Output pixel i samples input position i * in / out, not (i + 0.5) * in / out - 0.5, so the image
    is shifted by a fraction of a pixel, as in the published FID. There is no antialiasing.

    Args:
        images: Images in any range.
        size: Height and width of the result, in pixels.

    Example:
        >>> row = torch.tensor([0.0, 3.0, 6.0]).expand(1, 1, 3, 3)
        >>> resize_like_tensorflow_1(row, 2)[0, 0, 0]
        tensor([0.0000, 4.5000])
    """
    for axis in (3, 2):
        length = images.shape[axis]
        position = torch.arange(size, device=images.device, dtype=images.dtype) * (length / size)
        low = position.floor().long().clamp(max=length - 1)
        weight = (position - low).view(-1, *[1] * (3 - axis))
        before = images.index_select(axis, low)
        after = images.index_select(axis, (low + 1).clamp(max=length - 1))
        images = before + (after - before) * weight
    return images


class _Conv(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        *,
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, stride=stride, padding=padding, bias=False
        )
        self.bn = nn.BatchNorm2d(out_channels, eps=1e-3)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h2 w2"]:
        return F.relu(self.bn(self.conv(x)), inplace=True)


def _average_around(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Average 3 x 3 neighbours within the image, as in TensorFlow."""
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


class _BlockA(nn.Module):
    """35 x 35 pixels: 1 x 1, 5 x 5, twice 3 x 3, pooling (paper, figure 5)."""

    def __init__(self, in_channels: int, pool_channels: int) -> None:
        super().__init__()
        self.branch1x1 = _Conv(in_channels, 64, 1)
        self.branch5x5_1 = _Conv(in_channels, 48, 1)
        self.branch5x5_2 = _Conv(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = _Conv(in_channels, 64, 1)
        self.branch3x3dbl_2 = _Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = _Conv(96, 96, 3, padding=1)
        self.branch_pool = _Conv(in_channels, pool_channels, 1)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h w"]:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        pooled = self.branch_pool(_average_around(x))
        return torch.cat(
            [self.branch1x1(x), self.branch5x5_2(self.branch5x5_1(x)), double, pooled], 1
        )


class _BlockB(nn.Module):
    """From 35 x 35 to 17 x 17 pixels."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch3x3 = _Conv(in_channels, 384, 3, stride=2)
        self.branch3x3dbl_1 = _Conv(in_channels, 64, 1)
        self.branch3x3dbl_2 = _Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = _Conv(96, 96, 3, stride=2)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h2 w2"]:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, F.max_pool2d(x, 3, stride=2)], 1)


class _BlockC(nn.Module):
    """17 x 17 pixels: 7 x 7 as 1 x 7 and 7 x 1 (paper, figure 6)."""

    def __init__(self, in_channels: int, inner: int) -> None:
        super().__init__()
        row, column = ((1, 7), (0, 3)), ((7, 1), (3, 0))

        def conv(a: int, b: int, way: tuple[tuple[int, int], tuple[int, int]]) -> _Conv:
            return _Conv(a, b, way[0], padding=way[1])

        self.branch1x1 = _Conv(in_channels, 192, 1)
        self.branch7x7_1 = _Conv(in_channels, inner, 1)
        self.branch7x7_2 = conv(inner, inner, row)
        self.branch7x7_3 = conv(inner, 192, column)
        self.branch7x7dbl_1 = _Conv(in_channels, inner, 1)
        self.branch7x7dbl_2 = conv(inner, inner, column)
        self.branch7x7dbl_3 = conv(inner, inner, row)
        self.branch7x7dbl_4 = conv(inner, inner, column)
        self.branch7x7dbl_5 = conv(inner, 192, row)
        self.branch_pool = _Conv(in_channels, 192, 1)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h w"]:
        single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        pooled = self.branch_pool(_average_around(x))
        return torch.cat([self.branch1x1(x), single, double, pooled], 1)


class _BlockD(nn.Module):
    """From 17 x 17 to 8 x 8 pixels."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch3x3_1 = _Conv(in_channels, 192, 1)
        self.branch3x3_2 = _Conv(192, 320, 3, stride=2)
        self.branch7x7x3_1 = _Conv(in_channels, 192, 1)
        self.branch7x7x3_2 = _Conv(192, 192, (1, 7), padding=(0, 3))
        self.branch7x7x3_3 = _Conv(192, 192, (7, 1), padding=(3, 0))
        self.branch7x7x3_4 = _Conv(192, 192, 3, stride=2)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h2 w2"]:
        long = self.branch7x7x3_2(self.branch7x7x3_1(x))
        long = self.branch7x7x3_4(self.branch7x7x3_3(long))
        return torch.cat(
            [self.branch3x3_2(self.branch3x3_1(x)), long, F.max_pool2d(x, 3, stride=2)], 1
        )


class _BlockE(nn.Module):
    """8 x 8 pixels: branches that split in two (paper, figure 7)."""

    def __init__(self, in_channels: int, *, is_last: bool) -> None:
        super().__init__()
        self.is_last = is_last
        self.branch1x1 = _Conv(in_channels, 320, 1)
        self.branch3x3_1 = _Conv(in_channels, 384, 1)
        self.branch3x3_2a = _Conv(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3_2b = _Conv(384, 384, (3, 1), padding=(1, 0))
        self.branch3x3dbl_1 = _Conv(in_channels, 448, 1)
        self.branch3x3dbl_2 = _Conv(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = _Conv(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3dbl_3b = _Conv(384, 384, (3, 1), padding=(1, 0))
        self.branch_pool = _Conv(in_channels, 192, 1)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h w"]:
        single = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        # The graph of 2015 has max pooling in its last block and average pooling elsewhere.
        pooled = F.max_pool2d(x, 3, stride=1, padding=1) if self.is_last else _average_around(x)
        branches = [
            self.branch1x1(x),
            self.branch3x3_2a(single),
            self.branch3x3_2b(single),
            self.branch3x3dbl_3a(double),
            self.branch3x3dbl_3b(double),
            self.branch_pool(pooled),
        ]
        return torch.cat(branches, 1)


class InceptionV3(nn.Module):
    """Inception-v3 as in the graph of the FID, with torchvision's names of weights.

    Its classifier `fc` is in the published files and unused here.
    """

    def __init__(self) -> None:
        """Draw the weights."""
        super().__init__()
        self.Conv2d_1a_3x3 = _Conv(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = _Conv(32, 32, 3)
        self.Conv2d_2b_3x3 = _Conv(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = _Conv(64, 80, 1)
        self.Conv2d_4a_3x3 = _Conv(80, 192, 3)
        self.Mixed_5b = _BlockA(192, 32)
        self.Mixed_5c = _BlockA(256, 64)
        self.Mixed_5d = _BlockA(288, 64)
        self.Mixed_6a = _BlockB(288)
        self.Mixed_6b = _BlockC(768, 128)
        self.Mixed_6c = _BlockC(768, 160)
        self.Mixed_6d = _BlockC(768, 160)
        self.Mixed_6e = _BlockC(768, 192)
        self.Mixed_7a = _BlockD(768)
        self.Mixed_7b = _BlockE(1280, is_last=False)
        self.Mixed_7c = _BlockE(2048, is_last=True)
        self.fc = nn.Linear(DIM, NUM_CLASSES)

    def forward(self, images_u8: UInt8[Tensor, "n 3 h w"]) -> Float[Tensor, "n 2048"]:
        """Resize and scale images and compute their features; see `load_inception`."""
        x = (resize_like_tensorflow_1(images_u8.float(), IMAGE_SIZE) - 128.0) / 128.0
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = F.max_pool2d(x, 3, stride=2)
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x))
        x = F.max_pool2d(x, 3, stride=2)
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))
        x = self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))
        x = self.Mixed_6e(self.Mixed_6d(x))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        return x.mean((2, 3))
