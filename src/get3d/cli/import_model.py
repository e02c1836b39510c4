"""`get3d import`: convert the authors' released checkpoints to model folders."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from get3d.apps import ImportOptions, Model, import_model, save_model
from get3d.apps.imported import RELEASE_LICENCE
from get3d.apps.model_folder import CARD_NAME, CONFIG_NAME, WEIGHTS_NAME
from get3d.cli import flags
from get3d.cli.parsing import parse
from get3d.core import ConfigError


@dataclass(frozen=True)
class ImportArgs:
    """Convert a checkpoint of the authors' release, such as shapenet_car.pt, to a model folder.

    The architecture and its sizes are inferred from the tensors; nothing in the file is executed.
    The weight average (G_ema) is used. The authors' weights are for non-commercial use only.
    """

    checkpoint: tyro.conf.Positional[str]
    """A .pt file, or hf://owner/name/file.pt on the Hugging Face Hub."""

    out: Annotated[Path, flags.OUT]

    grid: int = 90
    """Resolution of the grid that it was trained on; the tensors do not contain it."""

    scale: float = 1.0
    """Size of that grid, which the tensors do not contain; 0.8 for the authors' chair and table."""

    deformation_multiplier: float = 1.0
    """Divides the offsets of the grid's vertices, as in training."""

    grid_file: Path | None = None
    """A published grid, such as 90_compress.npz; None makes our own of the same resolution."""

    name: str | None = None
    """Name of the model; that of the file if left out."""

    licence: str | None = None
    """Licence of the weights, if you trained them; the authors' non-commercial one if left out."""

    overwrite: Annotated[bool, flags.OVERWRITE] = False


def run(args: list[str]) -> int:
    """Run `get3d import`.

    Args:
        args: Command line after `get3d import`.

    Returns:
        Exit code 0.
    """
    parsed = parse(ImportArgs, "import", args)
    present = [
        name for name in (CONFIG_NAME, WEIGHTS_NAME, CARD_NAME) if (parsed.out / name).exists()
    ]
    if present and not parsed.overwrite:
        raise ConfigError(
            f"{parsed.out} already holds {present[0]}; choose another --out, or add --overwrite"
        )
    options = ImportOptions(
        grid_resolution=parsed.grid,
        scale=parsed.scale,
        deformation_multiplier=parsed.deformation_multiplier,
        grid_file=parsed.grid_file,
    )
    model = import_model(parsed.checkpoint, options, licence=parsed.licence or RELEASE_LICENCE)
    if parsed.name is not None:
        model = replace(model, info=replace(model.info, name=parsed.name))
    save_model(model, parsed.out)
    _report(model, parsed)
    return 0


def _report(model: Model, parsed: ImportArgs) -> None:
    """Print what was inferred from the tensors and what was taken from flags."""
    config = model.generator.config
    num_weights = sum(weight.numel() for weight in model.generator.parameters())
    print(
        f"found: {config.architecture} generator, {config.iso_surface}, tri-planes of "
        f"{config.plane_resolution} texels, styles of width {config.w_dim}, "
        f"{num_weights / 1e6:.1f} million weights"
    )
    print(
        f"taken from flags: grid {config.grid_resolution}, scale {config.scale:g}, deformation "
        f"multiplier {config.deformation_multiplier:g}"
    )
    print(f"licence of the weights: {model.info.licence}")
    print(f"written to {parsed.out}. Next: get3d generate {parsed.out} --num 16 --out shapes")
