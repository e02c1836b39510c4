import pytest
import torch

from get3d.models import Generator, GeneratorConfig
from tests.tiny import TINY


@pytest.fixture(params=["unified", "separate"])
def generator(request: pytest.FixtureRequest) -> Generator:
    """A generator of either kind small enough for double precision."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = GeneratorConfig(architecture=request.param, **TINY)
        return Generator(config).double()
