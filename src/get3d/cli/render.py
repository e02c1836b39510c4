"""`get3d render`: render training images of 3D models."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from get3d.cli import flags
from get3d.cli.parsing import parse
from get3d.cli.progress import progress_bar
from get3d.core import ConfigError
from get3d.data import (
    RenderConfig,
    RenderProgress,
    RenderReport,
    describe_unread,
    render_dataset,
)


@dataclass(frozen=True, kw_only=True)
class _Settings(RenderConfig):
    __doc__ = RenderConfig.__doc__

    size: Annotated[int, flags.IMAGE_SIZE] = RenderConfig.size


@dataclass(frozen=True)
class RenderArgs:
    """Render a data set: images of 3D models from random cameras, with masks and cameras.

    The folder is new, empty, or one that the same settings made. Reads GLB, glTF, OBJ, PLY, STL and
    OFF; each object is centred and scaled to the same size. Files that cannot be used are listed at
    the end, with the reason. The same command resumes where it was stopped, and renders models that
    were added. Files in folders called train, val and test keep their split; otherwise it is drawn
    at random. Unless --longest-side is given, it is the largest at which no image cuts off a corner
    of any box.
    """

    meshes: tyro.conf.Positional[tuple[Path, ...]]
    """Mesh files, and folders that are searched for them."""

    out: Annotated[Path, flags.OUT]

    config: Annotated[tyro.conf.OmitArgPrefixes[_Settings], tyro.conf.arg(name="")] = field(
        default_factory=_Settings
    )


def run(args: list[str]) -> int:
    """Run `get3d render`.

    Args:
        args: Command line after `get3d render`.

    Returns:
        Exit code 0; files that could not be used are a note, not a failure.
    """
    parsed = parse(RenderArgs, "render", args)
    if not parsed.meshes:
        raise ConfigError("no meshes named; give files, or folders that hold them")
    config = RenderConfig(**vars(parsed.config))
    with progress_bar("objects") as progress:
        task = progress.add_task("", total=None)

        def show(state: RenderProgress) -> None:
            progress.update(task, completed=state.done, total=state.total)
            if state.outcome is not None:
                progress.update(task, description=state.outcome.job.name)

        report = render_dataset(parsed.meshes, parsed.out, config, on_progress=show)
    _print_report(report)
    return 0


def _print_report(report: RenderReport) -> None:
    """Print notes, skipped files and counts."""
    for name, notes in sorted(report.notes.items()):
        print(f"note: {name}: {'; '.join(notes)}")
    if report.unread:
        print(describe_unread(report.unread))
    for item in report.skipped:
        print(f"skipped: {item.file}: {item.reason}")
    sizes = ", ".join(f"{num} {split}" for split, num in report.num_by_split.items() if num)
    print(f"longest side {report.longest_side:g}; {sizes}")
    kept = f" ({report.num_kept} of them were there)" if report.num_kept else ""
    print(
        f"{report.num_rendered + report.num_kept} objects{kept}, {report.num_images} images in "
        f"{report.out}; {len(report.skipped)} files skipped. Next: get3d validate {report.out}"
    )
