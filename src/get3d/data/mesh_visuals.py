"""Materials and vertex colours of trimesh geometries as `Material` and linear RGBA."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import trimesh
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from get3d.core.colors import srgb_to_linear
from get3d.core.types import Material

_GLTF_SUFFIXES = (".gltf", ".glb")


def part_material(part: trimesh.Trimesh, suffix: str, folder: Path) -> Material:
    """Translate the material of one part of a file.

    glTF factors are linear light; Kd and Ke of an MTL file are taken as sRGB, as drawing programs
    do. Alpha counts only where the file says so (glTF alphaMode, MTL d and map_d): many opaque
    models carry images with an unused alpha channel. Of MTL's PBR extension Pr, Pm, map_Pr, map_Pm
    and norm are read.

    Args:
        part: As read by trimesh.
        suffix: The file's suffix in lower case, with the dot.
        folder: Where the file lies.

    Returns:
        The material; white where the file has none.
    """
    material = getattr(part.visual, "material", None)
    if isinstance(material, trimesh.visual.material.PBRMaterial):
        return _from_pbr(material, has_uv=part_uvs(part) is not None)
    if isinstance(material, trimesh.visual.material.SimpleMaterial):
        has_uv = part_uvs(part) is not None
        return _from_mtl(material, has_uv=has_uv, suffix=suffix, folder=folder)
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
    mode: Literal["OPAQUE", "MASK", "BLEND"] = material.alphaMode or "OPAQUE"
    if mode == "OPAQUE":
        factor[3] = 1.0
        texture = None if texture is None else _with_alpha(texture, torch.ones(()))
    emissive = np.zeros(3)
    if material.emissiveFactor is not None:
        emissive = np.nan_to_num(np.asarray(material.emissiveFactor, dtype=np.float64))
        emissive = np.clip(emissive, 0.0, 1.0)
    images = (material.metallicRoughnessTexture, material.normalTexture, material.emissiveTexture)
    both, normal, emitted = (
        _optional_image(each) if has_uv and each is not None else None for each in images
    )
    return Material(
        base_color=_as_tuple(factor),
        texture=texture,
        metallic=_factor(material.metallicFactor),
        roughness=_factor(material.roughnessFactor),
        metallic_roughness_texture=both,
        normal_texture=normal,
        emissive=_as_rgb(emissive),
        emissive_texture=emitted,
        alpha_mode=mode,
        alpha_cutoff=_factor(material.alphaCutoff, default=0.5),
        double_sided=bool(material.doubleSided),
        name=str(material.name or "material"),
    )


def _from_mtl(material: Any, *, has_uv: bool, suffix: str, folder: Path) -> Material:
    """Translate a material of an MTL file, or the image that belongs to a PLY file."""
    options = material.kwargs
    factor = np.ones(4)
    diffuse = options.get("kd")
    if isinstance(diffuse, list) and len(diffuse) == 3:
        factor[:3] = _decode(np.asarray(diffuse, dtype=np.float64))
    elif isinstance(diffuse, float):
        factor[:3] = _decode(np.full(3, diffuse))
    if "d" in options:
        factor[3] = _mtl_numbers({"d": options["d"][-1:]}, "d", 1, default=1.0)[0]
    texture = None
    if material.image is not None and has_uv:
        texture = _texture(material.image)
        if suffix == ".obj" and "map_d" not in options:
            texture = _with_alpha(texture, torch.ones(()))
        if not factor[:3].any():
            # Exporters that leave Kd at zero beside an image mean the image, not black.
            factor[:3] = 1.0
    roughness, metallic, normal, emitted = (
        _mtl_image(options, keyword, folder) if has_uv else None
        for keyword in ("map_pr", "map_pm", "norm", "map_ke")
    )
    both = None
    if roughness is not None or metallic is not None:
        both = _joined_channels(roughness, metallic)
    emissive = _mtl_numbers(options, "ke", 3, default=0.0 if emitted is None else 1.0)
    return Material(
        base_color=_as_tuple(factor),
        texture=texture,
        metallic=float(_mtl_numbers(options, "pm", 1, default=float(metallic is not None))[0]),
        roughness=float(_mtl_numbers(options, "pr", 1, default=1.0)[0]),
        metallic_roughness_texture=both,
        normal_texture=normal,
        emissive=_as_rgb(_decode(emissive)),
        emissive_texture=emitted,
        name=str(material.name or "material"),
    )


def _mtl_numbers(
    options: Mapping[str, Any], keyword: str, num: int, *, default: float
) -> Float[np.ndarray, " num"]:
    """Read numbers of an MTL line, clipped to [0, 1]; the default where they are no numbers."""
    try:
        values = np.array([float(word) for word in options.get(keyword, ())])
    except ValueError:
        values = np.zeros(0)
    usable = values.shape == (num,) and bool(np.isfinite(values).all())
    return np.clip(values, 0.0, 1.0) if usable else np.full(num, default)


def _mtl_image(
    options: Mapping[str, Any], keyword: str, folder: Path
) -> UInt8[Tensor, "height width 3"] | None:
    """Read an image that an MTL line names; None without such a line or file in the folder."""
    words = options.get(keyword)
    if not words:
        return None
    # The name may have blanks, or options before it.
    for name in (" ".join(words), words[-1]):
        path = folder / name
        if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
            return _optional_image(path)
    return None


def _joined_channels(
    roughness: UInt8[Tensor, "height width 3"] | None,
    metallic: UInt8[Tensor, "height width 3"] | None,
) -> UInt8[Tensor, "height width 3"]:
    """Join grey images of roughness and metallic in the channels that glTF has them in."""
    images = [image for image in (roughness, metallic) if image is not None]
    height, width = images[0].shape[:2]
    result = torch.full((height, width, 3), 255, dtype=torch.uint8)
    for channel, image in ((1, roughness), (2, metallic)):
        if image is not None:
            grey = Image.fromarray(image[..., 0].numpy()).resize((width, height))
            result[..., channel] = torch.from_numpy(np.array(grey))
    return result


def _optional_image(image: Image.Image | Path) -> UInt8[Tensor, "height width 3"] | None:
    """Decode an image to RGB bytes; None if it cannot be read: the shape is usable without."""
    try:
        opened = Image.open(image) if isinstance(image, Path) else image
        return torch.from_numpy(np.array(_to_8_bits(opened).convert("RGB")))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _texture(image: Image.Image) -> Float[Tensor, "height width 4"]:
    """Decode an image to RGBA in [0, 1]; raises OSError if it is cut off."""
    rgba = np.asarray(_to_8_bits(image).convert("RGBA"))
    return torch.from_numpy(rgba.astype(np.float32) / 255.0)


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Scale grey images of 16 bits down; PIL's own conversion clips them."""
    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image).astype(np.float64) / 257
    return Image.fromarray(np.clip(values + 0.5, 0, 255).astype(np.uint8))


def _with_alpha(
    texture: Float[Tensor, "height width 4"], alpha: Float[Tensor, "..."]
) -> Float[Tensor, "height width 4"]:
    """Replace the alpha channel."""
    result = texture.clone()
    result[..., 3] = alpha
    return result


def _factor(value: float | None, *, default: float = 1.0) -> float:
    """Clip a glTF factor to [0, 1]; the default where the file has none that is finite."""
    if value is None or not math.isfinite(value):
        return default
    return min(max(float(value), 0.0), 1.0)


def _as_rgb(values: Float[np.ndarray, " 3"]) -> tuple[float, float, float]:
    """Three plain numbers."""
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def _as_tuple(factor: Float[np.ndarray, " 4"]) -> tuple[float, float, float, float]:
    """Four plain numbers."""
    red, green, blue, alpha = (float(value) for value in factor)
    return red, green, blue, alpha
