"""The generator: latent codes to styles, fields, meshes and images (paper, section 3.1)."""

import dataclasses

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from get3d.core import Cameras, ConfigError, Images, Mesh, Styles
from get3d.geometry import TetGrid
from get3d.models.cavity import make_cavity
from get3d.models.config import GeneratorConfig, GridOptions, TrainingRenderConfig
from get3d.models.fields import BaseShape, Fields
from get3d.models.mapping import Mapping, repeat_style
from get3d.models.ops import GridLookup
from get3d.models.rendering import render_images
from get3d.models.surface import (
    Grid,
    Surface,
    config_grid,
    extract_surface,
    grid_cell,
    grid_offsets,
)
from get3d.models.synthesis import PLANE_CHANNELS, TriplaneSynthesis
from get3d.models.triplane_fields import Texture, TextureHeads, TriplaneGeometry, TriplaneHeads
from get3d.models.volume import VolumeGeometry, VolumeHeads
from get3d.render import LearnedLight, Light


class UnifiedNetwork(nn.Module):
    """One backbone synthesizes the tri-planes of geometry and texture (the improved generator)."""

    def __init__(self, config: GeneratorConfig) -> None:
        """Draw the weights."""
        super().__init__()
        self.backbone = TriplaneSynthesis(config, config.w_dim, outputs=2)
        self.geometry = TriplaneHeads(
            PLANE_CHANNELS,
            config.w_dim,
            width=config.mlp_width,
            hidden_layers=config.mlp_hidden_layers,
            has_weights=config.iso_surface == "flexicubes",
        )
        self.texture = _texture_heads(config, config.w_dim)
        mlp_layers = config.mlp_hidden_layers + 1
        self.num_geo = self.backbone.num_styles + mlp_layers
        self.num_tex = len(self.backbone.blocks) + mlp_layers

    def forward(
        self, styles: Styles, lookup: GridLookup, extent: float
    ) -> tuple[TriplaneGeometry, Texture]:
        """Compute geometry and texture of the fields.

        Args:
            styles: Styles of the shapes, `num_geo` and `num_tex` of them.
            lookup: Tri-plane lookup at the grid's vertices.
            extent: Edge length of the cube that the planes cover, in scene units.
        """
        num_convs, num_blocks = self.backbone.num_styles, len(self.backbone.blocks)
        geo, tex = self.backbone(styles.geo[:, :num_convs], styles.tex[:, :num_blocks])
        geo_styles, tex_styles = styles.geo[:, num_convs:], styles.tex[:, num_blocks:]
        geometry = TriplaneGeometry(
            self.geometry, geo, geo_styles, lookup, lookup.read(geo), extent
        )
        return geometry, Texture(self.texture, tex, tex_styles, styles.tex[:, -1], extent)


class SeparateNetwork(nn.Module):
    """3D convolutions for geometry, a tri-plane for texture (the paper's main figure)."""

    def __init__(self, config: GeneratorConfig) -> None:
        """Draw the weights."""
        super().__init__()
        self.geometry = VolumeHeads(config)
        self.backbone = TriplaneSynthesis(config, 2 * config.w_dim, outputs=1)
        self.texture = _texture_heads(config, 2 * config.w_dim)
        self.num_geo = self.geometry.num_styles
        self.num_tex = self.backbone.num_styles + config.mlp_hidden_layers + 1

    def forward(
        self, styles: Styles, grid_verts: Float[Tensor, "grid 3"], extent: float
    ) -> tuple[VolumeGeometry, Texture]:
        """Compute geometry and texture of the fields.

        Args:
            styles: Styles of the shapes, `num_geo` and `num_tex` of them.
            grid_verts: Vertices of the grid, in scene units.
            extent: Edge length of the cube that volumes and planes cover, in scene units.
        """
        geometry = VolumeGeometry(
            self.geometry,
            self.geometry.sdf.volume(styles.geo),
            self.geometry.deformation.volume(styles.geo),
            styles.geo,
            grid_verts,
            extent,
        )
        # The texture is conditioned on the shape: each texture style is joined with the geometry
        # style of the same index (or the last one).
        index = torch.arange(self.num_tex, device=styles.geo.device).clamp(max=self.num_geo - 1)
        joined = torch.cat([styles.tex, styles.geo[:, index]], dim=2)
        num_convs = self.backbone.num_styles
        (planes,) = self.backbone(joined[:, :num_convs])
        texture = Texture(self.texture, planes, joined[:, num_convs:], styles.tex[:, -1], extent)
        return geometry, texture


class Generator(nn.Module):
    """The generator, from latent codes to meshes and images; each step is a method.

    Weights are drawn from torch's global random numbers.

    Attributes:
        config: Sizes and options.
    """

    _grid_base: Float[Tensor, " grid"] | None
    _cavity_before: Int[Tensor, "directions grid"]
    _cavity_after: Int[Tensor, "directions grid"]
    _cavity_below: Int[Tensor, " grid"]

    def __init__(self, config: GeneratorConfig, *, grid: TetGrid | None = None) -> None:
        """Draw the weights.

        Args:
            config: Sizes and options.
            grid: Tetrahedral grid for the signed distances; None makes the config's grid.

        Raises:
            ConfigError: If `grid` has another resolution than the config, or the config is one for
                FlexiCubes.
        """
        super().__init__()
        if config.iso_surface == "flexicubes" and grid is not None:
            raise ConfigError("iso_surface flexicubes makes its own grid of cubes; leave grid out")
        carrier = config_grid(config) if grid is None else grid
        if carrier.resolution != config.grid_resolution:
            raise ConfigError(
                f"the grid has resolution {carrier.resolution}, "
                f"the config grid_resolution {config.grid_resolution}"
            )
        self.config = config
        self.mapping_geo = Mapping(config.z_dim, config.w_dim, num_layers=config.mapping_layers)
        self.mapping_tex = Mapping(config.z_dim, config.w_dim, num_layers=config.mapping_layers)
        self.lookup: GridLookup | None = None
        self.network: UnifiedNetwork | SeparateNetwork
        match config.architecture:
            case "unified":
                self.network = UnifiedNetwork(config)
                self.lookup = GridLookup(
                    carrier.verts, extent=config.scale, resolution=config.plane_resolution
                )
            case "separate":
                self.network = SeparateNetwork(config)
        self._grid_resolution = carrier.resolution
        self._grid_kind = type(carrier)
        for name in _grid_tensors(type(carrier)):
            self.register_buffer(f"_grid_{name}", getattr(carrier, name), persistent=False)
        base = None
        self._base: BaseShape | None = None
        if config.sdf_base != "none":
            self._base = BaseShape(
                config.sdf_base,
                config.sdf_base_radius,
                limit=config.sdf_base_limit,
                weight=config.sdf_base_weight,
            )
            base = self._base.sdf(carrier.verts)
        self.register_buffer("_grid_base", base, persistent=False)
        cavity = None
        if config.cavity_wall > 0:
            cavity = make_cavity(carrier.verts, grid_cell(config), wall=config.cavity_wall)
        self._cavity = cavity
        for name in ("before", "after", "below"):
            value = None if cavity is None else getattr(cavity, name)
            self.register_buffer(f"_cavity_{name}", value, persistent=False)

    @property
    def grid(self) -> Grid:
        """The grid, on the device of the network."""
        tensors = {name: getattr(self, f"_grid_{name}") for name in _grid_tensors(self._grid_kind)}
        return self._grid_kind(**tensors, resolution=self._grid_resolution)

    def map(
        self,
        z_geo: Float[Tensor, "b z"],
        z_tex: Float[Tensor, "b z"],
        *,
        truncation: float = 1.0,
        truncation_cutoff: int | None = None,
    ) -> Styles:
        """Map latent codes to style vectors.

        Args:
            z_geo: Latent codes of the shapes.
            z_tex: Latent codes of the textures.
            truncation: Truncation psi: 1 leaves the styles as they are, 0 gives the average style.
            truncation_cutoff: Truncate only the first so many layers; None means all.
        """
        geo, tex = (
            repeat_style(
                mapping(z),
                mapping.w_avg,
                num_layers,
                truncation=truncation,
                truncation_cutoff=truncation_cutoff,
            )
            for mapping, z, num_layers in (
                (self.mapping_geo, z_geo, self.network.num_geo),
                (self.mapping_tex, z_tex, self.network.num_tex),
            )
        )
        return Styles(geo, tex)

    def update_w_avg(self, styles: Styles, *, beta: float = 0.998) -> None:
        """Update the average styles, which truncation interpolates to, by a training batch.

        Args:
            styles: Styles before truncation; the first layer's are used, which style mixing keeps.
            beta: Fraction of the old average that is kept.
        """
        self.mapping_geo.update_average(styles.geo[:, 0], beta=beta)
        self.mapping_tex.update_average(styles.tex[:, 0], beta=beta)

    def fields(self, styles: Styles) -> Fields:
        """Synthesize the fields of shapes from their styles.

        Args:
            styles: Styles of the shapes, as many as `map` gives.

        Raises:
            ValueError: If the number of styles is not that of `map`.
        """
        wanted = (self.network.num_geo, self.network.num_tex)
        if (styles.geo.shape[1], styles.tex.shape[1]) != wanted:
            raise ValueError(
                f"{wanted[0]} geometry and {wanted[1]} texture styles are needed, "
                f"got {styles.geo.shape[1]} and {styles.tex.shape[1]}"
            )
        where = self._grid_verts if self.lookup is None else self.lookup
        geometry, texture = self.network(styles, where, self.config.scale)
        cavity = self._cavity
        if cavity is not None:  # its tables are where the network is
            cavity = dataclasses.replace(
                cavity,
                before=self._cavity_before,
                after=self._cavity_after,
                below=self._cavity_below,
            )
        return Fields(geometry, texture, self._base, self._grid_base, cavity)

    def surface(self, fields: Fields) -> list[Mesh]:
        """Extract the meshes; a field without a zero crossing gets a small fallback surface.

        Args:
            fields: Fields of the shapes.
        """
        return self.extract(fields).meshes

    def extract(
        self, fields: Fields, *, for_training: bool = False, grid: GridOptions | None = None
    ) -> Surface:
        """Extract the meshes and what the losses on them need.

        Args:
            fields: Fields of the shapes.
            for_training: Split the quads of FlexiCubes in four about a point that depends on their
                weights, so that the split has a gradient. No effect on tetrahedra.
            grid: Fineness of the surface; None as in training.

        Raises:
            ConfigError: If the grid cannot be as fine as that.
        """
        return extract_surface(
            fields, self.grid, self.config, for_training=for_training, options=grid
        )

    def offsets(self, raw: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
        """Turn the raw deformation into offsets of grid vertices, in scene units."""
        return grid_offsets(raw, self.config)

    def render(
        self,
        fields: Fields,
        meshes: list[Mesh],
        cameras: Cameras,
        image_size: int,
        *,
        config: TrainingRenderConfig | None = None,
        light: Light | LearnedLight | None = None,
    ) -> Images:
        """Render the meshes in the colours of their fields.

        Args:
            fields: Fields of the shapes.
            meshes: Meshes of the shapes, from `surface`.
            cameras: k cameras per mesh; those of a mesh follow each other.
            image_size: Width and height of the images, in pixels.
            config: Rendering options; None as published.
            light: Light on the surface; None renders the colour field unlit.

        Raises:
            ValueError: If the number of cameras is not a multiple of the number of meshes.
        """
        config = config or TrainingRenderConfig()
        return render_images(fields, meshes, cameras, image_size, config=config, light=light)


def _texture_heads(config: GeneratorConfig, w_dim: int) -> TextureHeads:
    """Make the texture heads of a config."""
    return TextureHeads(
        PLANE_CHANNELS,
        w_dim,
        width=config.mlp_width,
        hidden_layers=config.mlp_hidden_layers,
        color_w_dim=config.w_dim,
    )


def _grid_tensors(kind: type[Grid]) -> list[str]:
    """List the names of a grid's tensors."""
    return [each.name for each in dataclasses.fields(kind) if each.name != "resolution"]
