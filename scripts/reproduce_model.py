"""Reproduce the bundled model: shapes, images, training, evaluation.

Every stage is resumed where it was stopped and skipped once it is done, so the same command can be
repeated at any time.

    python scripts/reproduce_model.py --out runs/bundled

On two CPU cores shapes and images take some five minutes, training about an hour and a half if
nothing else runs, the evaluation half an hour. `--preset small-128 --size 128` is for a GPU.
`--only` runs some of the stages. `--category chair` or `vehicle` makes a model of these: how they
are scaled and whether they are mirrored is in scripts/stages.py. Flags are handed on like this:

    python scripts/reproduce_model.py --train-flags="--rendering.light data --loss.mask-weight 4"

The polar angles and texture size of the first bundled model were the defaults of `get3d render` and
`get3d shapes`: `--polar-deg 60 90 --texture-size 512`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro
from stages import (
    CATEGORIES,
    mirror_flags,
    render_args,
    run_get3d,
    run_main,
    shapes_args,
    split_flags,
)

from get3d.config import load_config

Stage = Literal["shapes", "render", "train", "evaluate"]


@dataclass(frozen=True)
class Args:
    """Reproduce the bundled model."""

    out: Path = Path("runs/bundled")
    """Folder for everything."""

    category: Literal["vessel", "chair", "vehicle"] = "vessel"
    """Procedural category."""

    num_train: int = 2400
    """Number of training shapes."""

    num_test: int = 100
    """Number of test shapes; five times as many are generated for the evaluation."""

    texture_size: int = 256
    """Width of the textures of shapes, and of generated shapes in the evaluation, in texels."""

    views: int = 10
    """Images of each shape."""

    size: int = 64
    """Width of the images, in pixels."""

    polar_deg: tuple[float, float] = (30.0, 90.0)
    """Range of the cameras' polar angle; below 60 degrees, cavities of vessels are visible."""

    longest_side: float | None = None
    """Longest side to which shapes are scaled; None: by category."""

    mirror: bool | None = None
    """Mirror images at random; None: if the category is symmetric."""

    light: Literal["studio", "none"] = "studio"
    """Light on the training images."""

    evaluate_light: Literal["studio", "none"] | None = None
    """Light on references in the evaluation; None: as on generated shapes, which is none if
    rendering.light of the run is not none."""

    preset: str = "tiny-64"
    """Preset of the training."""

    workers: int | None = None
    """Processes; None takes one for each core."""

    only: tuple[Stage, ...] = ("shapes", "render", "train", "evaluate")
    """Stages to run."""

    train_flags: str = ""
    """More flags for `get3d train`, all in one text."""

    evaluate_flags: str = ""
    """More flags for `get3d evaluate`, all in one text, such as "--metrics cd lfd"."""


def longest_side(args: Args) -> float:
    """Return the longest side to which shapes are scaled."""
    given = args.longest_side
    return CATEGORIES[args.category].longest_side if given is None else given


def train_args(args: Args) -> Sequence[object]:
    """Return the arguments of `get3d train`."""
    mirrors = CATEGORIES[args.category].is_mirrored if args.mirror is None else args.mirror
    flags = (
        *mirror_flags(args.preset, is_mirrored=mirrors),
        *split_flags(args.train_flags, "--train-flags"),
    )
    return ("train", args.preset, "--data", args.out / "data", "--out", args.out / "run", *flags)


def evaluate_args(args: Args) -> Sequence[object]:
    """Return the arguments of `get3d evaluate`, with images like those of the training."""
    light = args.evaluate_light
    if light is None:
        path = args.out / "run" / "config.yaml"
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file; train first")
        run_config = load_config(path)
        light = args.light if run_config.rendering.light == "none" else "none"
    images = ("--image-size", args.size, "--supersample", 3, "--texture-size", args.texture_size)
    images += ("--longest-side", longest_side(args), "--polar-deg", *args.polar_deg)
    images += ("--light", light, "--features", "shapes", "--num-images", 10_000)
    folders = ("--data", args.out / "shapes", "--out", args.out / "scores")
    return (
        "evaluate",
        args.out / "run",
        *folders,
        *images,
        *split_flags(args.evaluate_flags, "--evaluate-flags"),
    )


def main(args: Args) -> None:
    """Run the stages in order."""
    train_args(args)  # fails before the long work
    split_flags(args.evaluate_flags, "--evaluate-flags")
    shapes = args.out / "shapes"
    workers = () if args.workers is None else ("--workers", args.workers)
    if "shapes" in args.only:
        for split, num in (("train", args.num_train), ("test", args.num_test)):
            settings = shapes_args(
                args.category, split, num, shapes, texture_size=args.texture_size
            )
            run_get3d(*settings, *workers)
    if "render" in args.only:
        settings = render_args(
            shapes / "train",
            args.out / "data",
            category=args.category,
            size=args.size,
            views=args.views,
            longest_side=longest_side(args),
            polar_deg=args.polar_deg,
        )
        run_get3d(*settings, "--light", args.light, *workers)
    if "train" in args.only:
        run_get3d(*train_args(args))
    if "evaluate" in args.only:
        run_get3d(*evaluate_args(args), *workers)


if __name__ == "__main__":
    arguments = tyro.cli(Args, description=__doc__)
    run_main("reproduce_model", lambda: main(arguments))
