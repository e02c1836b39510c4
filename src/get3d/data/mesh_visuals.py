"""What trimesh knows of a surface's look, as our materials and linear vertex colours."""

from typing import Any

import numpy as np
import torch
import trimesh
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from get3d.core.colors import srgb_to_linear
from get3d.core.types import Material

_GLTF_SUFFIXES = (".gltf", ".glb")


def part_material(part: trimesh.Trimesh, suffix: str) -> Material:
    """Translate the material of one part of a file.

    glTF factors are linear light; the Kd of an MTL file is taken as sRGB, as drawing programs do.
    Alpha counts only where the file says so (glTF alphaMode, MTL d and map_d): many opaque models
    carry images with an unused alpha channel.

    Args:
        part: As read by trimesh.
        suffix: The file's suffix in lower case, with the dot.

    Returns:
        The material; white where the file has none.
    """
    material = getattr(part.visual, "material", None)
    if isinstance(material, trimesh.visual.material.PBRMaterial):
        return _from_pbr(material, has_uv=part_uvs(part) is not None)
    if isinstance(material, trimesh.visual.material.SimpleMaterial):
        return _from_mtl(material, has_uv=part_uvs(part) is not None, suffix=suffix)
    return Material()


def part_uvs(part: trimesh.Trimesh) -> Float[np.ndarray, "verts 2"] | None:
    """Texture coordinates, one a vertex, or None."""
    uv = getattr(part.visual, "uv", None)
    if uv is None or np.shape(uv) != (len(part.vertices), 2):
        return None
    return np.asarray(uv, dtype=np.float64)


def part_vert_colors(part: trimesh.Trimesh, suffix: str) -> Float[np.ndarray, "verts 4"] | None:
    """Vertex colours as linear RGBA in [0, 1], or None; glTF stores them linear, others as sRGB."""
    visual = part.visual
    if not isinstance(visual, trimesh.visual.ColorVisuals):
        # glTF files have them here, OBJ files with a material library there.
        for attributes in (getattr(visual, "vertex_attributes", {}), part.vertex_attributes):
            if "color" in attributes:
                return _linear_rgba(np.asarray(attributes["color"]), suffix)
    elif visual.kind == "vertex":
        return _linear_rgba(np.asarray(visual.vertex_colors), suffix)
    return None


def part_face_colors(part: trimesh.Trimesh, suffix: str) -> Float[np.ndarray, "faces 4"] | None:
    """Face colours as linear RGBA in [0, 1], or None."""
    visual = part.visual
    if isinstance(visual, trimesh.visual.ColorVisuals) and visual.kind == "face":
        return _linear_rgba(np.asarray(visual.face_colors), suffix)
    return None


def _linear_rgba(colors: np.ndarray, suffix: str) -> Float[np.ndarray, "n 4"]:
    """Bring colours of any number type, with or without alpha, to linear RGBA."""
    scale = np.iinfo(colors.dtype).max if colors.dtype.kind in "iu" else 1.0
    values = np.clip(colors.astype(np.float64) / scale, 0.0, 1.0)
    rgba = np.ones((len(values), 4))
    rgba[:, : values.shape[1]] = values
    if suffix not in _GLTF_SUFFIXES:
        rgba[:, :3] = _decode(rgba[:, :3])
    return rgba


def _decode(values: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Bring sRGB values to linear light; what lies outside [0, 1] is clipped."""
    return srgb_to_linear(torch.from_numpy(values).clamp(0.0, 1.0)).numpy()


def _from_pbr(material: Any, *, has_uv: bool) -> Material:
    """Translate a glTF material."""
    factor = np.ones(4)
    if material.baseColorFactor is not None:
        factor = np.asarray(material.baseColorFactor, dtype=np.float64) / 255.0
    image = material.baseColorTexture if has_uv else None
    texture = None if image is None else _texture(image)
    mode = material.alphaMode or "OPAQUE"
    if mode == "OPAQUE":
        factor[3] = 1.0
        texture = None if texture is None else _with_alpha(texture, torch.ones(()))
    elif mode == "MASK":
        cutoff = 0.5 if material.alphaCutoff is None else float(material.alphaCutoff)
        if texture is not None:
            texture = _with_alpha(texture, (texture[..., 3] * factor[3] >= cutoff).float())
        factor[3] = float(texture is not None or factor[3] >= cutoff)
    return Material(
        base_color=_as_tuple(factor), texture=texture, name=str(material.name or "material")
    )


def _from_mtl(material: Any, *, has_uv: bool, suffix: str) -> Material:
    """Translate a material of an MTL file, or the image that belongs to a PLY file."""
    options = material.kwargs
    factor = np.ones(4)
    diffuse = options.get("kd")
    if isinstance(diffuse, list) and len(diffuse) == 3:
        factor[:3] = _decode(np.asarray(diffuse, dtype=np.float64))
    elif isinstance(diffuse, float):
        factor[:3] = _decode(np.full(3, diffuse))
    if "d" in options:
        factor[3] = np.clip(float(options["d"][-1]), 0.0, 1.0)
    texture = None
    if material.image is not None and has_uv:
        texture = _texture(material.image)
        if suffix == ".obj" and "map_d" not in options:
            texture = _with_alpha(texture, torch.ones(()))
        if not factor[:3].any():
            # Exporters that leave Kd at zero beside an image mean the image, not black.
            factor[:3] = 1.0
    return Material(
        base_color=_as_tuple(factor), texture=texture, name=str(material.name or "material")
    )


def _texture(image: Image.Image) -> Float[Tensor, "height width 4"]:
    """Decode an image to RGBA in [0, 1]; raises OSError if it is cut off."""
    rgba = np.asarray(image.convert("RGBA"))
    return torch.from_numpy(rgba.astype(np.float32) / 255.0)


def _with_alpha(
    texture: Float[Tensor, "height width 4"], alpha: Float[Tensor, "..."]
) -> Float[Tensor, "height width 4"]:
    """Replace the alpha channel."""
    result = texture.clone()
    result[..., 3] = alpha
    return result


def _as_tuple(factor: Float[np.ndarray, " 4"]) -> tuple[float, float, float, float]:
    """Four plain numbers."""
    red, green, blue, alpha = (float(value) for value in factor)
    return red, green, blue, alpha
