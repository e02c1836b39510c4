"""The networks: layers, mapping, tri-planes, volume, fields, generator, discriminators."""

from get3d.models.config import GeneratorConfig, GridOptions, ImagingConfig
from get3d.models.discriminator import Discriminator, DiscriminatorConfig
from get3d.models.feature_network import FeatureNetwork, load_feature_network
from get3d.models.fields import Fields
from get3d.models.generator import Generator
from get3d.models.mapping import cross_styles, mix_styles
from get3d.models.surface import Surface
from get3d.models.triplane import sample_triplane
from get3d.models.weights import check_weight_type, check_weight_values, skeleton

__all__ = [
    "Discriminator",
    "DiscriminatorConfig",
    "FeatureNetwork",
    "Fields",
    "Generator",
    "GeneratorConfig",
    "GridOptions",
    "ImagingConfig",
    "Surface",
    "check_weight_type",
    "check_weight_values",
    "cross_styles",
    "load_feature_network",
    "mix_styles",
    "sample_triplane",
    "skeleton",
]
