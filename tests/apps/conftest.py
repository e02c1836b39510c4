import pytest
import torch

from get3d.apps import Model, ModelInfo
from get3d.models import Generator, GeneratorConfig
from tests.tiny import TINY


@pytest.fixture
def model() -> Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = GeneratorConfig(**TINY, sdf_base="sphere", sdf_base_weight=0.02)
        return Model(Generator(config), ModelInfo(name="tiny", description="Ünfug", licence="MIT"))
