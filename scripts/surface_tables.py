"""Tables of docs/surfaces.md, from results/surfaces.json and results/resolution.json."""

from typing import Any

from get3d.apps.evaluation.page import table
from get3d.core import DataError
from get3d.geometry import bcc_cells

Row = dict[str, Any]
SURFACES = {
    "dmtet": "tetrahedra {resolution}",
    "dmtet_split": "tetrahedra {half}, split once",
    "flexicubes": "FlexiCubes {resolution}",
}


def spread(values: list[float], digits: int = 1) -> str:
    """Format the minimum and maximum of numbers."""
    low, high = (f"{each:.{digits}f}" for each in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def thousands(value: float) -> str:
    """Format a large number in groups of three digits."""
    return f"{value:,.0f}".replace(",", " ")


def measured_surfaces(content: Row, part: str) -> str:
    """Compare the three surfaces before (exact) or after the fit (fitted)."""
    head = ["shape", "surface, resolution", "triangles", "Chamfer", "normals", "slivers %"]
    head += ["crossing %", "extraction, ms", "step of a fit, ms", "memory, MB"]
    rows = [
        [
            row["shape"],
            SURFACES[row["surface"]].format(
                resolution=row["resolution"], half=row["resolution"] // 2
            ),
            thousands(row["triangles"]),
            f"{row['chamfer']:.1f}" + spread_of_fits(row),
            *(f"{row[name]:.1f}" for name in ("normals", "slivers")),
            f"{row['crossing']:.2f}",
            *(f"{row[name]:.0f}" for name in ("extract_ms", "step_ms", "memory_mb")),
        ]
        for row in chosen(content, **content[part])
        if row["surface"] in SURFACES
    ]
    return about(content) + ".\n\n" + table(head, rows)


def about(content: Row) -> str:
    """Describe the machine."""
    threads = content["threads"]
    return f"{content['machine']}, {threads} thread{'s' if threads > 1 else ''}"


def spread_of_fits(row: Row) -> str:
    """Format the minimum and maximum Chamfer distance of several fits."""
    return f" ({spread(row['chamfer_of_each'])})" if row["fits"] > 1 else ""


def chosen(content: Row, **values: int) -> list[Row]:
    """Select the rows with these values."""
    return [row for row in content["runs"] if values.items() <= row.items()]


def same_lattice(content: Row) -> str:
    """Compare split tetrahedra with those on the whole of the same lattice."""
    sizes = [content[part]["cubes"] for part in ("exact", "fitted")]
    before = [pair for size in sizes for pair in couples(chosen(content, cubes=size, steps=0))]
    equal = sum(one["triangles"] == other["triangles"] for one, other in before)
    fitted = couples(chosen(content, **content["fitted"]))
    pairs = couples(chosen(content, **content["exact"])) + fitted
    slower, step, memory = (
        [one[name] / other[name] for one, other in pairs]
        for name in ("extract_ms", "step_ms", "memory_mb")
    )
    apart = [100 * abs(one["chamfer"] / other["chamfer"] - 1) for one, other in fitted]
    turned = [abs(one["normals"] - other["normals"]) for one, other in fitted]
    return (
        f"Split tetrahedra beside tetrahedra on the whole of the same lattice (also measured, not "
        f"in the tables): before the fit, {equal} of {len(before)} have the same number of "
        f"triangles. After it, Chamfer distances differ by {spread(apart, 0)} %, normals by "
        f"{spread(turned, 2)} degrees. Extraction takes {spread(slower)} times as long, a step of "
        f"the fit {spread(step)} times, and the memory is {spread([1 / m for m in memory])} times "
        f"smaller."
    )


def couples(rows: list[Row]) -> list[tuple[Row, Row]]:
    """Pair each shape's split surface with the one on the whole lattice."""
    split, whole = (
        {row["shape"]: row for row in rows if row["surface"] == kind}
        for kind in ("dmtet_split", "dmtet_same_lattice")
    )
    return [(split[shape], whole[shape]) for shape in split]


def resolutions(content: Row) -> str:
    """Compare sparse extraction with the whole grid by resolution."""
    head = ["resolution", "triangles", "sparse: s per shape", "MB", "dense: s, first shape"]
    head += ["s, further ones", "MB"]
    ways: dict[int, dict[str, Row]] = {}
    for run in content["runs"]:
        ways.setdefault(run["resolution"], {})[run["way"]] = run
    rows = []
    for resolution, found in ways.items():
        sparse, dense = found["traced"], found.get("dense")
        if dense and dense["triangles"] != sparse["triangles"]:
            raise DataError(f"sparse and dense surfaces differ at resolution {resolution}")
        rows.append(
            [
                str(resolution),
                thousands(sparse["triangles"]),
                f"{sparse['next_s']:.2f}",
                thousands(sparse["peak_mb"]),
                *(
                    [
                        f"{dense['first_s']:.2f}",
                        f"{dense['next_s']:.2f}",
                        thousands(dense["peak_mb"]),
                    ]
                    if dense
                    else ["-"] * 3
                ),
            ]
        )
    about_model = (
        f"{about(content)}; the first shape of seed 1 of the {content['model']} model, whose own "
        f"grid has resolution {content['own_grid']}.\n\n"
    )
    return about_model + table(head, rows)


def training(content: Row) -> str:
    """Describe the cost of a batch in training."""
    found, own = content["training"], content["own_grid"]
    return (
        f"In training, surfaces of a batch of {found['batch']} with their gradient take "
        f"{found['own_s']:.2f} s of a processor on a grid of {own}, {found['split_s']:.2f} s split "
        f"once, and {found['dense_s']:.2f} s on a whole grid of {2 * own}."
    )


def lost(content: Row) -> str:
    """Describe what sparse extraction did not find."""
    lines = [
        f"at resolution {each['resolution']}, "
        f"{'all' if each['whole'] == each['shapes'] else each['whole']} have as many triangles as "
        f"on the whole grid, and {each['lost_pieces'] or 'none'} of {each['pieces']} "
        f"components {'is' if each['lost_pieces'] < 2 else 'are'} lost"
        for each in content["lost"]
    ]
    shapes = content["lost"][0]["shapes"]
    return (
        f"Of {shapes} shapes of the bundled model (seed 3, truncation 0.7 and 1): "
        + "; ".join(lines)
        + "."
    )


def offsets(content: Row) -> str:
    """Compare the two lengths of offsets."""
    found: dict[int, dict[str, Row]] = {}
    for each in content["offsets"]:
        found.setdefault(each["resolution"], {})[each["offsets"]] = each
    own = content["own_grid"]
    crossed = found[own]["as in training"]["crossing_percent"]
    head = ["resolution", "as in training", "shrunk with the cells"]
    head += ["crossing %, as in training", "shrunk"]
    rows = [
        [
            str(resolution),
            *(spread([1000 * d for d in each[kind]["distances"]]) for kind in each),
            *(spread(each[kind]["crossing_percent"], 2) for kind in each),
        ]
        for resolution, each in found.items()
        if resolution != own
    ]
    num = len(crossed)
    return (
        f"Measured with {num} shapes of the bundled model, mean distance to the surface at the "
        f"training resolution ({own}), in thousandths of a unit (a tet's longest edge is "
        f"{1000 / bcc_cells(own):.0f}), and faces that pass through others (on the training "
        f"grid {spread(crossed, 2)} %):\n\n" + table(head, rows)
    )
