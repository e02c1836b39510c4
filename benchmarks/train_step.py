"""Times of the stages of a training step.

Times each stage of a step by itself and the whole step, on made-up images (their content does not
change the cost).

    python benchmarks/train_step.py tiny-64 --threads 2 --out train_step.json
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import torch
from machine import machine_name

from get3d.config import load_config
from get3d.geometry import CameraDistribution, camera_angles, sample_cameras
from get3d.training import RunConfig, Trainer, TrainingImages
from get3d.training.images import read_images
from get3d.training.losses import generator_loss, r1_penalty


def make_images(config: RunConfig) -> TrainingImages:
    """Make images of discs of random colours, as the content does not change the times."""
    size, num = config.discriminator.image_size, 64
    axis = torch.linspace(-1, 1, size).square()
    alpha = (axis[:, None] + axis[None, :] < 0.5).float().expand(num, 1, size, size)
    rgba = torch.cat([alpha * torch.rand(num, 3, 1, 1), alpha], dim=1)
    distribution = CameraDistribution(radius=1.2, fovy_deg=49.13)
    cameras = sample_cameras(distribution, num, generator=torch.Generator().manual_seed(0))
    return TrainingImages.in_memory(
        (rgba * 255).to(torch.uint8), camera_angles(cameras), distribution
    )


T = TypeVar("T")


class Stopwatch:
    """Collects wall times by name."""

    def __init__(self, device: torch.device) -> None:
        """Start without times; on CUDA, calls are synchronised."""
        self.device = device
        self.times_s: dict[str, list[float]] = {}

    def __call__(self, name: str, work: Callable[[], T]) -> T:
        """Run and time one stage."""
        self._wait()
        start = time.perf_counter()
        result = work()
        self._wait()
        self.times_s.setdefault(name, []).append(time.perf_counter() - start)
        return result

    def _wait(self) -> None:
        """Wait for CUDA kernels."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def time_stages(trainer: Trainer, watch: Stopwatch, seed: int) -> None:
    """Time a generator pass and a discriminator pass by stage, without optimiser steps."""
    config, generator, discriminator = trainer.config, trainer.generator, trainer.discriminator
    batch, size = config.schedule.batch_size, config.discriminator.image_size
    rng = torch.Generator().manual_seed(seed)
    cameras = sample_cameras(trainer.images.distribution, batch, generator=rng).to(trainer.device)
    angles = camera_angles(cameras)
    generator.zero_grad(set_to_none=True)
    discriminator.zero_grad(set_to_none=True)

    styles = watch("map", lambda: trainer._sample_styles(seed, torch.arange(batch)))
    fields = watch("synthesize tri-planes", lambda: generator.fields(styles))
    surface = watch("SDF on the grid, surface", lambda: generator.extract(fields))
    images = watch(
        "rasterise, colour",
        lambda: generator.render(fields, surface.meshes, cameras, size, config=config.rendering),
    )
    discriminator.requires_grad_(False)
    logits = watch("discriminate generated images", lambda: discriminator(images, angles))
    loss = generator_loss(logits.rgb).mean() + generator_loss(logits.mask).mean()
    watch("generator's backward", loss.backward)
    discriminator.requires_grad_(True)
    real = read_images(trainer.images, torch.arange(batch), seed=0, is_mirrored=False)
    real = real.to_batch(trainer.device, image_size=size)
    logits = watch(
        "discriminate real images", lambda: discriminator(real.images, real.condition.angles)
    )
    watch("discriminators' backward", (logits.rgb.mean() + logits.mask.mean()).backward)
    discriminator.zero_grad(set_to_none=True)
    penalty = watch("R1", lambda: r1_penalty(discriminator, real.images, real.condition.angles))
    watch("R1's backward", (penalty.rgb.mean() + penalty.mask.mean()).backward)


def main() -> None:
    """Print minimum and median times, and write them as JSON if `--out` is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", nargs="?", default="tiny-64", help="preset or YAML file")
    parser.add_argument("--grid-resolution", type=int, help="in place of the config's")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--out", type=Path, help="JSON file")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    config = load_config(args.config)
    if args.grid_resolution:
        generator = replace(config.generator, grid_resolution=args.grid_resolution)
        config = replace(config, generator=generator)
    trainer = Trainer(config, make_images(config), device=args.device)
    watch = Stopwatch(trainer.device)
    for repeat in range(args.repeats + 2):
        if repeat == 2:  # the first ones compile kernels and fill caches
            watch.times_s.clear()
        time_stages(trainer, watch, repeat)
    for _ in range(2 * config.loss.r1_interval):
        watch("a whole step", trainer.step)

    batch = config.schedule.batch_size
    print(f"{args.config}, batch {batch}, {args.threads} threads, {machine_name()}")
    for name, times_s in watch.times_s.items():
        print(f"{name:28s} min {min(times_s):8.4f} s   median {statistics.median(times_s):8.4f} s")
    mean_s = statistics.fmean(watch.times_s["a whole step"])
    print(f"{batch / mean_s:.1f} images/s, R1 steps included")
    if args.out:
        summary = {
            "config": args.config,
            "grid_verts": len(trainer.generator.grid.verts),
            "threads": args.threads,
            "machine": machine_name(),
            "images_per_s": batch / mean_s,
            "median_s": {name: statistics.median(t) for name, t in watch.times_s.items()},
        }
        args.out.write_text(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
