"""Make the bundled model again, from nothing: shapes, pictures, training, evaluation.

Every stage goes on where it was stopped and is skipped once it is done, so the same command can be
given again at any time.

    python scripts/reproduce_model.py --out runs/bundled

On one H100 GPU with 16 CPU cores this takes about half an hour; configs/small-128.yaml says what is
trained. `--only` runs some of the stages.
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

    category: str = "chair"
    """Procedural category."""

    num_train: int = 4000
    """Shapes to learn from."""

    num_test: int = 200
    """Shapes to be judged by; five times as many are generated."""

    views: int = 12
    """Pictures of each shape."""

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
        settings = ("--views", args.views, "--size", 128, "--longest-side", 0.75)
        settings += ("--supersample", 3, "--category", args.category, "--test-fraction", 0)
        get3d("render", shapes / "train", "--out", data, *settings, *workers)
    if "train" in args.only:
        get3d("train", "small-128", "--data", data, "--out", run, *args.train_flags)
    if "evaluate" in args.only:
        get3d("evaluate", run, "--data", shapes, "--out", args.out / "scores")


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
