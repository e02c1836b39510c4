"""`get3d perturb`: local perturbation of a shape."""

from dataclasses import dataclass
from typing import Annotated

import tyro

from get3d.apps.latent import Vary, parse_name, perturb, split_styles, styles_of
from get3d.cli import flags
from get3d.cli.latent import ShapeOptions, cell, check_positive, write_grid
from get3d.cli.parsing import parse
from get3d.core import ConfigError


@dataclass(frozen=True)
class PerturbArgs(ShapeOptions):
    """Generate variants of one shape by small noise on its style vectors.

    --num variants are made for each of --sizes; the noise is not truncated. A size of 1 is the
    distance of random shapes from the average one. Variants with the same number have the same
    noise at every size.
    """

    seed: Annotated[str, flags.SEEDS] = tyro.MISSING

    texture_seed: Annotated[str | None, flags.TEXTURE] = None

    sizes: tuple[float, ...] = (0.2,)
    """Sizes of the noise, one for each row of the contact sheet."""

    num: Annotated[int, flags.NUM] = 7

    noise_seed: int = 0
    """Random seed of the noise."""

    vary: Annotated[Vary, flags.VARY] = "both"

    truncation: Annotated[float, flags.TRUNCATION] = 0.7


def run(args: list[str]) -> int:
    """Run `get3d perturb`.

    Args:
        args: Command line after `get3d perturb`.

    Returns:
        Exit code: 0 if every shape was made, else 1.
    """
    parsed = parse(PerturbArgs, "perturb", args)
    check_positive(num=parsed.num)
    if not parsed.sizes:
        raise ConfigError("sizes is empty; give at least one, such as 0.2")
    name = parse_name(parsed.seed)
    model = parsed.load_model()
    original = cell(
        "original",
        f"seed {name}",
        styles_of(model, name, texture=parsed.texture_seed, truncation=parsed.truncation),
    )
    rows = []
    for size in parsed.sizes:
        variants = perturb(
            model,
            name,
            texture=parsed.texture_seed,
            num=parsed.num,
            size=size,
            noise_seed=parsed.noise_seed,
            vary=parsed.vary,
            truncation=parsed.truncation,
        )
        cells = [
            cell(f"size_{size}_variant_{i:02d}", f"size {size}, {i}", styles)
            for i, styles in enumerate(split_styles(variants))
        ]
        rows.append([original, *cells])
    return write_grid(parsed, "perturb", model, rows)
