"""Times of the networks by stage: full size for generation, tiny for training.

    python benchmarks/networks.py [--only full tiny] [--threads 2] [--repeats 5] [--out times.json]

Random weights (the cost does not depend on them, but for the size of the surface: the fields are
tilted so that the surface of full size has about 30 thousand vertices). Times are the least of
several repeats, in milliseconds.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from machine import machine_name

from get3d.core import Images
from get3d.models import DiscriminatorConfig, DiscriminatorPair, Generator, GeneratorConfig

NUM_TEXELS = 630_000
BATCH = 8
TINY = {"channel_base": 1024, "channel_max": 128}


def best_ms(work: Callable[[], object], repeats: int) -> float:
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times) * 1e3


@torch.inference_mode()
def generation(architecture: str, repeats: int) -> dict[str, float]:
    """Time one shape of the published size: features, surface, texels."""
    config = GeneratorConfig(architecture=architecture, sdf_base="sphere", sdf_base_weight=1e-3)
    generator = Generator(config)
    z = torch.randn(2, 1, config.z_dim)
    points = torch.rand(1, NUM_TEXELS, 3) - 0.5
    points = points / points.norm(dim=2, keepdim=True) * 0.35
    points = points[:, points[0, :, 2].argsort()]  # neighbours in the list are neighbours in space
    fields = generator.fields(generator.map(z[0], z[1]))
    times = {
        "features": best_ms(lambda: generator.fields(generator.map(z[0], z[1])), repeats),
        "surface": best_ms(lambda: generator.surface(fields), repeats),
        "colours": best_ms(lambda: fields.color(points), repeats),
    }
    return times | {"in all": sum(times.values())}


def training(repeats: int) -> dict[str, float]:
    """Time the parts of a training step of the small preset, without rendering."""
    generator = Generator(
        GeneratorConfig(
            z_dim=128, w_dim=128, plane_resolution=64, grid_resolution=64, sdf_base="sphere", **TINY
        )
    )
    discriminator = DiscriminatorPair(DiscriminatorConfig(image_size=64, **TINY))
    z = torch.randn(2, BATCH, 128)
    rgba = torch.randn(BATCH, 4, 64, 64)
    images = Images(rgba[:, :3], rgba[:, 3:])
    angles = torch.rand(BATCH, 2)
    points = torch.rand(BATCH, 1700, 3) - 0.5

    def generate() -> None:
        fields = generator.fields(generator.map(z[0], z[1]))
        surface = generator.extract(fields)
        loss = surface.sign_change_loss.sum() + sum(mesh.verts.sum() for mesh in surface.meshes)
        (loss + fields.color(points).sum()).backward()

    def discriminate(*, num: int = 1) -> None:
        for _ in range(num):
            logits = discriminator(images, angles)
            (logits.rgb + logits.mask).sum().backward()

    def r1() -> None:
        leaf = rgba.clone().requires_grad_()
        logits = discriminator(Images(leaf[:, :3], leaf[:, 3:]), angles)
        (gradient,) = torch.autograd.grad((logits.rgb + logits.mask).sum(), leaf, create_graph=True)
        gradient.square().sum().backward()

    times = {
        "generator": best_ms(generate, repeats),
        "discriminator": best_ms(discriminate, repeats),
        "R1": best_ms(r1, repeats),
    }
    # A step has three discriminator passes: generator step, generated and real; R1 every 16 steps.
    step = times["generator"] + 3 * times["discriminator"] + times["R1"] / 16
    return times | {"step": step, "images per second": BATCH / step * 1e3}


def main() -> None:
    """Print times, and write them as JSON if `--out` is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=["full", "tiny"], default=["full", "tiny"])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    results: dict[str, dict[str, float]] = {}
    if "full" in arguments.only:
        for architecture in ("unified", "separate"):
            results[f"generation, {architecture}"] = generation(architecture, arguments.repeats)
    if "tiny" in arguments.only:
        results["training, batch of 8"] = training(arguments.repeats)
    machine = f"{machine_name()}, {arguments.threads} threads"
    print(f"{machine}, torch {torch.__version__}; milliseconds")
    for title, times in results.items():
        print(f"{title}: " + ", ".join(f"{name} {value:.1f}" for name, value in times.items()))
    if arguments.out:
        arguments.out.write_text(json.dumps({"machine": machine, **results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
