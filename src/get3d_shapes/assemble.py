"""Parts to one closed textured mesh: union, atlas, painting."""

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

_SPECK_M3 = 1e-7  # what unions leave where parts touch
_WELD_M = 5e-6  # points of one solid closer than this are one
_BINS = 1 << 21


class DisconnectedError(ValueError):
    """The parts do not touch one another."""


@dataclass(frozen=True)
class _Surface:
    """The outer surface of a union, before it is painted."""

    verts: Float[np.ndarray, "verts 3"]  # positions, in metres
    faces: Int[np.ndarray, "faces 3"]  # indices into `verts`
    flat: Float[np.ndarray, "flats 2"]  # flat coordinates, in metres
    flat_faces: Int[np.ndarray, "faces 3"]  # indices into `flat`
    flat_patch: Int[np.ndarray, " flats"]  # the patch that each flat coordinate lies on


def assemble(
    parts: Sequence[Part], *, texture_size: int, rng: Rng
) -> tuple[TexturedMesh, Int[Tensor, " faces"]]:
    """Unite parts to one closed surface with an atlas, centred, the longest side of its box 1.

    Only what can be seen from outside gets room in the atlas.

    Args:
        parts: At least one.
        texture_size: Side of the square texture, in texels.
        rng: For the places of grain.

    Returns:
        The mesh, and the index of the part that each face belongs to.

    Raises:
        DisconnectedError: If the union is not one piece.
        ValueError: If a part's solid is not closed, or the texture is too small for the parts.
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
    atlas = pack(low, high, side=texture_size)
    texture = _paint(atlas, [patches[index][0] for index in seen], rng)
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
    """Take the union of all parts; vertex properties carry (flat coordinates, patch)."""
    whole, first_patch = [], 0
    for part in parts:
        made = []
        for solid in (part.solid, *part.cuts):
            made.append(_manifold(solid, first_patch, part.name))
            first_patch += len(solid.patches)
        if len(made) > 1:
            made = [manifold3d.Manifold.batch_boolean(made, manifold3d.OpType.Subtract)]
        whole += made
    union = manifold3d.Manifold.batch_boolean(whole, manifold3d.OpType.Add)
    # Hollows inside are pieces too, of negative volume: without them they are filled.
    pieces = [piece for piece in union.decompose() if piece.volume() > _SPECK_M3]
    if len(pieces) != 1:
        raise DisconnectedError(f"the parts make {len(pieces)} pieces instead of one")
    mesh = pieces[0].to_mesh()
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
    """Weld the patches of a solid; each corner keeps its flat coordinates and its patch."""
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
    """Index of the first point at the place of each."""
    cells = np.rint(verts / _WELD_M).astype(np.int64) + _BINS // 2
    key = (cells[:, 0] * _BINS + cells[:, 1]) * _BINS + cells[:, 2]
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    return first[inverse.reshape(-1)]


def _paint(atlas: Atlas, finishes: Sequence[Finish], rng: Rng) -> Float[np.ndarray, "side side 4"]:
    """Paint every rectangle, all of one finish at once."""
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
        pieces = np.split(np.clip(colors, 0, 1), np.cumsum(sizes)[:-1])
        for rect, flat, piece in zip(rects, flats, pieces, strict=True):
            blocks[rect] = piece.reshape((*flat.shape[:2], 3))
    # What is left empty has the mean colour, as programs that shrink the texture mix it in.
    texture = np.ones((atlas.side, atlas.side, 4), np.float32)
    texture[..., :3] = np.mean([block.mean((0, 1)) for block in blocks.values()], axis=0)
    for rect, block in blocks.items():
        (x, y), (width, height) = atlas.corners[rect], atlas.sizes[rect]
        texture[y : y + height, x : x + width, :3] = block
    return texture
