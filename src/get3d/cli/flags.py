"""Flags that several commands share: one name and one help text for each.

What is special to a command stands in the command's own text.
"""

import re
from collections.abc import Sequence

import tyro

SEEDS = tyro.conf.arg(
    name="seeds",
    help="Shapes by name: 7 is the first of `get3d generate --seed 7`, 7.3 is its shape_0003.",
)
TEXTURE = tyro.conf.arg(
    name="texture",
    help="Shapes by name, such as 7.3, that give the textures: as many as there are shapes, in "
    "`get3d swap` any number; if left out, the shapes that give the geometry.",
)
NUM = tyro.conf.arg(name="num", help="Number of shapes.")
SEED = tyro.conf.arg(name="seed", help="Random seed.")
TRUNCATION = tyro.conf.arg(
    name="truncation",
    help="1 is the full variety of the model; smaller values stay nearer to its average shape.",
)
VARY = tyro.conf.arg(name="vary", help="What changes: both, geometry or texture.")
FRAMES = tyro.conf.arg(name="frames", help="Frames of each video.")
TURNS = tyro.conf.arg(
    name="turns", help="Full turns of the camera in a video; negative reverses the direction."
)
VIDEO = tyro.conf.arg(name="video", help="Format of videos; mp4 needs pip install imageio-ffmpeg.")
FPS = tyro.conf.arg(name="fps", help="Frames per second.")
IMAGE_SIZE = tyro.conf.arg(
    name="image-size", help="Width and height of images and videos, in pixels."
)
TEXTURE_SIZE = tyro.conf.arg(
    name="texture-size", help="Width and height of the textures, in texels."
)
OUT = tyro.conf.arg(name="out", help="Folder for the results; made if absent.")
OVERWRITE = tyro.conf.arg(
    name="overwrite", help="Replace results that are there, made with other options."
)
DEVICE = tyro.conf.arg(
    name="device", help="auto (a GPU if there is one), cpu, cuda, or one GPU such as cuda:1."
)
WORKERS = tyro.conf.arg(name="workers", help="Processes on a CPU; one per core if left out.")

# Names of earlier versions, by command; they are no longer in the help.
_FORMER = {
    "render": {"--size": "--image-size"},
    "generate": {"--texture-seeds": "--texture"},
    "interpolate": {"--texture-seeds": "--texture"},
    "turntable": {"--texture-seeds": "--texture"},
    "perturb": {"--seed": "--seeds", "--texture-seed": "--texture"},
    "mix": {"--rows": "--seeds"},
    "evaluate": {"--num-shapes": "--num"},
}


def rename_former(command: str, args: Sequence[str]) -> list[str]:
    """Replace flags by their present names.

    Args:
        command: Name of the sub-command.
        args: Command line after it.

    Example:
        >>> rename_former("mix", ["--rows", "7.3", "--rows=7"])
        ['--seeds', '7.3', '--seeds=7']
    """
    names = _FORMER.get(command, {})

    def rename(arg: str) -> str:
        flag, *value = re.split("(=)", arg, maxsplit=1)
        return "".join([names.get(flag.replace("_", "-"), flag), *value])

    return [rename(arg) for arg in args]
