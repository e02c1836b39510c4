"""The programs that open our files: where they are, and what they show.

GET3D_NODE_MODULES: the node_modules folder with the packages of package.json, if it is not here.
GET3D_CHROMIUM: the browser. GET3D_BLENDER_PYTHON: a Python with `bpy`. GET3D_USD_PYTHON: a Python
with `usd-core`. Where a program is not installed, its tests are skipped.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from get3d.core import Cameras

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Shown:
    """What a program made of files.

    Attributes:
        contents: Of each file, how many meshes and images were in it.
        images_u8: `[files, cameras, size, size, 4]`, straight alpha.
    """

    contents: list[dict[str, int]]
    images_u8: np.ndarray


# Opens files and images each from all cameras, at a size in pixels.
Client = Callable[[Sequence[Path], Cameras, int], Shown]


def node_command(script: str, *packages: str) -> list[str]:
    """The start of the command line of one of our scripts for Node.js, or skip."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    modules = node_modules()
    missing = [package for package in packages if not (modules / package).is_dir()]
    if missing:
        pytest.skip(
            f"{modules} has no {', '.join(missing)}: npm install --prefix tests/clients, or name "
            "a node_modules folder that has them in GET3D_NODE_MODULES"
        )
    return [node, str(HERE / script)]


def node_modules() -> Path:
    folder = Path(os.environ.get("GET3D_NODE_MODULES", HERE)).absolute()
    return folder if folder.name == "node_modules" else folder / "node_modules"


def run(command: Sequence[str | Path]) -> list[Any]:
    """What a command prints, the lines of JSON; a failure shows what it said."""
    environment = os.environ | {"GET3D_NODE_MODULES": str(node_modules())}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def chromium_command() -> list[str]:
    """The command line that shows files in a browser, or skip."""
    browser = os.environ.get("GET3D_CHROMIUM")
    if not browser:
        pytest.skip("GET3D_CHROMIUM names no browser, such as /usr/bin/chromium")
    assert Path(browser).is_file(), f"GET3D_CHROMIUM: no program {browser}"
    return node_command("chromium_render.mjs", "puppeteer-core", "three")


def blender_command() -> list[str]:
    """The command line that renders files with Blender, or skip."""
    python = os.environ.get("GET3D_BLENDER_PYTHON")
    if not python:
        pytest.skip("GET3D_BLENDER_PYTHON names no Python with bpy")
    return [python, str(HERE / "blender_render.py")]


def usd_command() -> list[str]:
    """The command line that checks files with USD, or skip."""
    python = os.environ.get("GET3D_USD_PYTHON")
    if not python:
        pytest.skip("GET3D_USD_PYTHON names no Python with usd-core")
    return [python, str(HERE / "usd_check.py")]


def make_client(command: list[str], folder: Path, *, flat: bool = False) -> Client:
    """A program, with a folder of its own for jobs and images; flat: base colours (Blender)."""

    def show(files: Sequence[Path], cameras: Cameras, size: int) -> Shown:
        job = {
            "files": [str(path) for path in files],
            "cameras": [
                {
                    "camera_to_world": torch.linalg.inv(world_to_camera).tolist(),
                    "intrinsics": intrinsics.tolist(),
                    "near": cameras.near,
                    "far": cameras.far,
                }
                for world_to_camera, intrinsics in zip(
                    cameras.world_to_camera, cameras.intrinsics, strict=True
                )
            ],
            "size": size,
            "flat": flat,
            "folder": str(folder),
        }
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        contents = run([*command, folder / "job.json"])
        images = [
            [Image.open(folder / f"{file}-{view}.png") for view in range(len(cameras))]
            for file in range(len(files))
        ]
        return Shown(contents, np.array([[np.asarray(p) for p in row] for row in images]))

    return show


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union of two silhouettes, as coverage of each pixel in [0, 1].

    Rounding coverage to 0 and 1 first would tell how each program rounds a half: a browser has four
    samples a pixel.
    """
    assert first.any()
    return float(np.minimum(first, second).sum() / np.maximum(first, second).sum())


def color_error(first: np.ndarray, second: np.ndarray) -> float:
    """Mean absolute difference of the colours, where both images are covered."""
    inside = (first[..., 3] > 0.99) & (second[..., 3] > 0.99)
    return float(np.abs(first - second)[inside, :3].mean())
