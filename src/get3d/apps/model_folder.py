"""Model folders: `config.yaml`, `model.safetensors` and a card, `README.md`."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import yaml
from torch import Tensor

from get3d import __version__
from get3d.apps.model import UNKNOWN_LICENCE, Model, ModelInfo
from get3d.apps.model_card import write_card
from get3d.apps.model_grid import custom_grid_tensors, pop_grid
from get3d.core import (
    ConfigError,
    ModelError,
    atomic_path,
    from_dict,
    remove_leftovers,
    shorten,
    to_dict,
)
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
    seen_images: int | None = None
    saved_at: str = ""


@dataclass(frozen=True, kw_only=True)
class _ModelFile:
    """Content of `config.yaml`.

    Attributes:
        format: Version of the folder's layout.
        written_by: Version of get3d.
        weights: Fingerprint of the weights that were saved with it; empty if unknown.
        sha256: Digest of the weights file; empty in folders of earlier versions.
        info: Description of the model.
        generator: Config of the network.
    """

    format: int
    written_by: str = ""
    weights: str = ""
    sha256: str = ""
    info: _Info = _Info()
    generator: GeneratorConfig


def save_model(model: Model, folder: Path | str) -> None:
    """Write a model folder; an existing model is replaced, other files stay.

    Every file is written to a temporary name before the first is renamed. If that is interrupted,
    `read_model` rejects the folder, so no weights get the licence of others.

    Args:
        model: The model, with its average weights.
        folder: Made if it is missing; no other process may be saving to it.

    Raises:
        OSError: If the folder cannot be written.
    """
    folder = Path(folder)
    remove_leftovers(folder)
    config = model.generator.config
    info = _Info(**{name: getattr(model.info, name) for name in to_dict(_Info())})
    weights = fingerprint(model.generator)
    tensors = model.generator.state_dict() | custom_grid_tensors(model.generator)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    metadata = {"generator": json.dumps(to_dict(config)), "weights": weights}
    weights_bytes = safetensors.torch.save(tensors, metadata)
    content = _ModelFile(
        format=FORMAT,
        written_by=__version__,
        weights=weights,
        sha256=hashlib.sha256(weights_bytes).hexdigest(),
        info=info,
        generator=config,
    )
    with ExitStack() as stack:
        config_path = stack.enter_context(atomic_path(folder / CONFIG_NAME))
        weights_path = stack.enter_context(atomic_path(folder / WEIGHTS_NAME))
        card_path = stack.enter_context(atomic_path(folder / CARD_NAME))
        weights_path.write_bytes(weights_bytes)
        text = yaml.safe_dump(to_dict(content), sort_keys=False, allow_unicode=True)
        config_path.write_text(text, encoding="utf-8")
        card_path.write_text(write_card(model), encoding="utf-8")


def read_model(folder: Path, *, source: str, device: torch.device | str) -> Model:
    """Read a model folder.

    Args:
        folder: Folder written by `save_model`.
        source: Name of the model as the user gave it; kept in its description.
        device: Device of the network.

    Raises:
        FileNotFoundError: If one of its files is missing.
        ModelError: If a file is damaged, of another format, or does not belong to the others.
    """
    for name in (CONFIG_NAME, WEIGHTS_NAME):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"{folder} holds no {name}; a model folder has {CONFIG_NAME} and {WEIGHTS_NAME} "
                "(training writes one with its first sample)"
            )
    before = (folder / CONFIG_NAME).read_bytes()
    try:
        content = _read_config(folder / CONFIG_NAME)
        tensors, recorded = _read_tensors(folder / WEIGHTS_NAME)
        _check_pair(folder, content, recorded)
        _check_digest(folder / WEIGHTS_NAME, content.sha256)
    except ModelError:
        if (folder / CONFIG_NAME).read_bytes() == before:
            raise
        # A run has written its next model in between.
        return read_model(folder, source=source, device=device)
    generator = _build(folder / WEIGHTS_NAME, content.generator, tensors)
    info = replace(_public_info(content), source=source)
    return Model(generator.to(device).requires_grad_(False).eval(), info)


def read_info(folder: Path) -> ModelInfo:
    """Read the description of the model in a folder, without its weights.

    Raises:
        OSError: If there is no such folder.
        ModelError: If its config is damaged or of another format.
    """
    return _public_info(_read_config(folder / CONFIG_NAME))


def _public_info(content: _ModelFile) -> ModelInfo:
    """Convert the saved description to `ModelInfo`."""
    return ModelInfo(**to_dict(content.info))


class _Loader(yaml.SafeLoader):
    """YAML without aliases, which let a few lines expand to gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*) are not accepted")
        return super().compose_node(parent, index)


def _read_config(path: Path) -> _ModelFile:
    """Read and validate `config.yaml`."""
    encoded = path.read_bytes()
    try:
        content = yaml.load(encoded.decode("utf-8"), _Loader)
    except Exception as error:  # PyYAML raises any kind of error for odd values
        raise ModelError(f"{path} is no valid YAML: {_one_line(error)}") from error
    number = content.get("format") if isinstance(content, Mapping) else None
    if type(number) is not int or number.bit_length() > 31:
        raise ModelError(
            f"{path} is no model's config: it has no format number; a model folder is written by "
            "get3d train or get3d.apps.save_model"
        )
    if number != FORMAT:
        suggestion = (
            "upgrade get3d to read it" if number > FORMAT else "save it again with get3d 0.1"
        )
        raise ModelError(
            f"{path} has format {number}, this get3d ({__version__}) reads {FORMAT}; {suggestion}"
        )
    try:
        return from_dict(_ModelFile, content)
    except ConfigError as error:
        author = str(content.get("written_by") or "unknown")[:30]
        if author == __version__:
            raise ModelError(f"{path}: {error}") from error
        raise ModelError(
            f"{path}: {error} (it was written by get3d {author}, this is {__version__}; "
            "another version may read it)"
        ) from error


def _read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read all tensors, and the recorded config that they were saved with."""
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
    except Exception as error:  # damaged files raise any kind of error
        raise ModelError(
            f"{path} is damaged or no safetensors file ({_one_line(error)}); copy or download it "
            "again"
        ) from error


def _check_pair(folder: Path, content: _ModelFile, recorded: dict[str, Any]) -> None:
    """Raise ModelError if the weights were saved with another config."""
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
            raise ModelError(
                f"{folder}: {CONFIG_NAME} and {WEIGHTS_NAME} do not belong together: "
                f"{key} is {shorten(here)} in the one and {shorten(there)} in the other; "
                "copy both from the same model"
            )


def _check_digest(path: Path, recorded: str) -> None:
    """Raise ModelError if the weights file is not the one that the config was written with."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if recorded and digest != recorded:
        raise ModelError(
            f"{path} is damaged: its SHA-256 is {digest[:16]}..., {CONFIG_NAME} has "
            f"{shorten(recorded)}; copy or download both again"
        )


def _build(path: Path, config: GeneratorConfig, tensors: dict[str, Tensor]) -> Generator:
    """Make a generator with the weights, after a check of every name, shape, type and value."""
    grid = pop_grid(path, config, tensors)
    _check_shapes(path, config, tensors)
    for name, tensor in tensors.items():
        check_weight_type(f"{path}: {name}", tensor)
        check_weight_values(f"{path}: {name}", tensor)
    with torch.random.fork_rng(devices=[]):  # the weights drawn here are replaced below
        generator = Generator(config, grid=grid)
    generator.load_state_dict(tensors)
    return generator


def _check_shapes(path: Path, config: GeneratorConfig, tensors: dict[str, Tensor]) -> None:
    """Raise ModelError if the tensors do not fit the config, before the network is allocated."""
    what = f"{path} does not fit {CONFIG_NAME}"
    suggestion = "copy both from the same model"
    try:
        expected = skeleton(config)
    except ConfigError as error:
        raise ModelError(f"{path.with_name(CONFIG_NAME)}: {error}; {suggestion}") from error
    for name in [*expected, *tensors]:
        if name not in tensors or name not in expected:
            where = CONFIG_NAME if name not in tensors else WEIGHTS_NAME
            raise ModelError(f"{what}: {name} is only in {where}; {suggestion}")
        found, needed = list(tensors[name].shape), list(expected[name].shape)
        if found != needed:
            raise ModelError(
                f"{what}: {name} has shape {found}, the config needs {needed}; {suggestion}"
            )


def _one_line(error: Exception) -> str:
    """Format an error as at most 200 characters without line breaks."""
    return " ".join(str(error).split())[:200]
