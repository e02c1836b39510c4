"""Cost and quality of surfaces by resolution: sparse extraction against the whole grid.

    python benchmarks/resolution.py [--model folder] [--out results/resolution.json]

One shape of a model, the bundled one by default, as `get3d generate --grid-resolution` makes its
surface, and as a generator of that resolution does, which evaluates every vertex of the grid. Each
in a process of its own: the peak is the most that the process had in memory, less what it had once
the model had made a surface of its own grid (Linux only). Seconds of the processor, on one thread:
of the first surface of a process, with what its grid has to make ready, and the least of further
ones. The whole grid is left out above --most-dense.

Then, of the same model:
- training: surfaces of a batch with the gradient of the features, on the model's own grid, split
  once, and on the whole grid of twice the resolution;
- lost: what of the whole grid's surfaces is not found along the surface, over many shapes;
- offsets: mean distance from a finer surface to that of the model's own grid, and faces that pass
  through others, with offsets as in training and with offsets shrunk like the cells. Needs SciPy.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import trimesh
from machine import machine_name, resident_mb
from surfaces import crossing

from get3d.apps import Model, load
from get3d.core import Mesh, Styles
from get3d.geometry import connected_components, is_watertight, sample_surface
from get3d.models import Generator, GridOptions

RESOLUTIONS = (64, 96, 128, 192, 256, 512, 1024)


def whole_grid(model: Model, resolution: int) -> Model:
    """Make a model with a dense grid of another resolution."""
    config = model.generator.config
    # Offsets keep the size that the network learned.
    multiplier = config.deformation_multiplier * config.grid_resolution / resolution
    generator = Generator(
        replace(config, grid_resolution=resolution, deformation_multiplier=multiplier)
    )
    generator.load_state_dict(model.generator.state_dict())
    return Model(generator)


@torch.no_grad()
def measure(way: str, resolution: int, source: str | None, repeats: int) -> dict[str, Any]:
    """Measure the extraction of one surface, "traced" (sparse) or "dense"."""
    model = load(source)
    styles = model.styles(0, seed=1)
    if way == "traced" and resolution < model.generator.config.grid_resolution:
        return {}
    # Compile the loops with the model's own grid, so that no time includes compilation.
    model.surface(model.generator.fields(styles))
    before, times = resident_mb(peak=False), []
    for repeat in range(repeats + 1):
        start = time.process_time()
        if way == "dense" and repeat == 0:
            model = whole_grid(model, resolution)
        options = GridOptions(grid_resolution=resolution) if way == "traced" else None
        mesh = model.surface(model.generator.fields(styles), grid=options)
        times.append(time.process_time() - start)
    return {
        "way": way,
        "resolution": resolution,
        "triangles": len(mesh.faces),
        "is_watertight": is_watertight(mesh),
        "first_s": round(times[0], 3),
        "next_s": round(min(times[1:]), 3),
        "peak_mb": round(resident_mb(peak=True) - before),
    }


def measure_training(source: str | None, repeats: int, batch: int = 8) -> dict[str, Any]:
    """Measure a batch of surfaces and the gradient of the features."""
    model = load(source)
    own = model.generator.config.grid_resolution
    found: dict[str, Any] = {"batch": batch}
    ways = {
        "own_s": (model, None),
        "split_s": (model, GridOptions(subdivisions=1)),
        "dense_s": (whole_grid(model, 2 * own), None),
    }
    for name, (each, options) in ways.items():
        generator, times = each.generator.requires_grad_(False), []
        styles = [model.styles(index, seed=1) for index in range(batch)]
        joined = Styles(torch.cat([s.geo for s in styles]), torch.cat([s.tex for s in styles]))
        fields = generator.fields(joined)
        planes = fields.geometry.planes.requires_grad_()
        for _ in range(repeats + 1):
            start = time.process_time()
            geometry = replace(fields.geometry, planes=planes, rows=generator.lookup.read(planes))
            surface = generator.extract(
                replace(fields, geometry=geometry), for_training=True, grid=options
            )
            moved = sum(mesh.verts.square().sum() for mesh in surface.meshes)
            (moved + surface.sign_change_loss.sum()).backward()
            times.append(time.process_time() - start)
        found[name] = round(min(times[1:]), 3)  # the first one compiles
    return found


def num_components(mesh: Mesh) -> int:
    """Count the connected components of a mesh."""
    return len(connected_components(mesh).unique())


@torch.no_grad()
def measure_lost(source: str | None, num: int = 48) -> list[dict[str, Any]]:
    """Compare sparse extraction with the whole grid, over many shapes."""
    model, found = load(source), []
    own = model.generator.config.grid_resolution
    for resolution in (3 * own // 2, 3 * own):
        dense, options = whole_grid(model, resolution), GridOptions(grid_resolution=resolution)
        counts = dict.fromkeys(("shapes", "whole", "pieces", "lost_pieces"), 0)
        triangles = np.zeros(2, dtype=int)
        for truncation in (0.7, 1.0):
            for index in range(num):
                styles = model.styles(index, seed=3, truncation=truncation)
                sparse = model.surface(model.generator.fields(styles), grid=options)
                expected = dense.surface(dense.generator.fields(styles))
                sizes = len(sparse.faces), len(expected.faces)
                triangles += sizes
                counts["shapes"] += 1
                counts["whole"] += sizes[0] == sizes[1]
                counts["pieces"] += num_components(expected)
                counts["lost_pieces"] += num_components(expected) - num_components(sparse)
        lost = float(1 - triangles[0] / triangles[1])
        found.append({"resolution": resolution} | counts | {"lost_triangles": lost})
    return found


def mean_distance(start: Mesh, goal: Mesh, num: int = 20_000) -> float:
    """Compute the mean distance from points of one surface to the nearest faces of another."""
    from scipy.spatial import cKDTree  # of the dev extra

    rng = torch.Generator().manual_seed(0)
    points = sample_surface(start, num, generator=rng).points.double().numpy()
    dense = sample_surface(goal, 10 * num, generator=rng)
    _, near = cKDTree(dense.points.numpy()).query(points, k=8)
    triangles = goal.verts.double().numpy()[goal.faces.numpy()]
    chosen = triangles[dense.face_ids.numpy()[near.reshape(-1)]]
    repeated = np.repeat(points, near.shape[1], axis=0)
    closest = trimesh.triangles.closest_point(chosen, repeated)
    return float(np.linalg.norm(closest - repeated, axis=1).reshape(near.shape).min(1).mean())


@torch.no_grad()
def measure_offsets(source: str | None, num: int = 3) -> list[dict[str, Any]]:
    """Compare finer surfaces with those of the model's grid, for two lengths of offsets."""
    model, found = load(source), []
    own, config = model.generator.config.grid_resolution, model.generator.config
    for resolution in (own, 2 * own, 4 * own):
        shrunk = Generator(
            replace(config, deformation_multiplier=config.deformation_multiplier * resolution / own)
        )
        shrunk.load_state_dict(model.generator.state_dict())
        for offsets, each in (("as in training", model), ("shrunk", Model(shrunk))):
            if resolution == own and offsets == "shrunk":
                continue
            distances, crossings = [], []
            for index in range(num):
                styles = model.styles(index, seed=1)
                goal = model.surface(model.generator.fields(styles))
                options = GridOptions(grid_resolution=resolution)
                mesh = each.surface(each.generator.fields(styles), grid=options)
                distances.append(round(mean_distance(mesh, goal), 6))
                crossings.append(round(crossing(mesh), 3))
            about = {"resolution": resolution, "offsets": offsets}
            found.append(about | {"distances": distances, "crossing_percent": crossings})
    return found


def measure_apart(way: str, resolution: int, args: argparse.Namespace) -> Any:
    """Measure one way in a process of its own."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        flags = ["--only", way, "--resolutions", str(resolution), "--out", file.name]
        flags += ["--repeats", str(args.repeats)]
        flags += ["--model", args.model] if args.model else []
        subprocess.run([sys.executable, __file__, *flags], check=True, stdout=subprocess.DEVNULL)
        return json.loads(Path(file.name).read_text(encoding="utf-8"))


def measure_here(args: argparse.Namespace) -> Any:
    """Measure one way in this process."""
    match args.only:
        case "training":
            return measure_training(args.model, args.repeats)
        case "lost":
            return measure_lost(args.model)
        case "offsets":
            return measure_offsets(args.model)
        case way:
            return measure(way, args.resolutions[0], args.model, args.repeats)


def main() -> None:
    """Print the costs, and write them as JSON if `--out` is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="model folder; the bundled model if left out")
    parser.add_argument("--resolutions", type=int, nargs="+", default=list(RESOLUTIONS))
    parser.add_argument("--most-dense", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--only", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.only:
        args.out.write_text(json.dumps(measure_here(args)))
        return
    runs = []
    for resolution in args.resolutions:
        for way in ("traced", "dense"):
            if way == "dense" and resolution > args.most_dense:
                continue
            run = measure_apart(way, resolution, args)
            if run:
                runs.append(run)
                print(*(f"{key} {value}" for key, value in run.items()), sep="  ", flush=True)
    content = {
        "machine": machine_name(),
        "threads": 1,
        "model": args.model or "bundled",
        "own_grid": load(args.model).generator.config.grid_resolution,
        "runs": runs,
    }
    for way in ("training", "lost", "offsets"):
        content[way] = measure_apart(way, 0, args)
        print(way, json.dumps(content[way]), flush=True)
    if args.out:
        args.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
