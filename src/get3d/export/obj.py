"""Wavefront OBJ with its material library and images."""

import zlib
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from PIL import Image

from get3d.core.colors import linear_to_srgb
from get3d.core.files import atomic_path
from get3d.core.types import Material, TexturedMesh
from get3d.export.names import unique_names
from get3d.export.split import check_exportable, comment_lines, unit_normals
from get3d.export.texture_images import material_image, other_textures, rgb_image


def save_obj(textured_mesh: TexturedMesh, path: Path | str) -> None:
    """Write an OBJ file, and beside it an MTL file and a PNG for each texture.

    The surface stays closed: positions are not split at seams. Base colours are written as `Kd`
    in sRGB, as `get3d.data.load_mesh` reads them; metallic, roughness and normal textures by the
    PBR extension of MTL (`Pm`, `Pr`, `norm`). The format has no alpha modes and no sidedness.
    Vertex colours follow the positions, in sRGB too: many programs read this extension.

    Args:
        textured_mesh: At least one face.
        path: Where the OBJ file goes. The others take its name; if it has blanks, which the format
            cannot hold, with underscores for them and a number that no other name has.

    Raises:
        MeshError: As `check_exportable`.
        OSError: If a file cannot be written; those whose turn came before are then new, the OBJ
            file, which comes last, is not.
    """
    check_exportable(textured_mesh)
    path = Path(path)
    stem = _plain_stem(path.stem)
    names = _material_names(textured_mesh.materials)
    # All are written before the first takes its place, the OBJ file last.
    with ExitStack() as stack:
        obj_path = stack.enter_context(atomic_path(path))
        mtl_path = stack.enter_context(atomic_path(path.with_name(f"{stem}.mtl")))
        maps: dict[int, dict[str, str]] = {}
        for index, material in enumerate(textured_mesh.materials):
            is_only = len(textured_mesh.materials) == 1
            base = stem if is_only else f"{stem}_{names[index]}"
            images = _images(material, textured_mesh.other_uvs) if len(textured_mesh.uvs) else {}
            maps[index] = {keyword: f"{base}{end}.png" for keyword, (end, _) in images.items()}
            for keyword, (_, image_u8) in images.items():
                png_path = stack.enter_context(atomic_path(path.with_name(maps[index][keyword])))
                Image.fromarray(image_u8).save(png_path, format="PNG")
        mtl_path.write_text(
            _material_library(textured_mesh.materials, names, maps),
            encoding="utf-8",
            newline="\n",
        )
        notes = "".join(f"# {line}\n" for line in comment_lines(textured_mesh.notes))
        text = f"mtllib {stem}.mtl\n{notes}" + _geometry(textured_mesh, names)
        obj_path.write_text(text, encoding="utf-8", newline="\n")


def _plain_stem(stem: str) -> str:
    """Name the files beside an OBJ file without blanks, and not like those of another OBJ file."""
    plain = "_".join(stem.split())
    return plain if plain == stem else f"{plain}_{zlib.crc32(stem.encode()):08x}"


def _material_names(materials: tuple[Material, ...]) -> list[str]:
    """Make names that are unique and have no blanks or other signs that the format cannot hold."""
    return unique_names(
        [
            "".join(sign if sign.isalnum() or sign in "-_" else "_" for sign in material.name)
            for material in materials
        ]
    )


def _images(
    material: Material, without: Collection[str]
) -> dict[str, tuple[str, UInt8[np.ndarray, "..."]]]:
    """List the images of a material by keyword, each with the end of its name.

    The format has one set of texture coordinates, so that textures with others are left out.
    """
    images: dict[str, tuple[str, UInt8[np.ndarray, ...]]] = {}
    if material.texture is not None:
        images["map_Kd"] = ("", material_image(material.texture))
    for name, texture in other_textures(material, without=without):
        image_u8 = rgb_image(texture)
        match name:
            case "metallic_roughness":
                images["map_Pr"] = (".roughness", np.ascontiguousarray(image_u8[..., 1]))
                if material.metallic > 0:
                    images["map_Pm"] = (".metallic", np.ascontiguousarray(image_u8[..., 2]))
            case "normal":
                images["norm"] = (".normal", image_u8)
            case "emissive" if any(value != 0 for value in material.emissive):
                images["map_Ke"] = (".emissive", image_u8)
            case _:
                pass
    return images


def _material_library(
    materials: tuple[Material, ...], names: list[str], maps: dict[int, dict[str, str]]
) -> str:
    """Write the MTL file; metallic, roughness and normals by its PBR extension, if not default."""
    lines = []
    for index, (material, name) in enumerate(zip(materials, names, strict=True)):
        images = maps.get(index, {})
        alpha = 1.0 if material.alpha_mode == "OPAQUE" else material.base_color[3]
        lines += [
            f"newmtl {name}",
            "Ka 0 0 0",
            f"Kd {_srgb(material.base_color[:3])}",
            "Ks 0 0 0",
            f"d {alpha:.6g}",
            "illum 1",
        ]
        if (material.metallic, material.roughness) != (0.0, 1.0) or "map_Pr" in images:
            lines += [f"Pr {material.roughness:.6g}", f"Pm {material.metallic:.6g}"]
        if any(value != 0 for value in material.emissive):
            lines.append(f"Ke {_srgb(material.emissive)}")
        lines += [f"{keyword} {image}" for keyword, image in images.items()]
        if material.alpha_mode in ("MASK", "BLEND") and "map_Kd" in images:
            lines.append(f"map_d {images['map_Kd']}")
    return "\n".join(lines) + "\n"


def _srgb(linear: Sequence[float]) -> str:
    """Encode a colour of linear light, as text."""
    values = linear_to_srgb(torch.tensor(linear, dtype=torch.float64).clamp(0, 1))
    return " ".join(f"{value:.6g}" for value in values.tolist())


def _geometry(textured_mesh: TexturedMesh, names: list[str]) -> str:
    """Write positions, texture coordinates, normals and the faces, material by material."""
    mesh = textured_mesh.mesh
    uvs = textured_mesh.uvs.detach().cpu().numpy()
    verts = mesh.verts.detach().cpu().numpy()
    if textured_mesh.vert_colors is not None:
        colors = textured_mesh.vert_colors.detach().cpu()[:, :3].clamp(0, 1)
        verts = np.concatenate([verts, linear_to_srgb(colors).numpy()], axis=1)
    normals, normal_faces = unit_normals(textured_mesh)
    parts = [_rows("v", verts), _rows("vt", uvs), _rows("vn", normals)]
    faces = mesh.faces.cpu().numpy() + 1
    uv_faces = textured_mesh.uv_faces.cpu().numpy() + 1
    normal_faces = normal_faces + 1
    face_material = textured_mesh.face_material.cpu().numpy()
    for material in np.unique(face_material):
        picked = face_material == material
        parts.append(f"usemtl {names[material]}\n")
        picked_uvs = uv_faces[picked] if len(uvs) else None
        parts.append(_face_rows(faces[picked], picked_uvs, normal_faces[picked]))
    return "".join(parts)


def _rows(keyword: str, values: Float[np.ndarray, "n c"]) -> str:
    """Format one line a row; nine digits bring every float32 back exactly."""
    line = " ".join([keyword] + ["%.9g"] * values.shape[1]) + "\n"
    return (line * len(values)) % tuple(values.flatten().tolist())


def _face_rows(
    faces: Int[np.ndarray, "faces 3"],
    uv_faces: Int[np.ndarray, "faces 3"] | None,
    normal_faces: Int[np.ndarray, "faces 3"],
) -> str:
    if uv_faces is None:
        corners = np.stack([faces, normal_faces], axis=2)
        line = "f %d//%d %d//%d %d//%d\n"
    else:
        corners = np.stack([faces, uv_faces, normal_faces], axis=2)
        line = "f %d/%d/%d %d/%d/%d %d/%d/%d\n"
    return (line * len(faces)) % tuple(corners.flatten().tolist())
