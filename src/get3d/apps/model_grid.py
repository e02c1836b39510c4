"""The grid in a model folder, where it is not the one that get3d makes."""

from pathlib import Path

import torch
from torch import Tensor

from get3d.geometry import TetGrid, VoxelGrid, bcc_grid, make_grid
from get3d.models import Generator, GeneratorConfig, check_weight_type, check_weight_values

_GRID_PREFIX = "grid."
_WHOLE = (torch.int32, torch.int64)


def own_grid(generator: Generator) -> dict[str, Tensor]:
    """Give the grid's tensors, unless the config says all there is to know of it.

    Args:
        generator: Whose grid.

    Returns:
        What is saved beside the weights; may be empty.
    """
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


def take_grid(path: Path, config: GeneratorConfig, tensors: dict[str, Tensor]) -> TetGrid | None:
    """Take the tensors of a grid of the model's own out of the others.

    Args:
        path: Of their file.
        config: Of the model.
        tensors: Of the file; those of the grid are removed.

    Returns:
        The grid; None if there is none, so it is the one that the config says.

    Raises:
        ValueError: If it is damaged, or the model has no use for it.
    """
    parts = {
        name.removeprefix(_GRID_PREFIX): tensors.pop(name)
        for name in list(tensors)
        if name.startswith(_GRID_PREFIX)
    }
    if not parts:
        return None
    if parts.keys() != {"verts", "tets"}:
        raise ValueError(f"{path} holds half a grid: {', '.join(sorted(parts))}")
    verts, tets = parts["verts"], parts["tets"]
    check_weight_type(f"{path}: {_GRID_PREFIX}verts", verts)
    check_weight_values(f"{path}: {_GRID_PREFIX}verts", verts)
    if verts.shape[1:] != (3,) or tets.shape[1:] != (4,) or tets.dtype not in _WHOLE:
        raise ValueError(
            f"{path}: a grid has verts [n, 3] and whole numbers as tets [m, 4], got "
            f"{list(verts.shape)} and {list(tets.shape)} of {tets.dtype}; get another copy"
        )
    if config.iso_surface == "flexicubes":
        raise ValueError(f"{path} holds a grid of tets, which a FlexiCubes model has no use for")
    try:
        return make_grid(verts.float(), tets.long(), resolution=config.grid_resolution)
    except ValueError as error:
        raise ValueError(f"{path}: {error}; get another copy") from error
