"""Rasterising with gradients: which face each pixel sees, and everything that follows from it."""

from get3d.render.antialiasing import antialias_mask
from get3d.render.gbuffer import (
    Pixels,
    SurfacePoints,
    covered_pixels,
    interpolate,
    render_mask,
    render_mesh,
    render_meshes,
    surface_points,
)
from get3d.render.lighting import LearnedLight, Light
from get3d.render.occlusion import (
    LayeredPixels,
    Occlusions,
    find_occlusions,
    from_centre,
    layer_pixels,
)
from get3d.render.rasterizer import rasterize, rasterize_views
from get3d.render.shading import ColorFn, render_colored, render_textured
from get3d.render.views import Views, pack_views, project_meshes

__all__ = [
    "ColorFn",
    "LayeredPixels",
    "LearnedLight",
    "Light",
    "Occlusions",
    "Pixels",
    "SurfacePoints",
    "Views",
    "antialias_mask",
    "covered_pixels",
    "find_occlusions",
    "from_centre",
    "interpolate",
    "layer_pixels",
    "pack_views",
    "project_meshes",
    "rasterize",
    "rasterize_views",
    "render_colored",
    "render_mask",
    "render_mesh",
    "render_meshes",
    "render_textured",
    "surface_points",
]
