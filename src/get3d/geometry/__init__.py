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
from get3d.geometry.dual_topology import DualTopology
from get3d.geometry.flexicubes import (
    CubeWeights,
    DualPoints,
    cube_weights,
    deviation_loss,
    dual_meshes,
    dual_topology,
    flexicubes,
    place_points,
)
from get3d.geometry.marching_tets import marching_tets, surface_meshes, surface_topology
from get3d.geometry.measures import (
    SurfaceSamples,
    connected_components,
    euler_number,
    face_areas,
    face_normals,
    is_manifold,
    is_oriented,
    is_watertight,
    sample_surface,
    signed_volume,
    surface_area,
    vertex_normals,
)
from get3d.geometry.normals import SplitNormals, split_normals
from get3d.geometry.pieces import (
    Kept,
    compact,
    piece_volumes,
    remove_floaters,
    remove_hidden_pieces,
)
from get3d.geometry.regularizers import (
    crossing_loss,
    empty_penalty,
    rescue_empty,
    sdf_sign_change_loss,
)
from get3d.geometry.slivers import Tidied, face_flatness, remove_slivers
from get3d.geometry.tet_grid import TetGrid, bcc_cells, bcc_grid, load_grid, make_grid
from get3d.geometry.topology import SurfaceTopology
from get3d.geometry.tracing import PackedField, TracedSurface, trace_surface, traced_meshes
from get3d.geometry.voxel_grid import VoxelGrid, cube_corners, voxel_grid

__all__ = [
    "CameraDistribution",
    "CubeWeights",
    "DualPoints",
    "DualTopology",
    "Kept",
    "PackedField",
    "SplitNormals",
    "SurfaceSamples",
    "SurfaceTopology",
    "TetGrid",
    "Tidied",
    "TracedSurface",
    "VoxelGrid",
    "bcc_cells",
    "bcc_grid",
    "camera_angles",
    "camera_origins",
    "clip_matrices",
    "compact",
    "connected_components",
    "crossing_loss",
    "cube_corners",
    "cube_weights",
    "deviation_loss",
    "dual_meshes",
    "dual_topology",
    "empty_penalty",
    "euler_number",
    "face_areas",
    "face_flatness",
    "face_normals",
    "flexicubes",
    "is_manifold",
    "is_oriented",
    "is_watertight",
    "load_grid",
    "make_grid",
    "marching_tets",
    "orbit_cameras",
    "piece_volumes",
    "place_points",
    "remove_floaters",
    "remove_hidden_pieces",
    "remove_slivers",
    "rescue_empty",
    "sample_cameras",
    "sample_surface",
    "sdf_sign_change_loss",
    "signed_volume",
    "split_normals",
    "surface_area",
    "surface_meshes",
    "surface_topology",
    "to_clip",
    "trace_surface",
    "traced_meshes",
    "vertex_normals",
    "voxel_grid",
]
