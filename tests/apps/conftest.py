import pytest
import torch

from get3d.apps import Model, ModelInfo
from get3d.models import Generator, GeneratorConfig

TINY = GeneratorConfig(
    z_dim=8,
    w_dim=8,
    mapping_layers=2,
    plane_resolution=8,
    channel_base=64,
    channel_max=8,
    mlp_width=8,
    grid_resolution=12,
    sdf_base="sphere",
    sdf_base_weight=0.02,  # so that random weights leave the surface inside the grid
)


@pytest.fixture
def model() -> Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Model(Generator(TINY), ModelInfo(name="tiny", description="Ünfug", licence="MIT"))
