"""Procedural categories: textured watertight shapes with part names, labels and captions."""

from get3d_shapes.category import (
    CATEGORIES,
    GENERATOR_VERSION,
    SPLITS,
    Shape,
    build_shape,
    shape_seed,
)
from get3d_shapes.folder import ShapesConfig, ShapesReport, write_shape_folder

__all__ = [
    "CATEGORIES",
    "GENERATOR_VERSION",
    "SPLITS",
    "Shape",
    "ShapesConfig",
    "ShapesReport",
    "build_shape",
    "shape_seed",
    "write_shape_folder",
]
