"""From a surface and its colour field to an asset: cleaned, coloured, with normals."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch

from get3d.core import (
    Material,
    Mesh,
    MeshError,
    TexturedMesh,
    check_literals,
    srgb_to_linear,
)
from get3d.export.bake import ColorFn, ask_colors, texture_mesh
from get3d.export.clean import Cleaning, clean_mesh
from get3d.geometry import check_mesh, split_normals


@dataclass(frozen=True, kw_only=True)
class AssetOptions(Cleaning):
    """How a generated shape becomes an asset; by default as the network made it."""

    crease_deg: float | None = None
    """Split normals where the surface bends by more degrees, such as 40; smooth if left out."""

    colors: Literal["texture", "vertices"] = "texture"
    """Where the colours go: into a texture with an atlas, or to the vertices."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: If one is out of range.
        """
        super().__post_init__()
        check_literals(self)
        if self.crease_deg is not None and not 0 <= self.crease_deg <= 180:
            raise ValueError(f"crease_deg must lie in 0 to 180, got {self.crease_deg}")


def make_asset(
    mesh: Mesh,
    color_fn: ColorFn,
    *,
    texture_size: int = 1024,
    options: AssetOptions | None = None,
) -> TexturedMesh:
    """Clean a surface, ask its colour field, and give it normals.

    Args:
        mesh: What `color_fn` colours; at least one face.
        color_fn: sRGB colours in [0, 1] at object-space positions; values outside are clipped.
        texture_size: Side of the texture, in texels.
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
        asset = texture_mesh(cleaned.mesh, color_fn, texture_size=texture_size)
    else:
        asset = color_vertices(cleaned.mesh, color_fn)
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
def color_vertices(mesh: Mesh, color_fn: ColorFn) -> TexturedMesh:
    """Colour a mesh at its vertices, without texture or atlas.

    Args:
        mesh: At least one face.
        color_fn: As for `make_asset`.

    Raises:
        MeshError: As `check_mesh`, or if there are no faces or a colour is not finite.
    """
    if len(mesh.faces) == 0:
        raise MeshError("the mesh has no faces, so there is nothing to colour")
    check_mesh(mesh)
    srgb = ask_colors(color_fn, mesh.verts.detach())
    linear = srgb_to_linear(srgb)
    return TexturedMesh(
        mesh=mesh.detach(),
        uvs=mesh.verts.new_zeros(0, 2),
        uv_faces=torch.zeros_like(mesh.faces),
        materials=(Material(),),
        face_material=torch.zeros(len(mesh.faces), dtype=torch.int64, device=mesh.faces.device),
        vert_colors=torch.cat([linear, torch.ones_like(linear[:, :1])], dim=1),
    )
