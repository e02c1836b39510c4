"""Checks of weights before a network is built."""

import pytest

from get3d.models import Generator, GeneratorConfig
from get3d.models.weights import skeleton
from tests.tiny import TINY

FLEXI = {"iso_surface": "flexicubes", "grid_resolution": 8}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"architecture": "separate"},
        FLEXI,
        {"mlp_hidden_layers": 3, "mapping_layers": 1},
        {"sdf_base": "sphere", "plane_noise": False},
    ],
)
def test_the_skeleton_has_the_tensors_of_the_generator(changes: dict[str, object]) -> None:
    config = GeneratorConfig(**(TINY | changes))
    expected = {name: each.shape for name, each in Generator(config).state_dict().items()}
    assert {name: each.shape for name, each in skeleton(config).items()} == expected
