"""Videos and contact sheets in an output folder."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from get3d.apps.latent.folder import SHEET_NAME, OutFolder
from get3d.apps.latent.shapes import Subject
from get3d.apps.latent.views import POLAR_DEG, SceneBounds, video_frame
from get3d.apps.latent.write import Image, OnProgress
from get3d.core.contact_sheet import contact_sheet, save_png
from get3d.core.types import Mesh
from get3d.core.video import Frame, save_video

_SHEET_FRAMES = 16


def write_video(
    subjects: Callable[[], Iterator[Subject | None]],
    folder: OutFolder,
    name: str,
    *,
    rotations_deg: Sequence[float],
    image_size: int,
    fps: float,
    polar_deg: float = POLAR_DEG,
    on_progress: OnProgress | None = None,
) -> list[Frame]:
    """Write a video, one frame per camera; all cameras orbit the same point at the same distance.

    Args:
        subjects: Yields the subject of each frame, None for a white frame. Called twice: first to
            find a distance at which every subject fits the image.
        folder: Output folder, from `open_folder`.
        name: Name of the file; the suffix decides the format.
        rotations_deg: Rotation of each camera about +y.
        image_size: Width and height of the video, in pixels.
        fps: Frames per second.
        polar_deg: Polar angle of the cameras: 0 looks straight down, 90 is the horizon.
        on_progress: Called with the steps done and their number; every frame has two, one to
            measure it and one to render it.

    Returns:
        At most 16 frames, evenly spaced, for a contact sheet.

    Raises:
        MeshError: If no subject has a surface.
        ConfigError: As `save_video`.
        OSError: If the file cannot be written.
    """
    num = len(rotations_deg)
    show = on_progress or (lambda done, total: None)

    def measured() -> Iterator[Mesh]:
        for index, subject in enumerate(subjects()):
            show(index + 1, 2 * num)
            if subject is not None:
                yield subject.mesh

    bounds = SceneBounds.around(measured())
    cameras = bounds.cameras(rotations_deg, polar_deg=polar_deg)
    picked = set(np.linspace(0, num - 1, min(num, _SHEET_FRAMES)).round().astype(int).tolist())
    kept: list[Frame] = []

    def frames() -> Iterator[Frame]:
        for index, subject in enumerate(subjects()):
            frame = np.full((image_size, image_size, 3), 255, np.uint8)
            if subject is not None:
                frame = video_frame(subject.render(cameras[index : index + 1], image_size)[0])
            if index in picked:
                kept.append(frame)
            show(num + index + 1, 2 * num)
            yield frame

    save_video(folder.path / name, frames(), fps=fps)
    folder.images[name] = {"files": folder.sizes(name), "frames": num}
    return kept


def write_contact_sheet(
    folder: OutFolder,
    images: Sequence[Image],
    *,
    columns: int = 4,
    labels: Sequence[str] | None = None,
) -> None:
    """Write a contact sheet of images, and the record.

    Args:
        folder: Output folder, from `open_folder`.
        images: At least one image.
        columns: Images per row.
        labels: Text under each image.

    Raises:
        OSError: If it cannot be written.
    """
    sheet = contact_sheet(images, columns=min(columns, len(images)), labels=labels)
    save_png(folder.path / SHEET_NAME, sheet, durable=False)
    folder.images[SHEET_NAME] = {"files": folder.sizes(SHEET_NAME)}
    folder.write_record()
