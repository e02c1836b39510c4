"""Models on disk: a folder with `config.yaml`, `model.safetensors` and a card, `README.md`."""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from get3d.apps.model import Model, ModelInfo
from get3d.apps.model_card import write_card
from get3d.core.files import atomic_path
from get3d.core.strict import from_dict, to_dict
from get3d.geometry import TetGrid, VoxelGrid, bcc_grid, make_grid
from get3d.models import Generator, GeneratorConfig

FORMAT = 1
CONFIG_NAME = "config.yaml"
WEIGHTS_NAME = "model.safetensors"
CARD_NAME = "README.md"
_GRID_PREFIX = "grid."


@dataclass(frozen=True, kw_only=True)
class _Info:
    """The part of `ModelInfo` that is saved."""

    name: str = "model"
    description: str = ""
    licence: str = "unknown"
    origin: str = ""


@dataclass(frozen=True, kw_only=True)
class _ModelFile:
    """What `config.yaml` holds.

    Attributes:
        format: Version of the folder's layout.
        written_by: Version of get3d.
        info: What the model is.
        generator: Sizes and options.
    """

    format: int
    written_by: str = ""
    info: _Info = _Info()
    generator: GeneratorConfig


def save_model(model: Model, folder: Path | str) -> None:
    """Write a model folder; a model that is there is replaced, other files stay.

    Every file is written before the first takes its place.

    Args:
        model: With its average weights, as training shows and saves them.
        folder: Made if it is missing.

    Raises:
        OSError: If the folder cannot be written.
    """
    folder = Path(folder)
    config = model.generator.config
    info = _Info(
        name=model.info.name,
        description=model.info.description,
        licence=model.info.licence,
        origin=model.info.origin,
    )
    content = to_dict(
        _ModelFile(format=FORMAT, written_by=version("get3d"), info=info, generator=config)
    )
    tensors = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in (model.generator.state_dict() | _own_grid(model.generator)).items()
    }
    with ExitStack() as stack:
        config_path = stack.enter_context(atomic_path(folder / CONFIG_NAME))
        weights_path = stack.enter_context(atomic_path(folder / WEIGHTS_NAME))
        card_path = stack.enter_context(atomic_path(folder / CARD_NAME))
        save_file(tensors, weights_path, metadata={"generator": json.dumps(to_dict(config))})
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        config_path.write_text(text, encoding="utf-8")
        weights_path.chmod(config_path.stat().st_mode)  # safetensors makes it the owner's alone
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
    tensors, wanted = _read_tensors(folder / WEIGHTS_NAME)
    _check_pair(folder, content.generator, wanted)
    generator = _build(folder / WEIGHTS_NAME, content.generator, tensors)
    info = ModelInfo(
        name=content.info.name,
        description=content.info.description,
        licence=content.info.licence,
        origin=content.info.origin,
        source=source,
    )
    return Model(generator.to(device).requires_grad_(False).eval(), info)


def _own_grid(generator: Generator) -> dict[str, Tensor]:
    """Give the grid's tensors, unless the config says all there is to know of it."""
    config, grid = generator.config, generator.grid
    if isinstance(grid, VoxelGrid):
        return {}
    made = bcc_grid(config.grid_resolution, scale=config.scale)
    is_made = (
        made.verts.shape == grid.verts.shape
        and made.tets.shape == grid.tets.shape
        and torch.allclose(made.verts.to(grid.verts), grid.verts, atol=1e-6)
        and torch.equal(made.tets, grid.tets.cpu())
    )
    if is_made:
        return {}
    return {f"{_GRID_PREFIX}verts": grid.verts, f"{_GRID_PREFIX}tets": grid.tets.int()}


def _read_config(path: Path) -> _ModelFile:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no valid YAML: {_one_line(error)}") from error
    number = content.get("format") if isinstance(content, Mapping) else None
    if type(number) is not int:
        raise ValueError(
            f"{path} is no model's config: it has no format number; a model folder is written by "
            "get3d train or get3d.apps.save_model"
        )
    if number != FORMAT:
        remedy = "upgrade get3d to read it" if number > FORMAT else "save it again with get3d 0.1"
        raise ValueError(
            f"{path} has format {number}, this get3d ({version('get3d')}) reads {FORMAT}; {remedy}"
        )
    try:
        return from_dict(_ModelFile, content)
    except ValueError as error:
        author = content.get("written_by") or "unknown"
        if author == version("get3d"):
            raise ValueError(f"{path}: {error}") from error
        raise ValueError(
            f"{path}: {error} (it was written by get3d {author}, this is {version('get3d')}; "
            "another version may read it)"
        ) from error


def _read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any] | None]:
    """Read all tensors, and the config that they were saved with where it is recorded."""
    try:
        with safe_open(path, framework="pt") as file:
            recorded = (file.metadata() or {}).get("generator")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, None if recorded is None else json.loads(recorded)
    except (SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{path} is damaged or no safetensors file ({_one_line(error)}); copy or download it "
            "again"
        ) from error


def _check_pair(folder: Path, config: GeneratorConfig, recorded: dict[str, Any] | None) -> None:
    """Refuse weights that were saved with another config than the one beside them."""
    if recorded is None:
        return
    beside = to_dict(config)
    for key in recorded:
        if key in beside and recorded[key] != beside[key]:
            raise ValueError(
                f"{folder}: {CONFIG_NAME} and {WEIGHTS_NAME} do not belong together: "
                f"{key} is {beside[key]} in the one and {recorded[key]} in the other; "
                "copy both from the same model"
            )


def _build(path: Path, config: GeneratorConfig, tensors: dict[str, Tensor]) -> Generator:
    """Make a generator and fill it, checking every name, shape and number."""
    grid_tensors = {
        name.removeprefix(_GRID_PREFIX): tensors.pop(name)
        for name in list(tensors)
        if name.startswith(_GRID_PREFIX)
    }
    grid: TetGrid | None = None
    if grid_tensors:
        if grid_tensors.keys() != {"verts", "tets"}:
            raise ValueError(f"{path} holds half a grid: {', '.join(sorted(grid_tensors))}")
        tets = grid_tensors["tets"].long()
        grid = make_grid(grid_tensors["verts"], tets, resolution=config.grid_resolution)
    with torch.random.fork_rng(devices=[]):  # the weights drawn here are replaced below
        generator = Generator(config, grid=grid)
    wanted = generator.state_dict()
    for name in [*wanted, *tensors]:
        if name not in tensors or name not in wanted:
            where = CONFIG_NAME if name not in tensors else WEIGHTS_NAME
            raise ValueError(
                f"{path} does not fit {CONFIG_NAME}: {name} is only in {where}; "
                "copy both from the same model"
            )
        found, expected = list(tensors[name].shape), list(wanted[name].shape)
        if found != expected:
            raise ValueError(
                f"{path} does not fit {CONFIG_NAME}: {name} has shape {found}, the config wants "
                f"{expected}; copy both from the same model"
            )
        if not tensors[name].isfinite().all():
            raise ValueError(f"{path}: {name} has values that are not finite; retrain or restore")
    generator.load_state_dict(tensors)
    return generator


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
