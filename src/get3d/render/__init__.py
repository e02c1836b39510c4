"""Differentiable rasterisation: visible faces, G-buffer, antialiasing and shading."""

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
from get3d.render.materials import apply_alpha_modes, material_channels, sample_texture
from get3d.render.occlusion import (
    LayeredPixels,
    Occlusions,
    find_occlusions,
    from_centre,
    layer_pixels,
)
from get3d.render.rasterizer import rasterize, rasterize_views
from get3d.render.shading import (
    Channels,
    ColorFn,
    Shading,
    diffuse,
    render_colored,
    render_textured,
)
from get3d.render.views import PackedViews, pack_views, project_meshes

__all__ = [
    "Channels",
    "ColorFn",
    "LayeredPixels",
    "LearnedLight",
    "Light",
    "Occlusions",
    "PackedViews",
    "Pixels",
    "Shading",
    "SurfacePoints",
    "antialias_mask",
    "apply_alpha_modes",
    "covered_pixels",
    "diffuse",
    "find_occlusions",
    "from_centre",
    "interpolate",
    "layer_pixels",
    "material_channels",
    "pack_views",
    "project_meshes",
    "rasterize",
    "rasterize_views",
    "render_colored",
    "render_mask",
    "render_mesh",
    "render_meshes",
    "render_textured",
    "sample_texture",
    "surface_points",
]
