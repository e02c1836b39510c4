import pytest
import torch

from get3d.models import Generator, GeneratorConfig

TINY = {
    "z_dim": 8,
    "w_dim": 8,
    "mapping_layers": 2,
    "plane_resolution": 16,
    "channel_base": 128,
    "channel_max": 8,
    "mlp_width": 8,
    "grid_resolution": 12,
    "volume_resolution": 8,
    "volume_channel_max": 8,
    "volume_mlp_width": 8,
}


@pytest.fixture(params=["unified", "separate"])
def generator(request: pytest.FixtureRequest) -> Generator:
    """A generator of either kind small enough for double precision."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = GeneratorConfig(architecture=request.param, **TINY)
        return Generator(config).double()
