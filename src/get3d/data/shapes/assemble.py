"""Parts to one closed textured mesh: union, atlas, painting."""

from dataclasses import dataclass

import manifold3d
import numpy as np
import torch

from get3d.core.types import Material, Mesh, TexturedMesh
from get3d.data.shapes.solids import Patch, Solid
from get3d.data.shapes.surfaces import Surface

_PAD = 2  # texels around each patch
_SPECK = 1e-7  # cubic metres: what unions leave where parts touch


class DisconnectedError(ValueError):
    """The parts do not touch one another."""


@dataclass(frozen=True)
class Part:
    name: str
    solid: Solid
    surface: Surface


def assemble(parts, *, texture_size=512):
    patches = [patch for part in parts for patch in part.solid.patches]
    looks = [part.surface for part in parts for _ in part.solid.patches]
    corners, scale = _pack(patches, texture_size)
    texture = np.zeros((texture_size, texture_size, 3), np.float32)
    uvs = []
    for patch, look, (x, y, w, h) in zip(patches, looks, corners):
        low = patch.flat.min(0)
        column, row = np.arange(w), np.arange(h)
        flat = np.stack(
            np.broadcast_arrays(
                low[0] + (column[None, :] + 0.5 - _PAD) / scale,
                low[1] + (row[:, None] + 0.5 - _PAD) / scale,
            ),
            -1,
        )
        texture[y : y + h, x : x + w] = look.paint(flat)
        at = (patch.flat - low) * scale + _PAD + (x, y)
        uvs.append(np.stack([at[:, 0] / texture_size, 1 - at[:, 1] / texture_size], 1))
    solids, ids, start = [], {}, 0
    for index, part in enumerate(parts):
        end = start + len(part.solid.patches)
        solid, number = _manifold(part.solid.patches, uvs[start:end])
        start = end
        if solid.status() != manifold3d.Error.NoError or solid.volume() <= 0:
            raise ValueError(f"part {part.name} is not closed: {solid.status()} {solid.volume()}")
        solids.append(solid)
        ids[number] = index
    union = manifold3d.Manifold.batch_boolean(solids, manifold3d.OpType.Add)
    whole = [piece for piece in union.decompose() if abs(piece.volume()) > _SPECK]
    if len(whole) != 1:
        raise DisconnectedError(f"{len(whole)} pieces instead of one")
    union = whole[0]
    out = union.to_mesh()
    props, faces = np.asarray(out.vert_properties), np.asarray(out.tri_verts).astype(np.int64)
    root = np.arange(len(props))
    root[np.asarray(out.merge_from_vert)] = np.asarray(out.merge_to_vert)
    kept, geometry = np.unique(root, return_inverse=True)
    runs = np.asarray(out.run_index) // 3
    face_part = np.zeros(len(faces), np.int64)
    for a, b, number in zip(runs, runs[1:], np.asarray(out.run_original_id)):
        face_part[a:b] = ids[int(number)]
    verts = props[kept, :3].astype(np.float64)
    low, high = verts.min(0), verts.max(0)
    verts = (verts - (low + high) / 2) / (high - low).max()
    rgba = np.concatenate([texture, np.ones_like(texture[..., :1])], -1)
    mesh = TexturedMesh(
        mesh=Mesh(torch.from_numpy(verts).float(), torch.from_numpy(geometry[faces])),
        uvs=torch.from_numpy(props[:, 3:5].astype(np.float32)),
        uv_faces=torch.from_numpy(faces),
        materials=(Material(texture=torch.from_numpy(rgba)),),
        face_material=torch.zeros(len(faces), dtype=torch.int64),
    )
    return mesh, torch.from_numpy(face_part)


def _manifold(patches, uvs):
    verts = np.concatenate([patch.verts for patch in patches]).astype(np.float32)
    offset = np.cumsum([0] + [len(p.verts) for p in patches[:-1]])
    faces = np.concatenate([p.faces + o for p, o in zip(patches, offset)])
    keys = np.round(verts.astype(np.float64) * 2e5).astype(np.int64)
    _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    root = first[inverse.reshape(-1)]
    welded = root[faces]
    degenerate = (
        (welded[:, 0] == welded[:, 1])
        | (welded[:, 1] == welded[:, 2])
        | (welded[:, 0] == welded[:, 2])
    )
    faces = faces[~degenerate]
    verts = verts[root]
    moved = np.nonzero(root != np.arange(len(root)))[0]
    number = manifold3d.Manifold.reserve_ids(1)
    props = np.concatenate([verts, np.concatenate(uvs).astype(np.float32)], 1)
    mesh = manifold3d.Mesh(
        np.ascontiguousarray(props),
        np.ascontiguousarray(faces.astype(np.uint32)),
        merge_from_vert=moved.astype(np.uint32),
        merge_to_vert=root[moved].astype(np.uint32),
        run_index=np.array([0, 3 * len(faces)], np.uint32),
        run_original_id=np.array([number], np.uint32),
    )
    return manifold3d.Manifold(mesh), number


def _pack(patches: list[Patch], side: int):
    extent = np.array([p.flat.max(0) - p.flat.min(0) for p in patches])
    scale = side / np.sqrt(extent.prod(1).sum()) * 0.98
    order = np.argsort(-extent[:, 1], kind="stable")
    while True:
        sizes = np.ceil(extent * scale).astype(int) + 2 * _PAD
        places = _shelves(sizes, order, side)
        if places is not None:
            return [(*places[i], *sizes[i]) for i in range(len(patches))], scale
        scale *= 0.95


def _shelves(sizes, order, side):
    places, x, y, height = {}, 0, 0, 0
    for i in order:
        w, h = sizes[i]
        if x + w > side:
            x, y, height = 0, y + height, 0
        if w > side or y + h > side:
            return None
        places[i] = (x, y)
        x, height = x + w, max(height, h)
    return places
