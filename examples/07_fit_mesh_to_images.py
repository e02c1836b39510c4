"""Fit a textured mesh to images with known cameras: differentiable marching tetrahedra (DMTet).

Adam optimises signed distances at the vertices of a tetrahedral grid and a 3D grid of colours. The
surface starts as a ball, and its topology is free. Training a generator uses the same functions.

    python examples/07_fit_mesh_to_images.py --steps 300 --category chair
"""

from pathlib import Path

import torch
import torch.nn.functional as F
import tyro

import get3d
from get3d.core import contact_sheet, images_to_u8, save_png
from get3d.export import make_asset
from get3d.geometry import CameraDistribution, bcc_grid, marching_tets, sample_cameras
from get3d_shapes import build_shape, shape_seed


def main(
    out: Path = Path("out/examples/fit"), category: str = "vessel", index: int = 7, steps: int = 120
) -> None:
    """Write `fitted.glb` and `views.png`: target, start and result, a row each."""
    shape = build_shape(category, shape_seed(category, "train", 0, index))
    target = get3d.data.normalize_mesh(shape.mesh, longest_side=0.8)
    spread = CameraDistribution(radius=1.4, fovy_deg=40.0, polar_deg=(20.0, 150.0))
    cameras = sample_cameras(spread, 16, generator=torch.Generator().manual_seed(0))
    rgba = get3d.render.render_textured(target, cameras, 64)  # [views, h, w, 4]
    grid = bcc_grid(40, scale=0.96)
    sdf = (0.4 - grid.verts.norm(dim=1)).requires_grad_()  # positive inside
    colors = torch.zeros(1, 3, 32, 32, 32, requires_grad=True)
    optimizer = torch.optim.Adam([{"params": [sdf]}, {"params": [colors], "lr": 0.1}], lr=0.01)

    def color(points: torch.Tensor) -> torch.Tensor:
        found = F.grid_sample(colors, points.view(1, -1, 1, 1, 3) * 2, align_corners=True)
        return found.view(3, -1).T.sigmoid()

    def draw(cameras: get3d.Cameras, size: int) -> tuple[get3d.Mesh, torch.Tensor]:
        mesh = marching_tets(grid.verts, sdf, grid.tets)
        gbuffer = get3d.render.render_mesh(mesh, cameras, size)
        rgb = color(gbuffer.position.detach().view(-1, 3)).view(*gbuffer.mask.shape, 3)
        return mesh, torch.cat([rgb, gbuffer.mask[..., None]], -1)

    rows = [get3d.render.render_textured(target, cameras[:4], 192), draw(cameras[:4], 192)[1]]
    for _ in range(steps):
        picked = torch.randperm(16)[:4]
        difference = draw(cameras[picked], 64)[1] - rgba[picked]
        mask_loss = difference[..., 3].square().mean()
        rgb_loss = (difference[..., :3] * rgba[picked][..., 3:]).abs().mean()
        floaters = get3d.geometry.sdf_sign_change_loss(sdf[None], grid.edges)
        optimizer.zero_grad()
        (mask_loss + rgb_loss + 0.005 * floaters).backward()
        optimizer.step()
    print(f"mask error {mask_loss:.4f}, colour error {rgb_loss:.4f}")
    mesh, result = draw(cameras[:4], 192)
    get3d.save(make_asset(mesh.detach(), color, texture_size=512), out / "fitted.glb")
    images = images_to_u8(torch.cat([*rows, result]).permute(0, 3, 1, 2), low=0.0)
    save_png(out / "views.png", contact_sheet(images, columns=4))


if __name__ == "__main__":
    tyro.cli(main)
