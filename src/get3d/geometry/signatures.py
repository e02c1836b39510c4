"""Signatures of surfaces, by which copies are found."""

from collections.abc import Sequence

import numpy as np
import torch

from get3d.core.types import Mesh

Signature = tuple[float, ...]
SIGNATURE_SIZE = 11
SIGNATURE_TOLERANCE = 1e-4
"""Largest difference of signatures, of size about 1: above the rounding of files to six digits."""


def surface_signature(mesh: Mesh) -> Signature:
    """Compute eleven numbers that copies of a surface share.

    Area, volume, and the first and second moments of the area, after normalisation to a box that
    begins at 0 and has a longest side of 1. Invariant to position, size, order, names, materials
    and triangulation, and to rounding in files; not to rotation.
    """
    corners = mesh.verts[mesh.faces].detach().cpu().double()
    low = corners.amin((0, 1))
    corners = (corners - low) / (corners.amax((0, 1)) - low).max()
    first, second, third = corners.unbind(1)
    crosses = torch.linalg.cross(second - first, third - first)
    areas = torch.linalg.vector_norm(crosses, dim=1) / 2
    volume = (first * crosses).sum() / 6
    mean = (corners.mean(1) * areas[:, None]).sum(0) / areas.sum()
    # Exact integral of x x^T over a triangle: (sum over corners + 9 x that of the centroid) / 12.
    rays = corners - mean
    outer = torch.einsum("fki,fkj,f->ij", rays, rays, areas)
    middles = rays.mean(1)
    outer = (outer + 9 * torch.einsum("fi,fj,f->ij", middles, middles, areas)) / 12 / areas.sum()
    upper = outer[tuple(torch.triu_indices(3, 3))]
    return (float(areas.sum()), float(volume), *mean.tolist(), *upper.tolist())


def same_surfaces(signatures: Sequence[Signature]) -> list[list[int]]:
    """Group surfaces that are the same by their signatures.

    Args:
        signatures: From `surface_signature`.

    Returns:
        Indices of each group, sorted; every index is in one of them.

    Example:
        >>> same_surfaces([(1.0, 2.0), (3.0, 1.0), (1.00001, 2.0)])
        [[0, 2], [1]]
    """
    values = np.array(signatures)
    order = np.argsort(values[:, 0], kind="stable") if len(values) else np.zeros(0, np.int64)
    group_of: dict[int, list[int]] = {}
    for position, index in enumerate(order):
        group = [int(index)]
        for other in order[:position][::-1]:
            if values[index, 0] - values[other, 0] > SIGNATURE_TOLERANCE:
                break
            is_same = (np.abs(values[index] - values[other]) <= SIGNATURE_TOLERANCE).all()
            if is_same and group_of[int(other)] is not group:
                group += group_of[int(other)]
                group_of.update(dict.fromkeys(group, group))
        group_of[int(index)] = group
    unique = {id(group): sorted(group) for group in group_of.values()}
    return sorted(unique.values())
