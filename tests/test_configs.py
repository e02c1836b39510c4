from pathlib import Path

import pytest
import yaml

from get3d.config import load_config
from get3d.core import from_dict, preset_names, to_dict
from get3d.training import RunConfig


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_understood_and_survives_saving(name: str) -> None:
    config = load_config(name)
    saved = yaml.safe_dump(to_dict(config))
    assert from_dict(RunConfig, yaml.safe_load(saved)) == config


def test_there_are_presets_for_both_ends() -> None:
    assert {"tiny-64", "published-1024"} <= set(preset_names())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("loss: {r1_gama: 1}", r"mine\.yaml: unknown key loss\.r1_gama; did you mean r1_gamma\?"),
        ("loss: {r1_gamma: 1e-3}", r"mine\.yaml: loss\.r1_gamma must be a number.* 1\.0e-3"),
        ("loss: {r1_gamma: -1}", r"mine\.yaml: loss: r1_gamma must not be negative"),
        ("loss: {mask_weight: -1}", r"mine\.yaml: loss: mask_weight must not be negative"),
        (
            "loss: {flexi_deviation_weight: -1}",
            r"mine\.yaml: loss: flexi_deviation_weight must not be negative",
        ),
        (
            "generator: {iso_surface: flexicube}",
            r"mine\.yaml: generator\.iso_surface must be .*flexicubes",
        ),
        (
            "generator: {iso_surface: flexicubes, architecture: separate}",
            r'mine\.yaml: generator: iso_surface "flexicubes" needs architecture "unified"',
        ),
        ("schedule: {batch_size: 6}", r"mine\.yaml: discriminator\.mbstd_group_size must divide"),
        ("[]", r"mine\.yaml: the configuration must be named values"),
        ("loss: [", r"mine\.yaml is no valid YAML"),
        ("just words", r"mine\.yaml: the configuration must be named values"),
    ],
)
def test_wrong_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_config(path)
