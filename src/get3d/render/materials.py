"""Materials at points of a surface: factors, textures and vertex colours multiplied."""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from get3d.core.colors import srgb_to_linear
from get3d.core.types import Material, TexturedMesh

Extra = Literal["metallic", "roughness", "emissive"]
_SIZES: dict[Extra, int] = {
    "metallic": 1,
    "roughness": 1,
    "emissive": 3,
}


def material_channels(
    textured_mesh: TexturedMesh,
    face: Int[Tensor, " p"],
    weights: Float[Tensor, "p 3"],
    *,
    extra: Sequence[Extra] = tuple(_SIZES),
) -> dict[str, Tensor]:
    """Evaluate the materials of a mesh at points of its faces.

    Alpha is what the alpha modes make of it: 1 in mode OPAQUE, 0 or 1 in mode MASK.

    Args:
        textured_mesh: The mesh with its materials.
        face: Index of the face of each point.
        weights: Barycentric weights of its three corners.
        extra: Channels to evaluate besides base colour and alpha.

    Returns:
        base_color [p, 3] in linear light and alpha [p, 1]; of the extra channels metallic [p, 1],
        roughness [p, 1] and emissive [p, 3], in linear light, those that a material sets.
    """
    materials = textured_mesh.materials
    names = [name for name in extra if any(_is_set(material, name) for material in materials)]
    rgba = weights.new_ones(face.shape[0], 4)
    values = {name: weights.new_zeros(face.shape[0], _SIZES[name]) for name in names}
    material_of = textured_mesh.face_material[face]
    for index, material in enumerate(materials):
        mine = (material_of == index).nonzero().squeeze(1)
        if not mine.numel():
            continue
        uv = None
        if textured_mesh.uvs.shape[0]:
            corners = textured_mesh.uvs[textured_mesh.uv_faces[face[mine]]].to(weights)
            uv = (weights[mine][..., None] * corners).sum(1)
        factor = weights.new_tensor(material.base_color).expand(len(mine), 4)
        if material.texture is not None and uv is not None:
            factor = factor * sample_texture(material.texture.to(weights.device), uv)
        rgba[mine] = factor
        for name in names:
            values[name][mine] = _sample(material, name, uv, weights[mine])
    if textured_mesh.vert_colors is not None:
        corners = textured_mesh.vert_colors[textured_mesh.mesh.faces[face]].to(weights)
        rgba = rgba * (weights[..., None] * corners).sum(1)
    alpha = apply_alpha_modes(rgba[:, 3], materials, material_of)
    return {"base_color": rgba[:, :3], "alpha": alpha[:, None]} | values


def sample_texture(
    texture: Float[Tensor, "h w c"], uv: Float[Tensor, "p 2"], *, is_srgb: bool = True
) -> Float[Tensor, "p c"]:
    """Look up a texture bilinearly, in linear light; it repeats in both directions.

    Args:
        texture: Image, row 0 at v = 1; a fourth channel is alpha.
        uv: Where to look; (0, 0) is the bottom left corner.
        is_srgb: Whether the first three channels are sRGB colours; else they are used as they are.

    Returns:
        Linear values.
    """
    height, width = texture.shape[:2]
    texture = texture.to(uv.dtype)
    decode_first = 4 * uv.shape[0] > height * width  # decode every texel once, or each one used
    if decode_first and is_srgb:
        texture = torch.cat([srgb_to_linear(texture[..., :3]), texture[..., 3:]], 2)
    u = (uv[:, 0] - uv[:, 0].floor()) * width - 0.5
    v = (1.0 - (uv[:, 1] - uv[:, 1].floor())) * height - 0.5
    left, top = u.floor(), v.floor()
    total = uv.new_zeros(uv.shape[0], texture.shape[2])
    for down in (0, 1):
        for right in (0, 1):
            column, row = (left.long() + right) % width, (top.long() + down) % height
            weight = (1 - right - (u - left)).abs() * (1 - down - (v - top)).abs()
            texel = texture[row, column]
            if not decode_first and is_srgb:
                texel = torch.cat([srgb_to_linear(texel[:, :3]), texel[:, 3:]], 1)
            total = total + weight[:, None] * texel
    return total


def apply_alpha_modes(
    alpha: Float[Tensor, " p"], materials: Sequence[Material], material_of: Int[Tensor, " p"]
) -> Float[Tensor, " p"]:
    """Apply glTF's alpha modes to points of a surface.

    Args:
        alpha: Product of factor, texture and vertex colour.
        materials: Materials of the surface.
        material_of: Index of the material of each point.

    Returns:
        1 where the mode is OPAQUE, 0 or 1 where it is MASK, else `alpha`.
    """
    for index, material in enumerate(materials):
        if material.alpha_mode == "OPAQUE":
            applied = torch.ones_like(alpha)
        elif material.alpha_mode == "MASK":
            applied = (alpha >= material.alpha_cutoff).to(alpha.dtype)
        else:
            continue
        alpha = torch.where(material_of == index, applied, alpha)
    return alpha


def _is_set(material: Material, name: Extra) -> bool:
    """Tell whether a material differs from the default in a channel."""
    match name:
        case "metallic":
            return material.metallic != 0
        case "roughness":
            return material.roughness != 1 or material.metallic_roughness_texture is not None
        case "emissive":
            return any(value != 0 for value in material.emissive)


def _sample(
    material: Material,
    name: Extra,
    uv: Float[Tensor, "p 2"] | None,
    like: Float[Tensor, "p _"],
) -> Float[Tensor, "p _"]:
    """Multiply the factor and the texture of a channel."""
    part: int | None
    factor: tuple[float, ...]
    match name:
        case "metallic":
            factor, texture, part = (material.metallic,), material.metallic_roughness_texture, 2
        case "roughness":
            factor, texture, part = (material.roughness,), material.metallic_roughness_texture, 1
        case "emissive":
            factor, texture, part = material.emissive, material.emissive_texture, None
    values = like.new_tensor(factor).expand(len(like), len(factor))
    if texture is None or uv is None:
        return values
    image = texture.to(like) / 255
    if part is None:
        return values * sample_texture(image, uv)
    return values * sample_texture(image[..., part : part + 1], uv, is_srgb=False)
