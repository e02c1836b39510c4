"""Compare training variants quickly: one line of scores for each model.

    python scripts/score.py runs/a runs/b --data runs/bundled/shapes --num 200

The scores are those of `get3d evaluate` (truncation 1), without its search for copies, images of
results and oracle of halves. "/oracle" is over what as many training shapes score. References and
training shapes are measured once and found again by later calls with the same --num and --work.

Columns: COV, MMD and 1-NNA by Chamfer distance (CD; MMD x 1000), with --lfd also by light-field
distance, with --features precision and recall of images of the colour field; quantiles of the
volume over that of the convex hull (1 is convex, cups are about 0.2); percentage of shapes without
floaters; MMD (CD) over the oracle for each kind of reference. `bundled` is the model that ships
with get3d. A folder of a run takes what its last checkpoint is when the call begins.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tyro
from stages import run_main

from get3d.apps.evaluation import (
    Evaluation,
    EvaluationConfig,
    Row,
    check_references,
    compare_sets,
    make_plan,
    measure_collection,
    summarize,
)
from get3d.apps.evaluation.config import Metric
from get3d.apps.evaluation.page import score_text
from get3d.apps.evaluation.plan import LEAST
from get3d.cli.device import pick_device
from get3d.core import ConfigError

ROOT = Path(__file__).resolve().parent.parent
BUNDLED = "bundled"
PERCENTILES = ("10", "25", "50", "75", "90")


@dataclass(frozen=True)
class Args:
    """Compare training variants quickly: one line of scores for each model."""

    models: tyro.conf.Positional[tuple[str, ...]] = (BUNDLED,)
    """Model or run folders, or `bundled`."""

    data: Path = tyro.MISSING
    """Folder with `test` and `train`, from `get3d shapes`."""

    num: int = 200
    """Number of shapes to generate per model, and of training shapes of the oracle."""

    lfd: bool = False
    """Light-field distance too."""

    features: bool = False
    """Precision and recall too, by the shape features of images of the colour field."""

    views: int = 10
    """Images of each shape, for --features."""

    image_size: int = 64
    """Width of these images, in pixels."""

    longest_side: float = 0.75
    """Longest side to which references are scaled for images, as for training."""

    polar_deg: tuple[float, float] = (60.0, 90.0)
    """Range of the cameras' polar angle, as for training."""

    seed: int = 0
    """Random seed of latent codes, points and cameras."""

    work: Path = ROOT / "runs" / "score-work"
    """Folder for measurements."""

    json: Path | None = None
    """Append all numbers to this file, one JSON object a line for each model."""

    device: str = "cpu"
    """cpu, cuda or auto."""

    workers: int = 1
    """Processes on a CPU."""


def make_config(args: Args) -> EvaluationConfig:
    """Make the settings of the evaluation; raise ConfigError if no score can be computed."""
    if args.num < LEAST or args.views < 1:
        raise ConfigError(
            f"--num must be at least {LEAST} and --views at least 1, got {args.num} and "
            f"{args.views}"
        )
    chosen: dict[Metric, bool] = {"cd": True, "lfd": args.lfd, "fd": args.features}
    return EvaluationConfig(
        metrics=tuple(name for name, is_chosen in chosen.items() if is_chosen),
        features="shapes",
        num_shapes=args.num,
        num_images=args.num * args.views,
        reference_views=args.views,
        image_size=args.image_size,
        longest_side=args.longest_side,
        supersample=3,
        seed=args.seed,
        cameras=replace(EvaluationConfig().cameras, polar_deg=args.polar_deg),
    )


class Scorer:
    """Scores models against one data set; measurements of the data set are made once."""

    def __init__(
        self, args: Args, *, on_progress: Callable[[str, int, int], None] | None = None
    ) -> None:
        """Store the settings.

        Args:
            args: Command line; `models` is not used.
            on_progress: Called with the current task, the steps done and their number; by default
                they are printed.
        """
        self.args, self.config = args, make_config(args)
        self._on_progress = on_progress or show_progress
        self._oracle: Row | None = None

    def score(self, model: str) -> dict[str, Any]:
        """Measure and compare a model; returns what `get3d evaluate` saves as scores.json."""
        args, config, start = self.args, self.config, time.monotonic()
        plan = make_plan(
            args.data,
            config,
            model=None if model == BUNDLED else model,
            meshes=None,
            device=str(pick_device(args.device)),
        )
        if args.features:
            # The colour field alone: no texture is made, which takes most of the time.
            field_only = replace(plan.generated, field_views=args.views, mesh_views=0)
            plan = replace(plan, generated=field_only)
        reference, training, generated = (
            []
            if each is None
            else measure_collection(
                each, args.work, workers=args.workers, on_progress=self._on_progress
            )
            for each in (plan.reference, plan.training, plan.generated)
        )
        check_references(reference)
        valid = [record for record in training if not (record.invalid or record.untextured)]
        if self._oracle is None and valid:
            self._oracle = compare_sets(
                "training shapes", valid, reference, config=config, on_progress=self._on_progress
            )
        row = compare_sets(
            "generated", generated, reference, config=config, on_progress=self._on_progress
        )
        evaluation = Evaluation(
            plan=plan,
            generated=generated,
            reference=reference,
            training=training,
            rows=[each for each in (row, self._oracle) if each is not None],
        )
        content = summarize(evaluation, name=model)
        return content | {"seconds": time.monotonic() - start}


def show_progress(label: str, done: int, total: int) -> None:
    """Overwrite one line of the terminal; print nothing if the output is a file."""
    if sys.stderr.isatty():
        text = f"{label} {done}/{total}"
        print(f"\r{text:<70}", end="" if done < total else "\r", file=sys.stderr, flush=True)


def columns(content: dict[str, Any], row: int, role: str) -> dict[str, str]:
    """Format the cells of one line, by title.

    Args:
        content: Numbers, from `Scorer.score`.
        row: Row of the scores: 0 is the model, 1 the oracle.
        role: Shapes of soundness and hollowness: generated or training.
    """
    scores, ratios = content["rows"][row]["scores"], content["ratios"]
    cells = {}
    for metric in ("cd", "lfd"):
        if f"cov_{metric}" in scores:
            for name, title in (("cov", "COV"), ("mmd", "MMD"), ("one_nna", "1-NNA")):
                full = f"{name}_{metric}"
                cells[f"{title}-{metric.upper()}"] = score_text(full, scores[full])
                if name == "mmd":
                    ratio = ratios.get(full) if row == 0 else 1.0
                    cells[f"/oracle {metric}"] = "-" if ratio is None else f"{ratio:.2f}"
    for name in ("precision", "recall"):
        full = f"{name}_ori" if row == 0 else f"{name}_3d"
        if full in scores:
            cells[name] = score_text(full, scores[full])
    cells |= hollowness_cells(content, role)
    cells["no floaters"] = f"{100 * content['soundness'][role]['without_floaters']:.1f}"
    by_label = content["matching_by_label"]
    for one in by_label["values"] if by_label else ():
        ratio = one["ratio"] if row == 0 else 1.0
        cells[f"{one['value']} ({one['num']})"] = "-" if ratio is None else f"{ratio:.2f}"
    return cells


def hollowness_cells(content: dict[str, Any], role: str) -> dict[str, str]:
    """Format quantiles of the volume over that of the convex hull."""
    quantiles = content["hollowness"]["volume_over_hull"][role]["quantiles"]
    return {
        f"hull {name}%": "-" if quantiles is None else f"{quantiles[name]:.2f}"
        for name in PERCENTILES
    }


def line(name: str, cells: dict[str, str], titles: list[str], width: int) -> str:
    """Format one aligned line; missing cells are empty."""
    shown = " ".join(f"{cells.get(title, ''):>{len(title)}}" for title in titles)
    return f"{name[-width:]:<{width}} {shown}"


def main(args: Args) -> None:
    """Score each model and print its line."""
    scorer = Scorer(args)
    if args.json is not None:
        with args.json.open("a", encoding="utf-8"):  # fails before the work if it cannot be written
            pass
    width = max(15, min(40, max(map(len, args.models))))
    titles: list[str] = []
    for model in args.models:
        content = scorer.score(model)
        cells = columns(content, 0, "generated")
        if not titles:
            titles = list(cells)
            print(line("", {title: title for title in titles}, titles, width))
            print(line("references", hollowness_cells(content, "reference"), titles, width))
            if len(content["rows"]) > 1:
                print(line("training shapes", columns(content, 1, "training"), titles, width))
        seconds = f"  ({content['seconds']:.0f} s)"
        print(line(model.rstrip("/"), cells, titles, width) + seconds, flush=True)
        if args.json is not None:
            with args.json.open("a", encoding="utf-8") as file:
                file.write(json.dumps(content, allow_nan=False) + "\n")


if __name__ == "__main__":
    arguments = tyro.cli(Args, description=__doc__)
    run_main("score", lambda: main(arguments))
