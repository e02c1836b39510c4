"""From a surface and its appearance to an asset: cleaned, textured, with normals."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch

from get3d.core import (
    Appearance,
    ConfigError,
    Material,
    Mesh,
    MeshError,
    TexturedMesh,
    check_literals,
    srgb_to_linear,
)
from get3d.export.bake import evaluate_appearance, texture_mesh
from get3d.export.clean import Cleaning, clean_mesh
from get3d.export.materials import check_channels
from get3d.export.texture_size import TextureSize
from get3d.geometry import check_mesh, split_normals
from get3d.render import ColorFn


@dataclass(frozen=True, kw_only=True)
class AssetOptions(Cleaning):
    """Options of `make_asset`; by default the surface stays as the network made it."""

    crease_deg: float | None = None
    """Split normals where the surface bends by more degrees, such as 40; smooth if left out."""

    colors: Literal["texture", "vertices"] = "texture"
    """Where the colours go: into a texture with an atlas, or to the vertices."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: If one is out of range.
        """
        super().__post_init__()
        check_literals(self)
        if self.crease_deg is not None and not 0 <= self.crease_deg <= 180:
            raise ConfigError(f"crease_deg must lie in 0 to 180, got {self.crease_deg}")


def make_asset(
    mesh: Mesh,
    appearance: Appearance | ColorFn,
    *,
    texture_size: TextureSize = "auto",
    options: AssetOptions | None = None,
) -> TexturedMesh:
    """Clean a surface, bake its appearance, and give it normals.

    Args:
        mesh: At least one face.
        appearance: As for `texture_mesh`.
        texture_size: Width and height of the textures, in texels; see `choose_texture_size`.
        options: None changes nothing about the surface and bakes a texture.

    Returns:
        The asset; its notes say what was done.

    Raises:
        MeshError: If the mesh has no faces or none after cleaning, a position or colour is not
            finite, or the texture is too small for the mesh's charts.
    """
    options = AssetOptions() if options is None else options
    cleaned = clean_mesh(mesh, options)
    if options.colors == "texture":
        asset = texture_mesh(cleaned.mesh, appearance, texture_size=texture_size)
    else:
        asset = color_vertices(cleaned.mesh, appearance)
    notes = cleaned.notes
    if options.crease_deg is not None:
        split = split_normals(cleaned.mesh, crease_rad=math.radians(options.crease_deg))
        asset = replace(asset, normals=split.normals, normal_faces=split.faces)
        notes += (
            f"normals split at creases of {options.crease_deg:g} degrees: {len(split.normals)} "
            f"normals for {len(cleaned.mesh.verts)} vertices",
        )
    return replace(asset, notes=notes)


@torch.no_grad()
def color_vertices(mesh: Mesh, appearance: Appearance | ColorFn) -> TexturedMesh:
    """Colour a mesh at its vertices, without texture or atlas.

    Args:
        mesh: At least one face.
        appearance: With no other channel than a colour: vertices have no others.

    Raises:
        MeshError: As `check_mesh`, or if there are no faces or a colour is not finite.
        ConfigError: If the appearance has other channels.
    """
    if not isinstance(appearance, Appearance):
        appearance = Appearance.of_color(appearance)
    check_channels(appearance.channels)
    if len(appearance.channels) > 1:
        raise ConfigError(
            f"vertices hold a colour alone, and the appearance has {', '.join(appearance.channels)}"
            '; use colors "texture"'
        )
    if len(mesh.faces) == 0:
        raise MeshError("the mesh has no faces, so there is nothing to colour")
    check_mesh(mesh)
    srgb = evaluate_appearance(appearance, mesh.verts.detach())
    linear = srgb_to_linear(srgb)
    return TexturedMesh(
        mesh=mesh.detach(),
        uvs=mesh.verts.new_zeros(0, 2),
        uv_faces=torch.zeros_like(mesh.faces),
        materials=(Material(),),
        face_material=torch.zeros(len(mesh.faces), dtype=torch.int64, device=mesh.faces.device),
        vert_colors=torch.cat([linear, torch.ones_like(linear[:, :1])], dim=1),
    )
