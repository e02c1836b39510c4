"""What the commands that make shapes have in common: options, folders and reports."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from get3d.apps import Model, load
from get3d.apps.latent import (
    RECORD_NAME,
    SHEET_NAME,
    Cell,
    OutFolder,
    ShapeFiles,
    Sheets,
    Written,
    open_folder,
    write_shapes,
)
from get3d.cli.device import pick_device
from get3d.cli.errors import one_line
from get3d.cli.progress import progress_bar
from get3d.core.types import Styles
from get3d.export import AssetOptions
from get3d.models import GridOptions

# The model goes into a folder's record by itself. Another device may round differently,
# which makes no other command of it: a folder can be gone on with elsewhere.
_NO_SETTINGS = ("model", "out", "device", "overwrite")
_MAX_GRID_ROWS = 64


@dataclass(frozen=True)
class ShapeOptions:
    """Options of every command that makes shapes with a model."""

    model: Annotated[str | None, tyro.conf.Positional] = None
    """Model folder, run folder, or chair or vessel, which ship with get3d; vessel if left out."""

    out: Path = tyro.MISSING
    """Folder for the files; made if absent."""

    texture_size: int = 1024
    """Side of the square textures, in pixels."""

    format: Literal["glb", "obj", "ply", "usdz"] = "glb"
    """glb is one file with its texture; usdz too, for Apple's Quick Look and USD programs; obj has
    its material and texture beside it; ply has colours at the vertices."""

    jpeg: int | None = None
    """Textures in glb and usdz files as JPEG of this quality, 1 to 95; PNG if left out."""

    asset: Annotated[AssetOptions, tyro.conf.arg(name="")] = field(default_factory=AssetOptions)
    """Cleaning, normals and vertex colours."""

    grid: Annotated[GridOptions, tyro.conf.arg(name="")] = field(default_factory=GridOptions)
    """How fine the surface is."""

    device: str = "auto"
    """auto (a GPU if there is one), cpu, cuda, or one GPU such as cuda:1."""

    overwrite: bool = False
    """Replace the files of another command."""

    @property
    def files(self) -> ShapeFiles:
        """How shapes are written."""
        return ShapeFiles(
            suffix=f".{self.format}",
            texture_size=self.texture_size,
            asset=self.asset,
            grid=self.grid,
            jpeg_quality=self.jpeg,
        )

    def load_model(self) -> Model:
        """Load the model onto the device that was asked for.

        Raises:
            ValueError: If that is none, or shapes cannot be made or written as the options say.
        """
        _ = self.files  # loading takes long, so what cannot be written is refused first
        device = pick_device(self.device)
        model = load(self.model, device=device)
        self.grid.check(model.generator.config)
        return model


def take_folder(
    options: ShapeOptions,
    command: str,
    model: Model,
    cells: Sequence[Cell | None],
    *,
    other_files: Sequence[str] = (),
    leave_out: Sequence[str] = (),
) -> OutFolder:
    """Take the folder that was asked for, unless it belongs to another command.

    Args:
        options: Of the command; all but where and on what it runs are what the files depend on.
        command: Its name.
        model: Where the shapes come from.
        cells: The shapes that will be written.
        other_files: What else will be.
        leave_out: Options that change no file, only how many there are.
    """
    names = [cell.name + options.files.suffix for cell in cells if cell is not None]
    settings = asdict(options)
    return open_folder(
        options.out,
        command=command,
        settings={
            name: value
            for name, value in settings.items()
            if name not in (*_NO_SETTINGS, *leave_out)
        },
        model=model,
        names=[*names, SHEET_NAME, *other_files],
        overwrite=options.overwrite,
    )


def make_shapes(
    model: Model,
    cells: Sequence[Cell | None],
    folder: OutFolder,
    options: ShapeOptions,
    sheets: Sheets | None,
) -> Written:
    """Write shapes behind a progress bar; a stop says how far it came."""
    total, num_done = sum(cell is not None for cell in cells), 0
    with progress_bar("shapes") as progress:
        task = progress.add_task("", total=total)

        def show(done: int, total: int) -> None:
            nonlocal num_done
            num_done = done
            progress.update(task, completed=done, total=total)

        try:
            return write_shapes(
                model, cells, folder, files=options.files, sheets=sheets, on_progress=show
            )
        except KeyboardInterrupt:
            made = f"{num_done} of {total} shapes are done in {options.out}"
            raise KeyboardInterrupt(f"{made}; the same command goes on") from None


def make_grid(
    options: ShapeOptions, command: str, model: Model, rows: Sequence[Sequence[Cell | None]]
) -> int:
    """Write the shapes of a grid and one sheet of all, seen from the front; then say so.

    Args:
        options: Of the command.
        command: Its name.
        model: Where the shapes come from.
        rows: Equally long.

    Returns:
        Exit code: 0 if every shape was made, else 1.
    """
    cells = [cell for row in rows for cell in row]
    folder = take_folder(options, command, model, cells)
    front = Sheets().rotations_deg[:1]
    sheets = Sheets(columns=len(rows[0]), rows=_MAX_GRID_ROWS, rotations_deg=front)
    return report(make_shapes(model, cells, folder, options, sheets), options.out)


def cell(name: str, label: str, styles: Styles) -> Cell:
    """Make a place on a sheet of styles that are there already."""
    return Cell(name, label, lambda: styles)


def report(written: Written, out: Path, *, videos: Sequence[str] = ()) -> int:
    """Print what was made and what was not.

    Args:
        written: What happened.
        out: Where.
        videos: Files beside the shapes.

    Returns:
        Exit code: 0 if every shape was made, else 1.
    """
    for name, reason in written.errors.items():
        print(f"failed: {name}: {one_line(reason)}")
    shapes = f"{len(written.made) + len(written.kept)} shapes"
    if written.kept:
        shapes += f" ({len(written.kept)} of them were there)"
    look_at = [*videos, *written.sheets, RECORD_NAME][0]
    print(f"{', '.join([shapes, *videos])} in {out}; look at {out / look_at}")
    return 1 if written.errors else 0


def check_positive(**numbers: Any) -> None:
    """Refuse counts below 1, by the names of their options.

    Raises:
        ValueError: Naming the first.
    """
    for name, value in numbers.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
