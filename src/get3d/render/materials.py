"""Materials at points of a surface: factors, textures and vertex colours multiplied."""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from get3d.core.colors import srgb_to_linear
from get3d.core.textures import EncodedTexture, Sampler, Wrap
from get3d.core.types import Material, TexturedMesh

Extra = Literal["metallic", "roughness", "emissive"]
_SIZES: dict[Extra, int] = {
    "metallic": 1,
    "roughness": 1,
    "emissive": 3,
}
_FIELDS: dict[Extra, str] = {
    "metallic": "metallic_roughness_texture",
    "roughness": "metallic_roughness_texture",
    "emissive": "emissive_texture",
}
_DEFAULT = Sampler()
_ALL = slice(None)


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
    points_of = [(material_of == index).nonzero().squeeze(1) for index in range(len(materials))]
    used = [index for index, points in enumerate(points_of) if points.numel()]

    def find_uv(points: Int[Tensor, " q"], texture: str) -> Float[Tensor, "q 2"] | None:
        uvs = textured_mesh.other_uvs.get(texture, textured_mesh.uvs)
        if not len(uvs):
            return None
        corners = uvs[textured_mesh.uv_faces[face[points]]].to(weights)
        return (weights[points][..., None] * corners).sum(1)

    # Materials with the same image follow one another, so that it is decoded once.
    for index in sorted(used, key=lambda each: _image_id(materials[each].texture)):
        points, material = points_of[index], materials[index]
        factor = weights.new_tensor(material.base_color).expand(len(points), 4)
        uv = find_uv(points, "texture")
        if material.texture is not None and uv is not None:
            factor = factor * _look_up(material.texture, uv, is_srgb=True)
        rgba[points] = factor
    for name in names:
        for index in used:
            points = points_of[index]
            uv = find_uv(points, _FIELDS[name])
            values[name][points] = _sample(materials[index], name, uv, weights[points])
    if textured_mesh.vert_colors is not None:
        corners = textured_mesh.vert_colors[textured_mesh.mesh.faces[face]].to(weights)
        rgba = rgba * (weights[..., None] * corners).sum(1)
    alpha = apply_alpha_modes(rgba[:, 3], materials, material_of)
    return {"base_color": rgba[:, :3], "alpha": alpha[:, None]} | values


def sample_texture(
    texture: Float[Tensor, "h w c"] | UInt8[Tensor, "h w c"],
    uv: Float[Tensor, "p 2"],
    *,
    is_srgb: bool = True,
    sampler: Sampler = _DEFAULT,
) -> Float[Tensor, "p c"]:
    """Look up a texture in linear light.

    Args:
        texture: Image in [0, 1] or bytes, row 0 at v = 1; a fourth channel is alpha.
        uv: Where to look; (0, 0) is the bottom left corner.
        is_srgb: Whether the first three channels are sRGB colours; else they are used as they are.
        sampler: What lies beyond the edges, and between texels.

    Returns:
        Linear values.
    """
    height, width = texture.shape[:2]
    if texture.dtype != torch.uint8:
        texture = texture.to(uv.dtype)
    # Decode every texel once, or each one used.
    decode_first = is_srgb and texture.dtype != torch.uint8 and 4 * uv.shape[0] > height * width
    if decode_first:
        texture = torch.cat([srgb_to_linear(texture[..., :3]), texture[..., 3:]], 2)
    u = _wrapped(uv[:, 0], sampler.wrap_u) * width
    v = (1.0 - _wrapped(uv[:, 1], sampler.wrap_v)) * height

    def texels(column: Int[Tensor, " p"], row: Int[Tensor, " p"]) -> Float[Tensor, "p c"]:
        column = _in_image(column, width, sampler.wrap_u)
        row = _in_image(row, height, sampler.wrap_v)
        return _linear(texture[row, column], uv.dtype, is_srgb=is_srgb and not decode_first)

    if sampler.is_nearest:
        return texels(u.floor().long(), v.floor().long())
    u, v = u - 0.5, v - 0.5
    left, top = u.floor(), v.floor()
    total = uv.new_zeros(uv.shape[0], texture.shape[2])
    for down in (0, 1):
        for right in (0, 1):
            weight = (1 - right - (u - left)).abs() * (1 - down - (v - top)).abs()
            total = total + weight[:, None] * texels(left.long() + right, top.long() + down)
    return total


def _wrapped(coordinate: Float[Tensor, " p"], wrap: Wrap) -> Float[Tensor, " p"]:
    """Bring a texture coordinate into [0, 1]."""
    match wrap:
        case "repeat":
            return coordinate - coordinate.floor()
        case "mirror":
            folded = coordinate - 2 * (coordinate / 2).floor()
            return torch.where(folded > 1, 2 - folded, folded)
        case "clamp":
            return coordinate.clamp(0, 1)


def _in_image(index: Int[Tensor, " p"], size: int, wrap: Wrap) -> Int[Tensor, " p"]:
    """Bring the index of a texel at most one beyond an edge into the image."""
    return index % size if wrap == "repeat" else index.clamp(0, size - 1)


def _linear(
    texels: Float[Tensor, "p c"] | UInt8[Tensor, "p c"], dtype: torch.dtype, *, is_srgb: bool
) -> Float[Tensor, "p c"]:
    """Bring texels to linear light; those of bytes by a table."""
    if texels.dtype != torch.uint8:
        if not is_srgb:
            return texels
        return torch.cat([srgb_to_linear(texels[:, :3]), texels[:, 3:]], 1)
    table = torch.arange(256, device=texels.device).to(dtype) / 255
    if not is_srgb:
        return table[texels.long()]
    rgb = srgb_to_linear(table)[texels[:, :3].long()]
    return torch.cat([rgb, table[texels[:, 3:].long()]], 1)


def _look_up(
    texture: Tensor | EncodedTexture,
    uv: Float[Tensor, "p 2"],
    *,
    is_srgb: bool,
    channels: slice = _ALL,
) -> Float[Tensor, "p _"]:
    """Sample some channels of a material's texture."""
    texels = texture.decode() if isinstance(texture, EncodedTexture) else texture
    sampler = texture.sampler if isinstance(texture, EncodedTexture) else _DEFAULT
    texels = texels.to(uv.device)[..., channels]
    return sample_texture(texels, uv, is_srgb=is_srgb, sampler=sampler)


def _image_id(texture: Tensor | EncodedTexture | None) -> int:
    """Return a number that textures with the same image have in common."""
    return id(texture.encoded) if isinstance(texture, EncodedTexture) else 0


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
    if part is None:
        return values * _look_up(texture, uv, is_srgb=True, channels=slice(3))
    return values * _look_up(texture, uv, is_srgb=False, channels=slice(part, part + 1))
