"""Procedural categories: textured watertight shapes with names, labels and captions."""
