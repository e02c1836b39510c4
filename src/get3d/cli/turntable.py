"""`get3d turntable`: shapes filmed from all around."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Annotated, Literal

import tyro

from get3d.apps import Model, load
from get3d.apps.latent import (
    SHEET_NAME,
    OutFolder,
    Subject,
    check_polar,
    make_shape,
    open_folder,
    parse_name,
    portrait,
    read_subject,
    styles_of,
    turn_deg,
    write_film,
    write_sheet,
)
from get3d.cli.device import pick_device
from get3d.cli.latent import check_positive
from get3d.cli.parsing import parse
from get3d.cli.progress import progress_bar
from get3d.core.memory import DEFAULT_MEMORY_MB
from get3d.core.video import check_video
from get3d.data.mesh_files import MESH_SUFFIXES
from get3d.models import GridOptions

_STILLS = 8
_NO_SETTINGS = ("sources", "out", "device", "memory_mb", "overwrite")


@dataclass(frozen=True)
class TurntableArgs:
    """Film shapes of a model, or mesh files, from all around: one film each, and a contact sheet.

    Mesh files are centred and fill the picture.
    """

    sources: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Mesh files (GLB, glTF, OBJ, PLY, STL, OFF), or one model folder or run folder; the model that
    ships with get3d if left out."""

    out: Path = tyro.MISSING
    """Folder for the films; made if absent."""

    seeds: tuple[str, ...] = ()
    """Shapes of the model: 7 is the first of `get3d generate --seed 7`, 7.3 is its shape_0003."""

    texture_seeds: tuple[str, ...] = ()
    """Where their textures come from, as many; the shapes themselves if left out."""

    truncation: float = 0.7
    """Of the model's shapes, as for `get3d generate`."""

    grid: Annotated[GridOptions, tyro.conf.arg(name="")] = field(default_factory=GridOptions)
    """How fine the surfaces of the model's shapes are."""

    frames: int = 72
    """Of each film."""

    turns: float = 1.0
    """How often the camera goes round; negative: the other way."""

    polar_deg: float = 65.0
    """Of the camera: 0 looks straight down, 90 is the horizon."""

    video: Literal["webp", "gif", "mp4"] = "webp"
    """Format of the films; mp4 needs pip install imageio-ffmpeg."""

    fps: float = 24.0
    """Frames a second."""

    image_size: int = 256
    """Side of the films, in pixels."""

    device: str = "auto"
    """For the model's shapes: auto (a GPU if there is one), cpu, cuda, or a GPU such as cuda:1."""

    memory_mb: int = DEFAULT_MEMORY_MB
    """Megabytes for asking the model's networks in portions, at least 16; the rest is on top."""

    overwrite: bool = False
    """Replace the files of another command."""


def run(args: list[str]) -> int:
    """Film as the command line says.

    Args:
        args: Command line behind `get3d turntable`.

    Returns:
        Exit code 0.
    """
    parsed = parse(TurntableArgs, "turntable", args)
    check_positive(frames=parsed.frames, image_size=parsed.image_size)
    check_polar(parsed.polar_deg)
    check_video(f".{parsed.video}", fps=parsed.fps)
    subjects, model = _subjects(parsed)
    films = [f"{name}.{parsed.video}" for name in subjects]
    settings = asdict(parsed) | ({} if model else {"meshes": [*map(str, parsed.sources)]})
    folder = open_folder(
        parsed.out,
        command="turntable",
        settings={name: value for name, value in settings.items() if name not in _NO_SETTINGS},
        model=model,
        names=[*films, SHEET_NAME],
        overwrite=parsed.overwrite,
    )
    # What a mesh file holds may have changed since its film was made; a model's shapes do not.
    is_done = {name: model is not None and folder.is_whole(folder.pictures, name) for name in films}
    if not all(is_done.values()) or not folder.is_whole(folder.pictures, SHEET_NAME):
        _film(parsed, subjects, folder, is_done)
    what = "1 film" if len(films) == 1 else f"{len(films)} films"
    print(f"{what} in {parsed.out}, stills on {parsed.out / SHEET_NAME}")
    return 0


def _film(
    parsed: TurntableArgs,
    subjects: dict[str, Callable[[], Subject]],
    folder: OutFolder,
    is_done: dict[str, bool],
) -> None:
    rotations_deg = turn_deg(parsed.frames, turns=parsed.turns)
    stills = []
    with progress_bar("frames") as progress:
        task = progress.add_task("", total=len(subjects) * parsed.frames)
        for (name, make), film in zip(subjects.items(), is_done, strict=True):
            progress.update(task, description=name)
            subject = make()
            stills.append(portrait(subject, parsed.image_size, rotations_deg=turn_deg(_STILLS)))
            if is_done[film]:
                progress.advance(task, parsed.frames)
                continue
            write_film(
                partial(repeat, subject, parsed.frames),
                folder,
                film,
                rotations_deg=rotations_deg,
                polar_deg=parsed.polar_deg,
                image_size=parsed.image_size,
                fps=parsed.fps,
                on_progress=lambda _done, _total: progress.advance(task),
            )
            folder.write_record()
    write_sheet(folder, stills, columns=1, labels=list(subjects))


def _subjects(parsed: TurntableArgs) -> tuple[dict[str, Callable[[], Subject]], Model | None]:
    """Say what is filmed, by the name of its film; and the model, if there is one."""
    paths = [Path(source) for source in parsed.sources]
    is_mesh = [path.suffix.lower() in MESH_SUFFIXES for path in paths]
    if any(is_mesh):
        return _files(parsed, paths, is_mesh), None
    if len(paths) > 1:
        known = " ".join(MESH_SUFFIXES)
        raise ValueError(f"give mesh files ({known}) or one model, got {', '.join(parsed.sources)}")
    source = parsed.sources[0] if paths else None
    if paths and paths[0].is_file():
        known = " ".join(MESH_SUFFIXES)
        raise ValueError(f"{source} is neither a model folder nor a mesh file ({known})")
    if not parsed.seeds:
        raise ValueError("nothing to film; name shapes with --seeds, such as 0.3, or mesh files")
    looks = parsed.texture_seeds or parsed.seeds
    if len(looks) != len(parsed.seeds):
        raise ValueError(
            f"texture_seeds must be as many as seeds, got {len(looks)} for {len(parsed.seeds)}"
        )
    pairs = [(parse_name(n), parse_name(look)) for n, look in zip(parsed.seeds, looks, strict=True)]
    model = load(source, device=pick_device(parsed.device), memory_mb=parsed.memory_mb)
    parsed.grid.check(model.generator.config)

    def make(index: int) -> Subject:
        name, look = pairs[index]
        styles = styles_of(model, name, texture=look, truncation=parsed.truncation)
        return make_shape(model, styles, grid=parsed.grid)

    names = [
        f"shape_{name}" if look == name else f"shape_{name}_texture_{look}" for name, look in pairs
    ]
    return _by_name(names, [partial(make, index) for index in range(len(pairs))]), model


def _files(
    parsed: TurntableArgs, paths: list[Path], is_mesh: list[bool]
) -> dict[str, Callable[[], Subject]]:
    if not all(is_mesh):
        odd = paths[is_mesh.index(False)]
        raise ValueError(
            f"{odd} is no mesh file by its suffix; known are {' '.join(MESH_SUFFIXES)}"
        )
    if parsed.seeds or parsed.texture_seeds:
        raise ValueError("seeds are shapes of a model; give mesh files or seeds, not both")
    if parsed.grid != GridOptions():
        raise ValueError("grid_resolution and subdivisions are for shapes of a model, not files")
    if parsed.memory_mb != DEFAULT_MEMORY_MB:
        raise ValueError("memory_mb is for shapes of a model, not files")
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise FileNotFoundError(f"{missing[0]}: no such mesh file")
    return _by_name([path.stem for path in paths], [partial(read_subject, path) for path in paths])


def _by_name(
    names: list[str], makers: list[Callable[[], Subject]]
) -> dict[str, Callable[[], Subject]]:
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"two films would be called {twice[0]}; name each shape once")
    return dict(zip(names, makers, strict=True))
