"""Options, folders and reports that all commands that generate shapes share."""

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
    SheetLayout,
    WriteReport,
    open_folder,
    write_shapes,
)
from get3d.cli import flags
from get3d.cli.device import pick_device
from get3d.cli.errors import one_line
from get3d.cli.progress import progress_bar
from get3d.core import ConfigError, Styles
from get3d.export import AssetOptions, Placement, TextureSize
from get3d.models import GridOptions

# A folder's record has the model apart. Another device may round differently, but a folder can be
# resumed on it.
_NO_SETTINGS = ("model", "out", "device", "overwrite")
_MAX_GRID_ROWS = 64
_MOST = 1_000_000


@dataclass(frozen=True)
class ShapeOptions:
    """Options of every command that generates shapes."""

    model: Annotated[str | None, tyro.conf.Positional] = None
    """Model folder, run folder, hf://owner/name, or vessel, chair or vehicle (bundled); vessel if
    left out."""

    out: Annotated[Path, flags.OUT] = tyro.MISSING

    texture_size: Annotated[TextureSize, flags.TEXTURE_SIZE] = "auto"

    format: Literal["glb", "obj", "ply", "usdz"] = "glb"
    """glb: one file with its texture; usdz: the same for Apple's Quick Look and USD programs; obj:
    with material and texture files beside it; ply: with vertex colours."""

    jpeg: int | None = None
    """Textures in glb and usdz files as JPEG of this quality, 1 to 95; PNG if left out."""

    asset: Annotated[AssetOptions, tyro.conf.arg(name="")] = field(default_factory=AssetOptions)
    """Cleaning, normals and vertex colours."""

    placement: Annotated[Placement, tyro.conf.arg(name="")] = field(default_factory=Placement)
    """Pivot, up axis and size of the files."""

    grid: Annotated[GridOptions, tyro.conf.arg(name="")] = field(default_factory=GridOptions)
    """Resolution of the surface."""

    device: Annotated[str, flags.DEVICE] = "auto"

    overwrite: Annotated[bool, flags.OVERWRITE] = False

    @property
    def files(self) -> ShapeFiles:
        """Format and options of the mesh files."""
        return ShapeFiles(
            suffix=f".{self.format}",
            texture_size=self.texture_size,
            asset=self.asset,
            grid=self.grid,
            placement=self.placement,
            jpeg_quality=self.jpeg,
        )

    def load_model(self) -> Model:
        """Load the model onto the device of `--device`.

        Raises:
            ConfigError: If there is no such device, or an option is out of range.
            ModelError: If the model cannot be used.
        """
        _ = self.files  # loading takes long, so the options are validated first
        device = pick_device(self.device)
        model = load(self.model, device=device)
        self.grid.check(model.generator.config)
        print(f"model: {model.info}")
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
    """Open the output folder; raise ConfigError if it has the files of other options.

    Args:
        options: Options of the command; the files depend on all but the folder and the device.
        command: Name of the command.
        model: The model that generates the shapes.
        cells: The shapes that will be written.
        other_files: Names of other files that will be written.
        leave_out: Options that change the number of files but none of their contents.
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
    sheets: SheetLayout | None,
) -> WriteReport:
    """Write shapes with a progress bar; Ctrl-C reports how many are done."""
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


def write_grid(
    options: ShapeOptions, command: str, model: Model, rows: Sequence[Sequence[Cell | None]]
) -> int:
    """Write a grid of shapes and its contact sheet of front views, and print a report.

    Args:
        options: Options of the command.
        command: Name of the command.
        model: The model that generates the shapes.
        rows: Cells of the contact sheet; rows of equal length.

    Returns:
        Exit code: 0 if every shape was made, else 1.
    """
    cells = [cell for row in rows for cell in row]
    folder = take_folder(options, command, model, cells)
    front = SheetLayout().rotations_deg[:1]
    sheets = SheetLayout(columns=len(rows[0]), rows=_MAX_GRID_ROWS, rotations_deg=front)
    return report(make_shapes(model, cells, folder, options, sheets), options.out)


def cell(name: str, label: str, styles: Styles) -> Cell:
    """Make a cell of the contact sheet from styles that are already computed."""
    return Cell(name, label, lambda: styles)


def report(written: WriteReport, out: Path, *, videos: Sequence[str] = ()) -> int:
    """Print which shapes were written and which failed.

    Args:
        written: Result of `make_shapes`.
        out: The output folder.
        videos: Names of the video files.

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
    """Raise ConfigError if an option, given by its name, is below 1 or beyond a million."""
    for name, value in numbers.items():
        if not 1 <= value <= _MOST:
            bound = "at least 1" if value < 1 else f"at most {_MOST}"
            raise ConfigError(f"{name} must be {bound}, got {value}")
