"""Finding a model by what the user calls it."""

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import torch

from get3d.apps.model import Model
from get3d.apps.model_folder import CARD_NAME, CONFIG_NAME, WEIGHTS_NAME, read_model

_HUB_PREFIX = "hf://"
_RUN_MODEL = "model"


def load(source: str | Path | None = None, *, device: torch.device | str | None = None) -> Model:
    """Load a model.

    Args:
        source: A model folder, the folder of a training run (its newest model), or
            `hf://owner/name[@revision][/folder]` on the Hugging Face Hub; None takes the model
            that ships with get3d.
        device: Where the network goes; None means the CPU.

    Raises:
        FileNotFoundError: If there is no such model.
        ValueError: If its files are damaged, of another format, or do not belong together.
        ImportError: If `hf://` is asked for and huggingface_hub is not installed.
        OSError: If the hub cannot be reached.
    """
    device = "cpu" if device is None else device
    if source is None:
        return read_model(_bundled_folder(), source="bundled", device=device)
    if str(source).startswith(_HUB_PREFIX):
        return read_model(_fetch(str(source)), source=str(source), device=device)
    return read_model(_local_folder(Path(source)), source=str(source), device=device)


def _bundled_folder() -> Path:
    folder = Path(str(files("get3d"))) / "bundled"
    if not (folder / CONFIG_NAME).is_file():
        raise FileNotFoundError(
            "this build of get3d ships without a model; name one: a model folder, a run folder, "
            "or hf://owner/name"
        )
    return folder


def _local_folder(path: Path) -> Path:
    if path.is_file():
        if path.name in (CONFIG_NAME, WEIGHTS_NAME):
            return path.parent
        raise ValueError(f"{path} is a file; a model is a folder with {CONFIG_NAME}")
    if not path.is_dir():
        raise FileNotFoundError(
            f"no model folder {path}; give a model folder, a run folder, or hf://owner/name"
        )
    in_run = path / _RUN_MODEL
    return in_run if (in_run / CONFIG_NAME).is_file() else path


def _fetch(source: str) -> Path:
    """Download a model, or find it in the hub's cache; returns its folder."""
    owner, _, rest = source.removeprefix(_HUB_PREFIX).partition("/")
    name, _, inside = rest.partition("/")
    name, _, revision = name.partition("@")
    inside = inside.strip("/")
    if not owner or not name or ".." in inside.split("/"):
        raise ValueError(f"{source} must be {_HUB_PREFIX}owner/name[@revision][/folder]")
    if inside.endswith((f"/{CONFIG_NAME}", f"/{WEIGHTS_NAME}")) or inside in (
        CONFIG_NAME,
        WEIGHTS_NAME,
    ):
        inside = inside.rpartition("/")[0]
    prefix = f"{inside}/" if inside else ""
    download = _hub_download()
    try:
        folder = download(
            repo_id=f"{owner}/{name}",
            revision=revision or None,
            allow_patterns=[prefix + file for file in (CONFIG_NAME, WEIGHTS_NAME, CARD_NAME)],
        )
    except Exception as error:  # the hub's client fails in its own and in its HTTP library's ways
        reason = " ".join(str(error).split())
        raise OSError(
            f"{source} cannot be fetched ({type(error).__name__}: {reason[:200]}); check the name "
            "and the connection, or download the folder and name it"
        ) from error
    return Path(folder) / inside


def _hub_download() -> Callable[..., str]:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise ImportError(
            f"{_HUB_PREFIX} needs huggingface_hub: pip install huggingface_hub; or download the "
            "folder and name it"
        ) from error
    download: Callable[..., str] = snapshot_download
    return download
