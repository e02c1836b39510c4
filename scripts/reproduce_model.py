"""Make the bundled model again, from nothing: shapes, pictures, training, evaluation.

Every stage goes on where it was stopped and is skipped once it is done, so the same command can be
given again at any time.

    python scripts/reproduce_model.py --out runs/bundled

On two CPU cores shapes and pictures take some five minutes, training about an hour and a half if
nothing else runs, the evaluation half an hour. `--preset small-128 --size 128` is for a GPU.
`--only` runs some of the stages.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

Stage = Literal["shapes", "render", "train", "evaluate"]


@dataclass(frozen=True)
class Args:
    """Make the bundled model again."""

    out: Path = Path("runs/bundled")
    """Folder for everything."""

    category: str = "vessel"
    """Procedural category."""

    num_train: int = 2400
    """Shapes to learn from."""

    num_test: int = 100
    """Shapes to be judged by; five times as many are generated."""

    views: int = 10
    """Pictures of each shape."""

    size: int = 64
    """Side of the pictures, in pixels."""

    preset: str = "tiny-64"
    """What is trained."""

    workers: int | None = None
    """Processes; None takes one for each core."""

    only: tuple[Stage, ...] = ("shapes", "render", "train", "evaluate")
    """Stages to run."""

    train_flags: tuple[str, ...] = ()
    """More flags for `get3d train`."""


def get3d(*args: object) -> None:
    """Run one command of the package; its failure ends the script."""
    command = [sys.executable, "-m", "get3d", *map(str, args)]
    print("$", " ".join(command[2:]), flush=True)
    subprocess.run(command, check=True)


def main(args: Args) -> None:
    """Run the stages in order."""
    shapes, data, run = args.out / "shapes", args.out / "data", args.out / "run"
    workers = () if args.workers is None else ("--workers", args.workers)
    if "shapes" in args.only:
        for split, num in (("train", args.num_train), ("test", args.num_test)):
            sizes = ("--num", num, "--split", split)
            get3d("shapes", args.category, *sizes, "--out", shapes, *workers)
    if "render" in args.only:
        settings = ("--views", args.views, "--size", args.size, "--longest-side", 0.75)
        settings += ("--supersample", 3, "--category", args.category, "--test-fraction", 0)
        get3d("render", shapes / "train", "--out", data, *settings, *workers)
    if "train" in args.only:
        # Handles are all on one side: a mirrored picture is one of no shape of the data.
        flags = ("--schedule.no-mirror", *args.train_flags)
        get3d("train", args.preset, "--data", data, "--out", run, *flags)
    if "evaluate" in args.only:
        # Pictures as those of the training.
        settings = ("--longest-side", 0.75, "--image-size", args.size, "--supersample", 3)
        settings += ("--features", "shapes", "--num-images", 10_000)
        get3d("evaluate", run, "--data", shapes, "--out", args.out / "scores", *settings, *workers)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
