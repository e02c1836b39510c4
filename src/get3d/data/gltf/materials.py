"""Materials of a glTF file (glTF 2.0, section 3.9) and the texture coordinates that they need."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from get3d.core import EncodedTexture, Material, Sampler, Wrap, image_problem
from get3d.data.gltf.document import DamagedError, Document, as_index, extension, number, numbers

_NEAREST = (9728, 9984, 9986)  # of minification: alone, and between levels of detail
_WRAPS: dict[int, Wrap] = {10497: "repeat", 33071: "clamp", 33648: "mirror"}
_LOST = {
    "KHR_materials_transmission": "KHR_materials_transmission is ignored: such glass is opaque",
    "KHR_materials_unlit": "KHR_materials_unlit is ignored: light shines on every material",
}
_READ = ("KHR_materials_emissive_strength", "KHR_materials_pbrSpecularGlossiness")
_SPEC_GLOSS = "KHR_materials_pbrSpecularGlossiness"


@dataclass(frozen=True)
class Mapping2D:
    """From a set of texture coordinates to those of a texture.

    Attributes:
        coordinates: Number of the set: TEXCOORD_n.
        offset: Of KHR_texture_transform.
        rotation_rad: Of KHR_texture_transform.
        scale: Of KHR_texture_transform.
    """

    coordinates: int = 0
    offset: tuple[float, ...] = (0.0, 0.0)
    rotation_rad: float = 0.0
    scale: tuple[float, ...] = (1.0, 1.0)

    def apply(self, uv: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        """Transform coordinates of glTF, whose origin is at the top left, and move it down."""
        sine, cosine = math.sin(self.rotation_rad), math.cos(self.rotation_rad)
        u, v = (uv * self.scale).T
        moved = np.stack([cosine * u + sine * v, cosine * v - sine * u], axis=1) + self.offset
        return moved * (1.0, -1.0) + (0.0, 1.0)


@dataclass(frozen=True)
class FileMaterial:
    """A material and how its textures are mapped.

    Attributes:
        material: With its textures.
        mappings: Of every texture, by the name of its field, those that are seen most first.
    """

    material: Material
    mappings: dict[str, Mapping2D] = field(default_factory=dict)


def read_material(document: Document, index: int | None) -> FileMaterial:
    """Read a material.

    Args:
        document: The file; what is lost is noted in it.
        index: Of the material; None: the default one.

    Raises:
        DamagedError: If there is no such material.
    """
    if index is None:
        return FileMaterial(Material(metallic=1.0, alpha_mode="OPAQUE", double_sided=False))
    entry = document.item("materials", index)
    look, base = _object(entry, "pbrMetallicRoughness"), "baseColor"
    metallic = _factor(look.get("metallicFactor"))
    roughness = _factor(look.get("roughnessFactor"))
    spec_gloss = extension(entry, _SPEC_GLOSS)
    if spec_gloss is not None:
        look, base, metallic = spec_gloss, "diffuse", 0.0
        roughness = 1.0 - _factor(look.get("glossinessFactor"))
        if "specularGlossinessTexture" in look or any(
            value != 1 for value in numbers(look.get("specularFactor"), (1.0, 1.0, 1.0))
        ):
            document.note("colours of specular reflection are ignored")
    mode = _alpha_mode(entry)
    found: dict[str, tuple[EncodedTexture, Mapping2D]] = {}
    for name, owner, key in (
        ("texture", look, f"{base}Texture"),
        ("emissive_texture", entry, "emissiveTexture"),
        ("metallic_roughness_texture", look, "metallicRoughnessTexture"),
        ("normal_texture", entry, "normalTexture"),
    ):
        is_opaque = name == "texture" and mode == "OPAQUE"
        texture = _read_texture(document, owner.get(key), is_opaque=is_opaque)
        if texture is not None:
            found[name] = texture
    if "occlusionTexture" in entry:
        document.note("the occlusion texture is ignored")
    _note_extensions(document, entry)
    red, green, blue, alpha = _unit(look.get(f"{base}Factor"), (1.0, 1.0, 1.0, 1.0))
    normal = _object(entry, "normalTexture")
    textures: dict[str, Any] = {name: texture for name, (texture, _) in found.items()}
    return FileMaterial(
        Material(
            base_color=(red, green, blue, 1.0 if mode == "OPAQUE" else alpha),
            metallic=metallic,
            roughness=roughness,
            normal_scale=number(normal.get("scale"), 1.0),
            emissive=_emissive(document, entry),
            alpha_mode=mode,
            alpha_cutoff=max(0.0, number(entry.get("alphaCutoff"), 0.5)),
            double_sided=entry.get("doubleSided") is True,
            name=str(entry.get("name") or "material")[:200],
            **textures,
        ),
        {name: mapping for name, (_, mapping) in found.items()},
    )


def _read_texture(
    document: Document, info: Any, *, is_opaque: bool
) -> tuple[EncodedTexture, Mapping2D] | None:
    """Read a texture with its sampler; None, with a note, if its image cannot be used."""
    if not isinstance(info, dict):
        return None
    texture = document.item("textures", info.get("index"))
    source = texture.get("source")
    webp = extension(texture, "EXT_texture_webp")
    if webp is not None:
        source = webp.get("source", source)
    if source is None:
        document.note("a texture has no PNG, JPEG or WebP image (KTX2 and others are not read)")
        return None
    encoded, name = _read_image(document, source)
    if encoded is None:
        return None
    transform = extension(info, "KHR_texture_transform") or {}
    coordinates = as_index(transform.get("texCoord", info.get("texCoord", 0)))
    if coordinates is None:
        raise DamagedError("texCoord of a texture is no number")
    mapping = Mapping2D(
        coordinates,
        numbers(transform.get("offset"), (0.0, 0.0)),
        number(transform.get("rotation"), 0.0),
        numbers(transform.get("scale"), (1.0, 1.0)),
    )
    return EncodedTexture(encoded, name, _sampler(document, texture), is_opaque), mapping


def _read_image(document: Document, index: Any) -> tuple[bytes | None, str]:
    """Read the bytes of an image; None, with a note, if it is missing or of an unknown kind."""
    entry = document.item("images", index)
    name = f"image {index}"
    label = entry.get("name") or entry.get("uri")
    if isinstance(label, str) and not label.startswith("data:"):
        name = f"image {' '.join(label.split())[:80]}"
    if index in document.images:
        return document.images[index], name
    try:
        if "uri" in entry:
            encoded = document.read_uri(entry["uri"], "image")
        else:
            encoded = bytes(document.view(entry.get("bufferView"))[0])
    except DamagedError as error:
        document.note(f"an {error}" if "uri" in entry else f"{name}: {error}")
        document.images[index] = None
        return None, name
    problem = image_problem(encoded)
    if problem is not None:
        document.note(f"{name} {problem}")
    document.images[index] = encoded if problem is None else None
    return document.images[index], name


def _sampler(document: Document, texture: dict[str, Any]) -> Sampler:
    """Read the sampler of a texture."""
    if texture.get("sampler") is None:
        return Sampler()
    entry = document.item("samplers", texture["sampler"])
    wrap_u, wrap_v = (
        _WRAPS.get(as_index(entry.get(key)) or 0, "repeat") for key in ("wrapS", "wrapT")
    )
    magnified, minified = as_index(entry.get("magFilter")), as_index(entry.get("minFilter"))
    # A file that names only the filter of small images means both.
    is_nearest = minified in _NEAREST if magnified is None else magnified == 9728
    return Sampler(wrap_u, wrap_v, is_nearest)


def _alpha_mode(entry: dict[str, Any]) -> Literal["OPAQUE", "MASK", "BLEND"]:
    """Read the alpha mode; unknown ones are the default."""
    match entry.get("alphaMode"):
        case "MASK":
            return "MASK"
        case "BLEND":
            return "BLEND"
        case _:
            return "OPAQUE"


def _emissive(document: Document, entry: dict[str, Any]) -> tuple[float, float, float]:
    """Read emitted light, no stronger than white."""
    factor = numbers(entry.get("emissiveFactor"), (0.0, 0.0, 0.0))
    more = extension(entry, "KHR_materials_emissive_strength") or {}
    strength = max(0.0, number(more.get("emissiveStrength"), 1.0))
    red, green, blue = (max(0.0, value) * strength for value in factor)
    if max(red, green, blue) > 1:
        document.note("emitted light is limited to 1")
    return min(red, 1.0), min(green, 1.0), min(blue, 1.0)


def _note_extensions(document: Document, entry: dict[str, Any]) -> None:
    """Note the extensions of a material that change its look and are not read."""
    extensions = entry.get("extensions")
    for name in sorted(extensions) if isinstance(extensions, dict) else ():
        if name not in _READ:
            document.note(_LOST.get(name, f"{' '.join(name.split())[:60]} is ignored"))


def _object(entry: dict[str, Any], key: str) -> dict[str, Any]:
    """Return a property that is an object; an empty one where it is something else."""
    value = entry.get(key)
    return value if isinstance(value, dict) else {}


def _factor(value: Any) -> float:
    """Read a factor in [0, 1] whose default is 1."""
    return min(max(number(value, 1.0), 0.0), 1.0)


def _unit(value: Any, default: tuple[float, ...]) -> tuple[float, ...]:
    """Read numbers and clip them to [0, 1]."""
    return tuple(min(max(each, 0.0), 1.0) for each in numbers(value, default))
