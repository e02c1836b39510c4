"""`get3d sweep`: shapes at several truncations."""

from dataclasses import dataclass
from typing import Annotated

import tyro

from get3d.apps.latent import parse_name, sweep_truncations
from get3d.cli import flags
from get3d.cli.latent import ShapeOptions, cell, write_grid
from get3d.cli.parsing import parse


@dataclass(frozen=True)
class SweepArgs(ShapeOptions):
    """Generate shapes at several truncations: a row per shape, a column per truncation."""

    seeds: Annotated[tuple[str, ...], flags.SEEDS] = tyro.MISSING

    truncations: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25)
    """0 is the average shape, 1 the shape itself; larger values exaggerate it."""


def run(args: list[str]) -> int:
    """Run `get3d sweep`.

    Args:
        args: Command line after `get3d sweep`.

    Returns:
        Exit code: 0 if every shape was made, else 1.
    """
    parsed = parse(SweepArgs, "sweep", args)
    names = [parse_name(name) for name in parsed.seeds]
    model = parsed.load_model()
    grid = sweep_truncations(model, names, parsed.truncations)
    cells = [
        [
            cell(f"shape_{name}_truncation_{value}", f"seed {name} at {value:g}", styles)
            for value, styles in zip(parsed.truncations, line, strict=True)
        ]
        for name, line in zip(names, grid, strict=True)
    ]
    return write_grid(parsed, "sweep", model, cells)
