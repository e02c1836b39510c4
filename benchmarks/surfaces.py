"""How well marching tetrahedra and FlexiCubes catch sharp edges and thin parts, and at what price.

    python benchmarks/surfaces.py [--cubes 32] [--steps 150] [--shapes plate torus] [--out out.json]

Each shape is known exactly: its signed distances and points on its surface. Both surfaces start
from the exact distances on their grids, the one of tetrahedra chosen so that the numbers of
triangles are nearly equal, and are then fitted to the points by moving all they have: distances,
offsets and, for FlexiCubes, weights. Needs SciPy. Chamfer distances are squared, both ways summed,
times 1e6; normal errors in degrees, both ways; slivers have an angle below 10 degrees.
"""

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from get3d.core import Mesh
from get3d.geometry import (
    bcc_grid,
    cube_weights,
    deviation_loss,
    dual_meshes,
    dual_topology,
    place_points,
    sample_surface,
    sdf_sign_change_loss,
    surface_meshes,
    surface_topology,
    voxel_grid,
)

NUM_TRUTH, NUM_MEASURED, NUM_FITTED = 200_000, 400_000, 6_000


@dataclass(frozen=True)
class Truth:
    """A shape: signed distance (positive inside), points on its surface and normals there."""

    sdf: Callable[[Tensor], Tensor]
    points: Tensor
    normals: Tensor
    tree: cKDTree


@dataclass(frozen=True)
class Extracted:
    """A mesh for measuring, one for fitting, and the regulariser, in cells."""

    coarse: Mesh
    fine: Mesh
    regulariser: Tensor


def turned(points: Tensor) -> Tensor:
    """Turn about two axes, so that nothing lies along a grid."""
    a, b = math.radians(23), math.radians(37)
    about_z = torch.tensor(
        [[math.cos(a), -math.sin(a), 0], [math.sin(a), math.cos(a), 0], [0, 0, 1]]
    )
    about_x = torch.tensor(
        [[1, 0, 0], [0, math.cos(b), -math.sin(b)], [0, math.sin(b), math.cos(b)]]
    )
    return points @ (about_z @ about_x)


def boxes(*parts: tuple[tuple[float, float, float], tuple[float, float, float]]) -> Truth:
    """Turned union of boxes, each of a centre and half sides."""
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
        """Make the meshes of what is free now."""
        sdf = self.sdf[None]
        topology = surface_topology(self.grid, sdf.detach())
        active = topology.active_verts
        positions = self.grid.verts[active] + self.offsets[active].tanh() * self.cell
        mesh = surface_meshes(topology, sdf, positions)[0]
        return Extracted(mesh, mesh, sdf.new_zeros(()))


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
        """Make the meshes of what is free now."""
        sdf = self.sdf[None]
        topology = dual_topology(self.grid, sdf.detach())
        active, raw = topology.active_verts, self.raw[topology.cubes]
        positions = self.grid.verts[active] + self.offsets[active].tanh() * self.cell / 2
        weights = cube_weights(raw)
        points = place_points(topology, sdf, positions, weights)
        coarse, fine = (
            dual_meshes(topology, points.verts, weights, splits_in_four=four)[0]
            for four in (False, True)
        )
        deviation = deviation_loss(topology, points) / self.cell
        return Extracted(coarse, fine, 0.5 * deviation + 0.1 * raw[:, :20].abs().mean())


def fit(surface: Tetrahedra | Cubes, truth: Truth, steps: int) -> float:
    """Move a surface to the points of a shape; returns processor seconds a step."""
    rng = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(surface.free, lr=0.05)
    start = time.process_time()
    for _ in range(steps):
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
        loss = loss + 0.001 * sdf_sign_change_loss(surface.sdf[None], surface.grid.edges)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (time.process_time() - start) / max(steps, 1)


@torch.no_grad()
def measure(mesh: Mesh, truth: Truth) -> dict[str, float]:
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
    """Tell which segments [n, 3] pass through the inside of their triangle [n, 3, 3]."""
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


def equal_resolution(cubes: int, truth: Truth) -> int:
    """Resolution of tetrahedra with the number of triangles nearest that of the cubes."""
    wanted = len(Cubes(cubes, truth).extract().coarse.faces)
    tried = range(max(3, cubes * 4 // 5), cubes * 8 // 5)
    return min(tried, key=lambda r: abs(len(Tetrahedra(r, truth).extract().coarse.faces) - wanted))


def extraction_ms(surface: Tetrahedra | Cubes, repeats: int = 5) -> float:
    """Least processor time of an extraction with its gradient."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        extracted = surface.extract()
        (extracted.fine.verts.square().sum() + extracted.regulariser).backward()
        times.append(time.process_time() - start)
    return min(times) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cubes", type=int, default=32, help="along each side")
    parser.add_argument("--steps", type=int, default=150, help="of the fit")
    parser.add_argument("--shapes", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    results = []
    for name in arguments.shapes:
        truth = SHAPES[name]()
        resolution = equal_resolution(arguments.cubes, truth)
        surfaces = {"dmtet": Tetrahedra(resolution, truth)}
        for kind, surface in (surfaces | {"flexicubes": Cubes(arguments.cubes, truth)}).items():
            common = {"shape": name, "surface": kind, "resolution": round(1 / surface.cell)}
            common["extract_ms"] = round(extraction_ms(surface), 1)
            for when, steps in (("at first", 0), ("fitted", arguments.steps)):
                if when == "fitted" and steps == 0:
                    continue
                seconds = fit(surface, truth, steps)
                row = common | {"when": when, "step_ms": round(seconds * 1e3)}
                row |= measure(surface.extract().coarse, truth)
                results.append(row)
                numbers = {k: f"{v:.2f}" if isinstance(v, float) else v for k, v in row.items()}
                print(*(f"{key} {value}" for key, value in numbers.items()), sep="  ", flush=True)
    if arguments.out:
        arguments.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
