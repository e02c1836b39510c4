"""Cavities: thickness of walls, open at the top, equal on the grid and at points."""

import math
from dataclasses import replace

import pytest
import torch

from get3d.geometry import bcc_cells, bcc_grid, orbit_cameras, voxel_grid
from get3d.metrics import volume_over_hull
from get3d.models import Generator, GeneratorConfig, GridOptions
from get3d.models.cavity import make_cavity
from tests.tiny import TINY

CONFIG = GeneratorConfig(
    **(TINY | {"grid_resolution": 24}),
    sdf_base="sphere",
    sdf_base_radius=0.35,
    sdf_base_weight=0.01,
    cavity_wall=0.1,
)


def cylinder(points, radius=0.3, half_height=0.3):
    """Signed distance of a solid cylinder along y, positive inside."""
    lateral = radius - points[..., [0, 2]].norm(dim=-1)
    return torch.minimum(lateral, half_height - points[..., 1].abs())


def fields_of(generator, num=2):
    rng = torch.Generator().manual_seed(0)
    z = torch.randn(2, num, generator.config.z_dim, generator=rng)
    z = z.to(next(generator.parameters()).dtype)
    return generator.fields(generator.map(z[0], z[1]))


@pytest.mark.parametrize("wall", [0.05, 0.1, 0.13])
@pytest.mark.parametrize("kind", ["bcc", "voxel"])
def test_a_cylinder_becomes_a_cup(kind, wall):
    if kind == "bcc":
        grid, cell = bcc_grid(40), 1 / bcc_cells(40)
    else:
        grid, cell = voxel_grid(40), 1 / 40
    cavity = make_cavity(grid.verts, cell, wall=wall)
    inside = cavity.inside_grid(cylinder(grid.verts)[None])[0]
    x, y, z = grid.verts.unbind(1)
    # Walls are measured along the axes, so on the diagonals they are a little thicker.
    empty = (x.hypot(z) < 0.3 - wall * 1.4 - cell) & (y > -0.3 + wall + cell) & (y < 0.3 - cell)
    filled = (x.hypot(z) > 0.3 - wall + cell) | (y < -0.3 + wall - cell) | (y > 0.3 + 2 * cell)
    assert empty.sum() > 20
    assert (inside[empty] > 0).all()
    assert (inside[filled] < 0).all()


def test_points_and_grid_agree():
    generator = Generator(CONFIG).double()
    fields = fields_of(generator)
    verts = generator.grid.verts.double()
    away = verts.abs().amax(1) < 0.5 * CONFIG.scale - CONFIG.cavity_wall  # from the border
    at_points, on_grid = fields.sdf(verts), fields.grid_sdf()
    # On the grid the solid is interpolated along the axes.
    torch.testing.assert_close(at_points[:, away], on_grid[:, away], atol=0.02, rtol=0)


def test_shapes_start_as_cups_and_are_solid_without():
    cups = Generator(CONFIG).surface(fields_of(Generator(CONFIG)))
    config = replace(CONFIG, cavity_wall=0.0)
    balls = Generator(config).surface(fields_of(Generator(config)))
    assert all(volume_over_hull(mesh) < 0.75 for mesh in cups)
    assert all(volume_over_hull(mesh) > 0.85 for mesh in balls)


def test_gradients_reach_every_weight():
    generator = Generator(CONFIG)
    fields = fields_of(generator)
    surface = generator.extract(fields, for_training=True)
    cameras = orbit_cameras(
        torch.tensor([0.0, 2.0]), torch.tensor([0.5, 1.0]), radius=1.2, fovy_rad=math.radians(49)
    )
    images = generator.render(fields, surface.meshes, cameras, 16)
    (images.rgb.sum() + images.mask.sum() + surface.sign_change_loss.sum()).backward()
    assert all(p.grad.abs().sum() > 0 for p in generator.network.geometry.parameters())


def test_a_finer_surface_has_the_cavity_too():
    generator = Generator(CONFIG)
    fields = fields_of(generator)
    own = generator.surface(fields)
    finer = generator.extract(fields, grid=GridOptions(grid_resolution=48)).meshes
    for one, other in zip(own, finer, strict=True):
        assert max(volume_over_hull(one), volume_over_hull(other)) < 0.75


def test_bad_values():
    with pytest.raises(ValueError, match="cavity_wall must not be negative, and be a finite"):
        replace(CONFIG, cavity_wall=-0.1)
    with pytest.raises(ValueError, match='cavity_wall needs sdf_inside "positive"'):
        replace(CONFIG, sdf_inside="negative", sdf_base="none")
    grid = bcc_grid(24)
    bent = replace(grid, verts=grid.verts + 0.01 * grid.verts.roll(1, 1).sin() * grid.verts)
    with pytest.raises(ValueError, match="cavity_wall needs a regular grid, not one from a file"):
        Generator(CONFIG, grid=bent)
