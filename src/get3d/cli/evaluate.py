"""`get3d evaluate`: scores of a model, and contact sheets."""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import tyro

from get3d.apps.evaluation import (
    EvaluationConfig,
    evaluate,
    save_images,
    save_report,
    settings_of,
    summarize,
)
from get3d.apps.evaluation.page import SCORES_NAME, score_text, score_title
from get3d.apps.run_folder import read_run_data
from get3d.cli import flags
from get3d.cli.device import pick_device
from get3d.cli.parsing import parse
from get3d.cli.progress import progress_bar
from get3d.core import ConfigError, atomic_path

WORK_NAME = "work"


@dataclass(frozen=True, kw_only=True)
class _Settings(EvaluationConfig):
    """Settings of an evaluation, with the flags that several commands share."""

    num_shapes: Annotated[int | None, flags.NUM] = None


@dataclass(frozen=True)
class EvaluateArgs:
    """Score a model, or meshes of any program, against shapes that it was not trained on.

    Writes scores.json, report.md and images. The same command resumes where it was stopped. Five
    times as many shapes as there are references are generated unless --num is given (published).
    --light, --up-axis, --longest-side and --cull-backfaces are for references and training shapes,
    as for `get3d render`; the light is also on shapes of a model whose colours are base colours
    (is_unlit in its config.yaml).
    """

    model: tyro.conf.Positional[str | None] = None
    """Model folder, run folder, hf://owner/name, or vessel, chair or vehicle (bundled); vessel if
    left out."""

    data: Path | None = None
    """Dataset of `get3d render`, whose splits, mesh files, scale, light and cameras are used; or a
    folder with a folder `test` of meshes and, for the oracles and the search for copies, a folder
    `train`. The dataset that the model was trained on if left out."""

    out: Annotated[Path, flags.OUT] = tyro.MISSING

    meshes: Path | None = None
    """Evaluate the meshes in this folder instead of a model."""

    device: Annotated[str, flags.DEVICE] = "auto"

    workers: Annotated[int | None, flags.WORKERS] = None

    overwrite: Annotated[bool, flags.OVERWRITE] = False

    keep_duplicates: bool = False
    """Compute scores even if test shapes are among the training shapes."""

    config: Annotated[tyro.conf.OmitArgPrefixes[EvaluationConfig], tyro.conf.arg(name="")] = field(
        default_factory=_Settings
    )


def run(args: list[str]) -> int:
    """Run `get3d evaluate`.

    Args:
        args: Command line after `get3d evaluate`.

    Returns:
        Exit code 0.
    """
    parsed = _parse(args)
    assert parsed.data is not None  # for the type checker
    if parsed.model is not None and parsed.meshes is not None:
        raise ConfigError("give a model or --meshes, not both")
    if parsed.workers is not None and parsed.workers < 1:
        raise ConfigError(f"workers must be at least 1, got {parsed.workers}")
    settings = _settings(parsed)
    _check_writable(parsed.out)
    if not parsed.overwrite:
        _check_same_settings(parsed.out, settings)
    with progress_bar("done") as progress:
        task = progress.add_task("", total=None)
        evaluation = evaluate(
            parsed.data,
            work=parsed.out / WORK_NAME,
            config=parsed.config,
            model=parsed.model,
            meshes=parsed.meshes,
            device=str(pick_device(parsed.device)),
            workers=parsed.workers,
            keep_duplicates=parsed.keep_duplicates,
            on_progress=lambda label, done, total: progress.update(
                task, description=label, completed=done, total=total
            ),
        )
        progress.update(task, description="images", completed=0, total=None)
        name = str(parsed.meshes or parsed.model or "the bundled model")
        content = summarize(evaluation, name=name) | {"settings": settings}
        images = save_images(evaluation, parsed.out)
        save_report(content, parsed.out, images)
    if content["model"]:
        print(f"model: {content['model']}")
    for score, value in content["rows"][0]["scores"].items():
        ratio = content["ratios"].get(score)
        beside = "" if ratio is None else f"  ({ratio:.2f} of what training shapes score)"
        print(f"{score_title(score):<22} {score_text(score, value):>8}{beside}")
    _print_hollowness(content["hollowness"])
    for text in (*content["deviations"], *content["notes"]):
        print(f"note: {text}")
    names = ", ".join(path.name for path in images)
    print(f"{parsed.out}: report.md, scores.json, {names}")
    return 0


def _parse(args: list[str]) -> EvaluateArgs:
    """Parse the command line; the data give the defaults of the settings."""
    first = parse(EvaluateArgs, "evaluate", args)
    data = read_run_data(first.model) if first.data is None else first.data
    if data is None:
        raise ConfigError("no data to compare with; name a dataset or a folder with --data")
    settings = _Settings(**vars(settings_of(data)))

    @dataclass(frozen=True)
    class Args(EvaluateArgs):
        __doc__ = EvaluateArgs.__doc__
        config: Annotated[tyro.conf.OmitArgPrefixes[EvaluationConfig], tyro.conf.arg(name="")] = (
            field(default_factory=lambda: settings)
        )

    parsed = parse(Args, "evaluate", args)
    return replace(parsed, data=data, config=EvaluationConfig(**vars(parsed.config)))


def _print_hollowness(content: dict[str, Any]) -> None:
    """Print the median volume over the convex hull's of generated and reference shapes."""
    by_role = content["volume_over_hull"]
    generated, reference = (by_role[role]["quantiles"] for role in ("generated", "reference"))
    if generated is not None and reference is not None:
        title = "volume over hull"
        print(f"{title:<22} {generated['50']:>8.2f}  (median; {reference['50']:.2f} of references)")


def _settings(parsed: EvaluateArgs) -> dict[str, Any]:
    """Return the options that the scores depend on, as JSON values."""
    free = ("out", "device", "workers", "overwrite")
    values = {name: value for name, value in asdict(parsed).items() if name not in free}
    settings: dict[str, Any] = json.loads(json.dumps(values, default=str))
    return settings | settings.pop("config")


def _check_same_settings(out: Path, settings: dict[str, Any]) -> None:
    """Raise ConfigError if the folder has scores that were made with other settings."""
    path = out / SCORES_NAME
    if not path.is_file():
        return
    try:
        former = json.loads(path.read_text(encoding="utf-8"))["settings"]
        former = asdict(EvaluationConfig()) | former  # scores of earlier versions lack new ones
        changed = [name for name, value in settings.items() if former.get(name) != value]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        changed = ["what made it"]
    if changed:
        raise ConfigError(
            f"{path} has scores of other settings ({', '.join(changed)} differs); choose another "
            "--out, or add --overwrite"
        )


def _check_writable(out: Path) -> None:
    """Raise OSError before the long work if the folder cannot be written."""
    with atomic_path(out / ".writable", durable=False) as temp_path:
        temp_path.write_bytes(b"")
    (out / ".writable").unlink()
