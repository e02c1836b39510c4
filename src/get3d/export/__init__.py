"""Textured meshes as files: UV atlas, texture bake, GLB, OBJ, PLY and USDZ."""

from get3d.export.assets import AssetOptions, color_vertices, make_asset
from get3d.export.atlas import unwrap
from get3d.export.bake import bake_texture, texture_mesh
from get3d.export.clean import NONE_FOUND, Cleaned, Cleaning, clean_mesh, decimate
from get3d.export.files import EXPORT_SUFFIXES, JPEG_SUFFIXES, check_export_suffix, save
from get3d.export.glb import encode_glb, save_glb
from get3d.export.materials import check_channels, make_material
from get3d.export.obj import save_obj
from get3d.export.placement import Placement, place
from get3d.export.ply import save_ply
from get3d.export.texture_size import TextureSize, check_texture_size, choose_texture_size
from get3d.export.usdz import save_usdz

__all__ = [
    "EXPORT_SUFFIXES",
    "JPEG_SUFFIXES",
    "NONE_FOUND",
    "AssetOptions",
    "Cleaned",
    "Cleaning",
    "Placement",
    "TextureSize",
    "bake_texture",
    "check_channels",
    "check_export_suffix",
    "check_texture_size",
    "choose_texture_size",
    "clean_mesh",
    "color_vertices",
    "decimate",
    "encode_glb",
    "make_asset",
    "make_material",
    "place",
    "save",
    "save_glb",
    "save_obj",
    "save_ply",
    "save_usdz",
    "texture_mesh",
    "unwrap",
]
