"""`get3d shapes`: procedural shapes with ground truth."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from get3d.apps.shape_files import ShapesConfig, write_shapes
from get3d.cli.parsing import parse
from get3d.cli.progress import progress_bar


@dataclass(frozen=True)
class ShapesArgs:
    """Make textured, closed shapes of a category, with part names, labels and captions.

    Deterministic: the same category, split and seed give the same shapes. The same command goes on
    where it was stopped.
    """

    category: tyro.conf.Positional[str]
    """chair."""

    out: Path
    """Folder; the shapes go to OUT/SPLIT."""

    num: int = 100
    """How many shapes."""

    seed: int = 0
    """Another seed gives other shapes."""

    split: str = "train"
    """train, validation or test: no shape is in two of them."""

    texture_size: int = 512
    """Side of each shape's texture, in texels."""

    workers: int | None = None
    """Processes; None takes one for each core."""


def run(args: list[str]) -> int:
    """Make shapes as the command line says.

    Args:
        args: Command line behind `get3d shapes`.

    Returns:
        Exit code 0.
    """
    parsed = parse(ShapesArgs, "shapes", args)
    config = ShapesConfig(
        category=parsed.category,
        num=parsed.num,
        seed=parsed.seed,
        split=parsed.split,
        texture_size=parsed.texture_size,
    )
    with progress_bar("shapes") as progress:
        task = progress.add_task("", total=config.num)
        folder = write_shapes(
            config,
            parsed.out,
            workers=parsed.workers,
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    print(
        f"{config.num} shapes in {folder} (look at contact_sheet.png). "
        f"Next: get3d render {folder} --out data"
    )
    return 0
