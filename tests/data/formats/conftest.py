"""Small files of each format, and the colours that they show."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from get3d.core import TexturedMesh, linear_to_srgb
from get3d.data import load_mesh
from get3d.render import material_channels

QUARTERS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
SQUARE = (
    "v -1 -1 0\nv 1 -1 0\nv 1 1 0\nv -1 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nvn 0 0 1\n"
    "usemtl m\nf 1/1/1 2/2/1 3/3/1\nf 1/1/1 3/3/1 4/4/1\n"
)


def colors_of(mesh: TexturedMesh) -> list[tuple[int, ...]]:
    """RGBA bytes of a mesh in the plane z = 0 at the middles of the quarters of [-1, 1]^2.

    Upper left, upper right, lower left, lower right; (0, 0, 0, 0) where there is nothing.
    """
    verts = mesh.mesh.verts[mesh.mesh.faces][..., :2].double()
    colors = []
    for x, y in ((-0.5, 0.52), (0.52, 0.5), (-0.5, -0.52), (0.5, -0.52)):
        corners = torch.cat([verts, torch.ones_like(verts[..., :1])], 2)
        usable = torch.linalg.det(corners).abs() > 1e-12
        weights = torch.full(verts.shape[:2], -1.0).double()
        point = torch.tensor([x, y, 1.0]).double()
        weights[usable] = torch.linalg.solve(corners[usable].transpose(1, 2), point)
        hit = (weights > -1e-9).all(1).nonzero().flatten()
        if not len(hit):
            colors.append((0, 0, 0, 0))
            continue
        channels = material_channels(mesh, hit[:1], weights[hit[:1]].float())
        rgba = torch.cat([linear_to_srgb(channels["base_color"]), channels["alpha"]], 1)
        colors.append(tuple((rgba[0] * 255).round().int().tolist()))
    return colors


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an image of four colours, three folders deep."""
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    Image.fromarray(QUARTERS).resize((16, 16), Image.Resampling.NEAREST).save(folder / "tex.png")
    return folder


@pytest.fixture
def obj(folder: Path) -> Callable[..., TexturedMesh]:
    """Write an OBJ file and its library and read them."""

    def write(
        text: str | bytes = SQUARE, mtl: str | bytes | None = "newmtl m\nmap_Kd tex.png\n"
    ) -> TexturedMesh:
        if mtl is not None:
            (folder / "model.mtl").write_bytes(mtl if isinstance(mtl, bytes) else mtl.encode())
        text = text if isinstance(text, bytes) else text.encode()
        (folder / "model.obj").write_bytes(b"mtllib model.mtl\n" * (mtl is not None) + text)
        return load_mesh(folder / "model.obj")

    return write
