"""Times of light-field descriptors and distances.

    python benchmarks/light_field.py [--faces 1280 5120 20480] [--shapes 300] [--out times.json]

Descriptors: milliseconds a shape of so many faces, a bumpy ball. Distances: microseconds a pair of
shapes. The least of several repeats; `--threads` decides how many threads work (1).
"""

import argparse
import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
import trimesh
from machine import machine_name

from get3d.core.types import Mesh
from get3d.metrics.light_field import light_field_descriptor
from get3d.metrics.light_field_matrix import light_field_matrix


def make_shape(num_faces: int) -> Mesh:
    """Make a wavy ball of about `num_faces` faces (20 x 4^k)."""
    ball = trimesh.creation.icosphere(max(0, round(math.log(num_faces / 20, 4))))
    verts = torch.tensor(ball.vertices)
    verts = verts * (1 + 0.2 * (5 * verts).sin().sum(1, keepdim=True))
    return Mesh(verts.float(), torch.tensor(ball.faces).long())


def least_time_s(task: Callable[[], object], repeats: int = 5) -> float:
    """Time a task after one run to warm up."""
    task()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        task()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, nargs="+", default=[1280, 5120, 20480])
    parser.add_argument("--shapes", type=int, default=300, help="columns of the matrix")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="also write the times as JSON")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    descriptor_ms = {}
    for shape in map(make_shape, args.faces):
        taken_s = least_time_s(lambda shape=shape: light_field_descriptor(shape))
        descriptor_ms[len(shape.faces)] = round(1e3 * taken_s, 1)
        print(f"descriptor, {len(shape.faces)} faces: {1e3 * taken_s:.0f} ms")
    one = light_field_descriptor(make_shape(1280))[None]
    rows, columns = one.expand(20, -1, -1, -1), one.expand(args.shapes, -1, -1, -1)
    pair_us = 1e6 * least_time_s(lambda: light_field_matrix(rows, columns)) / (20 * args.shapes)
    print(f"distance: {pair_us:.0f} us a pair; 1000 x 5000 shapes: {5 * pair_us:.0f} s")
    if args.out:
        report = {
            "machine": machine_name(),
            "threads": args.threads,
            "descriptor_ms_by_faces": descriptor_ms,
            "pair_us": round(pair_us, 1),
        }
        args.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
