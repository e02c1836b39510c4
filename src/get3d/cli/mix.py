"""`get3d mix`: style mixing between shapes."""

from dataclasses import dataclass
from typing import Annotated

import tyro

from get3d.apps.latent import mix, parse_name, styles_of
from get3d.cli import flags
from get3d.cli.latent import ShapeOptions, cell, write_grid
from get3d.cli.parsing import parse
from get3d.core import ConfigError


@dataclass(frozen=True)
class MixArgs(ShapeOptions):
    """Style mixing: every shape of --seeds takes some style layers from every one of --columns.

    The shapes of --seeds are the rows and keep the other layers. The contact sheet shows the
    columns' shapes in its first row and the rows' in its first column. Layers are written as all,
    none, one (4), or first and last (4-7); they count from 0.
    """

    rows: Annotated[tuple[str, ...], flags.SEEDS] = tyro.MISSING

    columns: tuple[str, ...] = tyro.MISSING
    """Shapes that the layers are taken from, named as for --seeds."""

    geometry_layers: str = "none"
    """Geometry layers taken from the column's shape."""

    texture_layers: str = "none"
    """Texture layers taken from the column's shape."""

    truncation: Annotated[float, flags.TRUNCATION] = 0.7


def run(args: list[str]) -> int:
    """Run `get3d mix`.

    Args:
        args: Command line after `get3d mix`.

    Returns:
        Exit code: 0 if every shape was made, else 1.
    """
    parsed = parse(MixArgs, "mix", args)
    rows = [parse_name(name) for name in parsed.rows]
    columns = [parse_name(name) for name in parsed.columns]
    if parsed.geometry_layers == parsed.texture_layers == "none":
        raise ConfigError("nothing to mix; name --geometry-layers or --texture-layers, such as 4-7")
    model = parsed.load_model()
    grid = mix(
        model,
        rows,
        columns,
        geometry_layers=parsed.geometry_layers,
        texture_layers=parsed.texture_layers,
        truncation=parsed.truncation,
    )
    parents = {
        name: cell(
            f"shape_{name}", f"seed {name}", styles_of(model, name, truncation=parsed.truncation)
        )
        for name in (*rows, *columns)
    }
    cells = [
        [parents[row]]
        + [
            cell(f"shape_{row}_with_{column}", f"{row} with {column}", styles)
            for column, styles in zip(columns, line, strict=True)
        ]
        for row, line in zip(rows, grid, strict=True)
    ]
    return write_grid(parsed, "mix", model, [[None, *(parents[name] for name in columns)], *cells])
