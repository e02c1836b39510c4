"""`get3d generate`: textured meshes from a trained model."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated

from get3d.apps import Model, check_truncation
from get3d.apps.latent import Cell, SheetLayout, parse_name, styles_of
from get3d.cli import flags
from get3d.cli.latent import ShapeOptions, check_positive, make_shapes, report, take_folder
from get3d.cli.parsing import parse
from get3d.core import ConfigError


@dataclass(frozen=True)
class GenerateArgs(ShapeOptions):
    """Make textured meshes with a trained model, and contact sheets of all of them.

    --seeds names single shapes, instead of --seed and --num. The same options give the same files.
    The same command resumes where it was stopped, and a larger --num adds shapes. A folder with the
    files of other options is left alone unless --overwrite is given.
    """

    num: Annotated[int, flags.NUM] = 16

    seed: Annotated[int, flags.SEED] = 0

    texture_seed: int | None = None
    """Random seed of the textures; --seed if left out."""

    seeds: Annotated[tuple[str, ...], flags.SEEDS] = ()

    texture: Annotated[tuple[str, ...], flags.TEXTURE] = ()

    truncation: Annotated[float, flags.TRUNCATION] = 0.7


def run(args: list[str]) -> int:
    """Run `get3d generate`.

    Args:
        args: Command line after `get3d generate`.

    Returns:
        Exit code: 0 if every shape was made, else 1.
    """
    parsed = parse(GenerateArgs, "generate", args)
    check_positive(num=parsed.num)
    for name in ("seed", "texture_seed"):
        value = getattr(parsed, name)
        if value is not None and value < 0:
            raise ConfigError(f"{name} must not be negative, got {value}")
    check_truncation(parsed.truncation)
    unnamed = (parsed.num, parsed.seed, parsed.texture_seed)
    if parsed.seeds and unnamed != (GenerateArgs.num, GenerateArgs.seed, None):
        raise ConfigError(
            "--seeds names the shapes; leave --num, --seed and --texture-seed out, or leave it out"
        )
    shapes = [parse_name(name) for name in parsed.seeds]
    textures = [parse_name(name) for name in parsed.texture] or shapes
    if len(textures) != len(shapes):
        raise ConfigError(
            f"texture must be as many as seeds, got {len(textures)} for {len(shapes)}"
        )
    names = [
        f"shape_{shape}" if shape == texture else f"shape_{shape}_texture_{texture}"
        for shape, texture in zip(shapes, textures, strict=True)
    ]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f"two files would be called {twice[0]}; name each shape once")
    model = parsed.load_model()
    cells = [
        Cell(
            name,
            name,
            partial(styles_of, model, shape, texture=texture, truncation=parsed.truncation),
        )
        for name, shape, texture in zip(names, shapes, textures, strict=True)
    ] or _cells_of_seed(parsed, model)
    folder = take_folder(parsed, "generate", model, cells, leave_out=("num", "seeds", "texture"))
    return report(make_shapes(model, cells, folder, parsed, SheetLayout()), parsed.out)


def _cells_of_seed(parsed: GenerateArgs, model: Model) -> list[Cell]:
    """Make cells of the first shapes of a seed."""
    draw = partial(
        model.styles,
        seed=parsed.seed,
        texture_seed=parsed.texture_seed,
        truncation=parsed.truncation,
    )
    names = [f"shape_{index:04d}" for index in range(parsed.num)]
    return [Cell(name, name, partial(draw, index)) for index, name in enumerate(names)]
