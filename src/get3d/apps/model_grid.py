"""Custom grids in model folders: those that the config does not determine."""

from pathlib import Path

import torch
from torch import Tensor

from get3d.core import Get3DError, ModelError
from get3d.geometry import TetGrid, VoxelGrid, bcc_grid, make_grid
from get3d.models import Generator, GeneratorConfig, check_weight_type, check_weight_values

_GRID_PREFIX = "grid."
_INTEGER_TYPES = (torch.int32, torch.int64)


def custom_grid_tensors(generator: Generator) -> dict[str, Tensor]:
    """Return the grid's tensors, to be saved with the weights; none if the config determines it."""
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


def pop_grid(path: Path, config: GeneratorConfig, tensors: dict[str, Tensor]) -> TetGrid | None:
    """Remove the tensors of a custom grid from those of a file, and make the grid.

    Args:
        path: Weights file, for messages.
        config: Config of the network.
        tensors: All tensors of the file; those of the grid are removed.

    Returns:
        The grid; None if the config determines it.

    Raises:
        ModelError: If the grid is damaged, or the model uses none.
    """
    parts = {
        name.removeprefix(_GRID_PREFIX): tensors.pop(name)
        for name in list(tensors)
        if name.startswith(_GRID_PREFIX)
    }
    if not parts:
        return None
    if parts.keys() != {"verts", "tets"}:
        raise ModelError(f"{path} holds half a grid: {', '.join(sorted(parts))}")
    verts, tets = parts["verts"], parts["tets"]
    check_weight_type(f"{path}: {_GRID_PREFIX}verts", verts)
    check_weight_values(f"{path}: {_GRID_PREFIX}verts", verts)
    if verts.shape[1:] != (3,) or tets.shape[1:] != (4,) or tets.dtype not in _INTEGER_TYPES:
        raise ModelError(
            f"{path}: a grid has verts [n, 3] and whole numbers as tets [m, 4], got "
            f"{list(verts.shape)} and {list(tets.shape)} of {tets.dtype}; get another copy"
        )
    if config.iso_surface == "flexicubes":
        raise ModelError(f"{path} holds a grid of tets, which a FlexiCubes model does not use")
    try:
        return make_grid(verts.float(), tets.long(), resolution=config.grid_resolution)
    except Get3DError as error:
        raise ModelError(f"{path}: {error}; get another copy") from error
