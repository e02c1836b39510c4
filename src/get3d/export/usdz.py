"""USDZ: a zip of a USD scene and its textures, for Apple's Quick Look and for USD programs.

The scene is text (USDA): USD's binary form has no specification. Prims and attributes are those of
UsdGeom and UsdPreviewSurface; the package is that of the Usdz File Format Specification.
"""

import io
import logging
import struct
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float
from torch import Tensor

from get3d.core.files import atomic_path
from get3d.core.textures import EncodedTexture
from get3d.core.types import Material, TexturedMesh
from get3d.export.names import unique_names
from get3d.export.split import SplitMesh, split_corners
from get3d.export.texture_images import (
    check_jpeg_quality,
    encode_image,
    material_image,
    other_textures,
    rgb_image,
)
from get3d.geometry import is_watertight

_LOG = logging.getLogger(__name__)

_MATERIALS = "/shape/materials"
_PER_VERTEX = '(interpolation = "vertex")'
_ESCAPES = str.maketrans(
    {chr(code): f"\\x{code:02x}" for code in (*range(32), 127)}
    | {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
)
# A file of a package begins at a multiple of 64 bytes, after a header of 30 bytes and its name.
_ALIGNMENT, _HEADER_BYTES = 64, 30
_PADDING_FIELD = 0x1986  # any number that no other field has; USD's own writer takes this one


def save_usdz(
    textured_mesh: TexturedMesh, path: Path | str, *, jpeg_quality: int | None = None
) -> None:
    """Write a USDZ package: textures inside, normals, y up, metres, vertices split at UV seams.

    Every used material becomes a mesh and a preview surface. Closed meshes are one-sided unless a
    material says otherwise. Vertex colours become `displayColor`, which the surface reads; it
    cannot multiply them with a texture, so there their mean goes into the texture's factor.

    Args:
        textured_mesh: At least one face.
        path: Where the file goes; it appears whole or not at all.
        jpeg_quality: Of opaque textures, 1 to 95; None: PNG, which keeps every texel as it is.

    Raises:
        MeshError: As `split_corners`.
        ConfigError: If the quality is out of range.
    """
    check_jpeg_quality(jpeg_quality)
    is_closed = is_watertight(textured_mesh.mesh)
    names = unique_names([_identifier(material.name) for material in textured_mesh.materials])
    images: dict[str, bytes] = {}
    meshes: list[str] = []
    materials: list[str] = []
    for index, part in split_corners(textured_mesh):
        material = textured_mesh.materials[index]
        look = _find_look(material, part, jpeg_quality)
        image_name = f"textures/{names[index]}.{look.image_kind}"
        if look.image is not None:
            images[image_name] = look.image
        others: dict[str, str] = {}
        # One set of texture coordinates is written; textures with others are left out.
        textures = other_textures(material, without=part.other_uvs)
        for name, texture in [] if part.uvs is None else textures:
            encoded, kind = encode_image(
                rgb_image(texture), jpeg_quality if name == "emissive" else None
            )
            others[name] = f"textures/{names[index]}.{name}.{kind}"
            images[others[name]] = encoded
        is_double = not is_closed if material.double_sided is None else material.double_sided
        meshes += _mesh(f"mesh_{index}", part, look, names[index], is_double_sided=is_double)
        materials += _material(
            names[index], material, look, image_name, others, is_repeating=part.is_repeating
        )
    prims = [*meshes, *_prim("Scope", "materials", materials)]
    shape = _prim("Xform", "shape", prims, ['kind = "component"'])
    scene = "\n".join([*_head(textured_mesh.notes), "", *shape, ""])
    package = _pack({"scene.usda": scene.encode("utf-8", errors="replace"), **images})
    with atomic_path(path) as temp_path:
        temp_path.write_bytes(package)


@dataclass(frozen=True)
class _Look:
    """What covers a part of the mesh.

    Attributes:
        factor: RGBA of the image, or of all, in linear light.
        image: Content of a file, or None.
        image_kind: Its suffix.
        colors: Of the vertices, the factor included; None: there are none, or there is an image.
        is_clear: Whether alpha differs over the part.
    """

    factor: Sequence[float]
    image: bytes | None = None
    image_kind: str = "png"
    colors: Float[np.ndarray, "verts 4"] | None = None
    is_clear: bool = False


def _find_look(material: Material, part: SplitMesh, jpeg_quality: int | None) -> _Look:
    """Decide what of a material and of vertex colours a preview surface can show."""
    factor = np.array(material.base_color)
    if material.texture is None or part.uvs is None:
        if part.colors is None:
            return _Look(material.base_color)
        colors = part.colors * factor
        return _Look(material.base_color, colors=colors, is_clear=bool(colors[:, 3].min() < 1))
    if part.colors is not None:
        if (part.colors != part.colors[0]).any():
            _LOG.warning(
                "USDZ cannot multiply a texture with vertex colours: %r takes their mean",
                material.name,
            )
        factor = factor * part.colors.mean(axis=0, dtype=np.float64)
    image_u8 = material_image(material.texture)
    is_clear = image_u8.shape[-1] == 4 and material.alpha_mode != "OPAQUE"
    if is_clear and factor[3] != 1:
        # Alpha is not encoded, so its factor can go into the image.
        texture = material.decoded().texture
        assert isinstance(texture, Tensor)
        image_u8 = material_image(texture * texture.new_tensor([1.0, 1.0, 1.0, factor[3]]))
        factor[3] = 1
    image, kind = encode_image(image_u8, jpeg_quality)
    return _Look(factor.tolist(), image, kind, is_clear=is_clear)


def _head(notes: tuple[str, ...]) -> list[str]:
    """What programs read first: the axes, the unit, and where the object is."""
    texts = ", ".join(_quoted(note) for note in notes)
    about = ['string creator = "get3d"'] + ([f"string[] notes = [{texts}]"] if notes else [])
    lines = ["customLayerData = {", *_indented(about), "}"]
    lines += ['defaultPrim = "shape"', "metersPerUnit = 1", 'upAxis = "Y"']
    return ["#usda 1.0", "(", *_indented(lines), ")"]


def _mesh(
    name: str, part: SplitMesh, look: _Look, material_name: str, *, is_double_sided: bool
) -> list[str]:
    """Write a part of the mesh; every attribute has one value a vertex."""
    extent = np.stack([part.verts.min(axis=0), part.verts.max(axis=0)])
    lines = [
        f"uniform bool doubleSided = {int(is_double_sided)}",
        f"float3[] extent = {_tuples(extent)}",
        f"int[] faceVertexCounts = [{', '.join(['3'] * len(part.faces))}]",
        f"int[] faceVertexIndices = {part.faces.flatten().tolist()}",
        f"rel material:binding = <{_MATERIALS}/{material_name}>",
        f"normal3f[] normals = {_tuples(part.normals, digits=6)} {_PER_VERTEX}",
        f"point3f[] points = {_tuples(part.verts)}",
    ]
    if look.colors is not None:
        rgb, alpha = look.colors[:, :3], look.colors[:, 3:]
        lines.append(f"color3f[] primvars:displayColor = {_tuples(rgb)} {_PER_VERTEX}")
        if look.is_clear:
            lines.append(f"float[] primvars:displayOpacity = {_tuples(alpha)} {_PER_VERTEX}")
    if part.uvs is not None:
        lines.append(f"texCoord2f[] primvars:st = {_tuples(part.uvs)} {_PER_VERTEX}")
    lines.append('uniform token subdivisionScheme = "none"')
    return _prim("Mesh", name, lines, ['prepend apiSchemas = ["MaterialBindingAPI"]'])


def _material(
    name: str,
    material: Material,
    look: _Look,
    image_name: str,
    others: dict[str, str],
    *,
    is_repeating: bool,
) -> list[str]:
    """Write a preview surface, and what it reads its inputs from.

    Args:
        name: Of the prim.
        material: Its factors.
        look: Base colour and opacity.
        image_name: File of the base colour.
        others: Files of the other textures, by name.
        is_repeating: Whether coordinates go beyond the texture.
    """
    path = f"{_MATERIALS}/{name}"
    wrap = ("repeat" if is_repeating else "clamp",) * 2
    if isinstance(material.texture, EncodedTexture):
        wrap = (material.texture.sampler.wrap_u, material.texture.sampler.wrap_v)
    color, opacity = f" = {_tuple(look.factor[:3])}", f" = {look.factor[3]:.9g}"
    sources: list[str] = []
    if look.image is not None:
        color = f".connect = <{path}/texture.outputs:rgb>"
        sources += _texture(path, "texture", image_name, wrap, look.factor)
        if look.is_clear:
            # A texture of its own: Blender takes a scaled one's colour for its alpha.
            opacity = f".connect = <{path}/opacity.outputs:a>"
            sources += _texture(path, "opacity", image_name, wrap)
    elif look.colors is not None:
        color = f".connect = <{path}/color.outputs:result>"
        sources += _reader("color", "displayColor", "float3")
        if look.is_clear:
            opacity = f".connect = <{path}/opacity.outputs:result>"
            sources += _reader("opacity", "displayOpacity", "float")
        else:
            opacity = " = 1"
    if material.alpha_mode == "OPAQUE":
        opacity = " = 1"
    surface = [f"color3f inputs:diffuseColor{color}"]
    emissive = f" = {_tuple(material.emissive)}"
    if "emissive" in others:
        emissive = f".connect = <{path}/emissive.outputs:rgb>"
        sources += _texture(path, "emissive", others["emissive"], wrap, (*material.emissive, 1.0))
    if "emissive" in others or any(value != 0 for value in material.emissive):
        surface.append(f"color3f inputs:emissiveColor{emissive}")
    metallic, roughness = f" = {material.metallic:.9g}", f" = {material.roughness:.9g}"
    if "metallic_roughness" in others:
        factor = (1.0, material.roughness, material.metallic, 1.0)
        metallic = f".connect = <{path}/metallic_roughness.outputs:b>"
        roughness = f".connect = <{path}/metallic_roughness.outputs:g>"
        file = others["metallic_roughness"]
        sources += _texture(path, "metallic_roughness", file, wrap, factor, space="raw")
    surface.append(f"float inputs:metallic{metallic}")
    if "normal" in others:
        surface.append(f"normal3f inputs:normal.connect = <{path}/normal.outputs:rgb>")
        scale = material.normal_scale  # bytes hold (n + 1) / 2
        factor = (2 * scale, 2 * scale, 2.0, 1.0)
        bias = (-scale, -scale, -1.0, 0.0)
        sources += _texture(path, "normal", others["normal"], wrap, factor, space="raw", bias=bias)
    surface.append(f"float inputs:opacity{opacity}")
    if material.alpha_mode == "MASK":
        surface.append(f"float inputs:opacityThreshold = {material.alpha_cutoff:.9g}")
    surface += [f"float inputs:roughness{roughness}", "token outputs:surface"]
    if look.image is not None or others:
        sources += _reader("coordinates", "st", "float2")
    output = f"token outputs:surface.connect = <{path}/surface.outputs:surface>"
    shaders = _shader("surface", "UsdPreviewSurface", surface) + sources
    return _prim("Material", name, [output, *shaders])


def _texture(
    path: str,
    name: str,
    image_name: str,
    wrap: tuple[str, ...],
    factor: Sequence[float] = (1, 1, 1, 1),
    *,
    space: Literal["sRGB", "raw"] = "sRGB",
    bias: Sequence[float] = (0, 0, 0, 0),
) -> list[str]:
    """Write a texture whose values are multiplied by a factor, then added to a bias."""
    lines = [
        *([f"float4 inputs:bias = {_tuple(bias)}"] if any(bias) else []),
        f"asset inputs:file = @{image_name}@",
        *([f"float4 inputs:scale = {_tuple(factor)}"] if any(v != 1 for v in factor) else []),
        f'token inputs:sourceColorSpace = "{space}"',
        f"float2 inputs:st.connect = <{path}/coordinates.outputs:result>",
        f'token inputs:wrapS = "{wrap[0]}"',
        f'token inputs:wrapT = "{wrap[1]}"',
        "float outputs:a",
        *(["float outputs:b", "float outputs:g"] if space == "raw" else []),
        "float3 outputs:rgb",
    ]
    return _shader(name, "UsdUVTexture", lines)


def _reader(name: str, primvar: str, kind: str) -> list[str]:
    """Write a shader that gives an attribute of the mesh."""
    lines = [f'string inputs:varname = "{primvar}"', f"{kind} outputs:result"]
    return _shader(name, f"UsdPrimvarReader_{kind}", lines)


def _shader(name: str, kind: str, lines: Sequence[str]) -> list[str]:
    return _prim("Shader", name, [f'uniform token info:id = "{kind}"', *lines])


def _prim(kind: str, name: str, lines: Sequence[str], metadata: Sequence[str] = ()) -> list[str]:
    head = f'def {kind} "{name}"'
    heads = [f"{head} (", *_indented(metadata), ")"] if metadata else [head]
    return [*heads, "{", *_indented(lines), "}"]


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _identifier(name: str) -> str:
    """Make a name of letters, digits and underscores; older readers know no others."""
    plain = "".join(sign if sign.isascii() and sign.isalnum() else "_" for sign in name)
    return f"_{plain}" if plain[:1].isdigit() else plain


def _quoted(text: str) -> str:
    return f'"{text.translate(_ESCAPES)}"'


def _tuples(values: Float[np.ndarray, "n c"], *, digits: int = 9) -> str:
    """Format an array at once; nine digits bring every float32 back, directions need but six."""
    row = ", ".join([f"%.{digits}g"] * values.shape[1])
    pattern = ", ".join([f"({row})" if values.shape[1] > 1 else row] * len(values))
    return f"[{pattern % tuple(values.flatten().tolist())}]"


def _tuple(values: Sequence[float]) -> str:
    return f"({', '.join(f'{value:.9g}' for value in values)})"


def _pack(files: dict[str, bytes]) -> bytes:
    """Zip files without compression, each content at a multiple of 64 bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED, allowZip64=False) as package:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)  # of 1 January 1980: the same bytes at any time,
            entry.create_system = 0  # and on any system
            start = buffer.tell() + _HEADER_BYTES + len(name)
            padding = -(start + 4) % _ALIGNMENT
            entry.extra = struct.pack("<HH", _PADDING_FIELD, padding) + bytes(padding)
            package.writestr(entry, content)
    return buffer.getvalue()
