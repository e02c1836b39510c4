"""Videos of what is shown from a moving or standing camera, into a folder."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from get3d.apps.latent.folder import SHEET_NAME, OutFolder
from get3d.apps.latent.shapes import Subject
from get3d.apps.latent.views import POLAR_DEG, Stage, video_frame
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
    """Write a video: one frame a camera, all of them about the same point at the same distance.

    Args:
        subjects: Gives what is seen, frame by frame; asked twice, first to find a distance from
            which nothing leaves the image. None leaves a frame white.
        folder: From `open_folder`.
        name: Of the file; the suffix picks the format.
        rotations_deg: Of the cameras.
        image_size: Side of the video, in pixels.
        fps: Frames a second.
        polar_deg: Of the cameras: 0 looks straight down, 90 is the horizon.
        on_progress: Called with how many are done, and of how many: every frame counts twice, once
            for its distance.

    Returns:
        Some frames, evenly spread, for a contact sheet.

    Raises:
        ValueError: If there is no surface, or as `save_video`.
        OSError: If the file cannot be written.
    """
    num = len(rotations_deg)
    show = on_progress or (lambda done, total: None)

    def measured() -> Iterator[Mesh]:
        for index, subject in enumerate(subjects()):
            show(index + 1, 2 * num)
            if subject is not None:
                yield subject.mesh

    stage = Stage.around(measured())
    cameras = stage.cameras(rotations_deg, polar_deg=polar_deg)
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
    """Write a contact sheet of images that are there already, and the record.

    Args:
        folder: From `open_folder`.
        images: At least one.
        columns: Images in a row.
        labels: One under each image.

    Raises:
        OSError: If it cannot be written.
    """
    sheet = contact_sheet(images, columns=min(columns, len(images)), labels=labels)
    save_png(folder.path / SHEET_NAME, sheet, durable=False)
    folder.images[SHEET_NAME] = {"files": folder.sizes(SHEET_NAME)}
    folder.write_record()
