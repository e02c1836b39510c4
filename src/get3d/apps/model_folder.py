"""Models on disk: a folder with `config.yaml`, `model.safetensors` and a card, `README.md`."""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import yaml
from torch import Tensor

from get3d.apps.model import UNKNOWN_LICENCE, Model, ModelInfo
from get3d.apps.model_card import write_card
from get3d.apps.model_grid import own_grid, take_grid
from get3d.core import atomic_path, from_dict, remove_leftovers, shorten, to_dict
from get3d.core.weights import fingerprint
from get3d.models import (
    Generator,
    GeneratorConfig,
    check_weight_type,
    check_weight_values,
    skeleton,
)

FORMAT = 1
CONFIG_NAME = "config.yaml"
WEIGHTS_NAME = "model.safetensors"
CARD_NAME = "README.md"


@dataclass(frozen=True, kw_only=True)
class _Info:
    """The part of `ModelInfo` that is saved."""

    name: str = "model"
    description: str = ""
    licence: str = UNKNOWN_LICENCE
    origin: str = ""
    is_unlit: bool = False


@dataclass(frozen=True, kw_only=True)
class _ModelFile:
    """What `config.yaml` holds.

    Attributes:
        format: Version of the folder's layout.
        written_by: Version of get3d.
        weights: Fingerprint of the weights that were saved with it; empty: not known.
        info: What the model is.
        generator: Sizes and options.
    """

    format: int
    written_by: str = ""
    weights: str = ""
    info: _Info = _Info()
    generator: GeneratorConfig


def save_model(model: Model, folder: Path | str) -> None:
    """Write a model folder; a model that is there is replaced, other files stay.

    Every file is written before the first takes its place. A stop between the first and the last
    leaves a folder that `read_model` refuses: no weights get the licence of others.

    Args:
        model: With its average weights, as training shows and saves them.
        folder: Made if it is missing; no other process may be saving to it.

    Raises:
        OSError: If the folder cannot be written.
    """
    folder = Path(folder)
    remove_leftovers(folder)
    config = model.generator.config
    info = _Info(
        name=model.info.name,
        description=model.info.description,
        licence=model.info.licence,
        origin=model.info.origin,
        is_unlit=model.info.is_unlit,
    )
    weights = fingerprint(model.generator)
    content = _ModelFile(
        format=FORMAT,
        written_by=version("get3d"),
        weights=weights,
        info=info,
        generator=config,
    )
    tensors = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in (model.generator.state_dict() | own_grid(model.generator)).items()
    }
    with ExitStack() as stack:
        config_path = stack.enter_context(atomic_path(folder / CONFIG_NAME))
        weights_path = stack.enter_context(atomic_path(folder / WEIGHTS_NAME))
        card_path = stack.enter_context(atomic_path(folder / CARD_NAME))
        metadata = {"generator": json.dumps(to_dict(config)), "weights": weights}
        weights_path.write_bytes(safetensors.torch.save(tensors, metadata))
        text = yaml.safe_dump(to_dict(content), sort_keys=False, allow_unicode=True)
        config_path.write_text(text, encoding="utf-8")
        card_path.write_text(write_card(model), encoding="utf-8")


def read_model(folder: Path, *, source: str, device: torch.device | str) -> Model:
    """Read a model folder.

    Args:
        folder: As `save_model` wrote it.
        source: What the user asked for, to be kept with the model.
        device: Where the network goes.

    Raises:
        FileNotFoundError: If one of its files is missing.
        ValueError: If a file is damaged, of another format, or does not belong to the others.
    """
    for name in (CONFIG_NAME, WEIGHTS_NAME):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"{folder} holds no {name}; a model folder has {CONFIG_NAME} and {WEIGHTS_NAME} "
                "(training writes one at its first checkpoint)"
            )
    content = _read_config(folder / CONFIG_NAME)
    tensors, recorded = _read_tensors(folder / WEIGHTS_NAME)
    _check_pair(folder, content, recorded)
    generator = _build(folder / WEIGHTS_NAME, content.generator, tensors)
    info = replace(_public_info(content), source=source)
    return Model(generator.to(device).requires_grad_(False).eval(), info)


def read_info(folder: Path) -> ModelInfo:
    """Read what a model folder says of its model, without its weights.

    Raises:
        OSError: If there is no such folder.
        ValueError: If its config is damaged or of another format.
    """
    return _public_info(_read_config(folder / CONFIG_NAME))


def _public_info(content: _ModelFile) -> ModelInfo:
    info = content.info
    return ModelInfo(
        name=info.name,
        description=info.description,
        licence=info.licence,
        origin=info.origin,
        is_unlit=info.is_unlit,
    )


class _Loader(yaml.SafeLoader):
    """YAML without references, which let a few lines stand for gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("references (*) are not accepted")
        return super().compose_node(parent, index)


def _read_config(path: Path) -> _ModelFile:
    encoded = path.read_bytes()
    try:
        content = yaml.load(encoded.decode("utf-8"), _Loader)
    except Exception as error:  # odd values lead PyYAML to any kind of it
        raise ValueError(f"{path} is no valid YAML: {_one_line(error)}") from error
    number = content.get("format") if isinstance(content, Mapping) else None
    if type(number) is not int or number.bit_length() > 31:
        raise ValueError(
            f"{path} is no model's config: it has no format number; a model folder is written by "
            "get3d train or get3d.apps.save_model"
        )
    if number != FORMAT:
        suggestion = (
            "upgrade get3d to read it" if number > FORMAT else "save it again with get3d 0.1"
        )
        raise ValueError(
            f"{path} has format {number}, this get3d ({version('get3d')}) reads {FORMAT}; "
            f"{suggestion}"
        )
    try:
        return from_dict(_ModelFile, content)
    except ValueError as error:
        author = str(content.get("written_by") or "unknown")[:30]
        if author == version("get3d"):
            raise ValueError(f"{path}: {error}") from error
        raise ValueError(
            f"{path}: {error} (it was written by get3d {author}, this is {version('get3d')}; "
            "another version may read it)"
        ) from error


def _read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read all tensors, and what was recorded of the config that they were saved with."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            recorded = {"generator": json.loads(metadata.get("generator", "{}"))}
            if not isinstance(recorded["generator"], dict):
                raise TypeError("the recorded config has no named values")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, recorded | {"weights": metadata.get("weights", "")}
    except OSError:
        raise
    except Exception as error:  # hostile bytes lead to any kind of it
        raise ValueError(
            f"{path} is damaged or no safetensors file ({_one_line(error)}); copy or download it "
            "again"
        ) from error


def _check_pair(folder: Path, content: _ModelFile, recorded: dict[str, Any]) -> None:
    """Refuse weights that were saved with another config than the one beside them."""
    beside = to_dict(content.generator)
    pairs = {
        key: (beside[key], recorded["generator"][key])
        for key in beside
        if key in recorded["generator"]
    }
    if content.weights and recorded["weights"]:
        pairs["weights"] = content.weights, recorded["weights"]
    for key, (here, there) in pairs.items():
        if here != there:
            raise ValueError(
                f"{folder}: {CONFIG_NAME} and {WEIGHTS_NAME} do not belong together: "
                f"{key} is {shorten(here)} in the one and {shorten(there)} in the other; "
                "copy both from the same model"
            )


def _build(path: Path, config: GeneratorConfig, tensors: dict[str, Tensor]) -> Generator:
    """Make a generator and fill it, checking every name, shape, type and number first."""
    grid = take_grid(path, config, tensors)
    _check_shapes(path, config, tensors)
    for name, tensor in tensors.items():
        check_weight_type(f"{path}: {name}", tensor)
        check_weight_values(f"{path}: {name}", tensor)
    with torch.random.fork_rng(devices=[]):  # the weights drawn here are replaced below
        generator = Generator(config, grid=grid)
    generator.load_state_dict(tensors)
    return generator


def _check_shapes(path: Path, config: GeneratorConfig, tensors: dict[str, Tensor]) -> None:
    """Refuse tensors that are not those of the config, before any memory is spent on it."""
    what = f"{path} does not fit {CONFIG_NAME}"
    suggestion = "copy both from the same model"
    num_layers = max(config.mapping_layers, config.mlp_hidden_layers)
    if num_layers > len(tensors):
        raise ValueError(
            f"{what}: {len(tensors)} tensors cannot be {num_layers} layers; {suggestion}"
        )
    try:
        wanted = skeleton(config)
    except ValueError as error:
        raise ValueError(f"{path.with_name(CONFIG_NAME)}: {error}; {suggestion}") from error
    for name in [*wanted, *tensors]:
        if name not in tensors or name not in wanted:
            where = CONFIG_NAME if name not in tensors else WEIGHTS_NAME
            raise ValueError(f"{what}: {name} is only in {where}; {suggestion}")
        found, expected = list(tensors[name].shape), list(wanted[name].shape)
        if found != expected:
            raise ValueError(
                f"{what}: {name} has shape {found}, the config wants {expected}; {suggestion}"
            )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
