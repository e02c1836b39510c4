"""What a pair of latent codes becomes: functions of space for the SDF, its offsets and colour."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from get3d.models.grid_field import activated_sums
from get3d.models.layers import CLAMP, ModulatedPoints, Stack, ToColor
from get3d.models.packing import row_slots, to_rows
from get3d.models.triplane import GridLookup, sample_triplane

_CHUNK = 65536


class PointMLP(nn.Module):
    """Modulated fully connected layers over points; the last one is linear."""

    def __init__(self, widths: list[int], w_dim: int) -> None:
        """Draw the weights.

        Args:
            widths: Of the input, the hidden layers and the output.
            w_dim: Width of the style vectors.
        """
        super().__init__()
        last = len(widths) - 2
        self.layers: Stack[ModulatedPoints] = Stack(
            ModulatedPoints(a, b, w_dim, is_linear=i == last)
            for i, (a, b) in enumerate(pairwise(widths))
        )

    def forward(
        self, x: Float[Tensor, "b n in"], styles: Float[Tensor, "b layers w_dim"]
    ) -> Float[Tensor, "b n out"]:
        """Apply the network.

        Args:
            x: Input features.
            styles: In order of use; more than there are layers may be given.
        """
        for layer, w in zip(self.layers, styles.unbind(1), strict=False):
            x = layer(x, w)
        return x

    def share_first(
        self,
        x: Float[Tensor, "b m in"],
        styles: Float[Tensor, "b layers w_dim"],
        bias_share: Float[Tensor, "m 1"],
    ) -> Float[Tensor, "b m hidden"]:
        """Apply the linear part of the first layer to rows that are summed afterwards.

        Args:
            x: Rows whose sums are the input features.
            styles: In order of use.
            bias_share: Part of the bias that goes to each row; the parts of a sum add up to 1.
        """
        first = next(iter(self.layers))
        bias = (bias_share * (first.bias * first.gain)).expand(len(x), -1, -1)
        return torch.baddbmm(bias, x, first.sample_weights(styles[:, 0]))

    def finish(
        self, y: Float[Tensor, "b n hidden"], styles: Float[Tensor, "b layers w_dim"]
    ) -> Float[Tensor, "b n out"]:
        """Go on from the sums of rows made by `share_first`; `y` is overwritten."""
        first, *others = self.layers
        y = first.finish(y)
        for layer, w in zip(others, styles.unbind(1)[1:], strict=False):
            y = layer(y, w)
        return y

    def finish_sums(
        self,
        rows: Float[Tensor, "b m hidden"],
        index: Int[Tensor, "n 3"],
        styles: Float[Tensor, "b layers w_dim"],
    ) -> Float[Tensor, "b n"]:
        """Sum three rows made by `share_first` for each point, and go on to a single output."""
        first, *others = self.layers
        if len(others) != 1:
            picked = [rows.index_select(1, each) for each in index.long().unbind(1)]
            return self.finish(picked[0] + picked[1] + picked[2], styles)[..., 0]
        (last,) = others
        weight = last.sample_weights(styles[:, 1])[..., 0]
        return activated_sums(rows, index, weight, limit=CLAMP * first.gain) + last.bias


@runtime_checkable
class Geometry(Protocol):
    """The shape part of `Fields`, whichever network it comes from."""

    def sdf(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n"]:
        """Signed distance at points."""

    def deformation(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n 3"]:
        """Offsets at points, before the tanh."""

    def grid_sdf(self) -> Float[Tensor, "b grid"]:
        """Signed distance at every grid vertex."""

    def grid_deformation(self, verts: Int[Tensor, "b k"]) -> Float[Tensor, "b k 3"]:
        """Offsets at some grid vertices of each sample, before the tanh."""

    def __getitem__(self, index: slice) -> "Geometry":
        """Pick samples."""


class TriplaneHeads(nn.Module):
    """The networks that turn tri-plane features into geometry (unified generator)."""

    def __init__(
        self, channels: int, w_dim: int, *, width: int, hidden_layers: int, has_weights: bool
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
        if self.heads.weights is None:
            raise ValueError("this generator has no FlexiCubes weights: its iso_surface is dmtet")
        features = corners.unflatten(1, (-1, 8)).flatten(2)
        return self.heads.weights(features, self.styles) * 0.1

    def grid_sdf(self) -> Float[Tensor, "b grid"]:
        """Signed distance at every grid vertex."""
        head = self.heads.sdf
        rows = head.share_first(self.rows, self.styles, self.lookup.bias_share)
        return head.finish_sums(rows, self.lookup.index, self.styles)

    def grid_deformation(self, verts: Int[Tensor, "b k"]) -> Float[Tensor, "b k 3"]:
        """Offsets at some grid vertices of each sample, before the tanh."""
        head = self.heads.deformation
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
        self.color = ToColor(self.features, 3, color_w_dim)


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
        """Colour at points, nominally in [-1, 1]; in portions where no gradient is needed."""
        if torch.is_grad_enabled() or points.shape[-2] <= _CHUNK:
            return self.heads.color(self.features(points), self.color_style)
        return torch.cat([self.color(part) for part in points.split(_CHUNK, dim=-2)], dim=1)

    def __getitem__(self, index: slice) -> "Texture":
        """Pick samples."""
        return Texture(
            self.heads,
            self.planes[index],
            self.styles[index],
            self.color_style[index],
            self.extent,
        )


@dataclass(frozen=True)
class Fields:
    """A batch of shapes as functions of space. Points are [n, 3] (for all) or [b, n, 3].

    Attributes:
        geometry: Where the surface is.
        texture: What colour it has.
        grid_base: SDF of the base shape at the grid's vertices, or None.
        base_radius: Radius of the sphere that is the base shape, in scene units; 0 for none.
        base_weight: Factor on the network's SDF where there is a base shape.
    """

    geometry: Geometry
    texture: Texture
    grid_base: Float[Tensor, " grid"] | None = None
    base_radius: float = 0.0
    base_weight: float = 1.0

    def sdf(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n"]:
        """Signed distance at points, positive inside (if the generator's `sdf_inside` is)."""
        sdf = self.geometry.sdf(points)
        if self.grid_base is None:
            return sdf
        return sdf * self.base_weight + sphere_sdf(points, self.base_radius)

    def grid_sdf(self) -> Float[Tensor, "b grid"]:
        """Signed distance at every vertex of the generator's grid, of the same sign as `sdf`."""
        sdf = self.geometry.grid_sdf()
        return sdf if self.grid_base is None else sdf * self.base_weight + self.grid_base

    def deformation(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n 3"]:
        """Offsets of grid vertices at points, before the tanh."""
        return self.geometry.deformation(points)

    def grid_deformation(self, verts: Int[Tensor, "b k"]) -> Float[Tensor, "b k 3"]:
        """Offsets of some vertices of the generator's grid, before the tanh."""
        return self.geometry.grid_deformation(verts)

    def color(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "b n 3"]:
        """Colour at points, nominally in [-1, 1], not clipped."""
        return self.texture.color(points)

    def flexi_weights(self, corners: Float[Tensor, "*b cubes 8 3"]) -> Float[Tensor, "b cubes 21"]:
        """Raw FlexiCubes weights (12 beta, 8 alpha, 1 gamma) of cubes given by their corners.

        Raises:
            ValueError: If the generator was not built for FlexiCubes.
        """
        return self._flexi_geometry().flexi_weights(corners)

    def grid_flexi_weights(self, corners: Int[Tensor, "b k 8"]) -> Float[Tensor, "b k 21"]:
        """The same for some cubes of each shape, given by the grid's vertices at their corners.

        Raises:
            ValueError: If the generator was not built for FlexiCubes.
        """
        return self._flexi_geometry().grid_flexi_weights(corners)

    def _flexi_geometry(self) -> TriplaneGeometry:
        if not isinstance(self.geometry, TriplaneGeometry):
            raise ValueError("FlexiCubes weights need the unified generator")
        return self.geometry

    def color_packed(
        self, points: Float[Tensor, "n 3"], shape: Int[Tensor, " n"]
    ) -> Float[Tensor, "n 3"]:
        """Colour at points of several shapes laid end to end.

        Args:
            points: Positions, in scene units.
            shape: Which shape each belongs to, ascending.
        """
        return self._packed(self.color, points, shape)

    def sdf_packed(
        self, points: Float[Tensor, "n 3"], shape: Int[Tensor, " n"]
    ) -> Float[Tensor, " n"]:
        """The same of `sdf`."""
        return self._packed(self.sdf, points, shape)

    def deformation_packed(
        self, points: Float[Tensor, "n 3"], shape: Int[Tensor, " n"]
    ) -> Float[Tensor, "n 3"]:
        """The same of `deformation`."""
        return self._packed(self.deformation, points, shape)

    def flexi_weights_packed(
        self, corners: Float[Tensor, "cubes 8 3"], shape: Int[Tensor, " cubes"]
    ) -> Float[Tensor, "cubes 21"]:
        """The same of `flexi_weights`."""
        return self._packed(self.flexi_weights, corners, shape)

    def _packed(
        self,
        field: Callable[[Float[Tensor, "b n *p"]], Float[Tensor, "b n *c"]],
        points: Float[Tensor, "n *p"],
        shape: Int[Tensor, " n"],
    ) -> Float[Tensor, "n *c"]:
        """Evaluate a field at packed points; in portions where no gradient is needed."""
        slots, width = row_slots(shape, len(self))
        rows = to_rows(points, slots, num_rows=len(self), width=width)
        portion = width if torch.is_grad_enabled() else _CHUNK
        parts = [field(part) for part in rows.split(max(portion, 1), dim=1)]
        return torch.cat(parts, dim=1).flatten(0, 1)[slots]

    def __len__(self) -> int:
        """Count the shapes."""
        return len(self.texture.planes)

    def __getitem__(self, index: slice) -> "Fields":
        """Pick shapes."""
        return Fields(
            self.geometry[index],
            self.texture[index],
            self.grid_base,
            self.base_radius,
            self.base_weight,
        )


def sphere_sdf(points: Float[Tensor, "*n 3"], radius: float) -> Float[Tensor, "*n"]:
    """Signed distance to a sphere around the origin, positive inside."""
    return radius - points.norm(dim=-1)
