"""Geometry from 3D convolutions, for the separate generator (paper, appendix)."""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from get3d.core.chunks import in_chunks
from get3d.models.config import GeneratorConfig
from get3d.models.layers import EqualConv, ModulatedConv, PointMLP, Stack
from get3d.models.ops import normalize_points
from get3d.models.synthesis import resolutions

_SDF_HIDDEN, _DEFORMATION_HIDDEN = 3, 2
_POSITION_FEATURES = 6


class VolumeBlock(nn.Module):
    """One resolution: upsampling by two, then two convolutions with a linear skip connection."""

    def __init__(self, in_channels: int, out_channels: int, w_dim: int) -> None:
        """Draw the weights.

        Args:
            in_channels: Channels of the input.
            out_channels: Channels of the block.
            w_dim: Width of the style vectors.
        """
        super().__init__()
        self.conv0 = ModulatedConv(in_channels, out_channels, w_dim, dims=3)
        self.conv1 = ModulatedConv(out_channels, out_channels, w_dim, dims=3)
        self.skip = EqualConv(in_channels, out_channels, kernel=(1, 1, 1), is_linear=True)

    def forward(
        self,
        x: Float[Tensor, "b c d h w"],
        w0: Float[Tensor, "b w_dim"],
        w1: Float[Tensor, "b w_dim"],
    ) -> Float[Tensor, "b c2 d2 h2 w2"]:
        """Apply the block; `w0` and `w1` are the styles of its convolutions."""
        x = F.interpolate(x, scale_factor=2, mode="trilinear", align_corners=False)
        y = self.conv1(self.conv0(x, w0), w1, gain=math.sqrt(0.5))
        return y + self.skip(x, gain=math.sqrt(0.5))


class VolumeNetwork(nn.Module):
    """Synthesis network of a feature volume, and the point network behind the lookup."""

    def __init__(self, out_features: int, config: GeneratorConfig, *, hidden_layers: int) -> None:
        """Draw the weights.

        Args:
            out_features: Width of the point network's output.
            config: Config of the generator.
            hidden_layers: Number of hidden layers of the point network.
        """
        super().__init__()
        w_dim = config.w_dim
        channels = [
            min(config.volume_channel_base // r, config.volume_channel_max)
            for r in resolutions(config.volume_resolution)
        ]
        self.const = nn.Parameter(torch.randn(channels[0], 4, 4, 4))
        self.conv = ModulatedConv(channels[0], channels[0], w_dim, dims=3)
        self.blocks: Stack[VolumeBlock] = Stack(
            VolumeBlock(a, b, w_dim) for a, b in pairwise(channels)
        )
        hidden = [config.volume_mlp_width] * hidden_layers
        widths = [channels[-1] + _POSITION_FEATURES, *hidden, out_features]
        self.mlp = PointMLP(widths, w_dim)

    @property
    def num_convs(self) -> int:
        """Number of styles of the convolutions."""
        return 1 + 2 * len(self.blocks)

    @property
    def num_styles(self) -> int:
        """Number of styles of convolutions and point network."""
        return self.num_convs + len(self.mlp.layers)

    def volume(self, styles: Float[Tensor, "b layers w_dim"]) -> Float[Tensor, "b c d h w"]:
        """Synthesize the feature volume; x runs along its last axis.

        Args:
            styles: Styles of this network, in order of use.
        """
        queue = iter(styles.unbind(1))
        x = self.const.expand(len(styles), -1, -1, -1, -1)
        x = self.conv(x, next(queue))
        for block in self.blocks:
            x = block(x, next(queue), next(queue))
        return x

    def read(
        self,
        volume: Float[Tensor, "b c d h w"],
        points: Float[Tensor, "*b n 3"],
        styles: Float[Tensor, "b layers w_dim"],
        *,
        extent: float,
    ) -> Float[Tensor, "b n out"]:
        """Evaluate the field at points.

        Args:
            volume: Feature volume of the same styles, from `volume`.
            points: Positions, in scene units, of each sample or shared by all.
            styles: Styles of this network, in order of use.
            extent: Edge length of the cube that the volume covers, in scene units.
        """
        if points.ndim == 2:
            points = points.expand(len(volume), -1, -1)
        coordinates = normalize_points(points, extent=extent)[:, :, None, None]
        sampled = F.grid_sample(volume, coordinates, mode="bilinear", align_corners=True)
        features = sampled[..., 0, 0].transpose(1, 2)
        angle = points * math.pi
        x = torch.cat([angle.sin(), angle.cos(), features], dim=-1)
        return self.mlp(x, styles[:, self.num_convs :])


class VolumeHeads(nn.Module):
    """Volume networks of the SDF and of the deformation, which share their styles."""

    def __init__(self, config: GeneratorConfig) -> None:
        """Draw the weights; `config` is the generator's."""
        super().__init__()
        self.sdf = VolumeNetwork(1, config, hidden_layers=_SDF_HIDDEN)
        self.deformation = VolumeNetwork(3, config, hidden_layers=_DEFORMATION_HIDDEN)

    @property
    def num_styles(self) -> int:
        """Number of styles of the deeper network."""
        return max(self.sdf.num_styles, self.deformation.num_styles)


@dataclass(frozen=True)
class VolumeGeometry:
    """SDF and deformation from feature volumes.

    Attributes:
        heads: The networks behind the lookup.
        sdf_volume: Feature volume for the SDF.
        deformation_volume: Feature volume for the deformation.
        styles: Styles of the networks, in order of use.
        grid_verts: Vertices of the generator's grid, in scene units.
        extent: Edge length of the cube that the volumes cover, in scene units.
    """

    heads: VolumeHeads
    sdf_volume: Float[Tensor, "b c d h w"]
    deformation_volume: Float[Tensor, "b c d h w"]
    styles: Float[Tensor, "b layers w_dim"]
    grid_verts: Float[Tensor, "grid 3"]
    extent: float

    def sdf(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n"]:
        """Compute the signed distance at points."""
        return self.heads.sdf.read(self.sdf_volume, points, self.styles, extent=self.extent)[..., 0]

    def deformation(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n 3"]:
        """Compute the deformation at points, before the tanh."""
        return self.heads.deformation.read(
            self.deformation_volume, points, self.styles, extent=self.extent
        )

    def grid_sdf(self) -> Float[Tensor, "b grid"]:
        """Compute the signed distance at every grid vertex."""
        return in_chunks(self.sdf, self.grid_verts, axis=0, num_shapes=len(self.styles))

    def grid_deformation(self, verts: Int[Tensor, "b k"]) -> Float[Tensor, "b k 3"]:
        """Compute the deformation at some grid vertices of each sample, before the tanh."""
        return self.deformation(self.grid_verts[verts])

    def __getitem__(self, index: slice) -> "VolumeGeometry":
        """Return the geometry of some samples."""
        return VolumeGeometry(
            self.heads,
            self.sdf_volume[index],
            self.deformation_volume[index],
            self.styles[index],
            self.grid_verts,
            self.extent,
        )
