"""The training variants of scripts/search.py, and the configs that they make of a preset."""

import contextlib
import difflib
import io
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import tyro

from get3d.cli.parsing import read_frame
from get3d.config import load_config
from get3d.core import ConfigError
from get3d.training import RunConfig

PLAIN = "plain"
COARSE_FRACTION = 0.4
BOOKKEEPING = (
    "schedule.total_images",
    "schedule.seed",
    "schedule.log_every_images",
    "schedule.sample_every_images",
    "schedule.checkpoint_every_images",
    "schedule.keep_checkpoints",
)
"""Settings that differ between runs of the same variant."""

Options = dict[str, tuple[str, ...]]
"""Values by option; flags have none."""


@dataclass(frozen=True)
class Variant:
    """A change of a preset.

    Attributes:
        name: Name in tables, on the command line and of folders.
        question: Question that the run answers.
        flags: Flags of `get3d train`; {coarse_images} is COARSE_FRACTION of the run's images.
        parts: Names of variants whose flags come before its own.
    """

    name: str
    question: str
    flags: str = ""
    parts: tuple[str, ...] = ()


VARIANTS = [
    Variant(PLAIN, "The preset: what is all else compared with?"),
    Variant(
        "features",
        "Do heads on frozen ImageNet features (projected GAN) help?",
        "--discriminator.features imagenet",
    ),
    Variant(
        "light",
        "Does shading by the known light, with a gradient to the surface, carve hollows?",
        "--rendering.light data --rendering.no-detach-positions",
    ),
    Variant(
        "smooth-normals",
        "Do normals smoothed below the size of a pixel improve shading?",
        "--rendering.normal-smoothing 4",
        parts=("light",),
    ),
    Variant(
        "roughness",
        "Does a weight on the spread of normals keep such bumps away?",
        "--loss.roughness-weight 10",
    ),
    Variant(
        "positions",
        "Does the colour's gradient through positions help without light?",
        "--rendering.no-detach-positions",
    ),
    Variant(
        "occlusions",
        "Does antialiasing contours inside the outline give handles and rims gradients?",
        "--rendering.antialias-occlusions",
    ),
    Variant("sign-0.02", "Is a weak SDF regulariser enough?", "--loss.sign-change-weight 0.02"),
    Variant("sign-0.1", "And a fifth of the preset's?", "--loss.sign-change-weight 0.1"),
    Variant("sign-0.2", "Does the SDF regulariser fill hollows?", "--loss.sign-change-weight 0.2"),
    Variant(
        "base-limit",
        "Does limiting the base sphere's SDF let hollows open?",
        "--generator.sdf-base-limit 0.1",
    ),
    Variant(
        "bowl",
        "Do vessels that start as bowls stay hollow?",
        "--generator.sdf-base bowl",
    ),
    Variant(
        "mask-weight",
        "Does a heavier silhouette loss make truer outlines?",
        "--loss.mask-weight 4",
    ),
    Variant(
        "views-2",
        "Are two views of half as many shapes cheaper for the same quality?",
        "--schedule.views-per-shape 2",
    ),
    # With 2 shapes a batch (batch 8) every group of the minibatch deviation would hold each shape
    # twice, which no real group does. Batch 16 makes 4 shapes and groups of 4 different ones.
    Variant(
        "views-4",
        "And four views, of 4 shapes a batch? To be compared with batch-16.",
        "--schedule.views-per-shape 4 --schedule.batch-size 16",
    ),
    Variant(
        "coarse",
        "Does half the resolution for the first 40 % of the images save time?",
        "--schedule.coarse-images {coarse_images}",
    ),
    Variant(
        "slim-discriminator",
        "Is a discriminator of half the width enough?",
        "--discriminator.channel-base 512",
    ),
    Variant(
        "batch-16",
        "Half as many steps, of twice as many images?",
        "--schedule.batch-size 16",
    ),
    Variant(
        "lr-half",
        "Is the learning rate too high for this budget?",
        "--optimizer.generator-lr 0.001 --optimizer.discriminator-lr 0.001",
    ),
    Variant(
        "ema-1000",
        "Is the weight average too slow for this budget?",
        "--schedule.ema-half-life-images 1000",
    ),
    Variant(
        "planes-128",
        "Do finer tri-planes help (their last layer is half as wide)?",
        "--generator.plane-resolution 128",
    ),
    Variant(
        "learned-light",
        "Light, without knowledge of the light in the training images?",
        "--rendering.light learned",
        parts=("positions",),
    ),
    Variant(
        "all",
        "What do the changes give together?",
        parts=(
            "features",
            "smooth-normals",
            "roughness",
            "occlusions",
            "mask-weight",
            "views-2",
            "coarse",
            "slim-discriminator",
        ),
    ),
]
_BY_NAME = {variant.name: variant for variant in VARIANTS}


@dataclass(frozen=True)
class Trial:
    """A training of a variant against a base.

    Attributes:
        name: Name of the variant, with that of a base other than `plain`.
        question: Question of the variant.
        flags: Flags of `get3d train`.
    """

    name: str
    question: str
    flags: tuple[str, ...]


def find_variant(name: str) -> Variant:
    """Find a variant by its name; raise ConfigError with the known names if there is none."""
    if name in _BY_NAME:
        return _BY_NAME[name]
    close = difflib.get_close_matches(name, _BY_NAME, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise ConfigError(f"unknown variant {name}; {hint}known: {', '.join(_BY_NAME)}")


def read_flags(flags: str | Sequence[str]) -> Options:
    """Parse flags into values by option.

    Example:
        >>> read_flags("--loss.mask-weight 4 --rendering.no-detach-positions")
        {'--loss.mask-weight': ('4',), '--rendering.no-detach-positions': ()}
    """
    options: Options = {}
    name = ""
    for word in shlex.split(flags) if isinstance(flags, str) else flags:
        if word.startswith("--"):
            name = word
            options[name] = ()
        else:
            options[name] += (word,)
    return options


def write_flags(options: Options) -> tuple[str, ...]:
    """Format options as a command line."""
    return tuple(word for name, values in options.items() for word in (name, *values))


def variant_options(variant: Variant) -> Options:
    """Collect the options of a variant's parts and its own; later ones override."""
    options: Options = {}
    for part in variant.parts:
        options |= variant_options(find_variant(part))
    return options | read_flags(variant.flags)


def make_trial(name: str, *, base: str, num_images: int) -> Trial:
    """Make the trial of a variant against a base.

    Options that the base has are removed from it, others are added to it or changed in it. The base
    itself and `plain` are not changed.

    Args:
        name: Name of the variant.
        base: Name of the variant that it is compared with.
        num_images: Budget of training images.

    Raises:
        ValueError: If either is unknown.
    """
    variant, own = find_variant(name), variant_options(find_variant(name))
    options = variant_options(find_variant(base))
    full_name = name
    if name in (base, PLAIN) or base == PLAIN:
        options = own
    elif own.items() <= options.items():
        options = {option: values for option, values in options.items() if option not in own}
        full_name = f"{base}-without-{name}"
    else:
        options = options | own
        full_name = f"{base}-with-{name}"
    coarse_images = round(COARSE_FRACTION * num_images)
    flags = tuple(word.format(coarse_images=coarse_images) for word in write_flags(options))
    return Trial(full_name, variant.question, flags)


def configure(preset: str, flags: Sequence[str]) -> RunConfig:
    """Apply flags to a preset, as `get3d train` does.

    Raises:
        ConfigError: If the flags are not understood or do not go together.
    """
    box = io.StringIO()
    try:
        with contextlib.redirect_stderr(box), contextlib.redirect_stdout(box):
            return tyro.cli(
                RunConfig,
                default=load_config(preset),
                args=list(flags),
                config=(tyro.conf.FlagCreatePairsOff,),
            )
    except SystemExit as request:
        reason = read_frame(box.getvalue())
        raise ConfigError(f"get3d train {preset} {shlex.join(flags)}: {reason}") from request


def differing_flags(config: RunConfig, preset: str) -> tuple[str, ...]:
    """Return the flags that make a config of a preset, without BOOKKEEPING.

    Args:
        config: Config of a run.
        preset: Name of the preset, or a YAML file.
    """
    base = load_config(preset)
    words: list[str] = []
    for section, field in _config_fields(base):
        value = getattr(getattr(config, section), field)
        is_free = f"{section}.{field}" in BOOKKEEPING
        if not is_free and value != getattr(getattr(base, section), field):
            words += _flag(section, field, value)
    return tuple(words)


def _config_fields(config: RunConfig) -> Iterator[tuple[str, str]]:
    for section in fields(config):
        for field in fields(getattr(config, section.name)):
            yield section.name, field.name


def _flag(section: str, field: str, value: Any) -> list[str]:
    name = field.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{section}.{name if value else f'no-{name}'}"]
    values = value if isinstance(value, tuple) else (value,)
    return [f"--{section}.{name}", *map(str, values)]
