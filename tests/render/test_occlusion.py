import math

import pytest
import torch
from torch import Tensor

from get3d.core.types import Cameras, Mesh
from get3d.geometry import orbit_cameras
from get3d.models.imaging import nearest_covered
from get3d.render import (
    coverage,
    find_occlusions,
    layer_pixels,
    project_meshes,
    rasterize_views,
)

DOUBLE = torch.float64


def project(verts: Tensor, faces: Tensor, cameras: Cameras):
    return project_meshes([Mesh(verts, faces)], cameras, views_per_mesh=len(cameras))[0]


def draw(verts: Tensor, faces: Tensor, paint: Tensor, cameras: Cameras, size: int, side: int):
    """Antialiased images of a mesh whose faces have constant colours, on black."""
    views = project(verts, faces, cameras)
    face_id = rasterize_views(views, size * side)
    mask = torch.nn.functional.avg_pool2d(coverage(views, face_id)[:, None], side)[:, 0]
    base = nearest_covered(face_id, side)
    layers = layer_pixels(views, face_id, base, side)
    colors = layers.blend(paint[layers.pixels.face][:, None])[:, 0]
    image = torch.zeros(mask.shape, dtype=verts.dtype)
    return image.index_put((base.image, base.row // side, base.column // side), colors) * mask


def hard_mean(verts: Tensor, faces: Tensor, paint: Tensor, cameras: Cameras, size: int) -> Tensor:
    face_id = rasterize_views(project(verts, faces, cameras), size)
    return torch.where(face_id >= 0, paint[face_id.clamp(min=0)], 0.0).mean((1, 2))


def gradient_error(
    scene, moves: Tensor, cameras: Cameras, size: int, side: int, step: float = 3e-3
) -> float:
    """Relative error of d(mean colour)/d(move) against differences of finely sampled images."""
    mesh, paint = scene
    verts = mesh.verts.clone().requires_grad_()
    image = draw(verts, mesh.faces, paint, cameras, size, side)
    rows = [torch.autograd.grad(each.mean(), verts, retain_graph=True)[0] for each in image]
    ours = torch.stack(rows).flatten(1) @ moves.flatten(1).T
    differences = [
        (hard_mean(mesh.verts + step * move, mesh.faces, paint, cameras, 1536)
         - hard_mean(mesh.verts - step * move, mesh.faces, paint, cameras, 1536)) / (2 * step)
        for move in moves
    ]  # fmt: skip
    expected = torch.stack(differences, 1)
    return float((ours - expected).norm() / expected.norm())


def join(*parts: Mesh) -> tuple[Mesh, Tensor]:
    """Put meshes into one; tells each vertex's part."""
    faces, first = [], 0
    for part in parts:
        faces.append(part.faces + first)
        first += part.verts.shape[0]
    part_of = torch.cat([torch.full((p.verts.shape[0],), i) for i, p in enumerate(parts)])
    return Mesh(torch.cat([p.verts for p in parts]), torch.cat(faces)), part_of


def colored(*parts: Mesh, values=(1.0, 0.3, 0.6)):
    mesh, part_of = join(*parts)
    paint = torch.tensor(values, dtype=mesh.verts.dtype)[part_of[mesh.faces[:, 0]]]
    return (mesh, paint), part_of


def rigid_moves(verts: Tensor, part_of: Tensor, part: int) -> Tensor:
    """Translations of one part along x, y and z, and a scaling about its centre."""
    is_part = (part_of == part)[:, None].to(verts.dtype)
    shifts = torch.eye(3, dtype=verts.dtype)[:, None] * is_part
    centre = (verts * is_part).sum(0) / is_part.sum()
    return torch.cat([shifts, ((verts - centre) * is_part)[None]])


def shifted(mesh: Mesh, *shift: float) -> Mesh:
    return Mesh(mesh.verts + torch.tensor(shift, dtype=mesh.verts.dtype), mesh.faces)


def lathe(profile: list[tuple[float, float]], turns: int) -> Mesh:
    """Turn a closed profile (radius, height) about the y axis; both ends lie on it."""
    angle = torch.arange(turns, dtype=DOUBLE) * (2 * math.pi / turns)
    ring = torch.stack([angle.cos(), torch.zeros(turns, dtype=DOUBLE), angle.sin()], 1)
    up = torch.tensor([0.0, 1, 0], dtype=DOUBLE)
    inner = profile[1:-1]
    verts = [ring * radius + up * height for radius, height in inner]
    poles = [up[None] * profile[0][1], up[None] * profile[-1][1]]
    i = torch.arange(turns)
    j = (i + 1) % turns
    faces, last = [], (len(inner) - 1) * turns
    for k in range(len(inner) - 1):
        a, b, c, d = (k * turns + i, k * turns + j, (k + 1) * turns + i, (k + 1) * turns + j)
        faces += [torch.stack([a, c, b], 1), torch.stack([b, c, d], 1)]
    south, north = len(inner) * turns, len(inner) * turns + 1
    faces.append(torch.stack([torch.full_like(i, south), i, j], 1))
    faces.append(torch.stack([torch.full_like(i, north), last + j, last + i], 1))
    return Mesh(torch.cat(verts + poles), torch.cat(faces))


def cup(turns: int = 48, rows: int = 8) -> tuple[tuple[Mesh, Tensor], Tensor]:
    """An open cup with a sharp rim, dark outside and light inside; each vertex's profile index."""
    outside = [(0.0, -0.3), (0.25, -0.3)]
    outside += [(0.25 + 0.1 * k / rows, -0.3 + 0.5 * k / rows) for k in range(1, rows + 1)]
    inside = [(0.35 - 0.14 * k / rows, 0.2 - 0.44 * k / rows) for k in range(1, rows + 1)]
    mesh = lathe([*outside, *inside, (0.0, -0.24)], turns)
    is_inside = torch.zeros(mesh.verts.shape[0], dtype=torch.bool)
    is_inside[(len(outside) - 1) * turns : -2] = True
    is_inside[-1] = True
    paint = torch.where(is_inside[mesh.faces].any(1), 1.0, 0.3).to(DOUBLE)
    return (mesh, paint), is_inside


def oblique(num: int = 3, polar: float = 0.75) -> Cameras:
    turns = torch.linspace(0.3, 4.0, num, dtype=DOUBLE)
    return orbit_cameras(
        turns,
        torch.full((num,), polar, dtype=DOUBLE),
        radius=1.4,
        fovy_rad=math.radians(49.0),
    )


def facing() -> Cameras:
    return orbit_cameras(
        torch.tensor([0.0], dtype=DOUBLE), torch.tensor([1.35], dtype=DOUBLE),
        radius=1.4, fovy_rad=math.radians(49.0),
    )  # fmt: skip
