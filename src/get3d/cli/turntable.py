"""`get3d turntable`: turntable videos of shapes and mesh files."""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from get3d.apps import Model, load
from get3d.apps.latent import (
    SHEET_NAME,
    MeshSubject,
    OutFolder,
    Subject,
    check_polar,
    generate_shape,
    open_folder,
    parse_name,
    portrait,
    read_subject,
    styles_of,
    turn_deg,
    write_contact_sheet,
    write_video,
)
from get3d.apps.sources import is_model_name
from get3d.cli import flags
from get3d.cli.device import pick_device
from get3d.cli.errors import one_line
from get3d.cli.latent import check_positive
from get3d.cli.parsing import parse
from get3d.cli.progress import progress_bar
from get3d.core import ConfigError, Frame, MeshError, check_video
from get3d.data.mesh_files import MESH_SUFFIXES
from get3d.models import GridOptions

_STILLS = 8
_WITH_FILES_BESIDE = (".obj", ".gltf")
_FOR_MODELS = ("truncation", "grid", "device")
_NO_SETTINGS = ("sources", "out", "device", "overwrite")


@dataclass(frozen=True)
class TurntableArgs:
    """Render turntable videos of a model's shapes or of mesh files, and a contact sheet.

    Mesh files are centred and scaled to fill the image.
    """

    sources: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Mesh files (GLB, glTF, OBJ, PLY, STL, OFF), or one model: a model folder, a run folder, a
    checkpoint of the release or a name on the hub; the vessels that ship with get3d if left out."""

    out: Annotated[Path, flags.OUT] = tyro.MISSING

    seeds: Annotated[tuple[str, ...], flags.SEEDS] = ()

    texture_seeds: Annotated[tuple[str, ...], flags.TEXTURE] = ()

    truncation: Annotated[float, flags.TRUNCATION] = 0.7

    grid: Annotated[GridOptions, tyro.conf.arg(name="")] = field(default_factory=GridOptions)
    """Resolution of the surfaces of the model's shapes."""

    frames: Annotated[int, flags.FRAMES] = 72

    turns: Annotated[float, flags.TURNS] = 1.0

    polar_deg: float = 65.0
    """Angle between +y and the camera, in degrees: 0 looks straight down, 90 is the horizon; two
    are the range of random cameras."""

    video: Annotated[Literal["webp", "gif", "mp4"], flags.VIDEO] = "webp"

    fps: Annotated[float, flags.FPS] = 24.0

    image_size: Annotated[int, flags.IMAGE_SIZE] = 256

    device: Annotated[str, flags.DEVICE] = "auto"

    overwrite: Annotated[bool, flags.OVERWRITE] = False


@dataclass(frozen=True)
class _Shot:
    """Subject of one video.

    Attributes:
        make: Loads or generates the subject.
        mesh: Size and hash of its file; None for a shape of the model.
        is_alone: Whether the subject depends on no other files, so that an existing video is kept.
    """

    make: Callable[[], Subject]
    mesh: dict[str, Any] | None = None
    is_alone: bool = True

    def has_video(self, folder: OutFolder, video: str) -> bool:
        """Return whether the folder already has its video."""
        is_same = folder.is_complete(folder.images, video) and self.is_alone
        return is_same and folder.images[video].get("mesh") == self.mesh


def run(args: list[str]) -> int:
    """Run `get3d turntable`.

    Args:
        args: Command line after `get3d turntable`.

    Returns:
        Exit code: 0 if every video was made, else 1.
    """
    parsed = parse(TurntableArgs, "turntable", args)
    check_positive(frames=parsed.frames, image_size=parsed.image_size)
    check_polar(parsed.polar_deg)
    check_video(f".{parsed.video}", fps=parsed.fps)
    rotations_deg = turn_deg(parsed.frames, turns=parsed.turns)
    shots, model = _shots(parsed)
    videos = {f"{name}.{parsed.video}": shot for name, shot in shots.items()}
    settings = asdict(parsed) | ({} if model else {"meshes": [*map(str, parsed.sources)]})
    folder = open_folder(
        parsed.out,
        command="turntable",
        settings={name: value for name, value in settings.items() if name not in _NO_SETTINGS},
        model=model,
        names=[*videos, SHEET_NAME],
        overwrite=parsed.overwrite,
    )
    is_done = all(shot.has_video(folder, video) for video, shot in videos.items())
    errors = {}
    if not (is_done and folder.is_complete(folder.images, SHEET_NAME)):
        errors = _record_videos(parsed, videos, folder, rotations_deg)
    for video, reason in errors.items():
        print(f"failed: {video}: {one_line(reason)}")
    num = len(videos) - len(errors)
    what = "1 video" if num == 1 else f"{num} videos"
    print(f"{what} in {parsed.out}, stills on {parsed.out / SHEET_NAME}")
    return 1 if errors else 0


def _record_videos(
    parsed: TurntableArgs, videos: dict[str, _Shot], folder: OutFolder, rotations_deg: list[float]
) -> dict[str, str]:
    """Write the missing videos and the contact sheet; return the reasons of those that failed."""
    stills, errors, losses = dict[str, Frame](), dict[str, str](), dict[str, tuple[str, ...]]()
    with progress_bar("frames, measured and rendered") as progress:
        task = progress.add_task("", total=len(videos) * 2 * parsed.frames)
        for index, (video, shot) in enumerate(videos.items()):
            before = index * 2 * parsed.frames
            progress.update(task, description=Path(video).stem, completed=before)

            def show(done: int, _total: int, before: int = before) -> None:
                progress.update(task, completed=before + done)

            try:
                subject = shot.make()
                if isinstance(subject, MeshSubject):
                    losses[video] = subject.shape.losses
                still = portrait(subject, parsed.image_size, rotations_deg=turn_deg(_STILLS))
                if not shot.has_video(folder, video):
                    write_video(
                        partial(repeat, subject, parsed.frames),
                        folder,
                        video,
                        rotations_deg=rotations_deg,
                        polar_deg=parsed.polar_deg,
                        image_size=parsed.image_size,
                        fps=parsed.fps,
                        on_progress=show,
                    )
                    folder.images[video]["mesh"] = shot.mesh
            except (MeshError, FileNotFoundError) as error:
                errors[video] = str(error)
                folder.images[video] = {"error": str(error)}
            else:
                stills[Path(video).stem] = still
            folder.write_record()
    for video, lost in losses.items():
        if lost:
            print(f"note: {video}: {'; '.join(lost)}")
    if not stills:
        raise MeshError(f"no video could be made: {next(iter(errors.values()))}")
    write_contact_sheet(folder, list(stills.values()), columns=1, labels=list(stills))
    return errors


def _shots(parsed: TurntableArgs) -> tuple[dict[str, _Shot], Model | None]:
    """Return the subjects by the names of their videos, and the model if there is one."""
    paths = [Path(source) for source in parsed.sources]
    is_mesh = [path.suffix.lower() in MESH_SUFFIXES for path in paths]
    if any(is_mesh):
        return _files(parsed, paths, is_mesh), None
    known = " ".join(MESH_SUFFIXES)
    if len(paths) > 1:
        given = ", ".join(parsed.sources)
        raise ConfigError(f"give mesh files ({known}) or one model, got {given}")
    source = parsed.sources[0] if paths else None
    if source is not None and not is_model_name(source):
        raise ConfigError(f"{source} is neither a model nor a mesh file ({known})")
    if not parsed.seeds:
        raise ConfigError("nothing to render; name shapes with --seeds, such as 0.3, or mesh files")
    textures = parsed.texture_seeds or parsed.seeds
    if len(textures) != len(parsed.seeds):
        raise ConfigError(
            f"texture must be as many as seeds, got {len(textures)} for {len(parsed.seeds)}"
        )
    pairs = [(parse_name(a), parse_name(b)) for a, b in zip(parsed.seeds, textures, strict=True)]
    model = load(source, device=pick_device(parsed.device))
    parsed.grid.check(model.generator.config)
    print(f"model: {model.info}")
    shots = [
        _Shot(
            partial(
                generate_shape,
                model,
                styles_of(model, name, texture=texture, truncation=parsed.truncation),
                grid=parsed.grid,
            )
        )
        for name, texture in pairs
    ]
    names = [
        f"shape_{name}" if texture == name else f"shape_{name}_texture_{texture}"
        for name, texture in pairs
    ]
    return _by_name(names, shots), model


def _files(parsed: TurntableArgs, paths: list[Path], is_mesh: list[bool]) -> dict[str, _Shot]:
    """Return the subjects of mesh files; raise ConfigError for options of models."""
    if not all(is_mesh):
        odd = paths[is_mesh.index(False)]
        raise ConfigError(
            f"{odd} is no mesh file by its suffix; known are {' '.join(MESH_SUFFIXES)}"
        )
    if parsed.seeds or parsed.texture_seeds:
        raise ConfigError("seeds are shapes of a model; give mesh files or seeds, not both")
    usual = TurntableArgs(out=parsed.out)
    for name in _FOR_MODELS:
        if getattr(parsed, name) != getattr(usual, name):
            what = "grid_resolution and subdivisions are" if name == "grid" else f"{name} is"
            raise ConfigError(f"{what} for shapes of a model, not for mesh files; leave it out")
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise FileNotFoundError(f"{missing[0]}: no such mesh file")
    stems = Counter(path.stem for path in paths)
    names = [
        path.stem if stems[path.stem] == 1 else f"{path.absolute().parent.name}_{path.stem}"
        for path in paths
    ]
    return _by_name(names, [_file_shot(path) for path in paths])


def _file_shot(path: Path) -> _Shot:
    """Make the subject of one mesh file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    mesh = {"bytes": path.stat().st_size, "sha256": digest}
    is_alone = path.suffix.lower() not in _WITH_FILES_BESIDE
    return _Shot(partial(read_subject, path), mesh, is_alone)


def _by_name(names: list[str], shots: list[_Shot]) -> dict[str, _Shot]:
    """Map names to subjects; raise ConfigError if a name occurs twice."""
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ConfigError(f"two videos would be called {twice[0]}; name each shape once")
    return dict(zip(names, shots, strict=True))
