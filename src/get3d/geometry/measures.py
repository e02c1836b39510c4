"""Measures of triangle meshes: areas, normals, surface samples and topology."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from get3d.core.errors import MeshError
from get3d.core.types import Mesh
from get3d.geometry.half_edges import (
    half_edge_ends,
    link_labels,
    next_half_edge,
    opposite_half_edges,
    pair_keys,
)


@dataclass(frozen=True)
class SurfaceSamples:
    """Points sampled from a surface.

    Attributes:
        points: Positions, in scene units; differentiable in the mesh's vertices.
        normals: Unit normal of each point's face.
        face_ids: Index of each point's face.
    """

    points: Float[Tensor, "samples 3"]
    normals: Float[Tensor, "samples 3"]
    face_ids: Int[Tensor, " samples"]


def face_areas(mesh: Mesh) -> Float[Tensor, " faces"]:
    """Return the area of each face, in squared scene units."""
    return torch.linalg.vector_norm(_face_crosses(mesh), dim=1) / 2


def face_normals(mesh: Mesh) -> Float[Tensor, "faces 3"]:
    """Return the unit normal of each face, by the right-hand rule; 0 for faces without area."""
    return unit_vectors(_face_crosses(mesh))


def vertex_normals(mesh: Mesh, *, smoothing_steps: int = 0) -> Float[Tensor, "verts 3"]:
    """Return the normalised area-weighted mean of the face normals at each vertex.

    Args:
        mesh: The surface.
        smoothing_steps: Number of averaging steps before normalisation, each from vertices to faces
            and back. n steps average over a neighbourhood wider by about sqrt(n) edges.

    Returns:
        Unit normals; 0 where the mean vanishes.
    """
    summed = _sum_at_verts(mesh, _face_crosses(mesh))
    for _ in range(smoothing_steps):
        summed = _sum_at_verts(mesh, _at_corners(mesh, summed).mean(1))
    return unit_vectors(summed)


def roughness(meshes: Sequence[Mesh]) -> Float[Tensor, " meshes"]:
    """Compute the mean deviation of face normals around vertices, for each mesh.

    One minus the length of the area-weighted mean of the unit normals around each vertex, averaged
    over vertices by area: 0 for a plane, near 0 for a smooth surface of many faces, 0.3 where
    normals deviate from their mean by 45 degrees. Differentiable in the vertices.

    Args:
        meshes: One or more meshes; the roughness of a mesh without faces is 0.
    """
    joined = join_meshes(meshes)
    crosses = _face_crosses(joined)
    areas = _safe_lengths(crosses).split([len(mesh.faces) for mesh in meshes])
    smooth = _safe_lengths(_sum_at_verts(joined, crosses))
    smooths = smooth.split([len(mesh.verts) for mesh in meshes])
    area = 3 * torch.stack([each.sum() for each in areas])
    return (area - torch.stack([each.sum() for each in smooths])) / area.clamp(min=1e-12)


def join_meshes(meshes: Sequence[Mesh]) -> Mesh:
    """Join meshes into one: vertices and faces one after the other, in order.

    Work on the joined mesh takes as many kernel launches as on one of them.
    """
    firsts = itertools.accumulate((len(mesh.verts) for mesh in meshes), initial=0)
    faces = [mesh.faces + first for mesh, first in zip(meshes, firsts, strict=False)]
    return Mesh(torch.cat([mesh.verts for mesh in meshes]), torch.cat(faces))


def _sum_at_verts(mesh: Mesh, at_faces: Float[Tensor, "faces 3"]) -> Float[Tensor, "verts 3"]:
    """Sum face vectors over the faces around each vertex."""
    at_corners = at_faces.repeat_interleave(3, dim=0)
    return torch.zeros_like(mesh.verts).index_add(0, mesh.faces.reshape(-1), at_corners)


def _at_corners(mesh: Mesh, at_verts: Float[Tensor, "verts 3"]) -> Float[Tensor, "faces 3 3"]:
    """Gather vertex vectors at the corners of the faces.

    The gradient of `index_select` adds; that of indexing by a tensor sorts the indices on a GPU.
    """
    return at_verts.index_select(0, mesh.faces.flatten()).unflatten(0, (-1, 3))


def _safe_lengths(vectors: Float[Tensor, "n 3"]) -> Float[Tensor, " n"]:
    """Return lengths with a finite gradient at zero."""
    return (vectors.square().sum(1) + 1e-20).sqrt()


def surface_area(mesh: Mesh) -> Float[Tensor, ""]:
    """Return the sum of the face areas, in squared scene units; 0 without faces."""
    return face_areas(mesh).sum()


def signed_volume(mesh: Mesh) -> Float[Tensor, ""]:
    """Return the enclosed volume, in cubic scene units; positive if faces wind outward.

    Meaningful only for a closed mesh. Corners are taken relative to the mesh's centre, so a mesh
    far from the origin loses no precision.
    """
    if len(mesh.verts) == 0:
        return mesh.verts.sum()
    middle = (mesh.verts.detach().amin(0) + mesh.verts.detach().amax(0)) / 2
    first, second, third = (mesh.verts - middle)[mesh.faces].unbind(1)
    return (first * torch.linalg.cross(second, third)).sum() / 6


def sample_surface(mesh: Mesh, num: int, *, generator: torch.Generator) -> SurfaceSamples:
    """Sample points uniformly by area; faces without area are never picked.

    Args:
        mesh: The surface.
        num: Number of points.
        generator: Source of the random numbers, on the mesh's device.

    Raises:
        MeshError: If the mesh has no area, or a vertex of a face is not finite.
        ValueError: If `num` is negative.
    """
    if num < 0:
        raise ValueError(f"num must not be negative, got {num}")
    areas = face_areas(mesh).detach().double()
    if not areas.isfinite().all():
        raise MeshError("mesh.verts must be finite to sample the surface, got NaN or infinity")
    cumulative = areas.cumsum(0)
    if len(areas) == 0 or cumulative[-1] <= 0:
        raise MeshError(f"mesh has no area to sample: {len(areas)} faces, all degenerate")
    device = mesh.verts.device
    draws = torch.rand(num, dtype=torch.float64, generator=generator, device=device)
    # The first face whose cumulative area exceeds the draw, so faces without area are skipped.
    targets = draws * cumulative[-1]
    face_ids = torch.searchsorted(cumulative, targets, right=True)
    last = torch.searchsorted(cumulative, cumulative[-1:])
    face_ids = torch.minimum(face_ids, last)

    dtype = mesh.verts.dtype
    across, along = torch.rand(num, 2, dtype=dtype, generator=generator, device=device).unbind(1)
    root = across.sqrt()
    weights = torch.stack([1 - root, root * (1 - along), root * along], dim=1)
    points = (mesh.verts[mesh.faces[face_ids]] * weights[:, :, None]).sum(1)
    return SurfaceSamples(points, face_normals(mesh)[face_ids], face_ids)


def connected_components(mesh: Mesh) -> Int[Tensor, " verts"]:
    """Label vertices by connected component: 0, 1, ... in order of first vertex.

    A vertex that no face uses is a component of its own.
    """
    links = torch.cat([mesh.faces[:, :2], mesh.faces[:, 1:]])
    return link_labels(links, len(mesh.verts))


def euler_number(mesh: Mesh) -> int:
    """Return vertices - edges + faces, without unreferenced vertices; 2 for a sphere."""
    starts, ends = half_edge_ends(mesh.faces)
    keys = pair_keys(torch.minimum(starts, ends), torch.maximum(starts, ends))
    return len(torch.unique(mesh.faces)) - len(torch.unique(keys)) + len(mesh.faces)


def is_oriented(mesh: Mesh) -> bool:
    """Return whether windings are consistent: no two half-edges have the same direction."""
    keys = pair_keys(*half_edge_ends(mesh.faces))
    return len(torch.unique(keys)) == len(keys)


def is_watertight(mesh: Mesh) -> bool:
    """Return whether the mesh is closed and consistently wound, so that it bounds a volume.

    Every edge has equally many half-edges in both directions. False for a mesh without faces.
    """
    if len(mesh.faces) == 0:
        return False
    starts, ends = half_edge_ends(mesh.faces)
    forward = pair_keys(starts, ends).sort().values
    return torch.equal(forward, pair_keys(ends, starts).sort().values)


def is_manifold(mesh: Mesh) -> bool:
    """Return whether the mesh is a closed, consistently oriented 2-manifold.

    Each edge has exactly two half-edges, of opposite directions, and the faces around each vertex
    form one fan.
    """
    starts, ends = half_edge_ends(mesh.faces)
    if (starts == ends).any() or not is_watertight(mesh) or not is_oriented(mesh):
        return False
    # Link the corners of a vertex whose faces share an edge. Half-edge i starts at corner i.
    corners = torch.arange(len(starts), device=starts.device)
    fans = link_labels(
        torch.stack([corners, next_half_edge(opposite_half_edges(mesh.faces))], 1), len(corners)
    )
    return int(fans.max()) + 1 == len(torch.unique(mesh.faces))


def _face_crosses(mesh: Mesh) -> Float[Tensor, "faces 3"]:
    """Return the cross product of two edges: along the normal, of twice the face's area."""
    first, second, third = _at_corners(mesh, mesh.verts).unbind(1)
    return torch.linalg.cross(second - first, third - first)


def unit_vectors(vectors: Float[Tensor, "vectors 3"]) -> Float[Tensor, "vectors 3"]:
    """Normalise vectors; zero vectors stay zero, with a finite gradient."""
    largest = vectors.detach().abs().amax(1, keepdim=True)  # keeps squares from underflowing
    return F.normalize(vectors / torch.where(largest > 0, largest, 1), dim=1)
