"""Draw docs/images/results-growth.png from results/growth.json.

    python scripts/growth_image.py

The image carries a digest of its numbers; scripts/results.py --check compares it.
"""

import json
import re
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from growth import DIGEST, DRAWN, SERIES, START, Law, digest, law_text, laws, series
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from get3d.core.files import atomic_path

matplotlib.use("Agg")
NUMBERS = Path(__file__).resolve().parent.parent / "results" / "growth.json"
TITLES = {
    "grid": ("Grid of the surface", "resolution N"),
    "texture": ("Texture", "side T, texels"),
    "batch": ("Shapes at once, meshes only", "number n"),
}
STAGES = {
    "planes": ("network", "#4c78a8"),
    "SDF and surface": ("surface", "#54a24b"),
    "atlas": ("atlas", "#e45756"),
    "bake": ("bake", "#b279a2"),
    "write": ("write", "#9d755d"),
}
DARK, GREY = "#222222", "#777777"
LEAST_S = 0.003  # times below are not drawn


def formula(law: Law, name: str, unit: str) -> str:
    """Format a law for matplotlib, with superscripts."""
    return re.sub(r"\^([\d.]+)", r"$^{\1}$", law_text(law, name, unit))


def draw(axis: Axes, growth: dict[str, Any], name: str, key: str, unit: str) -> None:
    """Plot measurements and the fitted law."""
    runs, law = series(growth, name), laws(growth, name)[key]
    x = [run[name] for run in runs]
    fine = np.geomspace(START[name], max(x), 100)
    axis.plot(fine, law(fine), color=GREY, lw=1.4, ls="--", label="fit")
    axis.plot(x, [run[key] for run in runs], "o", color=DARK, ms=5.5, label="in all")
    axis.text(0.03, 0.94, formula(law, name, unit), transform=axis.transAxes, fontsize=10, va="top")
    axis.set_xscale("log", base=2)
    axis.set_xticks(x, [str(each) for each in x])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.tick_params(labelsize=9)
    axis.grid(color="#e6e6e6", lw=0.6)
    axis.spines[["top", "right"]].set_visible(False)


def draw_stages(axis: Axes, growth: dict[str, Any], name: str) -> None:
    """Plot the stages below the total."""
    for stage, (label, color) in STAGES.items():
        found = [
            (run[name], run["seconds"][stage])
            for run in series(growth, name)
            if run["seconds"].get(stage, 0) >= LEAST_S
        ]
        if found:
            axis.plot(*zip(*found, strict=True), color=color, lw=1.4, marker=".", label=label)


def main() -> None:
    """Plot and save."""
    growth = json.loads(NUMBERS.read_text(encoding="utf-8"))
    figure, axes = pyplot.subplots(
        2, len(SERIES), figsize=(11, 6.4), layout="constrained", sharex="col", sharey="row"
    )
    for (time, memory), name in zip(axes.T, SERIES, strict=True):
        draw_stages(time, growth, name)
        draw(time, growth, name, "seconds_in_all", "s")
        draw(memory, growth, name, "peak_gb", "GB")
        title, label = TITLES[name]
        time.set_title(title, fontsize=11)
        memory.set_xlabel(label, fontsize=10)
    longest = max(run["seconds_in_all"] for run in growth["runs"])
    most = max(run["peak_gb"] for run in growth["runs"])
    axes[0, 0].set(yscale="log", ylim=(LEAST_S, 4 * longest))
    axes[0, 0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes[1, 0].set_ylim(0, 1.25 * most)
    for axis in axes[:, 0]:
        axis.axvline(START["grid"], ymax=0.86, color=GREY, lw=0.8, ls=":")
    for text, side, place in (("own grid", "right", 0.95), ("along the surface", "left", 1.05)):
        x = START["grid"] * place
        axes[1, 0].text(x, 0.05 * most, text, ha=side, fontsize=9, color=GREY)
    seconds = "processor time, s" if growth["clock"] == "processor" else "time, s"
    axes[0, 0].set_ylabel(seconds, fontsize=10)
    axes[1, 0].set_ylabel("peak memory, GB", fontsize=10)
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=7, frameon=False
    )
    with atomic_path(DRAWN) as temp_path:
        figure.savefig(temp_path, dpi=100, metadata={DIGEST: digest(growth)})


if __name__ == "__main__":
    main()
