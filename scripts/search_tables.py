"""Rows of results/search.json, which scripts/search.py measures, and their table for the docs."""

import csv
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from stages import CATEGORIES
from variants import VARIANTS, read_flags, write_flags

from get3d.apps.evaluation.page import score_text, table
from get3d.core import DataError

Row = dict[str, Any]
KEY = ("variant", "flags", "preset", "category", "images", "settings")
"""Keys that all rows of one line of the table share; they differ in the seed."""
NONE_YET = (
    "No runs are saved yet; `python scripts/search.py --json results/search.json` makes some."
)
MARKED = re.compile(r"(<!-- search -->\n).*?(<!-- /search -->)", re.S)
HEAD = [
    "variant",
    "what differs",
    "category",
    "images",
    "seeds",
    "COV (CD) %",
    "MMD (CD) / oracle",
    "1-NNA (CD) %",
    "hull median (data)",
    "without floaters %",
    "images/s",
]


def row_key(row: Row) -> tuple[str, ...]:
    """Return the key of a run; a later row with the same key replaces it."""
    return tuple(str(row[name]) for name in ("variant", "preset", "category", "images", "seed"))


def merge_rows(rows: Sequence[Row], row: Row) -> list[Row]:
    """Replace the row of the same run, or append the row.

    A failure does not replace scores, as it is then that of a repeated scoring.
    """
    before = [old for old in rows if row_key(old) == row_key(row)]
    if "error" in row and any("scores" in old for old in before):
        return [*rows]
    if before:
        return [row if row_key(old) == row_key(row) else old for old in rows]
    return [*rows, row]


def read_speed(log: Path) -> float | None:
    """Return images per second of a whole run, including samples; None without a log."""
    if not log.is_file():
        return None
    seconds, before = 0.0, 0
    with log.open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            images = int(line["images"])
            seconds += (images - before) / float(line["images_per_s"])
            before = images
    return before / seconds if seconds else None


def score_row(content: Row) -> Row:
    """Extract the numbers of a row from an evaluation.

    Args:
        content: Numbers, from `Scorer.score`.
    """
    rows, soundness = content["rows"], content["soundness"]
    by_role = content["hollowness"]["volume_over_hull"]
    by_label = content["matching_by_label"]
    return {
        "num_generated": rows[0]["num_generated"],
        "num_reference": rows[0]["num_reference"],
        "scores": rows[0]["scores"],
        "oracle": rows[1]["scores"] if len(rows) > 1 else None,
        "ratios": content["ratios"],
        "volume_over_hull": {role: one["quantiles"] for role, one in by_role.items()},
        "without_floaters": {role: one["without_floaters"] for role, one in soundness.items()},
        "invalid": soundness["generated"]["invalid"],
        "mmd_cd_by_label": by_label and {one["value"]: one["ratio"] for one in by_label["values"]},
    }


def differences(row: Row) -> str:
    """Format the flags of a run, except the mirroring of its category."""
    options = read_flags(row["flags"])
    category = CATEGORIES.get(row["category"])
    if category is not None and not category.is_mirrored:
        options.pop("--schedule.no-mirror", None)
    return f"`{' '.join(write_flags(options))}`" if options else "-"


def shown_mean(rows: Sequence[Row], read: Callable[[Row], float | None], name: str) -> str:
    """Format the mean over seeds, with the minimum and maximum if there are several.

    Args:
        rows: Rows of one variant.
        read: Function from a row to the value.
        name: Name of a score with the same unit, for `score_text`.
    """
    values = [value for value in map(read, rows) if value is not None]
    if not values:
        return "-"
    text = score_text(name, mean(values))
    if len(values) == 1:
        return text
    return f"{text} ({score_text(name, min(values))} to {score_text(name, max(values))})"


def hull_median(row: Row, role: str) -> float | None:
    """Return the median volume over that of the convex hull."""
    quantiles = row["volume_over_hull"].get(role)
    return quantiles and quantiles["50"]


def line(rows: Sequence[Row]) -> list[str]:
    """Format the cells of one variant with all its seeds."""
    first, scored = rows[0], [row for row in rows if "scores" in row]
    cells = [first["variant"], differences(first), first["category"], f"{first['images']:,}"]
    cells.append(", ".join(str(row["seed"]) for row in rows))
    if errors := [row["error"] for row in rows if "error" in row]:
        cells[-1] += f" ({len(errors)} failed: {errors[0][:200]})".replace("|", "/")
    data = shown_mean(scored[:1], lambda row: hull_median(row, "reference"), "ratio")
    hull = shown_mean(scored, lambda row: hull_median(row, "generated"), "ratio")
    sound = shown_mean(scored, lambda row: row["without_floaters"]["generated"], "cov_cd")
    return [
        *cells,
        shown_mean(scored, lambda row: row["scores"].get("cov_cd"), "cov_cd"),
        shown_mean(scored, lambda row: row["ratios"].get("mmd_cd"), "ratio"),
        shown_mean(scored, lambda row: row["scores"].get("one_nna_cd"), "one_nna_cd"),
        f"{hull} ({data})" if scored else "-",
        sound,
        shown_mean(scored, lambda row: row["images_per_s"], "ratio"),
    ]


def search_table(rows: Sequence[Row]) -> str:
    """Format the table of all variants, with means over seeds.

    Args:
        rows: Rows of results/search.json, including those that failed.
    """
    if not rows:
        return NONE_YET
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(repr([row[name] for name in KEY]), []).append(row)
    order = [variant.name for variant in VARIANTS]

    def place(group: list[Row]) -> tuple[str, int, int, str]:
        name = group[0]["variant"]
        known = order.index(name) if name in order else len(order)
        return group[0]["category"], group[0]["images"], known, name

    shown = sorted(groups.values(), key=place)
    for group in shown:
        group.sort(key=lambda row: row["seed"])
    return f"{table(HEAD, [line(group) for group in shown])}\n\n{protocol(rows)}"


def protocol(rows: Sequence[Row]) -> str:
    """Describe the settings of the search."""
    scored = [row for row in rows if "scores" in row]
    counts = sorted({f"{row['num_generated']} : {row['num_reference']}" for row in scored})
    machines = sorted({f"{row['machine']} ({threads(row)})" for row in scored})
    presets = ", ".join(sorted({row["preset"] for row in rows}))
    text = f"What differs from `{presets}`; means over the seeds, least and largest in brackets."
    if counts:
        text += f" Shapes generated : of reference {', '.join(counts)}, truncation 1."
    if machines:
        text += f" Trained on {'; '.join(machines)}."
    return text


def threads(row: Row) -> str:
    """Describe the threads of a run."""
    if row["threads"] is None:
        return "by hand"
    return f"threads {row['threads']}, runs at once {row['parallel']}"


def fill_search(page: str, rows: Sequence[Row]) -> str:
    """Replace the table between its marks; raise DataError unless the page has them once."""
    if len(MARKED.findall(page)) != 1:
        raise DataError("the page must have <!-- search --> and <!-- /search --> once")
    return MARKED.sub(lambda match: f"{match[1]}{search_table(rows)}\n{match[2]}", page)
