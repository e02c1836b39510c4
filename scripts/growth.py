"""Growth of time and memory, from results/growth.json, as text and for the plot."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from get3d.apps.evaluation.page import table

Run = dict[str, Any]
DRAWN = Path(__file__).resolve().parent.parent / "docs" / "images" / "results-growth.png"
DIGEST = "numbers"  # key of the PNG's text chunk with the digest of the plotted numbers
SERIES = ("grid", "texture", "batch")
START = {"grid": 90, "texture": 512, "batch": 1}
"""Start of the fits: below 90 the grid is another one."""


@dataclass(frozen=True)
class Law:
    """A constant plus a power law."""

    fixed: float
    factor: float
    power: float

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Evaluate it."""
        return self.fixed + self.factor * x**self.power


def fit_law(x: np.ndarray, y: np.ndarray, powers: np.ndarray) -> Law:
    """Find the law with the least squared relative errors."""
    found = []
    for power in powers:
        columns = np.stack([np.ones_like(x), x**power], axis=1) / y[:, None]
        (fixed, factor), *_ = np.linalg.lstsq(columns, np.ones_like(y))
        if fixed < 0:
            fixed, factor = 0.0, 1 / (columns[:, 1]).mean()
        error = np.square(columns @ (fixed, factor) - 1).sum()
        found.append((error, Law(float(fixed), float(factor), float(power))))
    return min(found, key=lambda each: each[0])[1]


def series(growth: Run, name: str) -> list[Run]:
    """Select the runs in which one quantity varies."""
    return [run for run in growth["runs"] if run["series"] == name]


def laws(growth: Run, name: str) -> dict[str, Law]:
    """Fit time and memory of a series."""
    runs = [run for run in series(growth, name) if run[name] >= START[name]]
    x = np.array([float(run[name]) for run in runs])
    # Three numbers of shapes are too few to fit a power: the law is linear.
    powers = np.array([1.0]) if name == "batch" else np.arange(1.0, 3.05, 0.1)
    return {
        key: fit_law(x, np.array([run[key] for run in runs]), powers)
        for key in ("seconds_in_all", "peak_gb")
    }


def law_text(law: Law, name: str, unit: str) -> str:
    """Format a law relative to the start of its fit, rounded."""
    start = START[name]
    fixed = f"{law.fixed:.2f} + " if law.fixed >= 0.005 else ""
    factor = f"{fixed}{law.factor * start**law.power:.2g}"
    if name == "batch":
        return f"{factor} n {unit}"
    letter = "N" if name == "grid" else "T"
    return f"{factor} ({letter} / {start})^{law.power:.1f} {unit}"


def growth_text(growth: Run) -> str:
    """Format the section of the page."""
    head = ["grid", "texture", "shapes", "faces of one", "seconds", "peak, GB"]
    head += ["planes", "surface", "atlas", "bake", "write"]
    stages = ("planes", "SDF and surface", "atlas", "bake", "write")
    rows = [
        [
            *(str(run[key]) for key in ("grid", "texture", "batch", "faces")),
            f"{run['seconds_in_all']:.2f}",
            f"{run['peak_gb']:.2f}",
            *(f"{run['seconds'][s]:.2f}" if s in run["seconds"] else "-" for s in stages),
        ]
        for run in growth["runs"]
    ]
    clock = "seconds of the processor" if growth["clock"] == "processor" else "seconds"
    found = {name: laws(growth, name) for name in SERIES}
    lines = [
        f"- {what}: {law_text(found[name]['seconds_in_all'], name, 's')}, "
        f"{law_text(found[name]['peak_gb'], name, 'GB')}"
        for name, what in (
            ("grid", "grid N, from 90"),
            ("texture", "texture T x T"),
            ("batch", "n shapes, meshes only"),
        )
    ]
    return (
        f"How that grows, {clock} on {growth['threads']} "
        f"thread{'s' if growth['threads'] > 1 else ''} ({growth['machine']}); peaks are of the "
        "whole process, PyTorch and the network included. Grids above 90 are those of "
        "`--grid-resolution` with the published grid of 90, below it the network's own. Several "
        "shapes: meshes only, without atlas, texture and file.\n\n"
        "![Growth](images/results-growth.png)\n\nFitted, relative errors least:\n\n"
        + "\n".join(lines)
        + "\n\n"
        + table(head, rows)
    )


def digest(growth: Run) -> str:
    """Hash the numbers."""
    return hashlib.sha256(json.dumps(growth, sort_keys=True).encode()).hexdigest()[:16]


def is_drawn_from(growth: Run, image: Path = DRAWN) -> bool:
    """Return whether the plot was made from these numbers."""
    if not image.is_file():
        return False
    with Image.open(image) as opened:
        return bool(opened.info.get(DIGEST) == digest(growth))
