"""The tetrahedral grid that carries the signed distance field (paper, section 3.1.1).

Its tables, such as the one from tets to edges, are computed once, so that surface extraction needs
neither sorting nor searching.
"""

import zipfile
import zlib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from get3d.core.errors import ConfigError, DataError, MeshError

TET_EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))

# The published grids have about 0.7325 resolution^3 tets (A15 lattices, cell 4 / resolution). Our
# cells hold 12 tets each; 0.39 resolution of them along each axis match those counts within 3%.
_TETS_PER_RESOLUTION_CUBED = 0.7325
_CELLS_PER_RESOLUTION = 0.39
_ON_BOX = 1e-6  # distance from the bounding box that counts as on it, relative to its longest edge


@dataclass(frozen=True)
class TetGrid:
    """A tetrahedral mesh of a cube with the tables that surface extraction needs.

    Attributes:
        verts: Positions, in scene units; the bounding box is centred on the origin.
        tets: Vertex indices, int64; all tets are positively oriented.
        edges: The two ends of each edge, int64, each edge once.
        tet_edges: Indices of the six edges of each tet, in the order of `TET_EDGES`.
        boundary: Indices of the vertices on the bounding box.
        centre: Index of the vertex nearest the origin.
        resolution: Resolution as for the published grids; deformation is below 1 / resolution.
    """

    verts: Float[Tensor, "verts 3"]
    tets: Int[Tensor, "tets 4"]
    edges: Int[Tensor, "edges 2"]
    tet_edges: Int[Tensor, "tets 6"]
    boundary: Int[Tensor, " boundary"]
    centre: Int[Tensor, ""]
    resolution: int

    def to(self, device: torch.device | str) -> "TetGrid":
        """Copy all tables to a device."""
        return TetGrid(
            self.verts.to(device),
            self.tets.to(device),
            self.edges.to(device),
            self.tet_edges.to(device),
            self.boundary.to(device),
            self.centre.to(device),
            self.resolution,
        )


def bcc_grid(resolution: int, *, scale: float = 1.0) -> TetGrid:
    """Fill a cube with tetrahedra of a body-centred cubic lattice.

    Every interior tet joins an edge of a cubic cell's face to the centres of the two cells at that
    face; all are congruent. At the boundary the face's midpoint replaces the missing centre, so the
    grid fills the cube exactly and has all its symmetries.

    Args:
        resolution: Resolution as for the published grids (64, 70, 90), whose numbers of vertices
            and tets it matches within 3%.
        scale: Edge length of the cube, in scene units.

    Raises:
        ConfigError: If `resolution` is below 3 or `scale` is not positive.

    Example:
        >>> grid = bcc_grid(8)
        >>> grid.verts.shape, grid.tets.shape
        (torch.Size([145, 3]), torch.Size([432, 4]))
    """
    if resolution < 3:
        raise ConfigError(f"resolution must be at least 3, got {resolution}")
    _check_scale(scale)
    unit = _unit_bcc_grid(bcc_cells(resolution))
    return replace(unit, verts=unit.verts * scale, resolution=resolution)


def bcc_cells(resolution: int) -> int:
    """Return the number of cells along each axis of `bcc_grid` for a resolution."""
    return round(resolution * _CELLS_PER_RESOLUTION)


def load_grid(path: Path | str, *, resolution: int | None = None, scale: float = 1.0) -> TetGrid:
    """Read a published grid: an .npz file with arrays `vertices` [N, 3] and `tets` [T, 4].

    Args:
        path: The file.
        resolution: Resolution of the grid; None estimates it from the number of tets, which is
            exact for the published files.
        scale: Longest edge of the bounding box after centring, in scene units.

    Raises:
        FileNotFoundError: If the file does not exist.
        DataError: If it is not a grid file.
        ConfigError: If `scale` is not positive.
    """
    _check_scale(scale)
    verts, tets = _read_arrays(Path(path))
    positions = torch.from_numpy(verts.astype(np.float64))
    if len(positions) == 0 or not positions.isfinite().all():
        raise DataError(f"{path}: vertices must be finite and not empty")
    low, high = positions.amin(0), positions.amax(0)
    if not (high > low).any():
        raise DataError(f"{path}: vertices must not all lie in one point")
    positions = (positions - (low + high) / 2) * (scale / (high - low).max())
    if resolution is None:
        resolution = max(1, round((len(tets) / _TETS_PER_RESOLUTION_CUBED) ** (1 / 3)))
    try:
        return make_grid(
            positions.float(), torch.from_numpy(tets.astype(np.int64)), resolution=resolution
        )
    except MeshError as error:
        raise DataError(f"{path}: {error}") from error


def make_grid(
    verts: Float[Tensor, "verts 3"], tets: Int[Tensor, "tets 4"], *, resolution: int
) -> TetGrid:
    """Orient tets and compute the tables of a grid.

    Args:
        verts: Positions, in scene units; kept as they are.
        tets: Vertex indices in any orientation.
        resolution: Resolution as for the published grids.

    Raises:
        MeshError: If there are no tets, or a vertex index is out of range.
    """
    if len(tets) == 0:
        raise MeshError("tets must not be empty")
    if tets.min() < 0 or tets.max() >= len(verts):
        raise MeshError(
            f"tets must hold indices in [0, {len(verts)}), "
            f"got {int(tets.min())} to {int(tets.max())}"
        )
    tets = orient_tets(verts, tets.long())
    edges, tet_edges = edge_table(tets, len(verts))
    low, high = verts.amin(0), verts.amax(0)
    tolerance = _ON_BOX * (high - low).max()
    on_box = ((verts <= low + tolerance) | (verts >= high - tolerance)).any(1)
    return TetGrid(
        verts=verts,
        tets=tets,
        edges=edges,
        tet_edges=tet_edges,
        boundary=on_box.nonzero().squeeze(1),
        centre=verts.square().sum(1).argmin(),
        resolution=resolution,
    )


def orient_tets(
    verts: Float[Tensor, "verts 3"], tets: Int[Tensor, "tets 4"]
) -> Int[Tensor, "tets 4"]:
    """Swap the last two corners of every tet of negative volume."""
    swapped = tets[:, [0, 1, 3, 2]]
    return torch.where(tet_volumes(verts, tets)[:, None] < 0, swapped, tets)


def tet_volumes(
    verts: Float[Tensor, "verts 3"], tets: Int[Tensor, "tets 4"]
) -> Float[Tensor, " tets"]:
    """Return signed volumes, in cubic scene units; positive for right-handed corners 1, 2, 3."""
    first, *others = verts[tets].unbind(1)
    along_1, along_2, along_3 = (other - first for other in others)
    return (torch.linalg.cross(along_1, along_2) * along_3).sum(1) / 6


def edge_table(
    tets: Int[Tensor, "tets 4"], num_verts: int
) -> tuple[Int[Tensor, "edges 2"], Int[Tensor, "tets 6"]]:
    """Number the edges of a tet mesh.

    Args:
        tets: Vertex indices.
        num_verts: An upper bound on the indices.

    Returns:
        The ends of each edge, lower index first, and the six edges of each tet in the order of
        `TET_EDGES`.
    """
    start, end = (tets[:, [pair[end] for pair in TET_EDGES]] for end in (0, 1))
    keys = torch.minimum(start, end) * num_verts + torch.maximum(start, end)
    unique, tet_edges = torch.unique(keys, return_inverse=True)
    return torch.stack([unique // num_verts, unique % num_verts], dim=1), tet_edges


@lru_cache(maxsize=4)
def _unit_bcc_grid(num_cells: int) -> TetGrid:
    """Build the grid with `num_cells` cells along each axis of the unit cube."""
    steps = torch.arange(num_cells + 1) / num_cells - 0.5
    middles = (torch.arange(num_cells) + 0.5) / num_cells - 0.5
    ends = torch.tensor([-0.5, 0.5])
    parts = [
        torch.cartesian_prod(steps, steps, steps),
        torch.cartesian_prod(middles, middles, middles),
    ]
    corner_ids = torch.arange(len(parts[0])).reshape((num_cells + 1,) * 3)
    centre_ids = torch.arange(num_cells**3).reshape((num_cells,) * 3) + len(parts[0])
    tets = []
    for axis in range(3):
        start = sum(map(len, parts))
        caps = torch.arange(2 * num_cells**2).reshape(2, num_cells, num_cells) + start
        parts.append(torch.cartesian_prod(ends, middles, middles).roll(axis, dims=1))
        # the other axes follow cyclically, so axis 1 is ordered (y, z, x)
        order = (axis, (axis + 1) % 3, (axis + 2) % 3)
        centres = torch.cat([caps[:1], centre_ids.permute(order), caps[1:]])
        tets.append(_tets_about_faces(corner_ids.permute(order), centres))
    return make_grid(torch.cat(parts), torch.cat(tets), resolution=num_cells)


def _tets_about_faces(
    corners: Int[Tensor, "planes rows columns"], centres: Int[Tensor, "layers cells_r cells_c"]
) -> Int[Tensor, "tets 4"]:
    """Join the four edges of each cell face normal to axis 0 to the points below and above it."""
    loop = [corners[:, :-1, :-1], corners[:, 1:, :-1], corners[:, 1:, 1:], corners[:, :-1, 1:]]
    below, above = centres[:-1], centres[1:]
    groups = [torch.stack([below, above, loop[i], loop[(i + 1) % 4]], dim=-1) for i in range(4)]
    return torch.stack(groups, dim=-2).reshape(-1, 4)


def _read_arrays(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read `vertices` and `tets` from an .npz file; raise DataError if it is invalid."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in ("vertices", "tets") if name in archive}
    except FileNotFoundError:
        raise
    # numpy raises any of these for a file that is not an archive or is truncated
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, TypeError, ValueError) as error:
        raise DataError(f"{path} is not a readable .npz file: {error}") from error
    missing = [name for name in ("vertices", "tets") if name not in arrays]
    if missing:
        raise DataError(f"{path} must hold the arrays 'vertices' and 'tets', {missing} missing")
    verts, tets = arrays["vertices"], arrays["tets"]
    if verts.ndim != 2 or verts.shape[1] != 3 or tets.ndim != 2 or tets.shape[1] != 4:
        raise DataError(
            f"{path} must hold vertices [N, 3] and tets [T, 4], "
            f"got {list(verts.shape)} and {list(tets.shape)}"
        )
    if verts.dtype.kind not in "fiu" or tets.dtype.kind not in "iu":
        raise DataError(
            f"{path} must hold numbers as vertices and whole ones as tets, "
            f"got {verts.dtype} and {tets.dtype}"
        )
    return verts, tets


def _check_scale(scale: float) -> None:
    """Raise ConfigError if a scale is not positive and finite."""
    if not 0 < scale < float("inf"):
        raise ConfigError(f"scale must be positive and finite, got {scale}")
