"""Procedural categories: textured watertight shapes with names, labels and captions."""

from get3d.data.shapes.category import (
    CATEGORIES,
    GENERATOR_VERSION,
    SPLITS,
    Shape,
    make_shape,
    shape_seed,
)

__all__ = ["CATEGORIES", "GENERATOR_VERSION", "SPLITS", "Shape", "make_shape", "shape_seed"]
