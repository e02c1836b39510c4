"""Lookup of models: folders, checkpoints, bundled models and the Hugging Face Hub."""

import logging
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import torch

from get3d.apps.imported import RELEASE_LICENCE, ImportOptions, import_checkpoint
from get3d.apps.model import Model
from get3d.apps.model_folder import CARD_NAME, CONFIG_NAME, WEIGHTS_NAME, read_model
from get3d.core import ModelError
from get3d.interop.hub import HUB_PREFIX, fetch_file, fetch_folder, parse_hub_name

_LOG = logging.getLogger(__name__)
_RUN_MODEL = "model"
_CHECKPOINTS = (".pt", ".pth")
_PARTS = (CONFIG_NAME, WEIGHTS_NAME)
DEFAULT_MODEL = "vessel"
"""Name of the bundled model that is loaded if none is named."""


def load(source: str | Path | None = None, *, device: torch.device | str | None = None) -> Model:
    """Load a model.

    A checkpoint of the release (.pt) is read with the published options; `get3d import` converts it
    with others.

    Args:
        source: A model folder, the folder of a training run (its newest model), a checkpoint of the
            release, `hf://owner/name[@revision][/folder or file.pt]` on the Hugging Face Hub, or
            the name of a bundled model (`bundled_names`), if there is no such folder; None takes
            the vessels.
        device: Device of the network; None means the CPU.

    Raises:
        FileNotFoundError: If there is no such model.
        ModelError: If its files are damaged, of another format, or do not belong together.
        MissingDependencyError: If `source` is on the hub and huggingface_hub is not installed.
        OSError: If the hub cannot be reached.
    """
    device = "cpu" if device is None else device
    if source is None:
        source = DEFAULT_MODEL
        if source not in bundled_names():
            raise FileNotFoundError(
                "this build of get3d ships without a model; name one: a model folder, a run "
                f"folder, or {HUB_PREFIX}owner/name"
            )
        return read_model(bundled_folder() / source, source="bundled", device=device)
    if is_checkpoint(source):
        return _load_checkpoint(source).to(device)
    if not is_on_hub(source):
        return read_model(model_folder(source), source=str(source), device=device)
    name = parse_hub_name(str(source))
    inside, _, last = name.path.rpartition("/")
    if last in _PARTS:
        name = replace(name, path=inside)
    folder = fetch_folder(name, [*_PARTS, CARD_NAME])
    try:
        return read_model(folder, source=str(source), device=device)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{error}; a checkpoint of the release is named with its file: "
            f"{HUB_PREFIX}{name.repo_id}/file.pt"
        ) from error


def is_on_hub(source: str | Path) -> bool:
    """Return whether a source is a name on the Hugging Face Hub."""
    return str(source).startswith(HUB_PREFIX)


def is_checkpoint(source: str | Path) -> bool:
    """Return whether a source is a checkpoint file of the release, on disk or on the hub."""
    if is_on_hub(source):
        return parse_hub_name(str(source)).path.endswith(_CHECKPOINTS)
    return str(source).endswith(_CHECKPOINTS) and not Path(source).is_dir()


def is_model_name(source: str | Path) -> bool:
    """Return whether `load` takes a source, which need not exist, as a model."""
    path = Path(source)
    return is_checkpoint(source) or path.name in _PARTS or not path.is_file()


def import_model(
    source: str | Path, options: ImportOptions, *, licence: str = RELEASE_LICENCE
) -> Model:
    """Convert a checkpoint of the release, on disk or on the hub, to a model.

    Args:
        source: A .pt file, or `hf://owner/name[@revision]/file.pt`.
        options: Options that its tensors do not contain.
        licence: Licence of the weights.

    Raises:
        FileNotFoundError: If there is no such file.
        ModelError: As `import_checkpoint`.
        MissingDependencyError: If `source` is on the hub and huggingface_hub is not installed.
        OSError: If the hub cannot be reached.
    """
    if not is_on_hub(source):
        return import_checkpoint(source, options, licence=licence)
    name = parse_hub_name(str(source))
    if not name.path:
        raise ModelError(f"{source} is a repository; name a file in it: {source}/file.pt")
    path = fetch_file(name)
    return import_checkpoint(path, options, origin=str(source), licence=licence)


def model_folder(source: str | Path) -> Path:
    """Find the folder of a model: a model folder, one of its files, or a run folder.

    Raises:
        FileNotFoundError: If there is none.
        ModelError: If it is some other file.
    """
    path = Path(source)
    if path.is_file():
        if path.name in _PARTS:
            return path.parent
        raise ModelError(
            f"{path} is a file; a model is a folder with {CONFIG_NAME}, or a checkpoint of the "
            "release, *.pt"
        )
    if not path.exists() and str(source) in bundled_names():
        return bundled_folder() / path
    if not path.is_dir():
        ours = ", ".join(bundled_names()) or "none here"
        raise FileNotFoundError(
            f"no model folder {path}; give a model folder, a run folder, {HUB_PREFIX}owner/name, "
            f"or the name of a model that ships with get3d ({ours})"
        )
    in_run = path / _RUN_MODEL
    return in_run if (in_run / CONFIG_NAME).is_file() else path


def bundled_names() -> list[str]:
    """List the models that ship with get3d, the default one first."""
    names = [path.parent.name for path in bundled_folder().glob(f"*/{CONFIG_NAME}")]
    return sorted(names, key=lambda name: (name != DEFAULT_MODEL, name))


def bundled_folder() -> Path:
    """Return the folder of the models that ship with get3d; it may be absent."""
    return Path(str(files("get3d"))) / "bundled"


def _load_checkpoint(source: str | Path) -> Model:
    """Load a checkpoint of the release with the published options, and log these."""
    options = ImportOptions()
    model = import_model(source, options)
    _LOG.info(
        "%s: %s. Taken as published: grid %d, scale %g; get3d import takes others",
        source,
        model.info.licence,
        options.grid_resolution,
        options.scale,
    )
    return model
