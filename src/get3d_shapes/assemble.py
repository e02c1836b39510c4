"""Assembly of parts to one watertight textured mesh: union, atlas, texture."""

from collections.abc import Sequence
from dataclasses import dataclass

import manifold3d
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from get3d.core.types import Material, Mesh, TexturedMesh
from get3d_shapes.atlas import Atlas, pack
from get3d_shapes.design import Part, Rng
from get3d_shapes.finishes import Finish
from get3d_shapes.solids import Solid

_SPECK_M3 = 1e-7  # unions leave smaller components where parts touch
_WELD_M = 5e-6  # points of one solid that are closer than this are merged
_BINS = 1 << 21


class DisconnectedError(ValueError):
    """The union of the parts is not connected; another random design is drawn then."""


@dataclass(frozen=True)
class _Surface:
    """The outer surface of a union, without a texture."""

    verts: Float[np.ndarray, "verts 3"]  # positions, in metres
    faces: Int[np.ndarray, "faces 3"]  # indices into `verts`
    flat: Float[np.ndarray, "flats 2"]  # flat coordinates, in metres
    flat_faces: Int[np.ndarray, "faces 3"]  # indices into `flat`
    flat_patch: Int[np.ndarray, " flats"]  # the patch that each flat coordinate lies on


def assemble(
    parts: Sequence[Part], *, texture_size: int, rng: Rng
) -> tuple[TexturedMesh, Int[Tensor, " faces"]]:
    """Unite parts to one watertight textured mesh, centred, with a longest side of 1.

    The atlas has only the outer surface.

    Args:
        parts: At least one part.
        texture_size: Width and height of the texture, in texels.
        rng: Random numbers for the offsets of grain.

    Returns:
        The mesh, and the index of the part of each face.

    Raises:
        DisconnectedError: If the union is not connected.
        ConfigError: If the texture is too small for the parts.
        ValueError: If a part's solid is not closed.
    """
    patches = [
        (part.sides.get(patch.side, part.finish), number)
        for number, part in enumerate(parts)
        for solid in (part.solid, *part.cuts)
        for patch in solid.patches
    ]
    surface = _unite(parts)
    seen, rect = np.unique(surface.flat_patch, return_inverse=True)
    rect = rect.reshape(-1)
    low, high = np.full((len(seen), 2), np.inf), np.full((len(seen), 2), -np.inf)
    np.minimum.at(low, rect, surface.flat)
    np.maximum.at(high, rect, surface.flat)
    atlas = pack(low, high, texture_size=texture_size)
    texture = _bake(atlas, [patches[index][0] for index in seen], rng)
    part_of_patch = np.array([part for _, part in patches])
    face_part = part_of_patch[surface.flat_patch[surface.flat_faces[:, 0]]]
    box_low, box_high = surface.verts.min(0), surface.verts.max(0)
    verts = (surface.verts - (box_low + box_high) / 2) / (box_high - box_low).max()
    mesh = TexturedMesh(
        mesh=Mesh(torch.from_numpy(verts).float(), torch.from_numpy(surface.faces)),
        uvs=torch.from_numpy(atlas.uvs(surface.flat, rect)).float(),
        uv_faces=torch.from_numpy(surface.flat_faces),
        materials=(Material(texture=torch.from_numpy(texture)),),
        face_material=torch.zeros(len(surface.faces), dtype=torch.int64),
    )
    return mesh, torch.from_numpy(face_part)


def _unite(parts: Sequence[Part]) -> _Surface:
    """Compute the union of all parts; its vertex properties are (flat coordinates, patch)."""
    solids, first_patch = [], 0
    for part in parts:
        made = []
        for solid in (part.solid, *part.cuts):
            made.append(_manifold(solid, first_patch, part.name))
            first_patch += len(solid.patches)
        if len(made) > 1:
            made = [manifold3d.Manifold.batch_boolean(made, manifold3d.OpType.Subtract)]
        solids += made
    union = manifold3d.Manifold.batch_boolean(solids, manifold3d.OpType.Add)
    # Cavities are components of negative volume; they are filled.
    components = [each for each in union.decompose() if each.volume() > _SPECK_M3]
    if len(components) != 1:
        raise DisconnectedError(f"the parts make {len(components)} components instead of one")
    mesh = components[0].to_mesh()
    values = np.asarray(mesh.vert_properties, np.float64)
    flat_faces = np.asarray(mesh.tri_verts).astype(np.int64)
    root = np.arange(len(values))
    root[np.asarray(mesh.merge_from_vert)] = np.asarray(mesh.merge_to_vert)
    kept, vert_of = np.unique(root, return_inverse=True)
    return _Surface(
        verts=values[kept, :3],
        faces=vert_of.reshape(-1)[flat_faces],
        flat=values[:, 3:5],
        flat_faces=flat_faces,
        flat_patch=np.rint(values[:, 5]).astype(np.int64),
    )


def _manifold(solid: Solid, first_patch: int, name: str) -> manifold3d.Manifold:
    """Merge the vertices of a solid's patches; corners keep their flat coordinates and patch."""
    patches = solid.patches
    verts = np.concatenate([patch.verts for patch in patches])
    starts = np.cumsum([0] + [len(patch.verts) for patch in patches[:-1]])
    faces = np.concatenate([p.faces + s for p, s in zip(patches, starts, strict=True)])
    root = _weld(verts)
    welded = root[faces]
    is_flat = (welded == np.roll(welded, 1, axis=1)).any(1)
    moved = np.nonzero(root != np.arange(len(root)))[0]
    number = np.repeat(np.arange(len(patches)) + first_patch, [len(p.verts) for p in patches])
    flat = np.concatenate([patch.flat for patch in patches])
    mesh = manifold3d.Mesh(
        np.concatenate([verts[root], flat, number[:, None]], 1).astype(np.float32),
        np.ascontiguousarray(faces[~is_flat].astype(np.uint32)),
        merge_from_vert=moved.astype(np.uint32),
        merge_to_vert=root[moved].astype(np.uint32),
    )
    made = manifold3d.Manifold(mesh)
    if made.status() != manifold3d.Error.NoError or made.volume() <= 0:
        raise ValueError(
            f"part {name!r} is not a closed, outward-facing solid: {made.status()}, volume "
            f"{made.volume():.3g}"
        )
    return made


def _weld(verts: Float[np.ndarray, "n 3"]) -> Int[np.ndarray, " n"]:
    """Return for each point the index of the first point at the same position."""
    cells = np.rint(verts / _WELD_M).astype(np.int64) + _BINS // 2
    key = (cells[:, 0] * _BINS + cells[:, 1]) * _BINS + cells[:, 2]
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    return first[inverse.reshape(-1)]


def _bake(atlas: Atlas, finishes: Sequence[Finish], rng: Rng) -> Float[np.ndarray, "size size 4"]:
    """Bake the texture, for all rectangles of a finish at once."""
    shifts = rng.uniform(0, 1, (len(finishes), 2)).astype(np.float32)
    groups: dict[Finish, list[int]] = {}
    for rect, finish in enumerate(finishes):
        groups.setdefault(finish, []).append(rect)
    blocks: dict[int, Float[np.ndarray, "rows columns 3"]] = {}
    for finish, rects in groups.items():
        flats = [atlas.texels(rect) for rect in rects]
        sizes = [flat[..., 0].size for flat in flats]
        shift = np.repeat(shifts[rects], sizes, axis=0)
        colors = finish.paint(np.concatenate([flat.reshape(-1, 2) for flat in flats]), shift)
        split = np.split(np.clip(colors, 0, 1), np.cumsum(sizes)[:-1])
        for rect, flat, block in zip(rects, flats, split, strict=True):
            blocks[rect] = block.reshape((*flat.shape[:2], 3))
    # Unused texels have the mean colour, as mipmaps blend them in.
    texture = np.ones((atlas.texture_size, atlas.texture_size, 4), np.float32)
    texture[..., :3] = np.mean([block.mean((0, 1)) for block in blocks.values()], axis=0)
    for rect, block in blocks.items():
        (x, y), (width, height) = atlas.corners[rect], atlas.sizes[rect]
        texture[y : y + height, x : x + width, :3] = block
    return texture
