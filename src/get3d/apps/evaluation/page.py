"""The report of an evaluation, made from the saved numbers alone, and its contact sheets."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from get3d.apps.evaluation.measure import load_shape
from get3d.apps.evaluation.plan import Collection
from get3d.apps.evaluation.scores import Evaluation
from get3d.core import MeshError
from get3d.core.contact_sheet import contact_sheet, save_png
from get3d.core.files import write_text
from get3d.geometry import orbit_cameras

SCORES_NAME, PAGE_NAME = "scores.json", "report.md"
_TITLES = {
    "cov_cd": "COV (CD) %",
    "mmd_cd": "MMD (CD) x 1000",
    "one_nna_cd": "1-NNA (CD) %",
    "cov_lfd": "COV (LFD) %",
    "mmd_lfd": "MMD (LFD)",
    "one_nna_lfd": "1-NNA (LFD) %",
    "fid_ori": "FID-Ori",
    "fid_3d": "FID-3D",
    "kid_ori": "KID-Ori x 1000",
    "kid_3d": "KID-3D x 1000",
    "fd_shapes_ori": "fd_shapes-Ori",
    "fd_shapes_3d": "fd_shapes-3D",
    "kd_shapes_ori": "kd_shapes-Ori x 1000",
    "kd_shapes_3d": "kd_shapes-3D x 1000",
    "precision_ori": "precision-Ori %",
    "precision_3d": "precision-3D %",
    "recall_ori": "recall-Ori %",
    "recall_3d": "recall-3D %",
}
_PERCENT = ("cov_", "one_nna_", "precision_", "recall_")
_THOUSANDTHS = ("mmd_cd", "kid_", "kd_shapes_")
_NUM_NAMED = 20
_FORMER_KEYS = {
    "broken": "invalid",
    "largest_piece_over_99_percent": "largest_component_over_99_percent",
    "pictures": "images",
}
_READING = (
    "COV, precision and recall: higher is better; MMD, FID, KID and the like: lower; 1-NNA: 50 is "
    "best. The numbers of generated and reference shapes are in brackets. The oracles are the "
    "scores of real shapes under the same protocol."
)
_SAMPLES, _SAMPLE_COLUMNS = 48, 8
_ROWS, _NEAREST = 10, 5
_ROTATION_RAD, _POLAR_RAD = 3.75, 1.2
_IMAGE_SIZE = 144
_Image = UInt8[np.ndarray, "h w 3"]


def score_title(name: str) -> str:
    """Return the title of a score in tables, with its unit."""
    return _TITLES[name]


def score_text(name: str, value: float | None) -> str:
    """Format a score in the unit of its title.

    Example:
        >>> score_text("cov_cd", 0.515), score_text("mmd_cd", 0.00372), score_text("fid_3d", None)
        ('51.5', '3.72', '-')
    """
    if value is None:
        return "-"
    if name.startswith(_PERCENT):
        return f"{100 * value:.1f}"
    if name.startswith(_THOUSANDTHS):
        return f"{1000 * value:.2f}"
    return f"{value:.0f}" if name == "mmd_lfd" else f"{value:.2f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def read_scores(path: Path) -> dict[str, Any]:
    """Read a `scores.json` of this version or of an earlier one, whose keys had other names."""
    text = path.read_text(encoding="utf-8")
    for former, name in _FORMER_KEYS.items():
        text = text.replace(f'"{former}":', f'"{name}":')
    content: dict[str, Any] = json.loads(text)
    return content


def save_report(content: dict[str, Any], out: Path, images: Sequence[Path] = ()) -> None:
    """Write `scores.json` and `report.md` with its images."""
    shown = [f"![{path.stem.replace('_', ' ')}]({path.name})" for path in images]
    write_text(out / SCORES_NAME, json.dumps(content, indent=1, allow_nan=False) + "\n")
    write_text(out / PAGE_NAME, "\n\n".join([page(content).rstrip(), *shown]) + "\n")


def page(content: dict[str, Any]) -> str:
    """Format the report of an evaluation in Markdown.

    Args:
        content: Numbers, from `summarize` or `read_scores`.
    """
    parts = [f"# Evaluation of {content['name']}", score_table(content), _READING]
    if content.get("model"):  # reports of earlier versions do not have it
        parts.insert(1, f"Model: {content['model']}.")
    if content["deviations"]:
        parts.append(
            "Not as published: " + "; ".join(content["deviations"]) + ". Compare with numbers of "
            "the same protocol only."
        )
    parts += [f"Note: {note}." for note in content["notes"]]
    parts += ["## Soundness", _soundness(content["soundness"]), *shape_sections(content)]
    if content["copying"]:
        parts += ["## Copies", _copying(content["copying"])]
    invalid = [(role, one) for role, each in content["invalid"].items() for one in each]
    if invalid:
        lines = [f"- {role}, {one['name']}: {one['reason']}" for role, one in invalid[:_NUM_NAMED]]
        more = [f"- and {len(invalid) - _NUM_NAMED} more"] if len(invalid) > _NUM_NAMED else []
        parts += ["## Invalid shapes", "\n".join(lines + more)]
    return "\n\n".join(parts) + "\n"


def score_table(content: dict[str, Any]) -> str:
    """Format the table of the scores of all rows, and of the ratios of the first to the second."""
    rows = content["rows"]
    head = ["", *(f"{r['name']} ({r['num_generated']} : {r['num_reference']})" for r in rows)]
    ratios = content["ratios"]
    names = [name for name in _TITLES if any(name in row["scores"] for row in rows)]
    body = []
    for name in names:
        cells = [score_text(name, row["scores"].get(name)) for row in rows]
        ratio = [f"{ratios[name]:.2f}" if name in ratios else "-"] if ratios else []
        body.append([score_title(name), *cells, *ratio])
    return table([*head, "generated / training"] if ratios else head, body)


def shape_sections(content: dict[str, Any]) -> list[str]:
    """Format the sections on hollowness and on matches by label, which old files do not have."""
    parts = []
    if content.get("hollowness"):
        parts += ["## Hollowness", _hollowness(content["hollowness"])]
    if content.get("matching_by_label"):
        by_label = content["matching_by_label"]
        parts += [f"## MMD (CD) by {by_label['label']}", _matching_by_label(by_label)]
    return parts


def save_images(evaluation: Evaluation, out: Path) -> list[Path]:
    """Save contact sheets: samples, likely copies, the best and the worst matches.

    samples.png shows the first generated shapes. nearest_training.png shows generated shapes with
    the nearest training shapes, the likeliest copies first. best_matches.png and worst_matches.png
    show references with the nearest generated shapes. All by Chamfer distance; without it there are
    only samples.

    Args:
        evaluation: Results; shapes are loaded, or generated, again.
        out: Folder for the files.

    Returns:
        The files.
    """
    plan, copying, written = evaluation.plan, evaluation.copying, list[Path]()

    def save(name: str, images: Iterable[_Image], columns: int) -> None:
        written.append(out / name)
        save_png(written[-1], contact_sheet(list(images), columns=columns))

    first = min(_SAMPLES, len(evaluation.generated))
    samples = (_render(plan.generated, index) for index in range(first))
    save("samples.png", samples, _SAMPLE_COLUMNS)
    if copying is not None:
        training = [
            (each, index)
            for each in (plan.training, plan.more_training)
            if each is not None
            for index in range(each.num)
        ]
        images = []
        for suspect in copying.generated.amin(1).argsort()[:_ROWS].tolist():
            nearest = copying.generated[suspect].argsort()[:_NEAREST].tolist()
            images.append(_render(plan.generated, copying.generated_ids[suspect]))
            images += [_render(*training[copying.training_ids[index]]) for index in nearest]
        save("nearest_training.png", images, 1 + len(nearest))
    chamfer = evaluation.rows[0].chamfer
    if chamfer is not None and chamfer.isfinite().any():
        matched = chamfer.amin(0).argsort().tolist()
        for name, chosen in (("best_matches.png", matched), ("worst_matches.png", matched[::-1])):
            images = []
            for index in chosen[:_ROWS]:
                nearest = chamfer[:, index].argsort()[:_NEAREST].tolist()
                images.append(_render(plan.reference, index))
                images += [_render(plan.generated, each) for each in nearest]
            save(name, images, 1 + len(nearest))
    return written


def _render(collection: Collection, index: int) -> _Image:
    """Render a shape on black for a contact sheet; the image of an invalid one is all black."""
    config = replace(collection.config, image_size=_IMAGE_SIZE, supersample=2)
    cameras = orbit_cameras(
        torch.tensor([_ROTATION_RAD]), torch.tensor([_POLAR_RAD]), radius=1.2, fovy_rad=0.8575
    )
    try:
        image = load_shape(replace(collection, config=config), index).mesh_images(cameras)[0]
    except MeshError:
        return np.zeros((_IMAGE_SIZE, _IMAGE_SIZE, 3), np.uint8)
    return image.permute(1, 2, 0).cpu().numpy()


def _cell(text: str) -> str:
    """Escape a text, which may come from a file, for a cell of a Markdown table."""
    plain = "".join(char for char in " ".join(text.split()) if char.isprintable())
    return plain.replace("|", "\\|")


def _soundness(content: dict[str, Any]) -> str:
    """Format the table of soundness."""

    def percent(value: float | None) -> str:
        return "-" if value is None else f"{100 * value:.1f} %"

    lines = {
        "shapes": lambda one: str(one["num"]),
        "invalid": lambda one: str(one["invalid"]),
        "texture failed": lambda one: str(one["untextured"]),
        "without floaters": lambda one: percent(one["without_floaters"]),
        "largest component has 99 % of the area": lambda one: percent(
            one["largest_component_over_99_percent"]
        ),
        "watertight": lambda one: percent(one["watertight"]),
        "faces, median": lambda one: (
            "-" if one["median_faces"] is None else f"{one['median_faces']:.0f}"
        ),
        "more than one hue": lambda one: percent(one["more_than_one_hue"]),
    }
    rows = [[title, *(show(one) for one in content.values())] for title, show in lines.items()]
    return table(["", *content], rows)


def _hollowness(content: dict[str, Any]) -> str:
    """Format the table of volumes over those of convex hulls."""
    by_role = content["volume_over_hull"]
    found = (one["quantiles"] for one in by_role.values() if one["quantiles"])
    names: list[str] = list(next(found, {}))
    rows = [
        [
            role,
            *(f"{one['quantiles'][name]:.2f}" if one["quantiles"] else "-" for name in names),
            str(one["measured"]),
            str(one["unmeasured"]),
        ]
        for role, one in by_role.items()
    ]
    head = ["", *(f"{name} %" for name in names), "measured", "not measured"]
    difference = content["difference_of_medians"]
    shown = "-" if difference is None else f"{difference:.2f}"
    return (
        f"{table(head, rows)}\n\nQuantiles of the volume of the largest component over that of its "
        "convex hull: 1 is convex, cups of thin walls are about 0.2. The medians of generated and "
        f"reference shapes differ by {shown}. Not measured are shapes whose largest component is "
        "not closed or is flat, and invalid ones."
    )


def _matching_by_label(content: dict[str, Any]) -> str:
    """Format the table of minimum matching distances by label."""

    def thousandths(value: float | None) -> str:
        return score_text("mmd_cd", value)

    rows = [
        [
            one["value"],
            str(one["num"]),
            thousandths(one["generated"]),
            thousandths(one["training"]),
            "-" if one["ratio"] is None else f"{one['ratio']:.2f}",
        ]
        for one in content["values"]
    ]
    head = [content["label"], "references", "generated", "training shapes", "generated / training"]
    text = "Mean over the references of the Chamfer distance (x 1000) to the nearest shape."
    if content["unlabelled"]:
        num = content["unlabelled"] + sum(one["num"] for one in content["values"])
        text += (
            f" {content['unlabelled']} of {num} references have no such label; not in the table."
        )
    return f"{table(head, rows)}\n\n{text}"


def _copying(content: dict[str, Any]) -> str:
    """Format the distances to the nearest training shapes."""
    fraction = content["nearer_than_the_nearest_percent_of_references"]
    return (
        "Chamfer distance (x 1000) to the nearest training shape: "
        f"the median is {1000 * content['median_distance']:.2f} for generated shapes, "
        f"{1000 * content['median_distance_of_references']:.2f} for references; "
        f"the minimum is {1000 * content['least_distance']:.2f}, and "
        f"{1000 * content['least_distance_of_references']:.2f} for references. "
        f"{100 * fraction:.1f} % of the generated shapes are nearer than the nearest hundredth of "
        "the references: far more than 1 % would mean copies."
    )
