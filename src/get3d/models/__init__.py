"""The networks, in the order in which data flows through them (figure 2 of the paper).

1. `mapping.py`: the mapping networks, from latent codes z to styles w; truncation, style mixing.
2. `synthesis.py`: 2D synthesis networks, from styles to the tri-planes of texture and, in the
   unified generator, of geometry. `volume.py`: the 3D network for geometry of the separate
   generator, and its field.
3. `triplane_fields.py`: small networks behind lookups in tri-planes: signed distance, deformation,
   FlexiCubes weights, colour.
4. `fields.py`: geometry of either kind and texture as functions of space; the later steps use
   nothing else.
5. `surface.py`: the iso-surface, by tetrahedra (DMTet, as in the figure) or FlexiCubes.
6. `rendering.py`: RGB images and masks of the rasterised meshes.
7. `discriminator.py`: the discriminators of RGB images and masks. `feature_network.py` and
   `feature_discriminator.py`: one on frozen features (projected GAN; not in the paper).

`generator.py` puts 1 to 6 together and is the place to start. `config.py` holds the sizes and
options, `layers.py` the equalised and modulated layers, `ops/` operations without learned
parameters, `weights.py` checks of a generator's weights before the generator is built.
"""

from get3d.models.config import GeneratorConfig, GridOptions, TrainingRenderConfig
from get3d.models.discriminator import DiscriminatorConfig, DiscriminatorPair
from get3d.models.feature_network import FeatureNetwork, load_feature_network
from get3d.models.fields import Fields
from get3d.models.generator import Generator
from get3d.models.mapping import cross_styles, mix_styles
from get3d.models.ops import sample_triplane
from get3d.models.surface import Surface
from get3d.models.weights import check_weight_type, check_weight_values, skeleton

__all__ = [
    "DiscriminatorConfig",
    "DiscriminatorPair",
    "FeatureNetwork",
    "Fields",
    "Generator",
    "GeneratorConfig",
    "GridOptions",
    "Surface",
    "TrainingRenderConfig",
    "check_weight_type",
    "check_weight_values",
    "cross_styles",
    "load_feature_network",
    "mix_styles",
    "sample_triplane",
    "skeleton",
]
