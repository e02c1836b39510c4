"""Find the position and size of an object from its silhouette, by gradients of the rasteriser.

The mask of `render_mesh` is antialiased, so it is differentiable in the vertices: one gradient is
compared with finite differences, then Adam fits a sphere to the masks of a target in three views.

    python examples/06_render_with_gradients.py --steps 60
"""

import math
from pathlib import Path

import torch
import trimesh
import tyro

from get3d import Mesh
from get3d.core import contact_sheet, images_to_u8, save_png
from get3d.geometry import orbit_cameras
from get3d.render import render_mesh


def main(
    out: Path = Path("out/examples/gradients"), steps: int = 60, image_size: int = 128
) -> None:
    """Write `masks.png`: rows are target, start and result, columns the views."""
    ball = trimesh.creation.icosphere(subdivisions=3, radius=0.25)
    faces = torch.tensor(ball.faces)
    unit = torch.tensor(ball.vertices, dtype=torch.float32)
    rotation = torch.deg2rad(torch.tensor([0.0, 90.0, 200.0]))
    polar = torch.deg2rad(torch.tensor([90.0, 90.0, 40.0]))
    cameras = orbit_cameras(rotation, polar, radius=1.6, fovy_rad=math.radians(40))

    def masks(pose: torch.Tensor) -> torch.Tensor:  # pose: x, y, z, log of the scale
        return render_mesh(Mesh(unit * pose[3].exp() + pose[:3], faces), cameras, image_size).mask

    pose = torch.tensor([-0.1, 0.1, 0.05, -0.3], requires_grad=True)
    (gradient,) = torch.autograd.grad(masks(pose).mean(), pose)
    step = 0.01 * torch.eye(4)[3]
    difference = (masks(pose + step).mean() - masks(pose - step).mean()) / 0.02
    print(f"d mean mask / d log scale: {gradient[3]:.5f}, finite differences {difference:.5f}")

    target, start = masks(torch.tensor([0.12, -0.08, 0.1, 0.2])), masks(pose).detach()
    optimizer = torch.optim.Adam([pose], lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        (masks(pose) - target).square().mean().backward()
        optimizer.step()
    result = masks(pose).detach()
    errors = [(image - target).square().mean().item() for image in (start, result)]
    print(f"mask error {errors[0]:.5f} -> {errors[1]:.5f}, pose {pose.tolist()}")
    rows = images_to_u8(torch.cat([target, start, result])[:, None], low=0.0)
    save_png(out / "masks.png", contact_sheet(rows, columns=3))


if __name__ == "__main__":
    tyro.cli(main)
