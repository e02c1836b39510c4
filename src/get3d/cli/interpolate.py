"""`get3d interpolate`: latent-space interpolation between shapes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from get3d.apps import Model
from get3d.apps.latent import (
    SHEET_NAME,
    LatentShape,
    OutFolder,
    Vary,
    generate_shape,
    interpolate_styles,
    parse_name,
    split_styles,
    turn_deg,
    write_contact_sheet,
    write_video,
)
from get3d.cli import flags
from get3d.cli.latent import ShapeOptions, cell, check_positive, make_shapes, report, take_folder
from get3d.cli.parsing import parse
from get3d.cli.progress import progress_bar
from get3d.core import MeshError, Styles, check_video


@dataclass(frozen=True)
class InterpolateArgs(ShapeOptions):
    """Interpolate between shapes: a video, meshes of the named shapes, and a contact sheet.

    Every shape of --seeds, at least two, is a frame of the video. The interpolation is linear in W,
    the space of style vectors; what does not vary stays that of the first shape.
    """

    seeds: Annotated[tuple[str, ...], flags.SEEDS] = tyro.MISSING

    texture_seeds: Annotated[tuple[str, ...], flags.TEXTURE] = ()

    vary: Annotated[Vary, flags.VARY] = "both"

    frames: Annotated[int, flags.FRAMES] = 60

    loop: bool = False
    """Return to the first shape at the end."""

    turns: Annotated[float, flags.TURNS] = 0.0

    video: Annotated[Literal["webp", "gif", "mp4"], flags.VIDEO] = "webp"

    fps: Annotated[float, flags.FPS] = 30.0

    image_size: Annotated[int, flags.IMAGE_SIZE] = 256

    truncation: Annotated[float, flags.TRUNCATION] = 0.7


def run(args: list[str]) -> int:
    """Run `get3d interpolate`.

    Args:
        args: Command line after `get3d interpolate`.

    Returns:
        Exit code: 0 if every shape was made, else 1.
    """
    parsed = parse(InterpolateArgs, "interpolate", args)
    check_positive(frames=parsed.frames, image_size=parsed.image_size)
    check_video(f".{parsed.video}", fps=parsed.fps)
    rotations_deg = turn_deg(parsed.frames, turns=parsed.turns)
    names = [parse_name(name) for name in parsed.seeds]
    model = parsed.load_model()
    path = interpolate_styles(
        model,
        names,
        textures=parsed.texture_seeds or None,
        frames=parsed.frames,
        vary=parsed.vary,
        loop=parsed.loop,
        truncation=parsed.truncation,
    )
    steps = split_styles(path.styles)
    cells = [
        cell(f"frame_{frame:04d}", f"seed {name}", steps[frame])
        for name, frame in zip(names, path.key_frames, strict=True)
    ]
    video = f"walk.{parsed.video}"
    folder = take_folder(parsed, "interpolate", model, cells, other_files=[video])
    written = make_shapes(model, cells, folder, parsed, None)
    if not all(folder.is_complete(folder.images, name) for name in (video, SHEET_NAME)):
        _record_video(parsed, model, split_styles(path.styles), folder, video, rotations_deg)
    written.sheets.append(SHEET_NAME)
    return report(written, parsed.out, videos=[video])


def _record_video(
    parsed: InterpolateArgs,
    model: Model,
    steps: list[Styles],
    folder: OutFolder,
    name: str,
    rotations_deg: list[float],
) -> None:
    """Write the video and the contact sheet; frames without a surface stay white."""
    empty: dict[int, str] = {}

    def shapes() -> Iterator[LatentShape | None]:
        for frame, styles in enumerate(steps):
            try:
                yield generate_shape(model, styles, grid=parsed.grid)
            except MeshError as error:
                empty[frame] = str(error)
                yield None

    with progress_bar("frames, measured and rendered") as progress:
        task = progress.add_task("", total=None)
        stills = write_video(
            shapes,
            folder,
            name,
            rotations_deg=rotations_deg,
            image_size=parsed.image_size,
            fps=parsed.fps,
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    write_contact_sheet(folder, stills)
    if empty:
        frame, reason = min(empty.items())
        print(f"note: {len(empty)} frames are empty, the first of them {frame}: {reason}")
