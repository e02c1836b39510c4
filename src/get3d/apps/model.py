"""`Model`: a trained generator that makes textured meshes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from get3d.core import ConfigError, Mesh, MeshError, Styles, TexturedMesh
from get3d.export import AssetOptions, TextureSize, check_texture_size, make_asset
from get3d.models import Fields, Generator, GridOptions, mix_styles

UNKNOWN_LICENCE = "unknown"
MAX_TRUNCATION = 100.0
_GEOMETRY_STREAM, _TEXTURE_STREAM = 0, 1
_OTHER_GEOMETRY_STREAM, _OTHER_TEXTURE_STREAM, _MIXING_STREAM = 2, 3, 4


def check_truncation(truncation: float) -> None:
    """Validate a truncation; raise ConfigError.

    Styles far beyond those of training are no shapes, and overflow in the end.
    """
    if not -MAX_TRUNCATION <= truncation <= MAX_TRUNCATION:
        raise ConfigError(
            f"truncation must lie in {-MAX_TRUNCATION:g} to {MAX_TRUNCATION:g}, got {truncation}"
        )


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """Description of a model.

    Attributes:
        name: Short name, without a path.
        description: What it generates and how it was trained: data, hours, machine.
        licence: Licence of the weights, as an SPDX identifier where there is one.
        origin: Where the weights came from, if get3d did not train them.
        is_unlit: Whether its colours are base colours, because generated images were lit in
            training. Otherwise they contain the light of the training images.
        seen_images: Training images seen, if get3d trained it.
        saved_at: When training wrote it, such as "2026-11-28 09:30 UTC"; else empty.
        source: Where it was loaded from; not saved.
    """

    name: str = "model"
    description: str = ""
    licence: str = UNKNOWN_LICENCE
    origin: str = ""
    is_unlit: bool = False
    seen_images: int | None = None
    saved_at: str = ""
    source: str = ""

    def __str__(self) -> str:
        """Name the model and its state in one line."""
        seen = [] if self.seen_images is None else [f"{self.seen_images} images seen"]
        saved = [f"saved {self.saved_at}"] if self.saved_at else []
        source = f" ({self.source})" if self.source else ""
        return ", ".join([f"{self.name}{source}", *seen, *saved])


@dataclass(frozen=True)
class Model:
    """A generator with its description.

    Attributes:
        generator: The network; shapes are generated on its device.
        info: Description of the model.
    """

    generator: Generator
    info: ModelInfo = ModelInfo()

    def __repr__(self) -> str:
        """Format as `Model(vessels-64 (bundled), on cpu)`, without the layers of the network."""
        return f"Model({self.info}, on {self.device})"

    @property
    def device(self) -> torch.device:
        """Device of the network, on which shapes are generated."""
        return next(self.generator.parameters()).device

    def to(self, device: torch.device | str) -> "Model":
        """Move the network, in place, to a device."""
        self.generator.to(device)
        return self

    def generate(
        self,
        num: int = 1,
        *,
        seed: int = 0,
        texture_seed: int | None = None,
        truncation: float = 0.7,
        texture_size: TextureSize = "auto",
        options: AssetOptions | None = None,
        grid: GridOptions | None = None,
    ) -> list[TexturedMesh]:
        """Generate textured meshes; the same arguments give the same meshes on the same machine.

        Args:
            num: Number of shapes.
            seed: Random seed, from 0; shape i depends on it and on i, not on `num`.
            texture_seed: Random seed of the textures; None takes `seed`.
            truncation: Factor on the distance from the average style (the truncation trick of
                StyleGAN); 1 is the full variety.
            texture_size: Width and height of the textures, in texels; "auto": by the area of the
                surface and the resolution of the tri-planes.
            options: Cleaning, normals and vertex colours; None takes the surface as it is.
            grid: Resolution of the surface; None as in training.

        Returns:
            The shapes, on the device of the network.

        Raises:
            ConfigError: If an argument is out of range.
            MeshError: If a shape has no surface, or more charts than the texture can hold.
            TypeError: If `num` or a seed is no whole number.

        Example:
            >>> from get3d.models import GeneratorConfig
            >>> config = GeneratorConfig(
            ...     z_dim=8, w_dim=8, plane_resolution=4, channel_base=16, grid_resolution=8,
            ...     sdf_base="sphere",  # untrained, most networks have no surface
            ... )
            >>> [shape] = Model(Generator(config)).generate(texture_size=64)
            >>> shape.materials[0].texture.shape
            torch.Size([64, 64, 4])
        """
        return list(
            self.iter_generate(
                num,
                seed=seed,
                texture_seed=texture_seed,
                truncation=truncation,
                texture_size=texture_size,
                options=options,
                grid=grid,
            )
        )

    def iter_generate(
        self,
        num: int,
        *,
        seed: int = 0,
        texture_seed: int | None = None,
        truncation: float = 0.7,
        texture_size: TextureSize = "auto",
        options: AssetOptions | None = None,
        grid: GridOptions | None = None,
    ) -> Iterator[TexturedMesh]:
        """Generate textured meshes lazily, one at a time: the arguments are those of `generate`.

        A MeshError names its shape, and the iterator continues with the next shape.

        Returns:
            An iterator over the shapes that `generate` would return.

        Raises:
            ConfigError: At once, if an argument is out of range.
            MeshError: From the iterator, as `generate`.
            TypeError: At once, if `num` or a seed is no whole number.
        """
        check_texture_size(texture_size, least=16, may_be_auto=True)
        check_truncation(truncation)
        if grid is not None:
            grid.check(self.generator.config)
        texture_seed = seed if texture_seed is None else texture_seed
        for name, value in (("num", num), ("seed", seed), ("texture_seed", texture_seed)):
            if not isinstance(value, int | np.integer):
                raise TypeError(f"{name} must be a whole number such as 7, got {value!r}")
            if value < 0:
                raise ConfigError(f"{name} must not be negative, got {value}")

        def make(index: int) -> TexturedMesh:
            try:
                with torch.no_grad():
                    styles = self.styles(
                        index, seed=seed, texture_seed=texture_seed, truncation=truncation
                    )
                return self._make_shape(styles, texture_size, options, grid)
            except MeshError as error:
                raise MeshError(f"shape {index} of seed {seed}: {error}") from error

        # Unlike a generator function, a map continues after one of its calls has failed.
        return map(make, range(num))

    def _latent(self, seed: int, index: int, stream: int) -> Float[Tensor, "1 z"]:
        """Draw a latent code on the CPU; it depends on the arguments alone."""
        mixed = np.random.SeedSequence([seed, index, stream]).generate_state(1, np.uint64)
        rng = torch.Generator().manual_seed(int(mixed[0] >> np.uint64(1)))
        return torch.randn(1, self.generator.config.z_dim, generator=rng)

    def styles(
        self,
        index: int,
        *,
        seed: int = 0,
        texture_seed: int | None = None,
        truncation: float = 0.7,
        style_mixing: float = 0.0,
    ) -> Styles:
        """Compute the styles of one of the shapes that `generate` makes.

        Args:
            index: Index of the shape.
            seed: As for `generate`.
            texture_seed: As for `generate`.
            truncation: As for `generate`.
            style_mixing: Probability of mixing them with a second shape's styles, for geometry and
                texture each, as in training.

        Returns:
            Geometry [1, n_geo, w] and texture styles [1, n_tex, w].

        Raises:
            ConfigError: If `truncation` is out of range.
        """
        check_truncation(truncation)
        texture_seed = seed if texture_seed is None else texture_seed
        weight = next(self.generator.parameters())

        def draw(geometry: int, texture: int) -> Styles:
            z_geo = self._latent(seed, index, geometry).to(weight)
            z_tex = self._latent(texture_seed, index, texture).to(weight)
            return self.generator.map(z_geo, z_tex, truncation=truncation)

        styles = draw(_GEOMETRY_STREAM, _TEXTURE_STREAM)
        if style_mixing == 0:
            return styles
        mixed = np.random.SeedSequence([seed, index, _MIXING_STREAM]).generate_state(1)
        rng = torch.Generator().manual_seed(int(mixed[0]))
        other = draw(_OTHER_GEOMETRY_STREAM, _OTHER_TEXTURE_STREAM)
        return mix_styles(styles, other, probability=style_mixing, generator=rng)

    def texture(
        self,
        fields: Fields,
        mesh: Mesh,
        *,
        texture_size: TextureSize,
        options: AssetOptions | None = None,
    ) -> TexturedMesh:
        """Unwrap a mesh of a field and bake the field's colours.

        Args:
            fields: Fields of one shape.
            mesh: The mesh, from `surface`.
            texture_size: Width and height of the texture, in texels.
            options: As for `generate`.

        Raises:
            MeshError: If the mesh has no faces left after cleaning, more charts than the texture
                can hold, or colours that are not finite.
        """
        return make_asset(mesh, fields.appearance, texture_size=texture_size, options=options)

    @torch.no_grad()
    def surface(self, fields: Fields, *, grid: GridOptions | None = None) -> Mesh:
        """Extract the mesh of a field.

        Where all signed distances have one sign, training uses a fallback surface, so that there is
        a gradient; here that is an error.

        Args:
            fields: Fields of one shape.
            grid: As for `generate`.

        Raises:
            MeshError: If the signed distances have no surface.
            ConfigError: If the model cannot have a surface of that resolution.
        """
        surface = self.generator.extract(fields, grid=grid)
        if surface.is_fallback.any():
            raise MeshError("the signed distances have no surface; the model may be untrained")
        if len(surface.meshes[0].faces) == 0:
            raise MeshError("no part of the surface is found on so coarse a grid; take a finer one")
        return surface.meshes[0]

    @torch.no_grad()
    def _make_shape(
        self,
        styles: Styles,
        texture_size: TextureSize,
        options: AssetOptions | None,
        grid: GridOptions | None,
    ) -> TexturedMesh:
        """Extract and texture one shape."""
        fields = self.generator.fields(styles)
        mesh = self.surface(fields, grid=grid)
        return self.texture(fields, mesh, texture_size=texture_size, options=options)
