"""Times of cleaning, unwrapping and baking of a shape, and the utilisation of its atlas.

    python benchmarks/atlas.py [--faces 50000 400000] [--size 1024] [--rough 0.3]
    python benchmarks/atlas.py --models vessel chair vehicle --shapes 51 --out results/atlas.json

The shapes are bumpy balls of about so many faces, by marching cubes (scikit-image); `--rough` adds
noise to the field, in cells. Times are of one run after a small one that compiles, as wall seconds
and as processor seconds: the latter hardly depend on what else the machine does. The colour field
is three sines, so that the times are the atlas's and not a network's.

With `--models`, the first shapes of seed 0 of bundled models are unwrapped instead, at the size and
at the one chosen by the model, one after the other in turn. `used` is the area of the charts as a
fraction of the texture's, `touched` counts every texel that a chart touches.
"""

import argparse
import json
import math
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from machine import machine_name

import get3d
from get3d.core.types import Mesh
from get3d.export import (
    Cleaning,
    bake_texture,
    choose_texture_size,
    clean_mesh,
    decimate,
    unwrap,
)
from get3d.export.packing_kernels import chart_mask
from get3d.geometry import connected_components

Result = TypeVar("Result")
_FACES_A_SQUARED_CELL = 6.9  # of this ball, by marching cubes


def make_shape(num_faces: int, rough: float) -> Mesh:
    """A bumpy ball with noise."""
    from skimage import measure  # of the dev extra

    cells = max(8, round(math.sqrt(num_faces / _FACES_A_SQUARED_CELL)))
    along = np.linspace(-0.5, 0.5, cells, dtype=np.float32)
    x, y, z = np.meshgrid(along, along, along, indexing="ij")
    bumps = np.sin(31 * x + 5 * y) * np.sin(27 * y + 9 * z) * np.cos(29 * z + x)
    noise = np.random.default_rng(0).standard_normal(x.shape, dtype=np.float32)
    field = 0.42 - np.sqrt(x * x + y * y + z * z) + 0.02 * bumps + rough / cells * noise
    verts, faces, _, _ = measure.marching_cubes(field, 0.0)
    verts = (verts / (cells - 1) - 0.5).astype(np.float32)
    return Mesh(torch.from_numpy(verts), torch.from_numpy(faces[:, ::-1].copy()).long())


def timed(times: dict[str, Any], name: str, task: Callable[[], Result]) -> Result:
    """Do a task and note its seconds."""
    wall, processor = time.perf_counter(), time.process_time()
    result = task()
    times[name] = {
        "wall_s": round(time.perf_counter() - wall, 3),
        "processor_s": round(time.process_time() - processor, 3),
    }
    return result


def measure_shape(mesh: Mesh, size: int) -> dict[str, Any]:
    """Clean, unwrap and bake one shape."""
    row: dict[str, Any] = {"faces": len(mesh.faces)}
    cleaning = Cleaning(floaters=0.01, hidden=True, slivers=0.05)
    timed(row, "clean", lambda: clean_mesh(mesh, cleaning))
    timed(row, "decimate_to_a_tenth", lambda: decimate(mesh, max(4, len(mesh.faces) // 10)))
    uvs, uv_faces = timed(row, "unwrap", lambda: unwrap(mesh, texture_size=size))
    timed(row, "bake", lambda: bake_texture(mesh, uvs, uv_faces, _waves, size))
    charts = connected_components(Mesh(torch.zeros(len(uvs), 3), uv_faces))[uv_faces[:, 0]]
    first, second, third = uvs[uv_faces].unbind(dim=1)
    a, b = second - first, third - first
    row["charts"] = len(charts.unique())
    row["covered"] = round((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).abs().sum().item() / 2, 3)
    row["single_triangles"] = int((charts.unique(return_counts=True)[1] == 1).sum())
    row["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return row


def measure_model(name: str, indices: range, size: int) -> list[dict[str, Any]]:
    """Unwrap shapes of a bundled model, at a size and at the one that is chosen by itself."""
    model = get3d.load(name)
    rows = []
    for index in indices:
        with torch.no_grad():
            fields = model.generator.fields(model.styles(index))
        mesh = model.surface(fields)
        row: dict[str, Any] = {"model": name, "index": index, "faces": len(mesh.faces)}
        sizes = {"fixed": size, "auto": choose_texture_size("auto", mesh, fields.appearance)}
        if not rows:
            unwrap(mesh, texture_size=64 * 8)  # compiles
        for kind, texture_size in sizes.items():
            start = time.process_time()
            uvs, uv_faces = unwrap(mesh, texture_size=texture_size)
            taken = time.process_time() - start
            row[kind] = {"size": texture_size, "unwrap_s": round(taken, 3)}
            row[kind] |= _usage(uvs, uv_faces, texture_size)
        rows.append(row)
        print(json.dumps(row), flush=True)
    return rows


def _usage(uvs: torch.Tensor, uv_faces: torch.Tensor, size: int) -> dict[str, float]:
    """Count charts, and the part of the texture that they use."""
    charts = connected_components(Mesh(torch.zeros(len(uvs), 3), uv_faces))[uv_faces[:, 0]]
    faces = charts.unique(return_counts=True)[1]
    first, second, third = uvs[uv_faces].double().unbind(dim=1)
    a, b = second - first, third - first
    area = (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).abs().sum().item() / 2
    touched = chart_mask(
        uvs[uv_faces].double().numpy(), 0, len(uv_faces), size, 0.0, 0.0, size, size
    )
    return {
        "charts": len(faces),
        "single_triangles": int((faces == 1).sum()),
        "used": round(area, 3),
        "touched": round(float(touched.mean()), 3),
    }


def _waves(points: torch.Tensor) -> torch.Tensor:
    return 0.5 + 0.5 * torch.sin(9 * points)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, nargs="+", default=[50_000, 400_000])
    parser.add_argument("--size", type=int, default=1024, help="side of the texture, in texels")
    parser.add_argument("--rough", type=float, default=0.3, help="noise, in cells")
    parser.add_argument("--models", nargs="+", help="unwrap shapes of these bundled models instead")
    parser.add_argument("--shapes", type=int, default=51, help="of all models together")
    parser.add_argument("--out", type=Path, help="also write the numbers as JSON")
    args = parser.parse_args()
    report: dict[str, Any] = {
        "machine": machine_name(),
        "texture_size": args.size,
        "shapes": [],
    }
    if args.models:
        torch.set_num_threads(1)
        report["threads"] = 1
        for number, name in enumerate(args.models):
            indices = range(len(range(number, args.shapes, len(args.models))))
            report["shapes"] += measure_model(name, indices, args.size)
    else:
        report["rough"] = args.rough
        measure_shape(make_shape(2000, args.rough), args.size)  # compiles
        for num_faces in args.faces:
            report["shapes"].append(measure_shape(make_shape(num_faces, args.rough), args.size))
            print(json.dumps(report["shapes"][-1]))
    if args.out:
        args.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
