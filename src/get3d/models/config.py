"""Sizes and options of the generator, with the published values as defaults."""

from dataclasses import dataclass, replace
from typing import Literal

from get3d.core import ConfigError, check_bounds, check_literals

MAX_RESOLUTION = 2048
"""Largest `grid_resolution` of a refined surface: some ten million triangles."""

_MAX_SMOOTHING = 100
"""Most steps of averaging normals; each reaches one face farther and takes time."""

# Least and most of each size: far beyond what has been trained, so that a slip of the pen is named
# at once instead of filling the memory.
_BOUNDS = {
    "z_dim": (1, 8192),
    "w_dim": (1, 8192),
    "mapping_layers": (1, 64),
    "plane_resolution": (4, 4096),
    "channel_base": (1, 1 << 20),
    "channel_max": (1, 8192),
    "mlp_width": (1, 8192),
    "mlp_hidden_layers": (0, 64),
    "volume_resolution": (4, 512),
    "volume_channel_base": (1, 1 << 20),
    "volume_channel_max": (1, 8192),
    "volume_mlp_width": (1, 8192),
}


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """Architecture, sizes and grid of a generator; the defaults are the published values."""

    architecture: Literal["unified", "separate"] = "unified"
    """One backbone for shape and texture (the improved generator), or 3D convolutions for the shape
    and a tri-plane for the texture (the main figure)."""

    z_dim: int = 512
    """Width of the latent codes."""

    w_dim: int = 512
    """Width of the style vectors."""

    mapping_layers: int = 8
    """Layers of each mapping network."""

    plane_resolution: int = 256
    """Width and height of the tri-planes, in texels: a power of two, 4 or more."""

    channel_base: int = 32768
    """A layer of the tri-plane backbone at resolution r has channel_base / r channels."""

    channel_max: int = 512
    """Most channels of a layer of the tri-plane backbone."""

    plane_noise: bool = True
    """Add a constant noise image, of learned strength, in every layer of the tri-plane backbone. A
    texel of it extends through the whole cube along one axis: short trainings show streaks."""

    mlp_width: int = 32
    """Width of the point networks behind the tri-planes."""

    mlp_hidden_layers: int = 1
    """Hidden layers of the point networks behind the tri-planes."""

    volume_resolution: int = 32
    """Architecture separate: voxels of the feature volumes along each axis, a power of two."""

    volume_channel_base: int = 2048
    """Architecture separate: a layer at resolution r has volume_channel_base / r channels."""

    volume_channel_max: int = 256
    """Architecture separate: most channels of a layer of the volumes."""

    volume_mlp_width: int = 256
    """Architecture separate: width of the point networks behind the volumes."""

    iso_surface: Literal["dmtet", "flexicubes"] = "dmtet"
    """How the surface is extracted: marching tetrahedra, or FlexiCubes, which adds a network for
    its weights (docs/surfaces.md)."""

    sdf_inside: Literal["positive", "negative"] = "positive"
    """Sign of the network's signed distances inside. The published FlexiCubes models learned
    negative; meshes are the same either way."""

    grid_resolution: int = 90
    """Fineness of the grid that carries the signed distances. With flexicubes: cubes along each
    axis; 64 give about as many triangles as dmtet with 80."""

    subdivisions: int = 0
    """How often the tets or cubes near the surface are split into eight and the field is
    evaluated again (paper, appendix). Each doubles the fineness where the surface is."""

    scale: float = 1.0
    """Edge length of the cube that the grid fills, in scene units."""

    deformation_multiplier: float = 1.0
    """Grid vertices move by at most 1 / (grid_resolution * deformation_multiplier), halved by each
    subdivision and with flexicubes."""

    sdf_base: Literal["none", "sphere", "bowl"] = "none"
    """Shape that the network's signed distances are added to (the paper has none): a sphere, or for
    containers a bowl, which is a sphere from which a smaller and higher one is cut out."""

    sdf_base_radius: float = 0.35
    """Radius of the base sphere, and outer radius of the bowl, in scene units."""

    sdf_base_weight: float = 0.1
    """Factor on the network's signed distances where there is a base shape."""

    sdf_base_limit: float = 0.0
    """Largest absolute signed distance of the base shape, approached smoothly; 0: no limit. Deep
    inside and far outside of the sphere, hollows and handles then need no larger values of the
    network than near its surface."""

    cavity_wall: float = 0.0
    """For containers: cut a cavity out of every shape that leaves walls and a bottom of this
    thickness, in scene units; 0 cuts nothing (the paper). Silhouettes show no hollow: without it,
    vessels stay solid however long they are trained. Closed lids are opened too."""

    def __post_init__(self) -> None:
        """Validate the sizes and options; raise ConfigError."""
        check_literals(self)
        for resolution, base in (
            ("plane_resolution", "channel_base"),
            ("volume_resolution", "volume_channel_base"),
        ):
            size, width = getattr(self, resolution), getattr(self, base)
            if size < 4 or size & (size - 1):
                raise ConfigError(f"{resolution} must be a power of two, 4 or more, got {size}")
            if width < size:
                raise ConfigError(f"{base} must be at least {resolution} ({size}), got {width}")
        check_bounds(self, _BOUNDS)
        if not 3 <= self.grid_resolution <= MAX_RESOLUTION:
            raise ConfigError(
                f"grid_resolution must be from 3 to {MAX_RESOLUTION}, got {self.grid_resolution}"
            )
        most = max((MAX_RESOLUTION // self.grid_resolution).bit_length() - 1, 0)
        if not 0 <= self.subdivisions <= most:
            raise ConfigError(
                f"subdivisions must be from 0 to {most} for a grid_resolution of "
                f"{self.grid_resolution} (at most {MAX_RESOLUTION} in all), got {self.subdivisions}"
            )
        for name in ("scale", "deformation_multiplier", "sdf_base_radius", "sdf_base_weight"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ConfigError(f"{name} must be positive, got {getattr(self, name)}")
        if not 0 <= self.sdf_base_limit < float("inf"):
            raise ConfigError(
                "sdf_base_limit must not be negative, and be a finite number, got "
                f"{self.sdf_base_limit}"
            )
        if not 0 <= self.cavity_wall < float("inf"):
            raise ConfigError(
                f"cavity_wall must not be negative, and be a finite number, got {self.cavity_wall}"
            )
        if self.cavity_wall > 0 and self.sdf_inside == "negative":
            raise ConfigError('cavity_wall needs sdf_inside "positive"')
        if self.sdf_inside == "negative" and self.sdf_base != "none":
            raise ConfigError(f'sdf_inside "negative" needs sdf_base "none", got "{self.sdf_base}"')
        if self.iso_surface == "flexicubes" and self.architecture == "separate":
            raise ConfigError('iso_surface "flexicubes" needs architecture "unified"')


@dataclass(frozen=True, kw_only=True)
class GridOptions:
    """Fineness of an extracted surface; the default is that of the generator's config."""

    grid_resolution: int | None = None
    """Fineness of the surface's grid, 3 to 2048, evaluated only near the surface; finer or coarser
    than in training."""

    subdivisions: int | None = None
    """How often the tets or cubes near the surface are split into eight; None as in training."""

    def __post_init__(self) -> None:
        """Validate what does not depend on the generator; raise ConfigError."""
        if self.grid_resolution is not None and self.subdivisions is not None:
            raise ConfigError("give grid_resolution or subdivisions, not both")
        if self.grid_resolution is not None and not 3 <= self.grid_resolution <= MAX_RESOLUTION:
            raise ConfigError(
                f"grid_resolution must be from 3 to {MAX_RESOLUTION}, got {self.grid_resolution}"
            )
        if self.subdivisions is not None and self.subdivisions < 0:
            raise ConfigError(f"subdivisions must not be negative, got {self.subdivisions}")

    def check(self, config: GeneratorConfig) -> None:
        """Validate the options for a generator.

        Args:
            config: Config of the generator.

        Raises:
            ConfigError: If its grid cannot be as fine as these options say.
        """
        if self.subdivisions is not None:
            replace(config, subdivisions=self.subdivisions)  # raises if there are too many


@dataclass(frozen=True, kw_only=True)
class TrainingRenderConfig:
    """How training renders meshes and colour fields to images."""

    composite: Literal["published", "antialiased"] = "published"
    """published: colour where the centre of a pixel is covered, the colour layer's bias elsewhere.
    antialiased: colour wherever anything is seen, blended with black by the mask."""

    mask_supersample: int = 1
    """Masks are rendered this many times larger along each axis, then averaged; with the composite
    antialiased, colours are taken at the same sub-pixels."""

    detach_positions: bool = True
    """Keep the colour's gradient from moving the surface (as published)."""

    light: Literal["none", "data", "learned"] = "none"
    """none: the colour field holds the light of the images (published). data: it is the base colour
    and is lit through the surface's normals as the data set was (its metadata must say how).
    learned: the same, lit by nine learned spherical harmonics coefficients."""

    normal_smoothing: int = 0
    """With a light: how often normals are averaged over the faces about each vertex before shading.
    Without it, bumps smaller than a pixel darken a surface as if it were inclined."""

    antialias_occlusions: bool = False
    """With the composite antialiased: blend colours also where a contour edge of a nearer surface
    passes before a farther one, inside the outline. The images' gradient then moves these edges
    too, not only the outer silhouette; detach_positions does not prevent that."""

    def __post_init__(self) -> None:
        """Validate the options; raise ConfigError."""
        check_literals(self)
        if self.antialias_occlusions and self.composite != "antialiased":
            raise ConfigError(
                f'antialias_occlusions needs the composite "antialiased", got "{self.composite}"'
            )
        if not 0 <= self.normal_smoothing <= _MAX_SMOOTHING:
            raise ConfigError(
                f"normal_smoothing must be from 0 to {_MAX_SMOOTHING}, got {self.normal_smoothing}"
            )
        check_bounds(self, {"mask_supersample": (1, 16)})
