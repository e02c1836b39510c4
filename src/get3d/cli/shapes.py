"""`get3d shapes`: procedural shapes with part names, labels and captions."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from get3d.cli import flags
from get3d.cli.parsing import parse
from get3d.cli.progress import progress_bar
from get3d.core import ConfigError
from get3d_shapes import ShapesConfig, write_shape_folder
from get3d_shapes.folder import SHEET_NAME


@dataclass(frozen=True)
class ShapesArgs:
    """Make textured, watertight shapes of a category, with part names, labels and captions.

    The shapes go to OUT/SPLIT. Deterministic: the same category, split and seed give the same
    shapes. The same command resumes where it was stopped, and a larger --num adds shapes.
    """

    category: tyro.conf.Positional[str]
    """Category, such as chair; the error for an unknown name lists the known ones."""

    out: Annotated[Path, flags.OUT]

    num: Annotated[int, flags.NUM] = 100

    seed: Annotated[int, flags.SEED] = 0

    split: str = "train"
    """train, validation or test: no shape is in two of them."""

    texture_size: Annotated[int, flags.TEXTURE_SIZE] = 512

    workers: Annotated[int | None, flags.WORKERS] = None


def run(args: list[str]) -> int:
    """Run `get3d shapes`.

    Args:
        args: Command line after `get3d shapes`.

    Returns:
        Exit code 0.
    """
    parsed = parse(ShapesArgs, "shapes", args)
    if parsed.workers is not None and parsed.workers < 1:
        raise ConfigError(f"workers must be at least 1, got {parsed.workers}")
    config = ShapesConfig(
        category=parsed.category,
        num=parsed.num,
        seed=parsed.seed,
        split=parsed.split,
        texture_size=parsed.texture_size,
    )
    with progress_bar("shapes") as progress:
        task = progress.add_task("", total=config.num)
        report = write_shape_folder(
            config,
            parsed.out,
            workers=parsed.workers,
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    kept = f" ({report.num_kept} of them were there)" if report.num_kept else ""
    following = f"get3d render {report.folder} --out data --longest-side 0.75"
    if parsed.split != "train":  # kept for evaluation
        following = f"get3d evaluate MODEL --data {parsed.out}"
        following += "" if parsed.split == "test" else f" --reference {parsed.split}"
    print(
        f"{report.num_made + report.num_kept} shapes{kept} in {report.folder}; look at "
        f"{report.folder / SHEET_NAME}. Next: {following}"
    )
    return 0
