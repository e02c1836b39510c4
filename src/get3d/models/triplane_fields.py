"""Geometry and colour from tri-planes, by small networks behind the lookup."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from get3d.core.chunks import in_chunks
from get3d.models.layers import PointMLP, ToRGB
from get3d.models.ops import GridLookup, sample_triplane


class TriplaneHeads(nn.Module):
    """Networks from tri-plane features to geometry (unified generator)."""

    def __init__(
        self,
        channels: int,
        w_dim: int,
        *,
        width: int,
        hidden_layers: int,
        has_weights: bool,
    ) -> None:
        """Draw the weights.

        Args:
            channels: Channels of one plane.
            w_dim: Width of the style vectors.
            width: Width of the hidden layers.
            hidden_layers: Number of hidden layers.
            has_weights: Add the head for FlexiCubes weights.
        """
        super().__init__()
        hidden = [width] * hidden_layers
        self.sdf = PointMLP([channels, *hidden, 1], w_dim)
        self.deformation = PointMLP([channels, *hidden, 3], w_dim)
        self.weights = PointMLP([8 * channels, *hidden, 21], w_dim) if has_weights else None


@dataclass(frozen=True)
class TriplaneGeometry:
    """SDF, deformation and FlexiCubes weights from tri-planes.

    Attributes:
        heads: The networks behind the lookup.
        planes: Tri-plane features.
        styles: Styles of the heads, in order of use.
        lookup: Lookup at the grid's vertices.
        rows: Features at the lookup's distinct coordinates, shared by the heads.
        extent: Edge length of the cube that the planes cover, in scene units.
    """

    heads: TriplaneHeads
    planes: Float[Tensor, "b channels h w"]
    styles: Float[Tensor, "b layers w_dim"]
    lookup: GridLookup
    rows: Float[Tensor, "b m c"]
    extent: float

    def features(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n c"]:
        """Sample the tri-plane features at points."""
        return sample_triplane(self.planes, points, extent=self.extent)

    def sdf(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n"]:
        """Compute the signed distance at points."""
        return self.heads.sdf(self.features(points), self.styles)[..., 0]

    def deformation(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n 3"]:
        """Compute the deformation at points, before the tanh."""
        return self.heads.deformation(self.features(points), self.styles)

    def flexi_weights(self, corners: Float[Tensor, "*b cubes 8 3"]) -> Float[Tensor, "b cubes 21"]:
        """Compute raw FlexiCubes weights (12 beta, 8 alpha, 1 gamma) of cubes given by corners.

        Raises:
            ValueError: If the generator was not built for FlexiCubes.
        """
        return self._weights(self.features(corners.flatten(-3, -2)))

    def grid_flexi_weights(self, corners: Int[Tensor, "b k 8"]) -> Float[Tensor, "b k 21"]:
        """Compute raw FlexiCubes weights of some cubes of each sample, given by grid vertices.

        Raises:
            ValueError: If the generator was not built for FlexiCubes.
        """
        return self._weights(self.lookup.gather_at(self.rows, corners.flatten(1)))

    def _weights(self, corners: Float[Tensor, "b corners c"]) -> Float[Tensor, "b cubes 21"]:
        """Compute raw weights from the features of corners, eight per cube."""
        features = corners.unflatten(1, (-1, 8)).flatten(2)
        return self._weights_head(features, self.styles) * 0.1

    @property
    def _weights_head(self) -> PointMLP:
        """The head for FlexiCubes weights; raises ValueError if there is none."""
        if self.heads.weights is None:
            raise ValueError("this generator has no FlexiCubes weights: its iso_surface is dmtet")
        return self.heads.weights

    def grid_sdf(self) -> Float[Tensor, "b grid"]:
        """Compute the signed distance at every grid vertex."""
        head, styles = self.heads.sdf, self.styles
        rows = head.apply_first_linear(self.rows, styles, self.lookup.bias_fraction)
        return in_chunks(
            lambda index: head.finish_sums(rows, index, styles),
            self.lookup.index,
            axis=0,
            num_shapes=len(rows),
        )

    def grid_deformation(self, verts: Int[Tensor, "b k"]) -> Float[Tensor, "b k 3"]:
        """Compute the deformation at some grid vertices of each sample, before the tanh."""
        head = self.heads.deformation
        if not torch.is_grad_enabled():  # in chunks, so nothing is made for the whole grid
            return head(self.lookup.gather_at(self.rows, verts), self.styles)
        rows = head.apply_first_linear(self.rows, self.styles, self.lookup.bias_fraction)
        return head.finish(self.lookup.gather_at(rows, verts), self.styles)

    def __getitem__(self, index: slice) -> "TriplaneGeometry":
        """Return the geometry of some samples."""
        return TriplaneGeometry(
            self.heads,
            self.planes[index],
            self.styles[index],
            self.lookup,
            self.rows[index],
            self.extent,
        )


class TextureHeads(nn.Module):
    """Networks from tri-plane features to the channels of an appearance.

    Attributes:
        outputs: Number of values of each channel, by name.
    """

    features = 16

    def __init__(
        self,
        channels: int,
        w_dim: int,
        *,
        width: int,
        hidden_layers: int,
        color_w_dim: int,
        outputs: Mapping[str, int] | None = None,
    ) -> None:
        """Draw the weights.

        Args:
            channels: Channels of one plane.
            w_dim: Width of the style vectors of the point network.
            width: Width of the hidden layers.
            hidden_layers: Number of hidden layers.
            color_w_dim: Width of the style vector of the colour layer.
            outputs: Number of values of each channel, by name; None: color, 3 values.
        """
        super().__init__()
        self.outputs = dict(outputs or {"color": 3})
        self.mlp = PointMLP([channels, *[width] * hidden_layers, self.features], w_dim)
        self.color = ToRGB(self.features, sum(self.outputs.values()), color_w_dim)


@dataclass(frozen=True)
class Texture:
    """The channels of an appearance from tri-planes.

    Attributes:
        heads: The networks behind the lookup.
        planes: Tri-plane features.
        styles: Styles of the point network, in order of use.
        color_style: Style of the colour layer.
        extent: Edge length of the cube that the planes cover, in scene units.
    """

    heads: TextureHeads
    planes: Float[Tensor, "b channels h w"]
    styles: Float[Tensor, "b layers w_dim"]
    color_style: Float[Tensor, "b color_w_dim"]
    extent: float

    def features(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n 16"]:
        """Compute texture features at points; the channels are a linear map of them."""
        sampled = sample_triplane(self.planes, points, extent=self.extent)
        return self.heads.mlp(sampled, self.styles)

    def channels(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n c"]:
        """Compute all channels at points, nominally in [-1, 1]."""
        return self.heads.color(self.features(points), self.color_style)

    @property
    def spacing(self) -> float:
        """Distance of neighbouring texels of the planes, in scene units."""
        return self.extent / self.planes.shape[-1]

    @property
    def background(self) -> Float[Tensor, " c"]:
        """Values of all channels where no surface is seen, as published: the layer's bias."""
        return self.heads.color.bias

    def __getitem__(self, index: slice) -> "Texture":
        """Return the textures of some samples."""
        return Texture(
            self.heads,
            self.planes[index],
            self.styles[index],
            self.color_style[index],
            self.extent,
        )
