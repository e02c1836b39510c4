"""Shapes of a model and mesh files as subjects of images."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from get3d.apps.model import Model
from get3d.core.types import Cameras, Mesh, Styles, TexturedMesh
from get3d.data import load_mesh, normalize_mesh
from get3d.export import AssetOptions, TextureSize
from get3d.models import Fields, GridOptions
from get3d.render import Light, render_colored, render_textured

_SUPERSAMPLE = 3


@dataclass(frozen=True)
class LatentShape:
    """A shape of a model; its images query the colour field, so they need no texture.

    Attributes:
        model: The model.
        styles: Styles of the shape, [1, layers, w].
        fields: Fields of the shape.
        mesh: Surface of the shape; at least one face.
    """

    model: Model
    styles: Styles
    fields: Fields
    mesh: Mesh

    @torch.no_grad()
    def render(self, cameras: Cameras, image_size: int) -> Float[Tensor, "views h w 4"]:
        """Render images.

        Args:
            cameras: Cameras, one per image.
            image_size: Width and height, in pixels.

        Returns:
            sRGB with straight alpha.
        """
        cameras = cameras.to(self.mesh.verts.device)
        return render_colored(
            self.mesh,
            self.fields.appearance,
            cameras,
            image_size,
            light=Light(),
            supersample=_SUPERSAMPLE,
        )

    def textured(
        self, texture_size: TextureSize = "auto", options: AssetOptions | None = None
    ) -> TexturedMesh:
        """Unwrap the surface and bake its texture.

        Args:
            texture_size: As for `Model.generate`.
            options: Cleaning, normals and vertex colours; None takes the surface as it is.

        Raises:
            MeshError: If no face is left after cleaning, or there are more charts than the texture
                can hold.
        """
        return self.model.texture(
            self.fields, self.mesh, texture_size=texture_size, options=options
        )


@torch.no_grad()
def generate_shape(model: Model, styles: Styles, *, grid: GridOptions | None = None) -> LatentShape:
    """Generate the surface of one shape.

    Args:
        model: The model.
        styles: Styles of the shape, [1, layers, w].
        grid: Resolution of the surface; None as in training.

    Raises:
        MeshError: If there is no surface.
        ConfigError: If the model cannot have a surface of that resolution.
        ValueError: If there is more than one shape.
    """
    if len(styles.geo) != 1 or len(styles.tex) != 1:
        raise ValueError(
            f"one shape at a time: got {len(styles.geo)} geometry and {len(styles.tex)} texture "
            "rows; take them apart with split_styles"
        )
    fields = model.generator.fields(styles)
    return LatentShape(model, styles, fields, model.surface(fields, grid=grid))


@dataclass(frozen=True)
class MeshSubject:
    """A textured mesh as the subject of images.

    Attributes:
        shape: The mesh, from a file or from `Model.generate`.
    """

    shape: TexturedMesh

    @property
    def mesh(self) -> Mesh:
        """The mesh without its texture."""
        return self.shape.mesh

    def render(self, cameras: Cameras, image_size: int) -> Float[Tensor, "views h w 4"]:
        """Render images.

        Args:
            cameras: Cameras, one per image.
            image_size: Width and height, in pixels.

        Returns:
            sRGB with straight alpha.
        """
        cameras = cameras.to(self.mesh.verts.device)
        return render_textured(
            self.shape, cameras, image_size, light=Light(), supersample=_SUPERSAMPLE
        )


Subject = LatentShape | MeshSubject
"""Subject of images."""


def read_subject(path: Path | str) -> MeshSubject:
    """Read a mesh file, centred at the origin and scaled to a longest side of 1.

    Args:
        path: GLB, glTF, OBJ, PLY, STL or OFF.

    Raises:
        FileNotFoundError: If there is no such file.
        MeshError: If it cannot be used.
    """
    # In double precision until it is near the origin, where single precision suffices.
    shape = normalize_mesh(load_mesh(path, dtype=torch.float64), longest_side=1.0)
    return MeshSubject(replace(shape, mesh=Mesh(shape.mesh.verts.float(), shape.mesh.faces)))
