"""Models of the authors' release, from their checkpoint files."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from get3d.apps.model import Model, ModelInfo
from get3d.core import ConfigError, Get3DError, ModelError
from get3d.geometry import TetGrid, load_grid
from get3d.interop import load_generator, read_state_dicts, recognise_generator

RELEASE_LICENCE = "GET3D release licence, non-commercial"
_ABOUT_RELEASE = (
    "A network of the authors' GET3D release (Gao et al., NeurIPS 2022), converted to get3d "
    "without retraining.\n\n**Its weights are not under the licence of get3d.** The authors "
    "published them for non-commercial use only, as research or evaluation; that holds for this "
    "copy and for what is made from it. Read their terms before you use or share it: "
    "https://github.com/nv-tlabs/GET3D and https://huggingface.co/JunGaoNVIDIA/get3d-ckpt."
)
_ABOUT_OWN = "A network trained with the authors' code, converted to get3d without retraining."


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """Options that the names and shapes of a checkpoint's tensors do not contain."""

    grid_resolution: int = 90
    """Resolution of the grid it was trained on (the release's `tet_res`)."""

    scale: float = 1.0
    """Size of the grid in scene units (`dmtet_scale`)."""

    deformation_multiplier: float = 1.0
    """Divides the offsets of the grid's vertices."""

    grid_file: Path | None = None
    """A published grid (.npz); None makes our own of the same resolution."""


def import_checkpoint(
    path: Path | str,
    options: ImportOptions | None = None,
    *,
    origin: str = "",
    licence: str = RELEASE_LICENCE,
) -> Model:
    """Convert a checkpoint of the release, `{"G": ..., "G_ema": ..., "D": ...}`, to a model.

    The architecture and its sizes are inferred from the tensors; nothing in the file is executed.

    Args:
        path: The checkpoint, a .pt file.
        options: Options that the tensors do not contain; None takes the published values.
        origin: Name of the file for the model card; empty for the file's own name.
        licence: Licence of the weights.

    Returns:
        The model of the weight average (`G_ema`), on the CPU.

    Raises:
        FileNotFoundError: If there is no such file.
        ModelError: If the file is damaged, would run code, or is no checkpoint of the release; or
            if an option does not fit it.
    """
    path = Path(path)
    options = options or ImportOptions()
    weights = read_state_dicts(path, "G_ema")["G_ema"]
    try:
        config = recognise_generator(weights) | {
            "tet_res": options.grid_resolution,
            "dmtet_scale": options.scale,
            "deformation_multiplier": options.deformation_multiplier,
        }
        grid = None if options.grid_file is None else _read_grid(options.grid_file, config)
        generator = load_generator(weights, config=config, grid=grid)
    except Get3DError as error:
        raise ModelError(f"{path}: {error}") from error
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    info = ModelInfo(
        name=path.stem,
        description=_ABOUT_RELEASE if licence == RELEASE_LICENCE else _ABOUT_OWN,
        licence=licence,
        origin=f"`{origin or path.name}`, weight average `G_ema`, SHA-256 {digest}",
        source=origin or str(path),
    )
    return Model(generator.requires_grad_(False).eval(), info)


def _read_grid(path: Path, config: dict[str, Any]) -> TetGrid:
    """Read a grid file; raise ConfigError if the network cannot have been trained on it."""
    if config["iso_surface"] == "flexicubes":
        raise ConfigError("a FlexiCubes network takes no tetrahedral grid; leave out the grid file")
    grid = load_grid(path, scale=config["dmtet_scale"])
    if grid.resolution != config["tet_res"]:
        raise ConfigError(
            f"{path} is a grid of resolution {grid.resolution}, the option grid_resolution is "
            f"{config['tet_res']}; they must agree"
        )
    return grid
