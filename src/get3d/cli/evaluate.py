"""`get3d evaluate`: how good a model is, in numbers and pictures."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from get3d.apps.evaluation import EvaluationConfig, evaluate, save_pictures, save_report, summarize
from get3d.apps.evaluation.page import score_text, score_title
from get3d.cli.device import pick_device
from get3d.cli.parsing import parse
from get3d.cli.progress import progress_bar
from get3d.core.files import atomic_path

WORK_NAME = "work"


@dataclass(frozen=True)
class EvaluateArgs:
    """Judge a model, or meshes of any program, by shapes that it never saw.

    Writes scores.json, report.md and pictures. The same command goes on where it was stopped.
    """

    model: tyro.conf.Positional[str | None] = None
    """Model folder, folder of a training run, or hf://owner/name; the one that ships with get3d if
    left out."""

    data: Path = tyro.MISSING
    """Folder with a folder `test` of meshes and, for oracles and the look for copies, one `train`;
    `get3d shapes` makes such."""

    out: Path = tyro.MISSING
    """Folder for the results; made if absent."""

    meshes: Path | None = None
    """Judge the meshes in this folder instead of a model."""

    device: str = "auto"
    """auto (a GPU if there is one), cpu, cuda, or one GPU such as cuda:1."""

    workers: int | None = None
    """Processes on a CPU; one for each core if left out."""

    keep_duplicates: bool = False
    """Score although test shapes are among the training shapes."""

    config: Annotated[tyro.conf.OmitArgPrefixes[EvaluationConfig], tyro.conf.arg(name="")] = field(
        default_factory=EvaluationConfig
    )


def run(args: list[str]) -> int:
    """Evaluate as the command line says.

    Args:
        args: Command line behind `get3d evaluate`.

    Returns:
        Exit code: 0 if there are scores.
    """
    parsed = parse(EvaluateArgs, "evaluate", args)
    if parsed.model is not None and parsed.meshes is not None:
        raise ValueError("give a model or --meshes, not both")
    if parsed.workers is not None and parsed.workers < 1:
        raise ValueError(f"workers must be at least 1, got {parsed.workers}")
    _check_writable(parsed.out)
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
        progress.update(task, description="pictures", completed=0, total=None)
        name = str(parsed.meshes or parsed.model or "the bundled model")
        content = summarize(evaluation, name=name)
        save_report(content, parsed.out)
        pictures = save_pictures(evaluation, parsed.out)
    for score, value in content["rows"][0]["scores"].items():
        ratio = content["ratios"].get(score)
        beside = "" if ratio is None else f"  ({ratio:.2f} of what training shapes score)"
        print(f"{score_title(score):<22} {score_text(score, value):>8}{beside}")
    for text in (*content["deviations"], *content["notes"]):
        print(f"note: {text}")
    names = ", ".join(path.name for path in pictures)
    print(f"{parsed.out}: report.md, scores.json, {names}")
    return 0


def _check_writable(out: Path) -> None:
    """Fail before the long work, not after it."""
    with atomic_path(out / ".writable", durable=False) as temp_path:
        temp_path.write_bytes(b"")
    (out / ".writable").unlink()
