"""Time and memory of one textured shape of the published full-size networks by stage.

    python benchmarks/generate.py [--device cuda] [--threads 2] [--repeats 3] [--out times.json]
    python benchmarks/generate.py --growth --threads 1 --clock processor --out results/growth.json

Random weights; the fields are tilted so that the surface has about as many triangles as that of a
published model. Times are seconds, the least of several repeats; the peak is that of the whole
process (CPU: of memory in use; CUDA: of what PyTorch allocated). A grid finer than the published
models' is that of `get3d generate --grid-resolution`, along the surface alone; a coarser one is the
network's own. With `--growth`: how time and memory grow with the grid's resolution, the texture's
size and the number of shapes (of these, meshes only), each in a process of its own, since the peak
of a process never falls. On a machine that is not quiet, take one thread and the processor's clock.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from machine import machine_name

from get3d.apps import Model, ModelInfo
from get3d.export import bake_texture, save, texture_mesh, unwrap
from get3d.models import Generator, GeneratorConfig, GridOptions

PUBLISHED_GRID = 90
GROWTH: dict[str, tuple[int, ...]] = {
    "grid": (32, 64, 90, 128, 192, 256, 384, 512),
    "texture": (512, 1024, 2048, 4096),
    "batch": (1, 4, 16),
}
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
T = TypeVar("T")


class Stages:
    """Collects the least time of each stage."""

    def __init__(self, device: torch.device, clock: Callable[[], float]) -> None:
        """Start without times; on CUDA, calls are synchronised."""
        self.device, self.clock, self.seconds = device, clock, dict[str, float]()

    def __call__(self, name: str, work: Callable[[], T]) -> T:
        """Run and time one stage."""
        self._wait()
        start = self.clock()
        result = work()
        self._wait()
        taken = self.clock() - start
        self.seconds[name] = min(taken, self.seconds.get(name, taken))
        return result

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def make_model(architecture: str, grid: int, device: torch.device) -> Model:
    """Make the published network with random weights about a ball."""
    torch.manual_seed(0)
    config = GeneratorConfig(
        architecture=architecture, grid_resolution=grid, sdf_base="sphere", sdf_base_weight=1e-3
    )
    return Model(Generator(config).to(device).eval().requires_grad_(False), ModelInfo())


@torch.no_grad()
def one_shape(
    model: Model, stages: Stages, args: argparse.Namespace, folder: Path
) -> tuple[int, int]:
    """Make and write one shape (or only the meshes of several); return its size."""
    generator, texture_size = model.generator, args.texture
    grid = GridOptions(grid_resolution=args.grid) if args.grid > PUBLISHED_GRID else None
    z = torch.randn(2, args.batch, generator.config.z_dim, device=model.device)
    styles = stages("mapping", lambda: generator.map(z[0], z[1]))
    fields = stages("planes", lambda: generator.fields(styles))
    stages("SDF on the grid", fields.grid_sdf)
    mesh = stages("SDF and surface", lambda: generator.extract(fields, grid=grid).meshes)[0]
    if args.batch == 1 and not args.meshes:
        uvs, uv_faces = stages("atlas", lambda: unwrap(mesh, texture_size=texture_size))

        def color(points: torch.Tensor) -> torch.Tensor:
            return ((fields.color(points)[0] + 1) / 2).clamp(0, 1)

        stages("bake", lambda: bake_texture(mesh, uvs, uv_faces, color, texture_size))
        shape = texture_mesh(mesh, color, texture_size=texture_size)
        stages("write", lambda: save(shape, folder / "shape.glb"))
    return len(mesh.verts), len(mesh.faces)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Time one setting."""
    device = torch.device(args.device)
    model = make_model(args.architecture, min(args.grid, PUBLISHED_GRID), device)
    stages = Stages(device, CLOCKS[args.clock])
    with tempfile.TemporaryDirectory() as folder:
        for repeat in range(args.repeats + 1):
            if repeat == 1:  # the first one compiles and warms up
                stages.seconds.clear()
            verts, faces = one_shape(model, stages, args, Path(folder))
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device)
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    # The SDF is evaluated twice above, to show its part of the time.
    without_sdf = {k: v for k, v in stages.seconds.items() if k != "SDF on the grid"}
    return {
        "architecture": args.architecture,
        "grid": args.grid,
        "texture": args.texture,
        "batch": args.batch,
        "meshes": args.meshes,
        "verts": verts,
        "faces": faces,
        "seconds": stages.seconds,
        "seconds_in_all": sum(without_sdf.values()),
        "peak_gb": peak / 1e9,
    }


def measure_apart(args: argparse.Namespace, **changes: object) -> dict[str, Any]:
    """Time one setting in a process of its own."""
    values = {
        "architecture": args.architecture,
        "grid": args.grid,
        "texture": args.texture,
        "batch": args.batch,
        "device": args.device,
        "threads": args.threads,
        "clock": args.clock,
        "repeats": args.repeats,
    } | changes
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        flags = [f"--{name}={value}" for name, value in values.items()]
        flags += ["--meshes"] if "batch" in changes else []
        subprocess.run(
            [sys.executable, __file__, *flags, "--out", file.name],
            check=True,
            stdout=subprocess.DEVNULL,
            env=os.environ | {"NUMBA_NUM_THREADS": str(args.threads)},
        )
        found: dict[str, Any] = json.loads(Path(file.name).read_text(encoding="utf-8"))["runs"][0]
    return found


def print_run(run: dict[str, Any]) -> None:
    """Print one setting."""
    stages = ", ".join(f"{name} {seconds:.2f}" for name, seconds in run["seconds"].items())
    print(
        f"{run['architecture']}, grid {run['grid']}, texture {run['texture']}, batch "
        f"{run['batch']}: {run['faces']} faces, {run['seconds_in_all']:.2f} s ({stages}), peak "
        f"{run['peak_gb']:.2f} GB",
        flush=True,
    )


def main() -> None:
    """Print the times, and write them as JSON if `--out` is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--architecture", default="unified", choices=["unified", "separate"])
    parser.add_argument("--grid", type=int, default=PUBLISHED_GRID)
    parser.add_argument("--texture", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--meshes", action="store_true", help="no atlas, texture and file")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--clock", default="wall", choices=list(CLOCKS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.growth:
        runs = []
        for name, values in GROWTH.items():
            for value in values:
                runs.append({"series": name} | measure_apart(args, **{name: value}))
                print_run(runs[-1])
    else:
        runs = [measure(args)]
        print_run(runs[0])
    if args.out:
        about = {"machine": machine_name(), "threads": args.threads, "device": args.device}
        about |= {"clock": args.clock}
        args.out.write_text(json.dumps(about | {"runs": runs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
