"""Removal of nearly degenerate triangles by edge collapses (needles) and edge flips (caps)."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from get3d.core.errors import ConfigError
from get3d.core.types import Mesh
from get3d.geometry.components import remove_unreferenced_vertices
from get3d.geometry.half_edges import (
    count_keys,
    half_edge_ends,
    next_half_edge,
    opposite_half_edges,
    pair_keys,
)

_ROUNDS = 50
_RINGS = 2


@dataclass(frozen=True)
class SliverRemoval:
    """A mesh after the removal of slivers.

    Attributes:
        mesh: The mesh; closed if it was closed before.
        num_slivers: Number of slivers before.
        num_left: Number of slivers that cannot be removed without a change of topology.
    """

    mesh: Mesh
    num_slivers: int
    num_left: int


def face_flatness(mesh: Mesh) -> Float[Tensor, " faces"]:
    """Return the height of each face over its longest edge, as a fraction of that edge.

    0.87 for equilateral triangles, 0 for faces without area.
    """
    lengths = _edge_lengths(mesh)
    first, second, third = mesh.verts.detach()[mesh.faces].unbind(dim=1)
    doubled = torch.linalg.vector_norm(torch.linalg.cross(second - first, third - first), dim=1)
    longest = lengths.amax(dim=1).square()
    return doubled / torch.where(longest > 0, longest, torch.ones_like(longest))


def remove_slivers(mesh: Mesh, min_height: float) -> SliverRemoval:
    """Remove faces that are nearly a line or a point.

    The short edge of a needle collapses to its midpoint; the longest edge of a cap, whose three
    edges are long, is flipped. Neither opens a hole, creates a non-manifold edge, or moves the
    surface by more than about the sliver's height.

    Args:
        mesh: Any mesh; faces at boundary and non-manifold edges are left unchanged.
        min_height: Faces of lower height over their longest edge, as a fraction of it, are slivers.

    Raises:
        ConfigError: If the fraction is not in [0, 0.5].
    """
    if not 0 <= min_height <= 0.5:
        raise ConfigError(f"min_height must lie in 0 to 0.5, got {min_height}")
    num_slivers = int((face_flatness(mesh) < min_height).sum())
    mesh = mesh.detach()
    for _ in range(_ROUNDS):
        is_sliver = face_flatness(mesh) < min_height
        if not is_sliver.any():
            break
        is_near = _within_rings(mesh, is_sliver, _RINGS)
        before = Mesh(mesh.verts, mesh.faces[is_near])
        after = _tidy_once(before, min_height)
        if torch.equal(after.faces, before.faces):
            break
        mesh = Mesh(after.verts, torch.cat([mesh.faces[~is_near], after.faces]))
    num_left = int((face_flatness(mesh) < min_height).sum())
    return SliverRemoval(remove_unreferenced_vertices(mesh), num_slivers, num_left)


def _within_rings(mesh: Mesh, is_start: Bool[Tensor, " faces"], num: int) -> Bool[Tensor, " faces"]:
    """Select the faces within some rings (of shared vertices) around the start faces."""
    is_near = is_start
    for _ in range(num):
        is_touched = torch.zeros(len(mesh.verts), dtype=torch.bool, device=mesh.faces.device)
        is_touched[mesh.faces[is_near].flatten()] = True
        is_near = is_touched[mesh.faces].any(dim=1)
    return is_near


def _tidy_once(mesh: Mesh, min_height: float) -> Mesh:
    """Do one round of collapses and flips."""
    collapsed = _collapse_needles(mesh, face_flatness(mesh) < min_height, min_height)
    if len(collapsed.faces) == 0:
        return collapsed
    return _flip_caps(collapsed, face_flatness(collapsed) < min_height)


def _edge_lengths(mesh: Mesh) -> Float[Tensor, "faces 3"]:
    """Return the lengths of the edges from each corner to the next."""
    corners = mesh.verts.detach()[mesh.faces]
    return torch.linalg.vector_norm(corners.roll(-1, dims=1) - corners, dim=2)


def _collapse_needles(mesh: Mesh, is_sliver: Bool[Tensor, " faces"], min_height: float) -> Mesh:
    """Collapse the short edges of needles, as many at once as do not interfere."""
    lengths = _edge_lengths(mesh)
    shortest = lengths.min(dim=1)
    is_needle = is_sliver & (shortest.values <= 2 * min_height * lengths.amax(dim=1))
    picked = is_needle.nonzero().squeeze(1) * 3 + shortest.indices[is_needle]
    ends = torch.stack(half_edge_ends(mesh.faces), dim=1)[picked].sort(dim=1).values.unique(dim=0)
    ends = ends[ends[:, 0] < ends[:, 1]]
    ends = ends[_may_collapse(mesh.faces, ends)]
    ends = ends[_independent_edges(mesh, ends)]
    if len(ends) == 0:
        return mesh
    target = torch.arange(len(mesh.verts), device=mesh.faces.device)
    target[ends[:, 1]] = ends[:, 0]
    verts = mesh.verts.clone()
    verts[ends[:, 0]] = verts[ends].mean(dim=1)
    faces = target[mesh.faces]
    is_face = (faces != faces.roll(-1, dims=1)).all(dim=1)
    return Mesh(verts, faces[is_face])


def _may_collapse(
    faces: Int[Tensor, "faces 3"], ends: Int[Tensor, "edges 2"]
) -> Bool[Tensor, " edges"]:
    """Return which edges can collapse so that the surface stays manifold (link condition).

    The edge must have two faces, and its ends no other common neighbours than these faces' corners.
    """
    keys = pair_keys(*half_edge_ends(faces)).sort().values
    # Neighbours of each edge's first end: a run of the sorted keys.
    first, second = ends.unbind(dim=1)
    starts = torch.searchsorted(keys, first << 32)
    counts = torch.searchsorted(keys, (first + 1) << 32) - starts
    edge = torch.arange(len(ends), device=faces.device).repeat_interleave(counts)
    offset = torch.arange(len(edge), device=faces.device) - (counts.cumsum(0) - counts)[edge]
    neighbours = keys[starts[edge] + offset] & 0xFFFFFFFF
    is_common = count_keys(keys, pair_keys(second[edge], neighbours)) > 0
    num_common = torch.zeros_like(counts).index_add_(0, edge, is_common.long())
    return _is_inner(faces)[ends].all(dim=1) & (num_common == 2)


def _is_inner(faces: Int[Tensor, "faces 3"]) -> Bool[Tensor, " verts"]:
    """Return which vertices have only edges with two consistently wound faces."""
    starts, ends = half_edge_ends(faces)
    has_no_opposite = opposite_half_edges(faces) < 0
    is_inner = torch.ones(int(faces.max()) + 1, dtype=torch.bool, device=faces.device)
    is_inner[starts[has_no_opposite]] = False
    is_inner[ends[has_no_opposite]] = False
    return is_inner


def _independent_edges(mesh: Mesh, ends: Int[Tensor, "edges 2"]) -> Bool[Tensor, " edges"]:
    """Select edges, shorter ones first, of which no two touch or have common neighbours."""
    lengths = torch.linalg.vector_norm(mesh.verts[ends[:, 0]] - mesh.verts[ends[:, 1]], dim=1)
    rank = torch.empty_like(ends[:, 0])
    rank[lengths.argsort(stable=True)] = torch.arange(len(ends), device=ends.device)
    best = torch.full((len(mesh.verts),), len(ends), device=ends.device)
    best = best.scatter_reduce(0, ends.flatten(), rank.repeat_interleave(2), "amin")
    for _ in range(2):  # independent edges are at least three steps apart
        of_face = best[mesh.faces].amin(dim=1).repeat_interleave(3)
        best = best.scatter_reduce(0, mesh.faces.flatten(), of_face, "amin")
    return (best[ends] == rank.unsqueeze(1)).all(dim=1)


def _flip_caps(mesh: Mesh, is_sliver: Bool[Tensor, " faces"]) -> Mesh:
    """Flip the longest edges of slivers, where that makes better faces."""
    starts, ends = half_edge_ends(mesh.faces)
    edge = is_sliver.nonzero().squeeze(1) * 3 + _edge_lengths(mesh)[is_sliver].argmax(dim=1)
    is_inner = _is_inner(mesh.faces)
    opposites = opposite_half_edges(mesh.faces)
    edge = edge[opposites[edge] >= 0]
    pair = mesh.faces[torch.stack([edge // 3, opposites[edge] // 3], dim=1)]
    edge = edge[is_inner[pair].flatten(1).all(dim=1)]
    opposite = opposites[edge]
    start, end = starts[edge], ends[edge]
    tip, far = ends[next_half_edge(edge)], ends[next_half_edge(opposite)]
    new = torch.stack([torch.stack([tip, start, far], 1), torch.stack([tip, far, end], 1)], dim=1)
    exists = count_keys(pair_keys(starts, ends).sort().values, pair_keys(tip, far)) > 0
    both = torch.stack([edge // 3, opposite // 3], dim=1)
    before = face_flatness(Mesh(mesh.verts, mesh.faces[both].flatten(0, 1))).view(-1, 2).amin(dim=1)
    after = face_flatness(Mesh(mesh.verts, new.flatten(0, 1))).view(-1, 2).amin(dim=1)
    useful = ((after > 1.5 * before) & ~exists & (tip != far)).nonzero().squeeze(1)
    # Flips that share a vertex wait for the next round, as they could create the same edge.
    touched = new[useful].flatten(1)
    rank = torch.arange(len(useful), device=edge.device)
    first = torch.full((len(mesh.verts),), len(useful), device=edge.device)
    first = first.scatter_reduce(0, touched.flatten(), rank.repeat_interleave(6), "amin")
    alone = useful[(first[touched] == rank.unsqueeze(1)).all(dim=1)]
    faces = mesh.faces.clone()
    faces[both[alone].flatten()] = new[alone].flatten(0, 1)
    return Mesh(mesh.verts, faces)
