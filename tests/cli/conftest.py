from pathlib import Path

import pytest
import torch

from get3d.apps import Model, save_model
from get3d.models import Generator, GeneratorConfig


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network: a ball with bumps."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("model")
    config = GeneratorConfig(
        z_dim=8, w_dim=8, plane_resolution=8, channel_base=32, grid_resolution=10, sdf_base="sphere"
    )
    save_model(Model(Generator(config)), folder)
    return folder
