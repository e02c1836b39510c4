"""The one way from styles to meshes, images and files."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from get3d.apps.model import Model, field_color
from get3d.core.types import Cameras, Mesh, Styles, TexturedMesh
from get3d.data import load_mesh, normalize_mesh
from get3d.export import AssetOptions
from get3d.models import Fields, GridOptions
from get3d.render import Light, render_colored, render_textured

_SUPERSAMPLE = 3


@dataclass(frozen=True)
class LatentShape:
    """A shape of a model; its images ask the field for colours, so they need no texture.

    Attributes:
        model: What made it.
        styles: From what; one row each.
        fields: The shape as functions of space.
        mesh: Its surface; at least one face.
    """

    model: Model
    styles: Styles
    fields: Fields
    mesh: Mesh

    @torch.no_grad()
    def render(self, cameras: Cameras, image_size: int) -> Float[Tensor, "views h w 4"]:
        """Take images.

        Args:
            cameras: One an image.
            image_size: Side, in pixels.

        Returns:
            sRGB with straight alpha.
        """
        cameras = cameras.to(self.mesh.verts.device)
        color = field_color(self.fields)
        return render_colored(
            self.mesh, color, cameras, image_size, light=Light(), supersample=_SUPERSAMPLE
        )

    def textured(
        self, texture_size: int = 1024, options: AssetOptions | None = None
    ) -> TexturedMesh:
        """Unwrap it and bake its texture.

        Args:
            texture_size: Side of the texture, in texels.
            options: Cleaning, normals and vertex colours; None takes the surface as it is.

        Raises:
            ValueError: If no face is left after cleaning, or it has more charts than the texture
                can hold.
        """
        return self.model.texture(
            self.fields, self.mesh, texture_size=texture_size, options=options
        )


@torch.no_grad()
def make_shape(model: Model, styles: Styles, *, grid: GridOptions | None = None) -> LatentShape:
    """Make the surface of one shape.

    Args:
        model: The network.
        styles: One row each.
        grid: How fine the surface is; None as in training.

    Raises:
        ValueError: If there is more than one row, or no surface, or it cannot be as fine as that.
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
    """A textured mesh, from a file or from `Model.generate`.

    Attributes:
        shape: With its look.
    """

    shape: TexturedMesh

    @property
    def mesh(self) -> Mesh:
        """The surface."""
        return self.shape.mesh

    def render(self, cameras: Cameras, image_size: int) -> Float[Tensor, "views h w 4"]:
        """Take images.

        Args:
            cameras: One an image.
            image_size: Side, in pixels.

        Returns:
            sRGB with straight alpha.
        """
        cameras = cameras.to(self.mesh.verts.device)
        return render_textured(
            self.shape, cameras, image_size, light=Light(), supersample=_SUPERSAMPLE
        )


Subject = LatentShape | MeshSubject
"""What images are taken of."""


def read_subject(path: Path | str) -> MeshSubject:
    """Read a mesh file to take images of; it is moved to the origin and made one unit long.

    Args:
        path: GLB, glTF, OBJ, PLY, STL or OFF.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be used.
    """
    # In double precision until it is near the origin, where single precision is fine enough.
    shape = normalize_mesh(load_mesh(path, dtype=torch.float64), longest_side=1.0)
    return MeshSubject(replace(shape, mesh=Mesh(shape.mesh.verts.float(), shape.mesh.faces)))
