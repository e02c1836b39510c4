"""Cameras, tetrahedral grids, surface extraction and measures of surfaces."""

from get3d.geometry.cameras import (
    CameraDistribution,
    camera_angles,
    camera_origins,
    clip_matrices,
    orbit_cameras,
    sample_cameras,
    to_clip,
)
from get3d.geometry.marching_tets import (
    SurfaceTopology,
    marching_tets,
    surface_meshes,
    surface_topology,
)
from get3d.geometry.tet_grid import TetGrid, bcc_grid, load_grid, make_grid

__all__ = [
    "CameraDistribution",
    "SurfaceTopology",
    "TetGrid",
    "bcc_grid",
    "camera_angles",
    "camera_origins",
    "clip_matrices",
    "load_grid",
    "make_grid",
    "marching_tets",
    "orbit_cameras",
    "sample_cameras",
    "surface_meshes",
    "surface_topology",
    "to_clip",
]
