"""`get3d validate`: check a data set before a training run."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from get3d.cli.parsing import parse
from get3d.cli.progress import progress_bar
from get3d.data import ValidationReport, validate_dataset


@dataclass(frozen=True)
class ValidateArgs:
    """Check a whole data set for everything that would spoil a training run.

    Checks counts, sizes, masks, cut-off objects, cameras, and whether the silhouettes of each
    object agree through their cameras. Changes nothing in the data set.
    """

    data: tyro.conf.Positional[Path]
    """Data set: from `get3d render`, in the published layout, or NeRF transforms.json folders."""

    overlay: Path | None = Path("overlay.png")
    """PNG file, in the current folder by default, of images with boxes and axes projected through
    the cameras, if an object has three views or more; None writes none."""


def run(args: list[str]) -> int:
    """Run `get3d validate`.

    Args:
        args: Command line after `get3d validate`.

    Returns:
        Exit code: 0 if training can start, else 1.
    """
    parsed = parse(ValidateArgs, "validate", args)
    with progress_bar("images") as progress:
        task = progress.add_task("", total=None)
        report = validate_dataset(
            parsed.data,
            overlay_path=parsed.overlay,
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    _print_report(report)
    if report.has_overlay:
        print(f"boxes drawn through the cameras: {parsed.overlay}")
    return 0 if report.is_usable else 1


def _print_report(report: ValidationReport) -> None:
    """Print statistics, warnings, errors and the conclusion."""
    width = max(map(len, report.statistics), default=0)
    for name, value in report.statistics.items():
        print(f"{name:<{width}}  {value}")
    for text in report.warnings:
        print(f"warning: {text}")
    for text in report.errors:
        print(f"error: {text}")
    counts = f"{len(report.errors)} errors, {len(report.warnings)} warnings"
    outlook = "training can start" if report.is_usable else "training would fail or learn nothing"
    print(f"{report.root}: {counts}; {outlook}")
