"""Stages of scripts/search.py and scripts/reproduce_model.py: shapes, images, training.

Mirroring and scale of each category were chosen by measurement:

- Mirroring is across x = 0. Vehicles are symmetric there, as are chairs but for the five-legged
  bases of a tenth of them; handles of vessels are at +x and spouts at -x.
- From polar angles of 30 to 90 degrees, of vessels and chairs with a longest side of 0.75 less than
  1 % of the images are cropped, of vehicles with 0.85 none; with 0.85 it would be a fifth of the
  chairs' images.
"""

import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from get3d.cli.errors import describe, is_expected
from get3d.config import load_config
from get3d.core import ConfigError


@dataclass(frozen=True)
class Category:
    """Training settings of a procedural category.

    Attributes:
        longest_side: Longest side of a shape in the images, in scene units.
        is_mirrored: Whether mirrored shapes are as likely as the shapes themselves.
    """

    longest_side: float
    is_mirrored: bool


CATEGORIES = {
    "vessel": Category(longest_side=0.75, is_mirrored=False),
    "chair": Category(longest_side=0.75, is_mirrored=True),
    "vehicle": Category(longest_side=0.85, is_mirrored=True),
}


def run_main(name: str, main: Callable[[], None]) -> None:
    """Run a script; an error that its user can mend becomes one line.

    Args:
        name: Name of the script.
        main: Main function of the script.
    """
    try:
        main()
    except Exception as error:
        if not is_expected(error):
            raise
        sys.exit(f"{name}: {describe(error)}")


def split_flags(text: str, what: str) -> list[str]:
    """Split flags as a shell does; raise ConfigError if a quotation is not closed."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ConfigError(f"{what}: {str(error).lower()} in {text!r}") from error


def get3d_command(*args: object) -> list[str]:
    """Return the command line of a get3d command."""
    return [sys.executable, "-m", "get3d", *map(str, args)]


def run_get3d(*args: object) -> None:
    """Run a get3d command; its failure ends the script."""
    command = get3d_command(*args)
    print("$", shlex.join(command[2:]), flush=True)
    code = subprocess.run(command, check=False).returncode
    if code != 0:
        sys.exit(f"{shlex.join(command[2:4])} failed (exit code {code}); nothing after it was done")


def shapes_args(
    category: str, split: str, num: int, folder: Path, *, texture_size: int
) -> Sequence[object]:
    """Return the arguments of `get3d shapes`."""
    sizes = ("--num", num, "--texture-size", texture_size)
    return ("shapes", category, "--split", split, "--out", folder, *sizes)


def render_args(
    meshes: Path,
    data: Path,
    *,
    category: str,
    size: int,
    views: int,
    longest_side: float,
    polar_deg: tuple[float, float],
) -> Sequence[object]:
    """Return the arguments of `get3d render`, without a test split."""
    images = ("--views", views, "--image-size", size, "--supersample", 3)
    cameras = ("--longest-side", longest_side, "--polar-deg", *polar_deg)
    names = ("--category", category, "--test-fraction", 0)
    return ("render", meshes, "--out", data, *images, *cameras, *names)


def mirror_flags(preset: str, *, is_mirrored: bool) -> tuple[str, ...]:
    """Return flags of `get3d train` that mirror images or do not; none if the preset has them."""
    if load_config(preset).schedule.mirror == is_mirrored:
        return ()
    return ("--schedule.mirror" if is_mirrored else "--schedule.no-mirror",)


def image_prefix(category: str) -> str:
    """Return the prefix of a bundled model's images in docs/images."""
    return "results" if category == "vessel" else f"results-{category}"
