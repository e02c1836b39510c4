"""What a finer surface keeps of the one that was trained, what it loses, and what it costs.

    python benchmarks/refinement.py [--model FOLDER] [--threads 1] [--out results/refinement.json]

Offsets: how far the surface at two and four times the resolution lies from that of training, with
offsets as long as in training (what get3d does) and with offsets shrunk with the cells, and how
many faces pass through others. Pieces: how much of the whole fine grid's surface tracing finds.
Training: processor time of a batch's surface and gradient. Needs SciPy.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from machine import machine_name
from scipy.spatial import cKDTree
from surfaces import crossing

import get3d
from get3d.core import Mesh
from get3d.geometry import connected_components, sample_surface
from get3d.models import Generator, GridOptions

NUM_POINTS, SEED = 200_000, 3


def with_grid(generator: Generator, resolution: int, *, offsets: str) -> Generator:
    """Make the same network on a whole grid of another resolution."""
    config = generator.config
    multiplier = config.deformation_multiplier
    if offsets == "as in training":
        multiplier *= config.grid_resolution / resolution
    changed = replace(config, grid_resolution=resolution, deformation_multiplier=multiplier)
    other = Generator(changed).eval().requires_grad_(False)
    other.load_state_dict(generator.state_dict())
    return other


def points_of(mesh: Mesh) -> torch.Tensor:
    return sample_surface(mesh, NUM_POINTS, generator=torch.Generator().manual_seed(0)).points


@torch.no_grad()
def measure_offsets(model: get3d.Model, shapes: int) -> list[dict[str, Any]]:
    """Compare shapes at finer resolutions with themselves at that of training."""
    rows = []
    own = model.generator
    trained = [own.surface(own.fields(model.styles(i, seed=SEED)))[0] for i in range(shapes)]
    trees = [cKDTree(points_of(mesh).numpy()) for mesh in trained]
    rows.append({"times": 1, "crossing": [crossing(mesh) for mesh in trained]})
    for times in (2, 4):
        for offsets in ("as in training", "shrunk"):
            finer = with_grid(own, own.config.grid_resolution * times, offsets=offsets)
            meshes = [finer.surface(finer.fields(model.styles(i, seed=SEED)))[0]
                      for i in range(shapes)]  # fmt: skip
            gaps = [
                float(tree.query(points_of(mesh)[::8].numpy())[0].mean())
                for tree, mesh in zip(trees, meshes, strict=True)
            ]
            row = {"times": times, "offsets": offsets, "distance": gaps}
            if times == 2:
                row["crossing"] = [crossing(mesh) for mesh in meshes]
            rows.append(row)
            print(row, flush=True)
    return rows


@torch.no_grad()
def measure_pieces(model: get3d.Model, shapes: int) -> list[dict[str, Any]]:
    """Count what tracing does not find of the whole grid's surface."""
    own, rows = model.generator, []
    base = own.config.grid_resolution
    for resolution in (base * 3 // 2, base * 2):
        whole = with_grid(own, resolution, offsets="as in training")
        row = {"resolution": resolution, "shapes": 0, "same": 0, "pieces": 0, "lost": 0}
        faces = lost_faces = 0
        for truncation in (0.7, 1.0):
            for index in range(shapes):
                styles = model.styles(index, seed=SEED, truncation=truncation)
                options = GridOptions(grid_resolution=resolution)
                traced = own.extract(own.fields(styles), grid=options).meshes[0]
                dense = whole.surface(whole.fields(styles))[0]
                counts = [int(connected_components(m).max()) + 1 for m in (traced, dense)]
                row["shapes"] += 1
                row["same"] += len(traced.faces) == len(dense.faces)
                row["pieces"] += counts[1]
                row["lost"] += counts[1] - counts[0]
                faces += len(dense.faces)
                lost_faces += len(dense.faces) - len(traced.faces)
        rows.append(row | {"lost_faces": lost_faces / faces})
        print(rows[-1], flush=True)
    return rows


def processor_seconds(work: Callable[[], Any], repeats: int = 5) -> float:
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def measure_training(model: get3d.Model, batch: int = 8) -> dict[str, float]:
    """Time surface and gradient of a batch: trained grid, split once, whole grid twice as fine."""
    own = model.generator
    finer = with_grid(own, own.config.grid_resolution * 2, offsets="as in training")
    z = torch.randn(2, batch, own.config.z_dim, generator=torch.Generator().manual_seed(0))
    cases = {
        "grid of training": (own, GridOptions()),
        "split once": (own, GridOptions(subdivisions=1)),
        "whole grid twice as fine": (finer, GridOptions()),
    }
    found = {}
    for name, (generator, options) in cases.items():
        generator.requires_grad_(True)
        fields = generator.fields(generator.map(z[0], z[1]))

        def step(generator=generator, fields=fields, options=options) -> None:
            meshes = generator.extract(fields, for_training=True, grid=options).meshes
            loss = sum(mesh.verts.square().sum() for mesh in meshes)
            loss.backward(retain_graph=True)

        found[name] = processor_seconds(step)
        generator.requires_grad_(False)
    print(found, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="folder; the bundled one if left out")
    parser.add_argument("--shapes", type=int, default=48, help="for the pieces, at each truncation")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = get3d.load(args.model, device="cpu")
    model.generator.requires_grad_(False)
    found = {
        "machine": machine_name(),
        "model": model.info.name,
        "resolution": model.generator.config.grid_resolution,
        "training": measure_training(model),
        "offsets": measure_offsets(model, 3),
        "pieces": measure_pieces(model, args.shapes),
    }
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
