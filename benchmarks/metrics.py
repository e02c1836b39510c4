"""Time the distances between shapes, and what the published evaluation would take.

    python benchmarks/metrics.py [--shapes 24] [--points 2048] [--device cpu] [--out times.json]

Times are milliseconds per pair of shapes, the least of several repeats, taken in turn so that a
busy moment hits all alike. "ours" is `chamfer_matrix` of two sets, "within" of one set, "trees"
scipy's k-d trees, built beforehand and shared by all pairs, on as many threads. The published
evaluation compares 1000 shapes with 5000, 2048 points each.
"""

import argparse
import json
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
import trimesh
from machine import machine_name

from get3d.core.types import Mesh
from get3d.metrics import PointProtocol, chamfer_matrix, sample_points

PUBLISHED_PAIRS = 1000 * 5000


def make_chair(random: np.random.Generator) -> Mesh:
    """Make a chair of a seat, a back and four legs with random proportions."""
    width, depth, seat, back = random.uniform([0.4, 0.4, 0.3, 0.2], [0.7, 0.7, 0.6, 0.7])
    thick, leg = random.uniform(0.02, 0.08, 2)
    boxes = [
        ((width, thick, depth), (0, seat, 0)),
        ((width, back, thick), (0, seat + back / 2, -depth / 2)),
        *(
            ((leg, seat, leg), (x * (width - leg) / 2, seat / 2, z * (depth - leg) / 2))
            for x in (-1, 1)
            for z in (-1, 1)
        ),
    ]
    chair = trimesh.util.concatenate(
        [
            trimesh.creation.box(size, trimesh.transformations.translation_matrix(middle))
            for size, middle in boxes
        ]
    )
    middle_height = (seat + back) / 2
    verts = torch.tensor(chair.vertices).float() - torch.tensor([0.0, middle_height, 0.0])
    return Mesh(verts, torch.tensor(chair.faces).long())


def make_points(num_shapes: int, num_points: int, seed: int) -> torch.Tensor:
    """Sample points [shapes, points, 3] of different chairs."""
    random = np.random.default_rng(seed)
    protocol = PointProtocol(num_points=num_points, seed=seed)
    shapes = [
        sample_points(make_chair(random), protocol, seed=shape) for shape in range(num_shapes)
    ]
    return torch.stack(shapes)


def tree_job(a: np.ndarray, b: np.ndarray) -> Callable[[], np.ndarray]:
    """Prepare the same matrix by scipy; the trees are built now."""
    from scipy.spatial import cKDTree  # of the dev extra

    trees_a, trees_b = [cKDTree(points) for points in a], [cKDTree(points) for points in b]

    def compare(row: int) -> list[float]:
        return [
            float(np.mean(trees_b[i].query(a[row])[0] ** 2))
            + float(np.mean(trees_a[row].query(b[i])[0] ** 2))
            for i in range(len(b))
        ]

    def compare_all() -> np.ndarray:
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            return np.array(list(pool.map(compare, range(len(a)))))

    return compare_all


def least_ms(jobs: dict[str, tuple[Callable[[], object], int]], seconds: float) -> dict[str, float]:
    """Repeat all jobs in turn for about so many seconds; the least time of each, per pair."""
    least = dict.fromkeys(jobs, math.inf)
    start, rounds = time.perf_counter(), 0
    while rounds < 2 or time.perf_counter() - start < seconds:
        rounds += 1
        for name, (call, num_pairs) in jobs.items():
            begin = time.perf_counter()
            call()
            least[name] = min(least[name], (time.perf_counter() - begin) * 1e3 / num_pairs)
    return least


def main() -> None:
    """Print a table, and write it as JSON if `--out` is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", type=int, default=24, help="in each of the two sets")
    parser.add_argument("--points", type=int, default=2048)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--device", default="cpu", help="of our own code")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    num = args.shapes
    a, b = (make_points(num, args.points, seed) for seed in (0, 1))
    on_device = a.to(args.device), b.to(args.device)
    is_cpu = args.device == "cpu"
    machine = machine_name() if is_cpu else torch.cuda.get_device_name(args.device)
    print(f"{machine}, {torch.get_num_threads()} threads, {num} x {num} shapes of "
          f"{args.points} points, torch {torch.__version__}")  # fmt: skip
    trees = tree_job(a.numpy(), b.numpy())
    found = chamfer_matrix(*on_device).cpu().double().numpy()  # compiles
    error = float(np.abs(found / trees() - 1).max())
    jobs: dict[str, tuple[Callable[[], object], int]] = {
        "ours": (lambda: chamfer_matrix(*on_device).cpu(), num * num),
        "within": (lambda: chamfer_matrix(on_device[0]).cpu(), num * num),
        "trees": (trees, num * num),
    }
    times = least_ms(jobs, args.seconds)
    for name, value in times.items():
        hours = value * PUBLISHED_PAIRS / 3.6e6
        print(f"{name:>8} {value:8.3f} ms a pair, {hours:6.2f} h for {PUBLISHED_PAIRS:,} pairs")
    print(f"trees take {times['trees'] / times['ours']:.1f} times as long as ours; "
          f"the results differ by {error:.1e} at most")  # fmt: skip
    if args.out:
        about = {
            "machine": machine,
            "threads": torch.get_num_threads(),
            "points": args.points,
            "ms_per_pair": times,
            "largest_relative_difference": error,
        }
        args.out.write_text(json.dumps(about, indent=2))


if __name__ == "__main__":
    main()
