import json
from typing import Any

import pytest
import torch
from torch import Tensor

from get3d.core import ModelError
from get3d.interop import load_generator, recognise_generator
from get3d.models import Generator, GeneratorConfig
from tests.interop.test_published import FIXTURES, read

# What leaves no trace in the tensors, and what the generator does not depend on.
UNSEEN = {"tet_res", "dmtet_scale", "img_resolution"}
DEFAULTS = {"n_implicit_layer": 1, "mlp_latent_channel": 32}
BACKBONE = "synthesis.generator.tri_plane_synthesis"
NETWORKS = [
    "unified_small",
    "unified_full",
    "unified_flexi_small",
    "separate_small",
    "separate_full",
]


def described(name: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Options and tensors of a published network; the tensors have shapes but no numbers."""
    content = json.loads((FIXTURES / f"{name}.json").read_text())
    shapes = content["tensors"]
    return content["config"], {
        key: torch.empty(shape, device="meta") for key, shape in shapes.items()
    }


@pytest.mark.parametrize("name", NETWORKS)
def test_every_published_network_is_recognised(name: str) -> None:
    config, tensors = described(name)
    seen = {key: value for key, value in config.items() if key not in UNSEEN}
    assert recognise_generator(tensors) == seen | DEFAULTS


def test_the_point_networks_are_measured() -> None:
    _, tensors = described("unified_small")
    prefix = "synthesis.generator.mlp_synthesis_tex.layers"
    tensors[f"{prefix}.0.weight"] = torch.empty(48, 32, device="meta")
    tensors[f"{prefix}.2.weight"] = torch.empty(16, 48, device="meta")
    found = recognise_generator(tensors)
    assert (found["mlp_latent_channel"], found["n_implicit_layer"]) == (48, 2)
    for layer in (0, 1):
        tensors[f"{prefix}.{layer}.weight"] = torch.empty(16, 32, device="meta")
    del tensors[f"{prefix}.1.weight"]
    assert recognise_generator(tensors)["n_implicit_layer"] == 0


@pytest.mark.parametrize("base", [96, 100, 128, 200, 512, 4096])
@pytest.mark.parametrize("most", [8, 20, 64])
def test_the_rule_of_widths_gives_the_same_network(base: int, most: int) -> None:
    widths = {size: min(base // size, most) for size in (4, 8, 16, 32)}
    tensors = {
        f"{BACKBONE}.b{size}.conv1.weight": torch.empty(width, width, 3, 3, device="meta")
        for size, width in widths.items()
    }
    tensors["mapping.fc0.weight"] = torch.empty(8, 4, device="meta")
    found = recognise_generator(tensors)
    assert (found["w_dim"], found["z_dim"], found["tri_plane_resolution"]) == (8, 4, 32)
    again = {size: min(found["channel_base"] // size, found["channel_max"]) for size in widths}
    assert again == widths


def test_what_is_recognised_loads() -> None:
    reference = read("unified_flexi_small")
    config = recognise_generator(reference.state_dict) | {"tet_res": 8, "dmtet_scale": 0.8}
    generator = load_generator(reference.state_dict, config=config)
    assert generator.config.iso_surface == "flexicubes"
    assert generator.config.scale == 0.8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({f"{BACKBONE}.b16.conv1.weight": None}, "not the tensors of a published GET3D generator"),
        ({f"{BACKBONE}.b4.conv1.weight": None}, "not the tensors of a published GET3D generator"),
        ({"mapping.fc0.weight": None}, r"no mapping\.fc0\.weight"),
        ({"mapping.fc0.weight": (64,)}, r"mapping\.fc0\.weight has shape \[64\]"),
        ({"mapping.fc0.weight": (64, 0)}, r"has shape \[64, 0\], .* none empty"),
        ({f"{BACKBONE}.b8.conv1.weight": (16, 32, 3, 3)}, "widths .* which no channel_base"),
    ],
)
def test_other_tensors(change: dict[str, tuple[int, ...] | None], message: str) -> None:
    _, tensors = described("unified_small")
    for name, shape in change.items():
        del tensors[name]
        if shape is not None:
            tensors[name] = torch.empty(shape, device="meta")
    with pytest.raises(ModelError, match=message):
        recognise_generator(tensors)


@pytest.mark.parametrize("tensors", [{}, {"layers.0.weight": torch.ones(3, 3)}])
def test_networks_of_others(tensors: dict[str, Tensor]) -> None:
    with pytest.raises(ModelError, match="not the tensors of a published GET3D generator"):
        recognise_generator(tensors)


def test_wrong_sizes_need_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few names and a small tensor can claim a network of terabytes."""

    def build(self: Generator, config: GeneratorConfig, **_others: Any) -> None:
        raise AssertionError("the network was built")

    reference = read("unified_small")
    monkeypatch.setattr(Generator, "__init__", build)
    config = reference.config | {"tri_plane_resolution": 2**12, "channel_base": 2**20}
    with pytest.raises(ModelError, match="tensors do not fit the configuration"):
        load_generator(reference.state_dict, config=config)
