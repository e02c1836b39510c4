"""Procedural categories: textured watertight shapes with names, labels and captions."""

from get3d.data.shapes.category import CATEGORIES, SPLITS, Shape, make_shape, shape_seed

__all__ = ["CATEGORIES", "SPLITS", "Shape", "make_shape", "shape_seed"]
