"""Shape and colour read from tri-planes, by small networks behind the lookup."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from get3d.core.chunks import in_chunks
from get3d.models.layers import PointMLP, ToRGB
from get3d.models.ops import GridLookup, sample_triplane


class TriplaneHeads(nn.Module):
    """The networks that turn tri-plane features into geometry (unified generator)."""

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
            channels: Of one plane.
            w_dim: Width of the style vectors.
            width: Of the hidden layers.
            hidden_layers: Before the linear layer.
            has_weights: Add the head for FlexiCubes weights.
        """
        super().__init__()
        hidden = [width] * hidden_layers
        self.sdf = PointMLP([channels, *hidden, 1], w_dim)
        self.deformation = PointMLP([channels, *hidden, 3], w_dim)
        self.weights = PointMLP([8 * channels, *hidden, 21], w_dim) if has_weights else None


@dataclass(frozen=True)
class TriplaneGeometry:
    """SDF, offsets and FlexiCubes weights read from tri-planes.

    Attributes:
        heads: The networks behind the lookup.
        planes: Tri-plane features.
        styles: For the heads, in order of use.
        lookup: Of the grid's vertices.
        rows: Features at the lookup's distinct coordinates, shared by the heads.
        extent: Side of the cube that the planes cover, in scene units.
    """

    heads: TriplaneHeads
    planes: Float[Tensor, "b channels h w"]
    styles: Float[Tensor, "b layers w_dim"]
    lookup: GridLookup
    rows: Float[Tensor, "b m c"]
    extent: float

    def features(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n c"]:
        """Tri-plane features at points."""
        return sample_triplane(self.planes, points, extent=self.extent)

    def sdf(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n"]:
        """Signed distance at points."""
        return self.heads.sdf(self.features(points), self.styles)[..., 0]

    def deformation(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n 3"]:
        """Offsets at points, before the tanh."""
        return self.heads.deformation(self.features(points), self.styles)

    def flexi_weights(self, corners: Float[Tensor, "*b cubes 8 3"]) -> Float[Tensor, "b cubes 21"]:
        """Raw FlexiCubes weights (12 beta, 8 alpha, 1 gamma) of cubes given by their corners.

        Raises:
            ValueError: If the generator was not built for FlexiCubes.
        """
        return self._weights(self.features(corners.flatten(-3, -2)))

    def grid_flexi_weights(self, corners: Int[Tensor, "b k 8"]) -> Float[Tensor, "b k 21"]:
        """The same for some cubes of each sample, given by the grid's vertices at their corners.

        Raises:
            ValueError: If the generator was not built for FlexiCubes.
        """
        return self._weights(self.lookup.gather_at(self.rows, corners.flatten(1)))

    def _weights(self, corners: Float[Tensor, "b corners c"]) -> Float[Tensor, "b cubes 21"]:
        """Raw weights from the features of corners, eight after eight."""
        features = corners.unflatten(1, (-1, 8)).flatten(2)
        return self._weights_head(features, self.styles) * 0.1

    @property
    def _weights_head(self) -> PointMLP:
        if self.heads.weights is None:
            raise ValueError("this generator has no FlexiCubes weights: its iso_surface is dmtet")
        return self.heads.weights

    def grid_sdf(self) -> Float[Tensor, "b grid"]:
        """Signed distance at every grid vertex."""
        head, styles = self.heads.sdf, self.styles
        rows = head.share_first(self.rows, styles, self.lookup.bias_share)
        return in_chunks(
            lambda index: head.finish_sums(rows, index, styles),
            self.lookup.index,
            axis=0,
            num_shapes=len(rows),
        )

    def grid_deformation(self, verts: Int[Tensor, "b k"]) -> Float[Tensor, "b k 3"]:
        """Offsets at some grid vertices of each sample, before the tanh."""
        head = self.heads.deformation
        if not torch.is_grad_enabled():  # in chunks, so nothing is made for the whole grid
            return head(self.lookup.gather_at(self.rows, verts), self.styles)
        rows = head.share_first(self.rows, self.styles, self.lookup.bias_share)
        return head.finish(self.lookup.gather_at(rows, verts), self.styles)

    def __getitem__(self, index: slice) -> "TriplaneGeometry":
        """Pick samples."""
        return TriplaneGeometry(
            self.heads,
            self.planes[index],
            self.styles[index],
            self.lookup,
            self.rows[index],
            self.extent,
        )


class TextureHeads(nn.Module):
    """The networks that turn tri-plane features into colour."""

    features = 16

    def __init__(
        self, channels: int, w_dim: int, *, width: int, hidden_layers: int, color_w_dim: int
    ) -> None:
        """Draw the weights.

        Args:
            channels: Of one plane.
            w_dim: Width of the style vectors of the point network.
            width: Of the hidden layers.
            hidden_layers: Before the linear layer.
            color_w_dim: Width of the style vector of the colour layer.
        """
        super().__init__()
        self.mlp = PointMLP([channels, *[width] * hidden_layers, self.features], w_dim)
        self.color = ToRGB(self.features, 3, color_w_dim)


@dataclass(frozen=True)
class Texture:
    """Colour read from tri-planes.

    Attributes:
        heads: The networks behind the lookup.
        planes: Tri-plane features.
        styles: For the point network, in order of use.
        color_style: For the colour layer.
        extent: Side of the cube that the planes cover, in scene units.
    """

    heads: TextureHeads
    planes: Float[Tensor, "b channels h w"]
    styles: Float[Tensor, "b layers w_dim"]
    color_style: Float[Tensor, "b color_w_dim"]
    extent: float

    def features(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n 16"]:
        """Texture features at points, from which the colour is a linear map."""
        sampled = sample_triplane(self.planes, points, extent=self.extent)
        return self.heads.mlp(sampled, self.styles)

    def color(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n 3"]:
        """Colour at points, nominally in [-1, 1]."""
        return self.heads.color(self.features(points), self.color_style)

    def __getitem__(self, index: slice) -> "Texture":
        """Pick samples."""
        return Texture(
            self.heads,
            self.planes[index],
            self.styles[index],
            self.color_style[index],
            self.extent,
        )
