from pathlib import Path

import pytest
import torch

from get3d.apps import Model, save_model
from get3d.models import Generator, GeneratorConfig
from tests.tiny import TINY


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network: a ball with bumps."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("model")
    config = GeneratorConfig(**TINY, sdf_base="sphere")
    save_model(Model(Generator(config)), folder)
    return folder
