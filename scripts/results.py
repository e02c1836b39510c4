"""Make docs/results.md, and the tables of docs/surfaces.md and docs/training.md, from results/.

    python scripts/results.py            # write the pages
    python scripts/results.py --check    # fail if a page does not match the numbers

results/published.json holds the paper's tables; results/bundled-*.json are the scores.json of the
bundled model (scripts/reproduce_model.py); results/search.json is written by scripts/search.py with
--json, the others by the scripts of benchmarks/ with --out. A number is changed by measuring it
again, never in a page. The image of growth is drawn by scripts/growth_image.py, and must be of
the numbers that are there.
"""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import surface_tables as surfaces
import tyro
from growth import DRAWN, growth_text, is_drawn_from
from search_tables import fill_search
from stages import image_prefix

from get3d.apps.evaluation.page import page, read_scores, table
from get3d.core import DataError, write_text

ROOT = Path(__file__).resolve().parent.parent
RESULTS, DOCS = ROOT / "results", ROOT / "docs"
BUNDLED = [c for c in ("vessel", "chair", "vehicle") if (RESULTS / f"bundled-{c}.json").exists()]
MARKED = re.compile(
    r"(<!-- numbers: scripts/results.py ([\w-]+) -->\n).*?(<!-- end of numbers -->)", re.S
)
PARTS: dict[str, Callable[[], str]] = {
    "exact": lambda: surfaces.measured_surfaces(read("surfaces"), "exact"),
    "fitted": lambda: surfaces.measured_surfaces(read("surfaces"), "fitted"),
    "same-lattice": lambda: surfaces.same_lattice(read("surfaces")),
    "resolutions": lambda: surfaces.resolutions(read("resolution")),
    "training": lambda: surfaces.training(read("resolution")),
    "lost": lambda: surfaces.lost(read("resolution")),
    "offsets": lambda: surfaces.offsets(read("resolution")),
}
"""Generated parts of docs/surfaces.md, by the name in their marks."""


@dataclass(frozen=True)
class Args:
    """Make docs/results.md, and the tables of docs/surfaces.md and docs/training.md."""

    check: bool = False
    """Write nothing; fail if a page is out of date."""


def read(name: str) -> Any:
    """Read one JSON file of results/."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def published() -> str:
    """Format the paper's table."""
    content = read("published")
    head = ["data", "model", "COV (LFD) %", "COV (CD) %", "MMD (LFD)", "MMD (CD) x 1000"]
    head += ["FID-Ori", "FID-3D"]
    rows = [
        [f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row]
        for row in content["rows"]
    ]
    return f"{table(head, rows)}\n\nSource: {content['source']}."


def bundled(category: str) -> str:
    """Format the scores of a bundled model and its oracles, with their settings."""
    content = read_scores(RESULTS / f"bundled-{category}.json")
    body = page(content).split("\n", 2)[2]  # without its own heading
    protocol = content["protocol"]
    config = protocol["config"]
    lines = [
        f"seed {config['seed']}, truncation {config['truncation']:g}, style mixing "
        f"{config['style_mixing']:g}"
    ]
    if "points" in protocol:
        points = protocol["points"]
        lines.append(f"CD: {points['num_points']} points, {points['normalization']}; "
                     f"{points['distance']}")  # fmt: skip
    if "light_field" in protocol:
        lines.append(f"LFD: silhouettes of {protocol['light_field']['image_size']} pixels")
    if "images" in protocol:
        seen = protocol["images"]
        lines.append(
            f"images: {seen['num_generated']} generated and {seen['num_reference']} of "
            f"references, {config['image_size']} pixels on black, features {seen['extractor']} "
            f"({seen['extractor_fingerprint']})"
        )
    return body.replace("\n## ", "\n### ") + "\nProtocol: " + "; ".join(lines) + "."


def model_section(category: str) -> list[str]:
    """Format scores and images of a bundled model."""
    prefix = image_prefix(category)
    return [
        f"### {category.capitalize()}s",
        bundled(category).replace("\n### ", "\n#### "),
        f"![Samples](images/{prefix}-samples.png)\n\n*The first 48 generated shapes of the "
        "evaluation, not picked, truncation 1.*",
        f"![Copies?](images/{prefix}-nearest-training.png)\n\n*Is it copying? Left, the generated "
        "shapes that come nearest to any training shape; right of each, the training shapes "
        "nearest to it.*",
        f"![Best matches](images/{prefix}-best.png)\n\n*Test shapes that the model comes nearest "
        "to (left), each with the generated shapes nearest to it.*",
        f"![Worst matches](images/{prefix}-worst.png)\n\n*Test shapes that the model comes least "
        "near to.*",
    ]


def rasterizer() -> str:
    """Format milliseconds per view of rasterisers."""
    content = read("rasterize")
    sizes = list(content["ms_per_view"])
    names = list(content["ms_per_view"][sizes[0]])
    rows = [
        [size, *(f"{content['ms_per_view'][size].get(name, float('nan')):.2f}" for name in names)]
        for size in sizes
    ]
    about = f"{content['machine']}, {content['threads']} threads, {content['faces']} faces"
    return f"{about}; `benchmarks/rasterize.py` says what the columns are.\n\n" + table(
        ["pixels", *names], rows
    )


def networks() -> str:
    """Format milliseconds per stage, of generation and of training."""
    content = read("networks")
    rows = [
        [part, name, f"{value:.0f}"]
        for part, stages in content.items()
        if isinstance(stages, dict)
        for name, value in stages.items()
    ]
    return f"{content['machine']}; milliseconds.\n\n" + table(["networks", "stage", "ms"], rows)


def generation() -> str:
    """Format seconds per stage of one full-size shape, and their growth."""
    content, growth = read("generate"), read("growth")
    run = content["runs"][0]
    rows = [[name, f"{value:.2f}"] for name, value in run["seconds"].items()]
    rows.append(["in all", f"{run['seconds_in_all']:.2f}"])
    return (
        f"The published full-size networks with random weights, {run['faces']} faces, texture "
        f"{run['texture']}, on {content['threads']} threads ({content['machine']}): peak "
        f"{run['peak_gb']:.2f} GB. The SDF on the grid is part of the surface's time too.\n\n"
        + table(["stage", "seconds"], rows)
        + "\n\n"
        + growth_text(growth)
    )


def atlas() -> str:
    """Format charts, used part of the texture and seconds of unwrapping."""
    content = read("atlas")
    shapes = content["shapes"]
    rows = []
    for name in [*dict.fromkeys(shape["model"] for shape in shapes), "all"]:
        for kind, label in (("fixed", f"{content['texture_size']}"), ("auto", "auto")):
            own = [shape[kind] for shape in shapes if name in ("all", shape["model"])]
            means = {key: sum(row[key] for row in own) / len(own) for key in own[0]}
            least = min(row["used"] for row in own)
            rows.append(
                [name, str(len(own)), label, f"{means['charts']:.0f}",
                 f"{means['single_triangles']:.0f}", f"{100 * means['used']:.0f}",
                 f"{100 * least:.0f}", f"{100 * means['touched']:.0f}", f"{means['unwrap_s']:.2f}"]
            )  # fmt: skip
    head = ["model", "shapes", "texture", "charts", "single triangles", "used, %", "least, %"]
    return (
        f"Shapes of the bundled models on {content['threads']} thread ({content['machine']}, "
        "shared with other programs), means: charts, what the charts' area is of the texture, "
        "what they touch of it, and processor seconds of unwrapping.\n\n"
        + table([*head, "touched, %", "unwrap, s"], rows)
    )


def training() -> str:
    """Format milliseconds per stage of a training step."""
    content = read("train_step")
    rows = [[name, f"{1000 * value:.0f}"] for name, value in content["median_s"].items()]
    return (
        f"`{content['config']}` on {content['threads']} threads ({content['machine']}): "
        f"{content['images_per_s']:.1f} images/s.\n\n" + table(["stage", "median, ms"], rows)
    )


def metrics() -> str:
    """Format times of the metrics."""
    chamfer, light_field = read("metrics"), read("light_field")
    times, shapes = chamfer["ms_per_pair"], light_field["descriptor_ms_by_faces"]
    described = ", ".join(f"{ms:.0f} ms for {faces} faces" for faces, ms in shapes.items())
    return (
        f"Chamfer distance of {chamfer['points']} points: {times['ours']:.3f} ms a pair on "
        f"{chamfer['threads']} threads ({times['trees'] / times['ours']:.1f} x faster than scipy's "
        f"k-d trees in the same run; largest relative difference "
        f"{chamfer['largest_relative_difference']:.0e}), so 1000 x 5000 shapes take "
        f"{times['ours'] * 5e6 / 6e4:.0f} minutes.\n\n"
        f"Light-field distance on {light_field['threads']} thread: a descriptor {described}; a "
        f"pair {light_field['pair_us']:.0f} microseconds, so 1000 x 5000 shapes take "
        f"{light_field['pair_us'] * 5 / 60:.0f} minutes."
    )


def make_page() -> str:
    """Format the whole page."""
    parts = [
        "# Results",
        "Made by `scripts/results.py` from the numbers in [results/](../results/); do not edit.",
        "## The bundled models",
        "Our numbers, on our procedural data (`get3d shapes`): compare them with the oracles "
        "beside them, not with the published table below, which is of other data.",
        *(part for category in BUNDLED for part in model_section(category)),
        "## Published",
        "The paper's numbers, on ShapeNet and TurboSquid, not ours. Times and hardware: 8 A100, "
        "about two days a category.",
        published(),
        "## Speed",
        "Times of single runs on processors; machines differ, ratios less so. No GPU is in these "
        "tables: the scripts for the rasteriser, generation, the training step and Chamfer "
        "distances take `--device cuda`, but no GPU's numbers have been saved by them yet "
        "([training.md](training.md#on-a-gpu) has what was noted by hand on one).",
        "### Rasteriser",
        rasterizer(),
        "### Networks",
        networks(),
        "### Generation",
        generation(),
        "### Atlas",
        atlas(),
        "### Training step",
        training(),
        "### Metrics",
        metrics(),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def fill(page: str, parts: dict[str, Callable[[], str]]) -> str:
    """Replace the generated parts between the marks of a page.

    Raises:
        DataError: If a part is marked more than once or never, or there is no such part.
    """
    names = sorted(match[2] for match in MARKED.finditer(page))
    if names != sorted(parts):
        raise DataError(f"the page marks {names}, the parts are {sorted(parts)}")
    return MARKED.sub(lambda match: f"{match[1]}{parts[match[2]]()}\n{match[3]}", page)


def main(args: Args) -> None:
    """Write the pages, or compare them."""
    by_hand, training_page = DOCS / "surfaces.md", DOCS / "training.md"
    pages = {
        DOCS / "results.md": make_page(),
        by_hand: fill(by_hand.read_text(encoding="utf-8"), PARTS),
        training_page: fill_search(training_page.read_text(encoding="utf-8"), read("search")),
    }
    for path, text in pages.items():
        if not args.check:
            write_text(path, text)
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            sys.exit(f"{path} does not match results/; run python scripts/results.py")
    if not is_drawn_from(read("growth")):
        sys.exit(f"{DRAWN} is not of results/growth.json; run python scripts/growth_image.py")


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
