"""What surfaces of growing resolution cost, along the surface and on the whole grid.

    python benchmarks/resolution.py [--model folder] [--resolutions 64 128] [--out resolution.json]

One shape of a model, the bundled one by default, as `get3d generate --grid-resolution` makes its
surface, and as a generator of that resolution does, which evaluates every vertex of the grid. Each
in a process of its own: the peak is the most that the process ever had in memory, less what it had
once the model was loaded. Seconds of the processor, on one thread: of the first surface of a
process, with what its grid has to make ready, and the least of further ones. The whole grid is left
out above --most-dense.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from machine import machine_name

from get3d.apps import Model, load
from get3d.geometry import is_watertight
from get3d.models import Generator, GridOptions

RESOLUTIONS = (32, 48, 64, 96, 128, 192, 256)


def peak_mb() -> float:
    """Most memory that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def whole_grid(model: Model, resolution: int) -> Model:
    """Give a model a grid of another resolution, all of which is evaluated."""
    config = model.generator.config
    share = config.grid_resolution / resolution  # offsets keep the size that the network learnt
    multiplier = config.deformation_multiplier * share
    generator = Generator(
        replace(config, grid_resolution=resolution, deformation_multiplier=multiplier)
    )
    generator.load_state_dict(model.generator.state_dict())
    return Model(generator)


@torch.no_grad()
def measure(way: str, resolution: int, source: str | None, repeats: int) -> dict[str, Any]:
    """Extract one surface in one way."""
    model = load(source)
    styles = model.styles(0, seed=1)
    if way == "traced" and resolution < model.generator.config.grid_resolution:
        return {}
    # Compile the loops with the model's own grid, so that compiling is in no number.
    model.surface(model.generator.fields(styles))
    before, times = peak_mb(), []
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
        "peak_mb": round(peak_mb() - before),
    }


def measure_apart(way: str, resolution: int, args: argparse.Namespace) -> dict[str, Any]:
    """Extract one surface in a process of its own."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        flags = ["--only", way, "--resolutions", str(resolution), "--out", file.name]
        flags += ["--repeats", str(args.repeats)]
        flags += ["--model", args.model] if args.model else []
        subprocess.run([sys.executable, __file__, *flags], check=True, stdout=subprocess.DEVNULL)
        found: dict[str, Any] = json.loads(Path(file.name).read_text(encoding="utf-8"))
    return found


def main() -> None:
    """Print the costs, and write them as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="model folder; the bundled model if left out")
    parser.add_argument("--resolutions", type=int, nargs="+", default=list(RESOLUTIONS))
    parser.add_argument("--most-dense", type=int, default=192)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--only", choices=["traced", "dense"], help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.only:
        found = measure(args.only, args.resolutions[0], args.model, args.repeats)
        args.out.write_text(json.dumps(found))
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
    if args.out:
        about = {"machine": machine_name(), "model": args.model or "bundled"}
        args.out.write_text(json.dumps(about | {"runs": runs}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
