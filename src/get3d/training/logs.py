"""Scalars of a run: a CSV row and TensorBoard points per interval; its sample images."""

import csv
import logging
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from PIL.Image import Image
from torch import Tensor

from get3d.core import atomic_path

logger = logging.getLogger(__name__)


class RunLog:
    """Log of a run: RUN/log.csv, and TensorBoard event files where tensorboard is installed.

    Rows later than the checkpoint that a run resumes from are dropped first, so that no images are
    logged twice.
    """

    def __init__(self, folder: Path, *, resume_images: int = 0) -> None:
        """Open the log of a run folder; rows after `resume_images` are dropped."""
        self._path = folder / "log.csv"
        self._columns: list[str] = []
        if self._path.exists():
            self._drop_rows_after(resume_images)
        self._writer = _tensorboard_writer(folder / "tensorboard", resume_images)

    def write(self, seen_images: int, scalars: dict[str, float]) -> None:
        """Add one row; new columns extend the table."""
        row = {"images": seen_images, **scalars}
        if missing := [name for name in row if name not in self._columns]:
            self._rewrite(self._read(), [*self._columns, *missing])
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._columns).writerow(row)
        if self._writer is not None:
            for name, value in scalars.items():
                self._writer.add_scalar(name, value, seen_images)

    def write_image(self, seen_images: int, image: Image) -> None:
        """Add the sample image to the event files."""
        if self._writer is not None:
            pixels = np.asarray(image.convert("RGB"))
            self._writer.add_image("samples", pixels, seen_images, dataformats="HWC")

    def close(self) -> None:
        """Flush the event files."""
        if self._writer is not None:
            self._writer.close()

    def __enter__(self) -> "RunLog":
        """Return the log, whose event files are flushed at the end of the context."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Flush the event files."""
        self.close()

    def _read(self) -> list[dict[str, str]]:
        """Read all rows; none without a file."""
        if not self._path.exists():
            return []
        with self._path.open(newline="", encoding="utf-8", errors="replace") as file:
            return list(csv.DictReader(file))

    def _drop_rows_after(self, seen_images: int) -> None:
        """Drop rows after so many images, and a last row that was not written completely."""
        with self._path.open(newline="", encoding="utf-8", errors="replace") as file:
            columns = csv.DictReader(file).fieldnames or []
        rows = [
            row
            for row in self._read()
            if (row["images"] or "").isdigit()
            and int(row["images"]) <= seen_images
            and None not in row.values()
        ]
        self._rewrite(rows, list(columns))

    def _rewrite(self, rows: list[dict[str, str]], columns: list[str]) -> None:
        """Replace the table."""
        with (
            atomic_path(self._path) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
        self._columns = columns


class Meter:
    """Averages scalars between two log rows and measures the speed."""

    def __init__(self, seen_images: int) -> None:
        """Start measuring at so many images seen."""
        self.last: dict[str, float] = {}
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._since_images = seen_images
        self._since_s = time.perf_counter()

    def add(self, scalars: dict[str, Tensor]) -> None:
        """Add the scalars of a step."""
        for name, value in scalars.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
            self._counts[name] = self._counts.get(name, 0) + 1

    @property
    def has_steps(self) -> bool:
        """Whether anything was added since the last flush."""
        return bool(self._sums)

    def flush(self, seen_images: int) -> dict[str, float]:
        """Return the averages since the last flush, and the speed."""
        now_s = time.perf_counter()
        self.last = {name: float(total) / self._counts[name] for name, total in self._sums.items()}
        self.last["images_per_s"] = (seen_images - self._since_images) / (now_s - self._since_s)
        self._sums, self._counts = {}, {}
        self._since_images, self._since_s = seen_images, now_s
        return self.last


def _tensorboard_writer(folder: Path, purge_images: int) -> Any:
    """Make a SummaryWriter (untyped); None where tensorboard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        logger.info(
            "tensorboard is not installed (pip install tensorboard): only log.csv is written"
        )
        return None
    return SummaryWriter(str(folder), purge_step=purge_images + 1)
