"""Generate textured meshes and draw a contact sheet of them.

`get3d.load()` opens a generator that ships with the package (`vessel`, the default, or `chair`), a
model folder, a training run, or `hf://owner/name`. Each shape depends on the seed and its index
alone. `truncation` trades variety for quality: 1 samples the whole distribution.

    python examples/01_generate.py --num 8 --seed 3
"""

import math
from pathlib import Path

import torch
import tyro

import get3d
from get3d.core import contact_sheet, images_to_u8, save_png
from get3d.geometry import orbit_cameras
from get3d.render import Light, render_textured


def main(
    out: Path = Path("out/examples/generate"),
    model: str = "vessel",
    num: int = 4,
    seed: int = 0,
    truncation: float = 0.7,
    texture_size: int = 512,
    image_size: int = 192,
) -> None:
    """Write `shape_NN.glb` and `contact_sheet.png`.

    Args:
        out: Folder for the files.
        model: A name, a folder, or hf://owner/name.
        num: Number of shapes.
        seed: Of the latent codes.
        truncation: 1 for all the variety of the model, less for more typical shapes.
        texture_size: Side of each texture, in texels.
        image_size: Side of each view, in pixels.
    """
    generator = get3d.load(model)
    rotation = torch.deg2rad(torch.tensor([150.0, 330.0]))  # two views: front and back
    polar = torch.full_like(rotation, math.radians(65))
    cameras = orbit_cameras(rotation, polar, radius=1.4, fovy_rad=math.radians(40))
    views = []
    shapes = generator.iter_generate(
        num, seed=seed, truncation=truncation, texture_size=texture_size
    )
    for index, shape in enumerate(shapes):
        get3d.save(shape, out / f"shape_{index:02d}.glb")
        rgba = render_textured(shape, cameras, image_size, light=Light())
        views.extend(images_to_u8(rgba.permute(0, 3, 1, 2), low=0.0))
        print(f"shape {index}: {len(shape.mesh.verts)} vertices, {len(shape.mesh.faces)} faces")
    save_png(out / "contact_sheet.png", contact_sheet(views, columns=4))


if __name__ == "__main__":
    tyro.cli(main)
