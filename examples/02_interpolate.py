"""Interpolate between two shapes in W, the space of style vectors, and write a looping GIF.

The mapping networks turn random codes z into styles w: one set for the geometry, one for the
texture. `--vary` keeps one of them fixed. `get3d interpolate` takes any number of shapes.

    python examples/02_interpolate.py --first 3 --second 5 --frames 24
"""

import math
from pathlib import Path
from typing import Literal

import torch
import tyro

import get3d
from get3d.apps import latent
from get3d.core import Styles, contact_sheet, images_to_u8, save_png, save_video
from get3d.geometry import orbit_cameras


def main(
    out: Path = Path("out/examples/interpolate"),
    model: str = "vessel",
    first: int = 0,
    second: int = 1,
    vary: Literal["both", "geometry", "texture"] = "both",
    frames: int = 12,
    image_size: int = 160,
) -> None:
    """Write `interpolation.gif` and `contact_sheet.png`.

    Args:
        out: Folder for the files.
        model: A name or a folder.
        first: Index of the shape at the start, of seed 0.
        second: Index of the shape halfway.
        vary: Which of the two codes changes.
        frames: Number of frames of the loop.
        image_size: Side of the GIF, in pixels.
    """
    generator = get3d.load(model)
    start, end = generator.styles(first), generator.styles(second)
    rotation, polar = torch.tensor([math.radians(150)]), torch.tensor([math.radians(65)])
    cameras = orbit_cameras(rotation, polar, radius=1.4, fovy_rad=math.radians(40))
    images = []
    for frame in range(frames):
        t = 0.5 - 0.5 * math.cos(2 * math.pi * frame / frames)  # 0 to 1 and back, without a jump
        geo = start.geo.lerp(end.geo, t if vary != "texture" else 0.0)
        tex = start.tex.lerp(end.tex, t if vary != "geometry" else 0.0)
        shape = latent.generate_shape(generator, Styles(geo, tex))  # fields and their mesh
        rgba = shape.render(cameras, image_size)[0]
        on_white = rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:]
        images.append(images_to_u8(on_white.permute(2, 0, 1)[None], low=0.0)[0])
    save_video(out / "interpolation.gif", images, fps=12.0)
    save_png(out / "contact_sheet.png", contact_sheet(images, columns=6))


if __name__ == "__main__":
    tyro.cli(main)
