"""Search over training variants: one change at a time, at a fixed budget of images.

    python scripts/search.py --variants plain,all --images 40000 --seeds 0,1
    python scripts/search.py --variants features,light,views-2 --base all       # ablations of `all`
    python scripts/search.py --variants features,light,views-2 --base plain     # each one alone
    python scripts/search.py --list
    python scripts/search.py --category chair --adopt by-hand=runs/mine

Makes shapes and images of each category, trains every variant (scripts/variants.py) with every
seed, and scores each run as scripts/score.py does as soon as it is trained. The numbers are merged
into --json; `--json results/search.json`, then scripts/results.py, puts them into docs/training.md.

Every stage goes on where it was stopped (Ctrl-C or SIGTERM saves), and runs that are trained and
scored are left alone, so the same command can be given again. A run that fails is reported with the
last line of its log and gets a row that says so; the others go on. Times are comparable only with
equal --threads and --parallel on a machine that does nothing else.
"""

import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import tyro
from search_runs import Args, Run, Search, seen_images
from stages import CATEGORIES, mirror_flags, run_main
from variants import VARIANTS, Trial, configure, make_trial

from get3d.apps.evaluation.plan import LEAST
from get3d.config import load_config
from get3d.core import ConfigError

# Scores need LEAST generated and reference shapes.
LEAST_VALUES = {"threads": 1, "parallel": 1, "num_train": 1, "num_test": LEAST, "num": LEAST}


def split_names(text: str, what: str) -> list[str]:
    """Split a comma-separated list; raise ConfigError if it is empty or has a name twice."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"{what} must be different names with commas between them, got {text!r}")
    return names


def make_trials(args: Args) -> list[Trial]:
    """List the trials to train; raise ConfigError if a variant is unknown."""
    if args.variants is None and args.adopt:
        return []
    text = args.variants or "plain,all"
    names = [v.name for v in VARIANTS] if text == "every" else split_names(text, "--variants")
    return [make_trial(name, base=args.base, num_images=args.images) for name in names]


def make_runs(args: Args) -> list[Run]:
    """List all runs; every variant has its first seed before any has its second.

    Raises:
        ConfigError: If a category, variant or seed is unknown, or flags do not fit the preset.
        FileNotFoundError: If an adopted run is missing.
    """
    for name, least in LEAST_VALUES.items():
        if getattr(args, name) < least:
            option = name.replace("_", "-")
            raise ConfigError(f"--{option} must be at least {least}, got {getattr(args, name)}")
    categories = split_names(args.category, "--category")
    if unknown := [name for name in categories if name not in CATEGORIES]:
        raise ConfigError(f"unknown category {unknown[0]}; known: {', '.join(CATEGORIES)}")
    if not all(seed.isdecimal() for seed in split_names(args.seeds, "--seeds")):
        raise ConfigError(f"--seeds must be whole numbers, got {args.seeds}")
    seeds = [int(seed) for seed in split_names(args.seeds, "--seeds")]
    runs = [adopted_run(text, categories, args.preset) for text in args.adopt]
    for trial in make_trials(args):
        for category in categories:
            mirror = mirror_flags(args.preset, is_mirrored=CATEGORIES[category].is_mirrored)
            for seed in seeds:
                budget = ("--schedule.total-images", str(args.images))
                flags = (*trial.flags, *mirror, *budget, "--schedule.seed", str(seed))
                folder = args.out / category / f"{args.preset}-{args.images}" / trial.name
                folder /= f"seed-{seed}"
                common = (trial.name, category, seed, args.images, args.preset)
                # Here and not in the threads of the runs: parsing of flags is not thread-safe.
                config = configure(args.preset, flags)
                runs.append(Run(*common, flags=flags, config=config, folder=folder))
    return sorted(runs, key=lambda run: (categories.index(run.category), run.seed))


def adopted_run(text: str, categories: Sequence[str], preset: str) -> Run:
    """Add a run that was trained by hand.

    Args:
        text: NAME=RUNFOLDER.
        categories: Categories of the search; there must be one.
        preset: Preset that its config is compared with.

    Raises:
        ConfigError: If the text is of another form, or there are several categories.
        FileNotFoundError: If the folder is no run with a model.
    """
    name, mark, path = text.partition("=")
    if not (name and mark and path):
        raise ConfigError(f"--adopt must be NAME=RUNFOLDER, got {text}")
    if len(categories) != 1:
        raise ConfigError("--adopt needs one --category: that of the run")
    folder = Path(path)
    if not (folder / "config.yaml").is_file() or seen_images(folder) == 0:
        raise FileNotFoundError(f"{folder} is no folder of a training run with a checkpoint")
    config = load_config(folder / "config.yaml")
    common = (name, categories[0], config.schedule.seed, seen_images(folder), preset)
    return Run(*common, flags=(), config=config, folder=folder, is_adopted=True)


def print_list(runs: Sequence[Run], args: Args) -> None:
    """Print the known variants, and the command of each run."""
    width = max(len(variant.name) for variant in VARIANTS)
    for variant in VARIANTS:
        print(f"{variant.name:<{width}}  {variant.question}")
    print()
    for run in runs:
        print(f"{run.label}: get3d train {args.preset} {shlex.join(run.flags)}")


def interrupt(*_: object) -> NoReturn:
    """Handle SIGTERM like Ctrl-C."""
    raise KeyboardInterrupt


def main(args: Args) -> None:
    """Prepare, train and score."""
    try:
        runs = make_runs(args)
    except (ConfigError, FileNotFoundError) as error:
        sys.exit(f"search: {error}")
    if args.list:
        print_list(runs, args)
        return
    search = Search(args)
    search.saved()  # a damaged file is found before any long work
    signal.signal(signal.SIGTERM, interrupt)
    try:
        for category in dict.fromkeys(run.category for run in runs):
            search.prepare(category)
        search.do_all(runs)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        sys.exit(130)
    print(
        f"{len(runs) - len(search.failures)} of {len(runs)} runs are done; numbers: {search.json}"
    )
    if search.failures:
        sys.exit("failed:\n" + "\n".join(f"  {failure}" for failure in search.failures))


if __name__ == "__main__":
    arguments = tyro.cli(Args, description=__doc__)
    run_main("search", lambda: main(arguments))
