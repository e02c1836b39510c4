"""Checkpoint files in the published format, with weights determined by their names."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.interop.test_published import FIXTURES, deterministic_tensor


def state_dict(name: str, salt: str | None = None) -> dict[str, Tensor]:
    """Tensors of a reference network; its own salt gives the weights of the reference."""
    described = json.loads((FIXTURES / f"{name}.json").read_text())
    return {
        key: deterministic_tensor(key, shape, salt or described["salt"])
        for key, shape in described["tensors"].items()
    }


def config_of(name: str) -> dict[str, Any]:
    """Options of a reference network."""
    config: dict[str, Any] = json.loads((FIXTURES / f"{name}.json").read_text())["config"]
    return config


def write_checkpoint(path: Path, name: str, **changes: Tensor | None) -> Path:
    """Write a file like the published ones: generator, its average, discriminator.

    The average has the weights of the reference; the others must not be taken for it. There are the
    fixed filters that the release saves too. `changes` replaces tensors of the average, or
    takes them out where they are None; dots are written as double underscores.
    """
    average = state_dict(name)
    backbone = next(key.split(".b4.")[0] for key in average if "tri_plane_synthesis.b4." in key)
    average[f"{backbone}.b8.resample_filter"] = torch.ones(4, 4)
    for key, tensor in changes.items():
        average.pop(key.replace("__", "."), None)
        if tensor is not None:
            average[key.replace("__", ".")] = tensor
    content = {
        "G": state_dict(name, salt="not the average"),
        "G_ema": average,
        "D": state_dict("discriminator_small"),
    }
    torch.save(content, path)
    return path
