"""Binary PLY with a colour at every vertex."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from get3d.core.colors import linear_to_srgb, srgb_to_linear
from get3d.core.files import atomic_path
from get3d.core.textures import EncodedTexture
from get3d.core.types import Material, TexturedMesh
from get3d.export.split import check_exportable, comment_lines, unique_rows, unit_normals
from get3d.render import apply_alpha_modes, sample_texture


def save_ply(textured_mesh: TexturedMesh, path: Path | str) -> None:
    """Write a PLY file: positions, normals and sRGB colours of the vertices, and faces.

    The format's common readers know no textures, so each vertex takes the mean colour that its
    corners have in the texture: detail finer than the triangles is lost. The surface stays closed,
    except that vertices are split at creases where the mesh's normals are.

    Args:
        textured_mesh: At least one face.
        path: Where the file goes; it appears whole or not at all.

    Raises:
        MeshError: As `check_exportable`.
    """
    check_exportable(textured_mesh)
    mesh = textured_mesh.mesh
    normals, normal_faces = unit_normals(textured_mesh)
    faces = mesh.faces.cpu().numpy()
    positions = mesh.verts.detach().cpu().numpy()
    vert_colors = vertex_colors_u8(textured_mesh)
    if textured_mesh.normals is not None and textured_mesh.normal_faces is not None:
        keys, corners = unique_rows(np.stack([faces, normal_faces], axis=2).reshape(-1, 2))
        positions, vert_colors, normals = (
            positions[keys[:, 0]],
            vert_colors[keys[:, 0]],
            normals[keys[:, 1]],
        )
        faces = corners.reshape(-1, 3)
    floats = np.dtype([(name, "<f4") for name in ("x", "y", "z", "nx", "ny", "nz")])
    colors = np.dtype([(name, "u1") for name in ("red", "green", "blue", "alpha")])
    vertex = np.zeros(len(positions), dtype=floats.descr + colors.descr)
    for name, column in zip("xyz", positions.T, strict=True):
        vertex[name] = column
    for name, column in zip(("nx", "ny", "nz"), normals.T, strict=True):
        vertex[name] = column
    for name, column in zip(colors.names or (), vert_colors.T, strict=True):
        vertex[name] = column
    face = np.zeros(len(mesh.faces), dtype=[("count", "u1"), ("corners", "<i4", 3)])
    face["count"], face["corners"] = 3, faces
    header = [
        "ply",
        "format binary_little_endian 1.0",
        "comment get3d",
        *(f"comment {line}" for line in comment_lines(textured_mesh.notes)),
        f"element vertex {len(vertex)}",
        *(f"property float {name}" for name in floats.names or ()),
        *(f"property uchar {name}" for name in colors.names or ()),
        f"element face {len(face)}",
        "property list uchar int vertex_indices",
        "end_header",
    ]
    with atomic_path(path) as temp_path:
        text = "\n".join(header) + "\n"
        temp_path.write_bytes(text.encode() + vertex.tobytes() + face.tobytes())


def vertex_colors_u8(textured_mesh: TexturedMesh) -> UInt8[np.ndarray, "verts 4"]:
    """Bring textures, base colours and vertex colours together at the vertices.

    Args:
        textured_mesh: With any mix of materials.

    Returns:
        sRGB with alpha; a vertex between materials or at a seam gets the mean of its corners,
        whose alpha is what their materials' alpha modes make of it.
    """
    mesh = textured_mesh.mesh
    corner_colors = torch.ones(len(mesh.faces), 3, 4, dtype=torch.float64)
    for index, material in enumerate(textured_mesh.materials):
        picked = (textured_mesh.face_material == index).cpu().nonzero().squeeze(1)
        corner_colors[picked] = _linear_colors(textured_mesh, material, picked)
    corners, colors = mesh.faces.cpu().flatten(), corner_colors.flatten(0, 1)
    if textured_mesh.vert_colors is not None:
        colors = colors * textured_mesh.vert_colors.detach().cpu()[corners]
    material_of = textured_mesh.face_material.cpu().repeat_interleave(3)
    colors[:, 3] = apply_alpha_modes(colors[:, 3], textured_mesh.materials, material_of)
    sums = torch.zeros(len(mesh.verts), 4, dtype=torch.float64).index_add(0, corners, colors)
    counts = corners.bincount(minlength=len(mesh.verts)).clamp(min=1).unsqueeze(1)
    linear = (sums / counts).clamp(0, 1)
    colors = torch.cat([linear_to_srgb(linear[:, :3]), linear[:, 3:]], dim=1)
    return (colors * 255 + 0.5).to(torch.uint8).numpy()


def _linear_colors(
    textured_mesh: TexturedMesh, material: Material, faces: Tensor
) -> Float[Tensor, "faces 3 4"]:
    """Look up the corners of some faces in a material's texture, in linear light."""
    factor = torch.tensor(material.base_color, dtype=torch.float64)
    if material.texture is None or len(textured_mesh.uvs) == 0:
        return factor.expand(len(faces), 3, 4)
    uvs = textured_mesh.uvs.detach().cpu().double()[textured_mesh.uv_faces.cpu()[faces]]
    if isinstance(material.texture, EncodedTexture):
        texels, sampler = material.texture.decode(), material.texture.sampler
        found = sample_texture(texels, uvs.flatten(0, 1), sampler=sampler)
        return found.unflatten(0, (len(faces), 3)) * factor
    image = material.texture.detach().cpu().double().permute(2, 0, 1)
    is_inside = bool(((uvs >= 0) & (uvs <= 1)).all())
    uvs = uvs if is_inside else uvs % 1.0
    grid = torch.stack([uvs[..., 0] * 2 - 1, 1 - uvs[..., 1] * 2], dim=-1)
    sampled = F.grid_sample(image[None], grid[None], padding_mode="border", align_corners=False)
    colors = sampled[0].permute(1, 2, 0).clamp(0, 1)
    return torch.cat([srgb_to_linear(colors[..., :3]), colors[..., 3:]], dim=-1) * factor
