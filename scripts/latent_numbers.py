"""Measurements and images of the latent space of a model, for docs/latent.md.

    python scripts/latent_numbers.py                              # the bundled model, numbers only
    python scripts/latent_numbers.py --out out/latent --images docs/images --page docs/latent.md

Writes OUT/numbers.json; with --images, the images of the page; with --page, the table between
its two marks. The same model and seeds give the same numbers on the same machine.
"""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import trimesh
import tyro
from scipy.spatial import cKDTree

import get3d
from get3d.apps import Model
from get3d.apps.latent import generate_shape, interpolate_styles, perturb, split_styles, styles_of
from get3d.apps.latent.shapes import LatentShape
from get3d.core import DataError, Mesh, Styles, write_text
from get3d.geometry import sample_surface
from get3d.metrics import PointProtocol, chamfer_distance, sample_points

MARKS = ("<!-- numbers: scripts/latent_numbers.py -->", "<!-- end of numbers -->")
SIZES = (0.05, 0.1, 0.2, 0.4, 0.8)


@dataclass(frozen=True)
class Args:
    """Measure a model's latent space."""

    model: str | None = None
    """Model folder or run folder; the bundled model if left out."""

    out: Path = Path("out/latent")
    """Folder for numbers.json and the commands' own files."""

    shapes: int = 16
    """Number of measured shapes; shapes 0 to N - 1 of the seed, not selected."""

    frames: int = 60
    """Frames of each interpolation."""

    walks: int = 4
    """Number of interpolations between successive shapes."""

    seed: int = 0
    """Random seed of the shapes and of points on them."""

    truncation: float = 0.7
    """Truncation, as for `get3d generate`."""

    images: Path | None = None
    """Folder for the images of the page."""

    page: Path | None = None
    """Page whose table is replaced."""


def surface_distance(a: Mesh, b: Mesh, rng: torch.Generator, num: int = 4000) -> float:
    """Compute the mean distance from points of each surface to the other, in scene units, summed.

    Candidates for the nearest face are those of nearby points; distances to them are exact: two
    equal surfaces are at distance 0, however they are sampled.
    """

    def one_way(start: Mesh, goal: Mesh) -> float:
        points = sample_surface(start, num, generator=rng).points.double().numpy()
        dense = sample_surface(goal, 10 * num, generator=rng)
        _, near = cKDTree(dense.points.numpy()).query(points, k=8)
        triangles = goal.verts.double().numpy()[goal.faces.numpy()]
        chosen = triangles[dense.face_ids.numpy()[near.reshape(-1)]]
        repeated = np.repeat(points, near.shape[1], axis=0)
        closest = trimesh.triangles.closest_point(chosen, repeated)
        distance = np.linalg.norm(closest - repeated, axis=1).reshape(near.shape)
        return float(distance.min(1).mean())

    return (one_way(a, b) + one_way(b, a)) / 2


def smoothness(model: Model, args: Args) -> dict[str, object]:
    """Measure how evenly shapes change along interpolations."""
    found = []
    for index in range(args.walks):
        names = [f"{args.seed}.{index}", f"{args.seed}.{index + 1}"]
        path = interpolate_styles(model, names, frames=args.frames, truncation=args.truncation)
        meshes = [generate_shape(model, styles).mesh for styles in split_styles(path.styles)]
        rng = torch.Generator().manual_seed(args.seed)
        steps = np.array([surface_distance(a, b, rng) for a, b in pairwise(meshes)])
        found.append(
            {
                "shapes": names,
                "median_step": float(np.median(steps)),
                "largest_step": float(steps.max()),
                "largest_over_median": float(steps.max() / np.median(steps)),
                "end_to_end": surface_distance(meshes[0], meshes[-1], rng),
            }
        )
    return {"frames": args.frames, "walks": found}


def perturbation(model: Model, args: Args) -> dict[str, object]:
    """Measure how much noise of each size changes shapes, by Chamfer distance times 1000."""
    protocol = PointProtocol()
    names = [f"{args.seed}.{i}" for i in range(args.shapes)]
    shapes = [generate_shape(model, styles_of(model, n, truncation=args.truncation)) for n in names]
    points = [sample_points(s.mesh, protocol, seed=i) for i, s in enumerate(shapes)]
    factor = 1000.0

    def median(values: list[float]) -> float:
        return factor * float(np.median(values))

    again = [
        float(chamfer_distance(p, sample_points(s.mesh, protocol, seed=i + args.shapes)))
        for i, (s, p) in enumerate(zip(shapes, points, strict=True))
    ]
    others = [float(chamfer_distance(a, b)) for a, b in pairwise(points)]
    by_size = {}
    for size in SIZES:
        moved = []
        for i, name in enumerate(names):
            styles = perturb(model, name, num=2, size=size, truncation=args.truncation)
            for j, one in enumerate(split_styles(styles)):
                mesh = generate_shape(model, one).mesh
                sampled = sample_points(mesh, protocol, seed=(2 + j) * args.shapes + i)
                moved.append(float(chamfer_distance(points[i], sampled)))
        by_size[str(size)] = median(moved)
    return {
        "chamfer_x1000_by_size": by_size,
        "same_surface_sampled_twice": median(again),
        "different_shapes": median(others),
    }


def surface_colors(shape: LatentShape, seed: int, num: int = 8192) -> np.ndarray:
    """Sample colours of a surface uniformly, sRGB 0 to 255, each channel sorted."""
    rng = torch.Generator().manual_seed(seed)
    points = sample_surface(shape.mesh, num, generator=rng).points
    with torch.no_grad():
        return np.sort(255 * shape.fields.appearance.evaluate(points).numpy(), axis=0)


def disentanglement(model: Model, args: Args) -> dict[str, object]:
    """Measure how each code changes geometry and colours.

    The distance of two colour distributions is the mean over channels of the 1D Wasserstein
    distance: 0 to 255.
    """
    styles = [
        styles_of(model, f"{args.seed}.{i}", truncation=args.truncation) for i in range(args.shapes)
    ]
    num_changed, colors = 0, []
    for i, (one, other) in enumerate(pairwise([*styles, styles[0]])):
        plain, retextured, reshaped, both = (
            generate_shape(model, codes)
            for codes in (
                one,
                Styles(one.geo, other.tex),
                Styles(other.geo, one.tex),
                other,
            )
        )
        same = plain.mesh.verts.shape == retextured.mesh.verts.shape and torch.equal(
            plain.mesh.faces, retextured.mesh.faces
        )
        num_changed += (
            int((plain.mesh.verts != retextured.mesh.verts).any(1).sum())
            if same
            else len(plain.mesh.verts)
        )
        base = surface_colors(plain, i)
        colors.append(
            [
                np.abs(base - surface_colors(shape, i + offset)).mean()
                for offset, shape in (
                    (args.shapes, plain),
                    (0, retextured),
                    (0, reshaped),
                    (0, both),
                )
            ]
        )
    floor, texture, geometry, both_codes = np.median(colors, axis=0)
    return {
        "vertices_changed_by_texture_code": num_changed,
        "color_change": {
            "same_surface_sampled_twice": float(floor),
            "texture_code": float(texture),
            "geometry_code": float(geometry),
            "both_codes": float(both_codes),
        },
    }


def table(numbers: dict[str, dict]) -> str:  # type: ignore[type-arg]
    """Format the numbers as a Markdown table."""
    walks = numbers["smoothness"]["walks"]
    noise, apart = numbers["perturbation"], numbers["disentanglement"]
    sizes = noise["chamfer_x1000_by_size"]
    colors = apart["color_change"]
    middle = [np.median([walk[key] for walk in walks]) for key in ("median_step", "end_to_end")]
    worst = max(walk["largest_over_median"] for walk in walks)
    rows = [
        (
            f"surface distance between the ends of an interpolation, and from frame to frame "
            f"({numbers['smoothness']['frames']} frames, median of {len(walks)} interpolations)",
            f"{middle[1]:.4f}, {middle[0]:.4f} scene units",
        ),
        ("largest step of an interpolation over its median step, worst of all", f"{worst:.1f}"),
        (
            f"Chamfer distance x 1000 after noise of size {', '.join(sizes)}",
            ", ".join(f"{value:.2f}" for value in sizes.values()),
        ),
        (
            "the same for one surface sampled twice, and for two different shapes",
            f"{noise['same_surface_sampled_twice']:.2f}, {noise['different_shapes']:.2f}",
        ),
        (
            "vertices that change when the texture code does",
            str(apart["vertices_changed_by_texture_code"]),
        ),
        (
            "surface colours (0 to 255) change with the texture code, the geometry code, both",
            ", ".join(f"{colors[k]:.1f}" for k in ("texture_code", "geometry_code", "both_codes")),
        ),
        (
            "the same for one surface sampled twice",
            f"{colors['same_surface_sampled_twice']:.1f}",
        ),
    ]
    about = numbers["about"]
    head = f"Model {about['model']}, {about['shapes']} shapes, truncation {about['truncation']}."
    lines = [f"| {what} | {value} |" for what, value in rows]
    return "\n".join([head, "", "| what | value |", "|---|---|", *lines])


def renew(page: Path, text: str) -> None:
    """Replace the table between its marks; raise DataError if the page has none."""
    old = page.read_text(encoding="utf-8")
    pattern = re.compile(re.escape(MARKS[0]) + ".*?" + re.escape(MARKS[1]), re.DOTALL)
    if not pattern.search(old):
        raise DataError(f"{page} has no place for numbers: a line {MARKS[0]} and one {MARKS[1]}")
    new = f"{MARKS[0]}\n{text}\n{MARKS[1]}"
    write_text(page, pattern.sub(lambda _: new, old))


def draw(args: Args, folder: Path) -> None:
    """Make the images of the page by the commands that the page shows."""
    model = [] if args.model is None else [args.model]
    s = args.seed
    names = [f"{s}.{i}" for i in range(6)]
    sized = ["--image-size", "160"]
    mesh = ["--texture-size", "256"]
    jobs: dict[str, tuple[list[str], str, str]] = {
        "walk": (
            ["interpolate", "--seeds", *names[:4], "--loop", "--frames", "72", *sized, *mesh],
            "walk.webp",
            "latent_walk.webp",
        ),
        "perturb": (
            ["perturb", "--seeds", names[1], "--sizes", "0.1", "0.3", "--num", "5", *mesh],
            "contact_sheet.png",
            "latent_perturb.png",
        ),
        "swap": (
            ["swap", "--geometry", *names[:4], "--texture", *names[2:6], *mesh],
            "contact_sheet.png",
            "latent_swap.png",
        ),
        "mix": (
            ["mix", "--seeds", *names[:3], "--columns", *names[3:6], "--geometry-layers", "0-3",
             *mesh],
            "contact_sheet.png",
            "latent_mix.png",
        ),
        "sweep": (
            ["sweep", "--seeds", *names[:3], *mesh],
            "contact_sheet.png",
            "latent_sweep.png",
        ),
        "turntable": (
            ["turntable", "--seeds", names[2], "--frames", "48", *sized],
            f"shape_{names[2]}.webp",
            "latent_turntable.webp",
        ),
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    for name, ((command, *flags), made, image) in jobs.items():
        out = args.out / name
        line = [command, *model, "--out", str(out), "--overwrite", *flags]
        print("$ get3d", " ".join(line), flush=True)
        subprocess.run([sys.executable, "-m", "get3d", *line], check=True)
        shutil.copyfile(out / made, folder / image)


def main(args: Args) -> None:
    """Measure, write, and draw where asked."""
    model = get3d.load(args.model)
    about = {
        "model": model.info.name,
        "shapes": args.shapes,
        "seed": args.seed,
        "truncation": args.truncation,
        "torch": torch.__version__,
    }
    numbers: dict[str, dict[str, object]] = {"about": about}
    for part in (smoothness, perturbation, disentanglement):
        numbers[part.__name__] = part(model, args)
        print(json.dumps({part.__name__: numbers[part.__name__]}, indent=1), flush=True)
    write_text(args.out / "numbers.json", json.dumps(numbers, indent=1) + "\n")
    print(table(numbers))
    if args.images is not None:
        draw(args, args.images)
    if args.page is not None:
        renew(args.page, table(numbers))


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
