"""Accuracy and cost of three iso-surfaces at sharp edges and thin parts.

    python benchmarks/surfaces.py [--shapes plate torus] [--out results/surfaces.json]

Marching tetrahedra, the same split once near the surface (the volume subdivision of the paper's
appendix), and FlexiCubes. Each shape is known exactly: its signed distances and points on its
surface. All start from the exact distances on their grids, those of tetrahedra chosen so that the
numbers of triangles are nearly equal; split lattices have an even number of cells along each side,
so theirs are a little farther off. A fourth, for comparison: tetrahedra not split, on the whole of
the lattice that the split ones have near the surface.

Two parts: surfaces of the exact distances, with --exact-cubes along each side; and with half as
many (--fitted-cubes), after --steps that fit them to the points by moving all they have: distances,
offsets and, for FlexiCubes, weights. Where parts are thin, fits differ more by the random points
that they see than by their surface, so their measures are medians of --fits.

Needs SciPy and, for the memory, Linux. Chamfer distances are squared, both ways summed, times 1e6;
normal errors in degrees, both ways; slivers have an angle below 10 degrees. Times are of the
processor, on one thread: of an extraction with its regularisers and their gradient (the least of
several), and of a step of the fit (the median), in milliseconds. Memory: the most that making the
grid, an extraction, its gradient and a step of Adam needed, in MB. Each surface is measured in a
process of its own.
"""

import argparse
import json
import math
import multiprocessing
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import machine_name, resident_mb
from torch import Tensor

from get3d.core import Mesh
from get3d.geometry import (
    KnownSurface,
    SparseSurface,
    bcc_cells,
    bcc_grid,
    crossing_losses,
    cube_weights,
    deviation_losses,
    dual_meshes,
    dual_topology,
    extract_sparse_surface,
    place_points,
    sample_surface,
    sdf_sign_change_loss,
    sparse_meshes,
    surface_meshes,
    surface_topology,
    voxel_grid,
)

NUM_TRUTH, NUM_MEASURED, NUM_FITTED = 200_000, 400_000, 6_000
TIMING_STEPS = 30  # of the fit, where only its time is wanted


@dataclass(frozen=True)
class Truth:
    """A shape: signed distance (positive inside), points on its surface and normals there."""

    sdf: Callable[[Tensor], Tensor]
    points: Tensor
    normals: Tensor
    tree: Any  # scipy's cKDTree


@dataclass(frozen=True)
class Extracted:
    """A mesh for measuring, one for fitting, and the regularisers: that of weights, in cells."""

    coarse: Mesh
    fine: Mesh
    regulariser: Tensor
    sign_change: Tensor


def turned(points: Tensor) -> Tensor:
    """Rotate about two axes, so that no part is aligned with a grid."""
    a, b = math.radians(23), math.radians(37)
    about_z = torch.tensor(
        [[math.cos(a), -math.sin(a), 0], [math.sin(a), math.cos(a), 0], [0, 0, 1]]
    )
    about_x = torch.tensor(
        [[1, 0, 0], [0, math.cos(b), -math.sin(b)], [0, math.sin(b), math.cos(b)]]
    )
    return points @ (about_z @ about_x)


def boxes(*parts: tuple[tuple[float, float, float], tuple[float, float, float]]) -> Truth:
    """Make a rotated union of boxes, each with a centre and half extents."""
    from scipy.spatial import cKDTree  # of the dev extra

    centres, halves = (torch.tensor([part[i] for part in parts]) for i in (0, 1))
    turn = turned(torch.eye(3))

    def sdf(points: Tensor) -> Tensor:
        outside = ((points @ turn.T)[:, None] - centres).abs() - halves
        far = outside.clamp(min=0).norm(dim=2) + outside.amax(2).clamp(max=0)
        return -far.amin(1)

    rng = torch.Generator().manual_seed(0)
    sides = halves[:, [1, 2, 0]] * halves[:, [2, 0, 1]]  # areas across x, y, z, over four
    drawn = torch.multinomial(sides.flatten(), NUM_TRUTH, replacement=True, generator=rng)
    part, axis = drawn // 3, drawn % 3
    sign = torch.randint(0, 2, (NUM_TRUTH,), generator=rng) * 2.0 - 1
    local = torch.rand(NUM_TRUTH, 3, generator=rng) * 2 - 1
    local[torch.arange(NUM_TRUTH), axis] = sign
    points = (centres[part] + local * halves[part]) @ turn
    normals = (torch.eye(3)[axis] * sign[:, None]) @ turn
    kept = sdf(points) < 1e-6  # not inside another box
    return Truth(sdf, points[kept], normals[kept], cKDTree(points[kept].numpy()))


def torus() -> Truth:
    """A smooth shape, for comparison."""
    from scipy.spatial import cKDTree  # of the dev extra

    turn, large, small = turned(torch.eye(3)), 0.27, 0.1

    def sdf(points: Tensor) -> Tensor:
        x, y, z = (points @ turn.T).unbind(1)
        return small - torch.hypot(torch.hypot(x, z) - large, y)

    rng = torch.Generator().manual_seed(0)
    around, about, keep = torch.rand(3, 2 * NUM_TRUTH, generator=rng).unbind(0)
    around, about = around * 2 * math.pi, about * 2 * math.pi
    kept = keep * (large + small) < large + small * about.cos()  # by area
    around, about = around[kept], about[kept]
    ring = torch.stack([around.cos(), torch.zeros_like(around), around.sin()], dim=1)
    normals = ring * about.cos()[:, None] + torch.tensor([0.0, 1, 0]) * about.sin()[:, None]
    points, normals = (ring * large + normals * small) @ turn, normals @ turn
    return Truth(sdf, points, normals, cKDTree(points.numpy()))


SHAPES: dict[str, Callable[[], Truth]] = {
    "cube": lambda: boxes(((0, 0, 0), (0.25, 0.25, 0.25))),
    "plate": lambda: boxes(((0, 0, 0), (0.35, 0.25, 0.015))),
    "table": lambda: boxes(
        ((0, 0.2, 0), (0.3, 0.02, 0.2)),
        *(((x, -0.05, z), (0.02, 0.25, 0.02)) for x in (-0.26, 0.26) for z in (-0.16, 0.16)),
    ),
    "torus": torus,
}


class Tetrahedra:
    """Marching tetrahedra: distances and offsets are free."""

    def __init__(self, resolution: int, truth: Truth) -> None:
        """Start from the exact distances."""
        self.grid, self.cell = bcc_grid(resolution), 1 / resolution
        self.sdf = truth.sdf(self.grid.verts).requires_grad_()
        self.offsets = torch.zeros_like(self.grid.verts, requires_grad=True)
        self.free = [{"params": [self.sdf], "lr": 0.05 * self.cell}, {"params": [self.offsets]}]

    def extract(self) -> Extracted:
        """Extract the meshes of the current parameters."""
        sdf = self.sdf[None]
        topology = surface_topology(self.grid, sdf.detach())
        active = topology.active_verts
        positions = self.grid.verts[active] + self.offsets[active].tanh() * self.cell
        mesh = surface_meshes(topology, sdf, positions)[0]
        sign_change = sdf_sign_change_loss(sdf, self.grid.edges)
        return Extracted(mesh, mesh, sdf.new_zeros(()), sign_change)


class Split:
    """Marching tetrahedra, split once: free are distances and offsets near the surface.

    In place of a network's output at vertices of the fine lattice there are free parameters: one at
    each vertex where the field is queried for the exact distances; others stay as they are.
    """

    def __init__(self, resolution: int, truth: Truth) -> None:
        """Start from the exact distances, on a grid of half the fineness."""
        self.grid, self.cell = bcc_grid(resolution), 1 / (2 * resolution)
        self.exact, self.coarse = truth.sdf, truth.sdf(self.grid.verts)
        self.num_coarse = bcc_cells(resolution)
        queried = []

        def field(points: Tensor, _: Tensor) -> Tensor:
            queried.append(points)
            return truth.sdf(points)

        self._trace(self.coarse, field)
        if not queried:
            raise ValueError(f"a grid of {resolution} is too coarse for the shape; take more cubes")
        self.keys, order = self._keys(torch.cat(queried)).sort()
        self.sdf = truth.sdf(torch.cat(queried)[order]).requires_grad_()
        self.offsets = torch.zeros(len(self.keys), 3, requires_grad=True)
        self.free = [{"params": [self.sdf], "lr": 0.05 * self.cell}, {"params": [self.offsets]}]
        # Every vertex of the grid is one of the fine lattice.
        place, is_free = self._find(self.grid.verts)
        self.shared = is_free.nonzero().squeeze(1), place[is_free]

    def extract(self) -> Extracted:
        """Extract the meshes of the current parameters."""
        coarse, values = self.coarse.clone(), self.sdf.detach()
        coarse[self.shared[0]] = values[self.shared[1]]

        def field(points: Tensor, _: Tensor) -> Tensor:
            place, is_free = self._find(points)
            found = values[place]
            found[~is_free] = self.exact(points[~is_free])
            return found

        sparse = self._trace(coarse, field)
        place, is_free = self._find(sparse.points)
        sdf = torch.where(is_free, self.sdf[place], sparse.sdf)
        offsets = torch.where(is_free[:, None], self.offsets[place].tanh() * self.cell, 0)
        [mesh] = sparse_meshes(sparse, sdf, sparse.points + offsets)
        sign_change = crossing_losses(
            sdf[sparse.topology.edge_verts],
            torch.zeros(len(sparse.topology.edge_verts), dtype=torch.int64),
            num_shapes=1,
        ).sum()
        return Extracted(mesh, mesh, sdf.new_zeros(()), sign_change)

    def _trace(self, coarse: Tensor, field: Callable[[Tensor, Tensor], Tensor]) -> SparseSurface:
        """Extract the sparse fine surface from the distances on the grid."""
        active = surface_topology(self.grid, coarse[None]).active_verts
        known = KnownSurface(
            points=self.grid.verts[active],
            shape=torch.zeros_like(active),
            num_shapes=1,
            num_cells=self.num_coarse,
            scale=1.0,
        )
        return extract_sparse_surface(field, known, 2 * self.num_coarse)

    def _keys(self, points: Tensor) -> Tensor:
        """Number vertices of the fine lattice, which lie at multiples of half its cells."""
        halves = 4 * self.num_coarse
        x, y, z = ((points + 0.5) * halves).round().long().unbind(1)
        return (x * (halves + 1) + y) * (halves + 1) + z

    def _find(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Find vertices of the fine lattice among the free ones; return which were found too."""
        keys = self._keys(points)
        place = torch.searchsorted(self.keys, keys).clamp(max=len(self.keys) - 1)
        return place, self.keys[place] == keys


class Cubes:
    """FlexiCubes: distances, offsets and weights are free."""

    def __init__(self, resolution: int, truth: Truth) -> None:
        """Start from the exact distances."""
        self.grid, self.cell = voxel_grid(resolution), 1 / resolution
        self.sdf = truth.sdf(self.grid.verts).requires_grad_()
        self.offsets = torch.zeros_like(self.grid.verts, requires_grad=True)
        self.raw = torch.zeros(self.grid.num_cubes, 21, requires_grad=True)
        self.free = [
            {"params": [self.sdf], "lr": 0.05 * self.cell},
            {"params": [self.offsets, self.raw]},
        ]

    def extract(self) -> Extracted:
        """Extract the meshes of the current parameters."""
        sdf = self.sdf[None]
        topology = dual_topology(self.grid, sdf.detach())
        active, raw = topology.active_verts, self.raw[topology.cubes]
        positions = self.grid.verts[active] + self.offsets[active].tanh() * self.cell / 2
        weights = cube_weights(raw)
        points = place_points(topology, topology.at_active(sdf), positions, weights)
        coarse, fine = (
            dual_meshes(topology, points.verts, weights, splits_in_four=four)[0]
            for four in (False, True)
        )
        deviation = deviation_losses(topology, points).sum() / self.cell
        regulariser = 0.5 * deviation + 0.1 * raw[:, :20].abs().mean()
        return Extracted(coarse, fine, regulariser, sdf_sign_change_loss(sdf, self.grid.edges))


Free = Tetrahedra | Split | Cubes
KINDS: dict[str, Callable[[int, Truth], Free]] = {
    "dmtet": Tetrahedra,
    "dmtet_split": Split,
    "dmtet_same_lattice": Tetrahedra,
    "flexicubes": Cubes,
}


def fit(surface: Free, truth: Truth, steps: int, seed: int = 0) -> float:
    """Move a surface to the points of a shape; returns processor seconds of the median step."""
    from scipy.spatial import cKDTree  # of the dev extra

    rng = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(surface.free, lr=0.05)
    times = []
    for _ in range(steps):
        start = time.process_time()
        extracted = surface.extract()
        samples = sample_surface(extracted.fine, NUM_FITTED, generator=rng)
        picked = torch.randint(len(truth.points), (NUM_FITTED,), generator=rng)
        nearest = torch.from_numpy(truth.tree.query(samples.points.detach().numpy())[1])
        tree = cKDTree(samples.points.detach().numpy())
        back = torch.from_numpy(tree.query(truth.points[picked].numpy())[1])
        there = (samples.points - truth.points[nearest]).square().sum(1).mean()
        here = (samples.points[back] - truth.points[picked]).square().sum(1).mean()
        facing = 1 - (samples.normals * truth.normals[nearest]).sum(1).mean()
        loss = (there + here) / surface.cell**2 + 0.2 * facing + 0.02 * extracted.regulariser
        loss = loss + 0.001 * extracted.sign_change
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        times.append(time.process_time() - start)
    return statistics.median(times)


@torch.no_grad()
def measure(mesh: Mesh, truth: Truth) -> dict[str, float]:
    from scipy.spatial import cKDTree  # of the dev extra

    rng = torch.Generator().manual_seed(1)
    samples = sample_surface(mesh, NUM_MEASURED, generator=rng)
    _, nearest = truth.tree.query(samples.points[::8].numpy())
    here, back = cKDTree(samples.points.numpy()).query(truth.points.numpy())
    cosines = torch.cat(
        [
            (samples.normals[::8] * truth.normals[torch.from_numpy(nearest)]).sum(1),
            (samples.normals[torch.from_numpy(back)] * truth.normals).sum(1),
        ]
    )
    there = truth.sdf(samples.points)  # exact, where points would have gaps between them
    return {
        "triangles": len(mesh.faces),
        "chamfer": float(there.square().mean() + (here**2).mean()) * 1e6,
        "normals": float(cosines.clamp(-1, 1).acos().mean()) * 180 / math.pi,
        "slivers": slivers(mesh),
        "crossing": crossing(mesh),
    }


def slivers(mesh: Mesh) -> float:
    """Percentage of triangles with an angle below 10 degrees."""
    corners = mesh.verts[mesh.faces]
    along, back = corners.roll(-1, 1) - corners, corners.roll(1, 1) - corners
    cosines = torch.cosine_similarity(along, back, dim=2, eps=1e-12)
    flat = torch.linalg.cross(along[:, 0], back[:, 0]).norm(dim=1) == 0
    thin = (cosines > math.cos(math.radians(10))).any(1) | flat
    return float(thin.double().mean()) * 100


def crossing(mesh: Mesh) -> float:
    """Percentage of triangles that pass through another one without a common vertex."""
    from scipy.spatial import cKDTree  # of the dev extra

    verts, faces = mesh.verts.double().numpy(), mesh.faces.numpy()
    corners = verts[faces]
    middles = corners.mean(1)
    radii = np.linalg.norm(corners - middles[:, None], axis=2).max(1)
    hit = np.zeros(len(faces), bool)
    # The largest few would make neighbours of everything: they are looked up with their own reach.
    reach = np.quantile(radii, 0.99)
    tree, large = cKDTree(middles), np.flatnonzero(radii > reach)
    found = [tree.query_pairs(2 * reach, output_type="ndarray")]
    for face in large:
        near = tree.query_ball_point(middles[face], radii[face] + radii.max())
        found.append(np.array([(face, other) for other in near if other != face]).reshape(-1, 2))
    pairs = np.concatenate(found)
    low, high = corners.min(1), corners.max(1)
    a, b = pairs.T
    touching = (low[a] <= high[b]).all(1) & (low[b] <= high[a]).all(1)
    a, b = pairs[touching].T
    apart = (faces[a][:, :, None] != faces[b][:, None]).all((1, 2))
    a, b = a[apart], b[apart]
    for first, second in ((a, b), (b, a)):
        for side in range(3):
            start, end = corners[first, side], corners[first, (side + 1) % 3]
            passes = segments_pass(start, end, corners[second])
            hit[first[passes]] = hit[second[passes]] = True
    return float(hit.mean()) * 100


def segments_pass(start: np.ndarray, end: np.ndarray, triangle: np.ndarray) -> np.ndarray:
    """Return which segments [n, 3] pass through the inside of their triangle [n, 3, 3]."""
    one, two = triangle[:, 1] - triangle[:, 0], triangle[:, 2] - triangle[:, 0]
    along, offset = end - start, start - triangle[:, 0]
    across = np.cross(along, two)
    size = (one * across).sum(1)
    safe = np.where(size == 0, 1, size)
    u = (offset * across).sum(1) / safe
    turn = np.cross(offset, one)
    v = (along * turn).sum(1) / safe
    t = (two * turn).sum(1) / safe
    return (size != 0) & (u > 0) & (v > 0) & (u + v < 1) & (t > 0) & (t < 1)


def equal_resolutions(cubes: int, truth: Truth) -> dict[str, int]:
    """Choose the resolutions at which all have as many triangles as FlexiCubes, or nearly."""
    # Many resolutions share a number of cells: the lowest of each has offsets of a cell's size.
    lowest = {bcc_cells(r): r for r in range(cubes * 2, 2, -1)}
    wanted = len(Cubes(cubes, truth).extract().coarse.faces)
    distance = {
        cells: abs(len(Tetrahedra(resolution, truth).extract().coarse.faces) - wanted)
        for cells, resolution in lowest.items()
        if 2 * cubes <= 3 * resolution
    }
    nearest = min(distance, key=distance.__getitem__)
    even = min((cells for cells in distance if cells % 2 == 0), key=distance.__getitem__)
    return {
        "dmtet": lowest[nearest],
        "dmtet_split": lowest[even // 2],
        "dmtet_same_lattice": lowest[even],
        "flexicubes": cubes,
    }


def backward(extracted: Extracted) -> None:
    """Backpropagate to all free parameters, without points to fit."""
    moved = extracted.fine.verts.square().sum()
    (moved + extracted.regulariser + extracted.sign_change).backward()


def extraction_ms(surface: Free, repeats: int = 9) -> float:
    """Least processor time of an extraction with its gradient."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        backward(surface.extract())
        times.append(time.process_time() - start)
    return min(times) * 1e3


def memory_mb(kind: str, resolution: int, truth: Truth) -> float:
    """Most memory that a surface, its gradient and a step of Adam need; best before all else."""

    def step(resolution: int) -> None:
        surface = KINDS[kind](resolution, truth)
        backward(surface.extract())
        torch.optim.Adam(surface.free, lr=0.05).step()

    step(14)  # compiles and imports
    before = resident_mb(peak=False)
    step(resolution)
    return resident_mb(peak=True) - before


def measure_surface(
    kind: str, shape: str, resolution: int, steps: int, num_fits: int
) -> list[dict[str, Any]]:
    """Measure one surface before and, if there are fits, after them: a row each."""
    torch.set_num_threads(1)
    truth = SHAPES[shape]()
    memory = memory_mb(kind, resolution, truth)
    surface = KINDS[kind](resolution, truth)
    common = {"shape": shape, "surface": kind, "resolution": round(1 / surface.cell)}
    common["cells"] = resolution if kind == "flexicubes" else bcc_cells(resolution)
    common["cells"] *= 2 if kind == "dmtet_split" else 1
    common |= {"extract_ms": extraction_ms(surface), "memory_mb": memory}
    rows = [{"steps": 0, "fits": 0} | measure(surface.extract().coarse, truth)]
    if num_fits == 0:
        common["step_ms"] = fit(surface, truth, TIMING_STEPS) * 1e3
    else:
        seconds, found = [], []
        for seed in range(num_fits):
            surface = KINDS[kind](resolution, truth)
            seconds.append(fit(surface, truth, steps, seed))
            found.append(measure(surface.extract().coarse, truth))
        common["step_ms"] = statistics.median(seconds) * 1e3
        medians = {name: statistics.median(each[name] for each in found) for name in found[0]}
        medians["triangles"] = round(medians["triangles"])
        every = [round(each["chamfer"], 4) for each in found]
        rows.append({"steps": steps, "fits": num_fits} | medians | {"chamfer_of_each": every})
    return [
        {k: round(v, 4) if isinstance(v, float) else v for k, v in (common | row).items()}
        for row in rows
    ]


def measure_apart(*setting: Any) -> list[dict[str, Any]]:
    """Measure one surface in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(measure_surface, *setting).result()


def main() -> None:
    """Print the measures, and write them as JSON if `--out` is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--exact-cubes", type=int, default=64, help="along each side")
    parser.add_argument("--fitted-cubes", type=int, default=32, help="along each side")
    parser.add_argument("--steps", type=int, default=150, help="of the fit")
    parser.add_argument("--fits", type=int, default=5, help="with other random points")
    parser.add_argument("--shapes", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    runs = []
    for cubes, fits in (
        (arguments.exact_cubes, 0),
        (arguments.fitted_cubes, arguments.fits),
    ):
        for shape in arguments.shapes:
            for kind, resolution in equal_resolutions(cubes, SHAPES[shape]()).items():
                for row in measure_apart(kind, shape, resolution, arguments.steps, fits):
                    runs.append({"cubes": cubes} | row)
                    print(*(f"{key} {value}" for key, value in runs[-1].items()), flush=True)
    if arguments.out:
        content = {
            "machine": machine_name(),
            "threads": 1,
            "exact": {"cubes": arguments.exact_cubes, "steps": 0},
            "fitted": {"cubes": arguments.fitted_cubes, "steps": arguments.steps},
            "runs": runs,
        }
        arguments.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
