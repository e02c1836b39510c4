"""Pictures of an evaluation: samples, the nearest training shapes, the best and worst matches."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from get3d.apps.evaluation.collection import Collection, open_source
from get3d.apps.evaluation.judge import Copying, Evaluation
from get3d.core.pictures import contact_sheet, save_png
from get3d.geometry import orbit_cameras

SAMPLES_NAME = "samples.png"
COPIES_NAME = "nearest_training.png"
BEST_NAME, WORST_NAME = "best_matches.png", "worst_matches.png"
_SAMPLES, _SAMPLE_COLUMNS = 48, 8
_ROWS, _NEIGHBOURS = 10, 5
_ROTATION_RAD, _POLAR_RAD = 3.75, 1.2
_SIDE = 144


def save_pictures(evaluation: Evaluation, out: Path) -> list[Path]:
    """Draw what numbers do not tell.

    samples.png shows the first generated shapes. nearest_training.png shows generated shapes with
    the training shapes nearest to them, the likeliest copies first. best_matches.png and
    worst_matches.png show references with the generated shapes nearest to them. All by Chamfer
    distance; without it there are samples only.

    Args:
        evaluation: Shapes are loaded, or generated, again.
        out: Folder for the files.

    Returns:
        What was written.
    """
    plan = evaluation.plan
    generated, reference = _Drawer(plan.generated), _Drawer(plan.reference)
    written = [out / SAMPLES_NAME]
    first = range(min(_SAMPLES, len(evaluation.generated)))
    _save_rows(written[0], [[generated.draw(i) for i in first]], columns=_SAMPLE_COLUMNS)
    if evaluation.copying is not None:
        written.append(out / COPIES_NAME)
        training = _Drawer(*[c for c in (plan.training, plan.more_training) if c is not None])
        _save_rows(written[-1], _copy_rows(evaluation.copying, generated, training))
    if evaluation.to_reference is not None and evaluation.to_reference.isfinite().any():
        matched = evaluation.to_reference.amin(0).argsort().tolist()
        for name, chosen in (
            (BEST_NAME, matched[:_ROWS]),
            (WORST_NAME, matched[::-1][:_ROWS]),
        ):
            written.append(out / name)
            rows = _match_rows(evaluation.to_reference, chosen, generated, reference)
            _save_rows(written[-1], rows)
    return written


class _Drawer:
    """Draws shapes of collections that follow one another, each from the same side.

    The size is their own: pictures for scores may be as small as the training's.
    """

    def __init__(self, *collections: Collection) -> None:
        larger = replace(collections[0].config, image_size=_SIDE, supersample=2)
        sources = [open_source(replace(each, config=larger)) for each in collections]
        self._shapes = [(source, index) for source in sources for index in range(len(source))]

    def draw(self, index: int) -> UInt8[np.ndarray, "h w 3"]:
        """Draw a shape on black; a broken one is all black."""
        source, own_index = self._shapes[index]
        cameras = orbit_cameras(
            torch.tensor([_ROTATION_RAD]), torch.tensor([_POLAR_RAD]), radius=1.2, fovy_rad=0.8575
        )
        try:
            picture = source.load(own_index).mesh_pictures(cameras)[0]
        except ValueError:
            return np.zeros((_SIDE, _SIDE, 3), np.uint8)
        return picture.permute(1, 2, 0).cpu().numpy()


Picture = UInt8[np.ndarray, "h w 3"]


def _copy_rows(copying: Copying, generated: _Drawer, training: _Drawer) -> list[list[Picture]]:
    """The likeliest copies, each before its nearest training shapes."""
    suspects = copying.generated.amin(1).argsort()[:_ROWS].tolist()
    rows = []
    for suspect in suspects:
        nearest = copying.generated[suspect].argsort()[:_NEIGHBOURS].tolist()
        shown = [training.draw(copying.training_ids[index]) for index in nearest]
        rows.append([generated.draw(copying.generated_ids[suspect]), *shown])
    return rows


def _match_rows(
    distances: Float[Tensor, "generated reference"],
    chosen: Sequence[int],
    generated: _Drawer,
    reference: _Drawer,
) -> list[list[Picture]]:
    """References, each before the generated shapes nearest to it."""
    rows = []
    for index in chosen:
        nearest = distances[:, index].argsort()[:_NEIGHBOURS].tolist()
        rows.append([reference.draw(index), *(generated.draw(i) for i in nearest)])
    return rows


def _save_rows(path: Path, rows: list[list[Picture]], columns: int | None = None) -> None:
    columns = columns or max(len(row) for row in rows)
    save_png(path, contact_sheet([cell for row in rows for cell in row], columns=columns))
