"""Distances of shapes, and scores of sets of shapes and images: COV, MMD, 1-NNA, FID, KID."""

from get3d.metrics.chamfer import chamfer_distance, chamfer_matrix
from get3d.metrics.coverage import (
    coverage,
    minimum_matching_distance,
    minimum_matching_distance_by_label,
    nearest_neighbour_accuracy,
    with_invalid,
)
from get3d.metrics.features import FeatureExtractor
from get3d.metrics.frechet import FeatureMoments, feature_moments, frechet_distance
from get3d.metrics.hollowness import volume_over_hull
from get3d.metrics.inception import load_inception
from get3d.metrics.kid import KernelProtocol, kernel_distance
from get3d.metrics.light_field import (
    LightFieldProtocol,
    light_field_descriptor,
    light_field_distance,
)
from get3d.metrics.light_field_matrix import light_field_matrix
from get3d.metrics.points import PointProtocol, sample_points
from get3d.metrics.precision_recall import precision_recall
from get3d.metrics.shape_features import load_shape_features

__all__ = [
    "FeatureExtractor",
    "FeatureMoments",
    "KernelProtocol",
    "LightFieldProtocol",
    "PointProtocol",
    "chamfer_distance",
    "chamfer_matrix",
    "coverage",
    "feature_moments",
    "frechet_distance",
    "kernel_distance",
    "light_field_descriptor",
    "light_field_distance",
    "light_field_matrix",
    "load_inception",
    "load_shape_features",
    "minimum_matching_distance",
    "minimum_matching_distance_by_label",
    "nearest_neighbour_accuracy",
    "precision_recall",
    "sample_points",
    "volume_over_hull",
    "with_invalid",
]
