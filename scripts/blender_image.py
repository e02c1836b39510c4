"""Render generated shapes with Blender, for docs/assets.md: Cycles, a lamp and a floor.

    python -m venv VENV && VENV/bin/pip install bpy
    python scripts/blender_image.py --blender VENV/bin/python
    GET3D_BLENDER_PYTHON=VENV/bin/python python scripts/blender_image.py models/chairs --seed 3

Shapes 0 to N - 1 of the seed, not picked. Each goes through a GLB file, as users' shapes do.
"""

import io
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import tyro
from PIL import Image
from stages import run_main

from get3d.apps import load
from get3d.core.files import atomic_path
from get3d.export import AssetOptions, save_glb

ROOT = Path(__file__).resolve().parent.parent
MAX_BYTES = 300_000


@dataclass(frozen=True)
class Args:
    """Render generated shapes with Blender."""

    model: tyro.conf.Positional[str | None] = None
    """Model, as for `get3d generate`; the bundled model if left out."""

    blender: str = os.environ.get("GET3D_BLENDER_PYTHON", "")
    """A Python with `bpy`; by default the one that GET3D_BLENDER_PYTHON names."""

    out: Path = ROOT / "docs/images/blender.png"
    """PNG file to write, of at most 300 kB."""

    num: int = 8
    """Number of shapes."""

    seed: int = 0
    """Random seed of the shapes."""

    texture_size: int = 512
    """Width and height of the textures, in texels."""

    width: int = 1000
    """Width of the image, in pixels."""

    samples: int = 32
    """Samples per pixel of Cycles, before denoising."""


def write_small(image: Image.Image, path: Path) -> None:
    """Save an image, with fewer colours if it exceeds the size limit."""
    few = [image.quantize(colors, kmeans=1) for colors in (256, 128, 64)]
    for candidate in (image, *(image.quantize(palette=palette) for palette in few)):
        content = io.BytesIO()
        candidate.save(content, format="PNG", optimize=True)
        if content.tell() <= MAX_BYTES:
            with atomic_path(path) as temp_path:
                temp_path.write_bytes(content.getvalue())
            return
    sys.exit(f"the image is larger than {MAX_BYTES} bytes: take a smaller --width")


def main(args: Args) -> None:
    """Generate, render, save."""
    if not args.blender:
        sys.exit("--blender names no Python with bpy: pip install bpy in some venv, and name it")
    if args.num < 1:
        sys.exit(f"--num must be positive, got {args.num}")
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{index}.glb" for index in range(args.num)]
        shapes = load(args.model).iter_generate(
            args.num,
            seed=args.seed,
            texture_size=args.texture_size,
            options=AssetOptions(floaters=0.01),
        )
        for shape, path in zip(shapes, paths, strict=True):
            save_glb(shape, path)
        rendered = Path(folder) / "rendered.png"
        scene = [args.blender, ROOT / "scripts/blender_scene.py"]
        numbers = [str(args.width), str(args.samples)]
        done = subprocess.run(
            [*scene, rendered, *numbers, *paths], capture_output=True, text=True, check=False
        )
        if done.returncode or not rendered.exists():
            sys.exit(f"Blender failed:\n{done.stdout}{done.stderr}")
        with Image.open(rendered) as image:
            write_small(image.convert("RGB"), args.out)
    print(f"{args.out}: {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    arguments = tyro.cli(Args, description=__doc__)
    run_main("blender_image", lambda: main(arguments))
