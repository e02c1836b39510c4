"""`get3d swap`: combine every geometry with every texture."""

from dataclasses import dataclass
from typing import Annotated

import tyro

from get3d.apps.latent import parse_name, swap
from get3d.cli import flags
from get3d.cli.latent import ShapeOptions, cell, write_grid
from get3d.cli.parsing import parse


@dataclass(frozen=True)
class SwapArgs(ShapeOptions):
    """Combine every geometry with every texture: a row per geometry, a column per texture."""

    geometry: tuple[str, ...] = tyro.MISSING
    """Shapes that give the geometry: 7 is the first of `get3d generate --seed 7`, 7.3 is its
    shape_0003."""

    texture: Annotated[tuple[str, ...], flags.TEXTURE] = ()

    truncation: Annotated[float, flags.TRUNCATION] = 0.7


def run(args: list[str]) -> int:
    """Run `get3d swap`.

    Args:
        args: Command line after `get3d swap`.

    Returns:
        Exit code: 0 if every shape was made, else 1.
    """
    parsed = parse(SwapArgs, "swap", args)
    rows = [parse_name(name) for name in parsed.geometry]
    columns = [parse_name(name) for name in parsed.texture] or rows
    model = parsed.load_model()
    grid = swap(model, rows, columns, truncation=parsed.truncation)
    cells = [
        [
            cell(f"geometry_{row}_texture_{column}", f"shape {row}, texture {column}", styles)
            for column, styles in zip(columns, line, strict=True)
        ]
        for row, line in zip(rows, grid, strict=True)
    ]
    return write_grid(parsed, "swap", model, cells)
