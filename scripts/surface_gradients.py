"""Direction and noise of the discriminators' gradient at the surface.

    python scripts/surface_gradients.py runs/mine --data data/mine

Draws shapes of a run's newest checkpoint as training does and differentiates the generator's loss
with respect to the vertices. For vertices on top of a shape (normals up, seen from above) and on
its sides it prints the mean inward component of a descent step, its standard error over shapes, and
its standard deviation over vertices. Hollows are carved only where the mean over a lid is positive
and not far below the noise. Each line is one way to make the images; the discriminators are the
same, so the lines compare gradients, not trainings.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import tyro
import yaml
from torch import Tensor

from get3d.cli.train import read_training_images
from get3d.core import from_dict
from get3d.data import open_dataset
from get3d.geometry import vertex_normals
from get3d.training import RunConfig, Trainer
from get3d.training.checkpoints import list_checkpoints, load_checkpoint
from get3d.training.randomness import Purpose
from get3d.training.steps import adversarial_gradient

WAYS = {
    "as in the run": {},
    "positions detached": {"detach_positions": True},
    "without light": {"light": "none"},
    "normals not smoothed": {"normal_smoothing": 0},
    "normals smoothed 4 times": {"normal_smoothing": 4},
}
STEEPEST_VIEW_RAD = math.radians(60.0)  # largest polar angle that shows the inside of a vessel
LID_DEPTH = 0.08  # below the highest vertex, in scene units
FEWEST_VERTICES = 50


@dataclass(frozen=True)
class Args:
    """Measure the gradient of the generator's loss at the surface."""

    run: tyro.conf.Positional[Path]
    """Run folder with a checkpoint."""

    data: Path = tyro.MISSING
    """Data set of the run."""

    batches: int = 6
    """Number of batches of generated shapes."""


def inward_push(trainer: Trainer, batches: int) -> dict[str, Tensor]:
    """Measure the inward gradient at lids and sides of generated shapes.

    Returns:
        For each part, rows of the mean and the standard deviation over a shape's vertices.
    """
    rows: dict[str, list[tuple[float, float]]] = {"lid": [], "side": []}
    views = trainer.config.schedule.views_per_shape
    for _ in range(batches):
        trainer.step_index += 1
        for chunk in trainer._chunks(trainer.step_index):
            generated = trainer._generate(Purpose.GENERATOR, chunk)
            images, meshes = generated.batch.images, generated.surface.meshes
            loss = adversarial_gradient(
                trainer.discriminator, generated.batch, config=trainer.config.loss
            )
            upstream = [loss.grad_rgb, loss.grad_mask]
            verts = [mesh.verts for mesh in meshes]
            gradients = torch.autograd.grad([images.rgb, images.mask], verts, upstream)
            polar_rad = generated.batch.condition.angles[:, 1].unflatten(0, (-1, views)).amin(1)
            for mesh, gradient, polar in zip(meshes, gradients, polar_rad, strict=True):
                normals, height = vertex_normals(mesh).detach(), mesh.verts[:, 1].detach()
                inward = (gradient * normals).sum(1)
                parts = {
                    "lid": (normals[:, 1] > 0.8)
                    & (height > height.max() - LID_DEPTH)
                    & (polar < STEEPEST_VIEW_RAD),
                    "side": normals[:, 1].abs() < 0.3,
                }
                for name, part in parts.items():
                    if part.sum() >= FEWEST_VERTICES:
                        rows[name].append((float(inward[part].mean()), float(inward[part].std())))
    return {name: torch.tensor(each) for name, each in rows.items() if each}


def main(args: Args) -> None:
    """Print a line per way to make images and per part of the surface."""
    newest = list_checkpoints(args.run / "checkpoints")[-1]
    config = from_dict(RunConfig, yaml.safe_load((args.run / "config.yaml").read_text()))
    dataset = open_dataset(args.data).split("train")
    images = read_training_images(dataset, config.discriminator.image_size)
    state = load_checkpoint(newest)["state"]
    for label, changes in WAYS.items():
        trainer = Trainer(replace(config, rendering=replace(config.rendering, **changes)), images)
        trainer.load_state_dict(state)
        for part, rows in inward_push(trainer, args.batches).items():
            mean, error = rows[:, 0].mean(), rows[:, 0].std() / math.sqrt(len(rows))
            print(
                f"{label:26s} {part:5s} {len(rows):3d} shapes: inward push {mean:8.5f} "
                f"+- {error:.5f}, over the vertices of a shape +- {rows[:, 1].mean():.3f}"
            )


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
