"""The page that people read, made from the saved numbers alone."""

from collections.abc import Sequence
from typing import Any

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
_NAMED = 20
_READING = (
    "COV, precision and recall: more is better; MMD, FID, KID and the like: less; 1-NNA: 50 is "
    "best. The number of shapes on either side stands in brackets. The oracles are what real "
    "shapes score under the same protocol."
)


def score_title(name: str) -> str:
    """What a score is called in tables, with its unit."""
    return _TITLES[name]


def score_text(name: str, value: float | None) -> str:
    """A score in the unit of its title.

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
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    """Make a text, which may come from a file, fit for one cell: it must not end it."""
    plain = "".join(char for char in " ".join(text.split()) if char.isprintable())
    return plain.replace("|", "\\|")


def page(content: dict[str, Any]) -> str:
    """Write the page of an evaluation.

    Args:
        content: From `summarize`, or read from its JSON file.
    """
    parts = [f"# Evaluation of {content['name']}", score_table(content), _READING]
    if content["deviations"]:
        parts.append(
            "Not as published: " + "; ".join(content["deviations"]) + ". Compare with numbers of "
            "the same protocol only."
        )
    parts += [f"Note: {note}." for note in content["notes"]]
    parts += ["## Soundness", _soundness(content["soundness"]), *shape_sections(content)]
    if content["copying"]:
        parts += ["## Copies", _copying(content["copying"])]
    broken = [(role, one) for role, each in content["broken"].items() for one in each]
    if broken:
        lines = [f"- {role}, {one['name']}: {one['reason']}" for role, one in broken[:_NAMED]]
        more = [f"- and {len(broken) - _NAMED} more"] if len(broken) > _NAMED else []
        parts += ["## Broken shapes", "\n".join(lines + more)]
    return "\n\n".join(parts) + "\n"


def score_table(content: dict[str, Any]) -> str:
    """The scores of all rows, and the ratios of the first to the second."""
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
    """Headings and texts on hollowness and on matches by label; none that the content lacks.

    Files of earlier versions have neither.
    """
    parts = []
    if content.get("hollowness"):
        parts += ["## Hollowness", _hollowness(content["hollowness"])]
    if content.get("matching_by_label"):
        by_label = content["matching_by_label"]
        parts += [f"## MMD (CD) by {by_label['label']}", _matching_by_label(by_label)]
    return parts


def _soundness(content: dict[str, Any]) -> str:
    def share(value: float | None) -> str:
        return "-" if value is None else f"{100 * value:.1f} %"

    lines = {
        "shapes": lambda one: str(one["num"]),
        "broken": lambda one: str(one["broken"]),
        "texture failed": lambda one: str(one["untextured"]),
        "without floaters": lambda one: share(one["without_floaters"]),
        "largest piece has 99 % of the area": lambda one: share(
            one["largest_piece_over_99_percent"]
        ),
        "watertight": lambda one: share(one["watertight"]),
        "faces, median": lambda one: (
            "-" if one["median_faces"] is None else f"{one['median_faces']:.0f}"
        ),
        "more than one hue": lambda one: share(one["more_than_one_hue"]),
    }
    rows = [[title, *(show(one) for one in content.values())] for title, show in lines.items()]
    return table(["", *content], rows)


def _hollowness(content: dict[str, Any]) -> str:
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
        "not closed or is flat, and broken ones."
    )


def _matching_by_label(content: dict[str, Any]) -> str:
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
    share = content["nearer_than_the_nearest_percent_of_references"]
    return (
        "Chamfer distance (x 1000) to the nearest training shape: "
        f"{1000 * content['median_distance']:.2f} in the middle for generated shapes, "
        f"{1000 * content['median_distance_of_references']:.2f} for references; "
        f"the least is {1000 * content['least_distance']:.2f}, and "
        f"{1000 * content['least_distance_of_references']:.2f} for references. {100 * share:.1f} % "
        "of the generated shapes are nearer than the nearest hundredth of the references: far more "
        "than 1 % would mean copies."
    )
