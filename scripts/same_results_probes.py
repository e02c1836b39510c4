"""The probes of scripts/same_results.py: small jobs whose results a refactoring must not change.

    PYTHONPATH=src python scripts/same_results_probes.py --src src --inputs FOLDER --out FILE glb

Runs with the `get3d` of any commit, so it goes through the command line and the names that stay
(docs/design.md). Flags, config fields, functions and classes are found under either name of
their words in RENAMED.
"""

import argparse
import contextlib
import csv
import dataclasses
import hashlib
import importlib
import io
import itertools
import json
import math
import pkgutil
import re
import runpy
import sys
import tempfile
import time
import traceback
import typing
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from same_results import PROBES, Record, spellings

import get3d

NEEDS_INPUTS = {"data", "metrics", "training"}
SIZE = 48  # of images of the probes "images", in pixels
UNTIMED = re.compile(r"images_per_.*")  # columns of the log that no two runs share
PARTS = ("rows", "ratios", "soundness", "hollowness", "matching_by_label", "copying", "protocol")
"""Of scores.json; the rest is text, versions and settings."""


# -- names that may have changed -------------------------------------------------------------------


def choose(name: str, known: Collection[str]) -> str:
    """Find which name of a dotted name exists in this version.

    Raises:
        LookupError: If none is; RENAMED has to say what it is called now.
    """
    tried = [".".join(words) for words in itertools.product(*map(spellings, name.split(".")))]
    for each in tried:
        if each in known:
            return each
    raise LookupError(f"{' or '.join(tried)} is not known; add its new name to RENAMED")


def find(package: str, name: str) -> Any:
    """Find a function or class by one of its names in a package or its modules.

    Raises:
        LookupError: If there is none.
    """
    root = importlib.import_module(package)
    for spelling in spellings(name):
        if hasattr(root, spelling):
            return getattr(root, spelling)
    for info in pkgutil.walk_packages(root.__path__, f"{package}."):
        if "triton" in info.name or "filter_kernels" in info.name:  # need a GPU's libraries
            continue
        module = importlib.import_module(info.name)
        for spelling in spellings(name):
            if hasattr(module, spelling):
                return getattr(module, spelling)
    raise LookupError(f"{package} has no {' or '.join(spellings(name))}; add its name to RENAMED")


def make(kind: type, **options: Any) -> Any:
    """Make a config dataclass, with fields and choices by the names of this version."""
    types = typing.get_type_hints(kind)
    values = {}
    for name, value in options.items():
        field = choose(name, {each.name for each in dataclasses.fields(kind)})
        choices = typing.get_args(types[field])
        values[field] = choose(value, choices) if isinstance(value, str) and choices else value
    return kind(**values)


# -- the command line ------------------------------------------------------------------------------


def run_command(*args: str | Path) -> str:
    """Run `get3d` with a command line, in this process, and return what it printed.

    Raises:
        RuntimeError: If it failed.
    """
    words, printed, former = [str(arg) for arg in args], io.StringIO(), sys.argv
    sys.argv, code = ["get3d", *words], 0
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            runpy.run_module("get3d", run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.argv = former
    if code:
        raise RuntimeError(
            f"get3d {' '.join(words)}: exit code {code}: {printed.getvalue()[-2000:]}"
        )
    return printed.getvalue()


def to_flags(options: dict[str, Any], known: set[str]) -> list[str]:
    """Format options as flags, by the names of this version.

    Args:
        options: By dotted name; True and False are flags without a value.
        known: Names of the command's flags without leading dashes, with underscores.
    """
    words: list[str] = []
    for name, value in options.items():
        section, _, field = choose(name, known).replace("_", "-").rpartition(".")
        start = f"--{section}." if section else "--"
        if isinstance(value, bool):
            words.append(f"{start}{'' if value else 'no-'}{field}")
        else:
            words += [f"{start}{field}", *(str(value).split())]
    return words


# -- from results to records -----------------------------------------------------------------------


def digest(content: bytes) -> np.ndarray:
    """Hash content that is too large to keep."""
    return np.array(hashlib.sha256(content).hexdigest())


def flatten(value: Any, prefix: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """List the numbers and tensors in nested dicts, lists and tuples by their dotted names.

    Texts are left out: they may be worded anew.

    Example:
        >>> [(name, float(each)) for name, each in flatten({"a": [1, {"b": 2.5}], "c": "text"})]
        [('a.0', 1.0), ('a.1.b', 2.5)]
    """
    if isinstance(value, dict):
        pairs: Any = value.items()
    elif isinstance(value, list | tuple):
        pairs = enumerate(value)
    else:
        if value is None:
            yield prefix, np.array(math.nan)
        elif hasattr(value, "detach"):
            yield prefix, value.detach().cpu().numpy().copy()
        elif not isinstance(value, str):
            yield prefix, np.asarray(value)
        return
    for key, each in pairs:
        yield from flatten(each, f"{prefix}.{key}" if prefix else str(key))


def read_image(path: Path) -> np.ndarray:

    with Image.open(path) as image:
        return np.asarray(image)


def read_folder(folder: Path) -> Record:
    """Record what is in the files of a folder: pixels, arrays, numbers of JSON, other bytes."""
    record: Record = {}
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".png":
            record[name] = read_image(path)
        elif path.suffix == ".npy":
            record[name] = np.load(path)
        elif path.suffix == ".json":
            content = json.loads(path.read_text(encoding="utf-8"))
            record |= {f"{name}/{key}": value for key, value in flatten(content)}
        else:
            record[name] = np.frombuffer(path.read_bytes(), np.uint8)
    return record


def read_run(folder: Path) -> Record:
    """Record a training run: columns of its log, sample images, digests of all it saved."""
    with (folder / "log.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    record = {
        f"log/{column}": np.array([float(row[column] or "nan") for row in rows])
        for column in rows[0]
        if not UNTIMED.fullmatch(column)
    }
    for path in sorted((folder / "samples").iterdir()):
        record[f"samples/{path.stem}"] = read_image(path)
    [path] = (folder / "model").glob("*.safetensors")
    saved = {"model": load_file(path)}
    path = max((folder / "checkpoints").glob("*.pt"))
    content = torch.load(path, map_location="cpu", weights_only=True)
    content.pop("config", None)  # not a result, and its words may change
    saved |= content
    # Names have dots of their own, which flatten() only adds to.
    return record | {f"saved/{name}": digest(each.tobytes()) for name, each in flatten(saved)}


# -- the probes ------------------------------------------------------------------------------------


def probe_data(work: Path, inputs: Path) -> Record:
    """`get3d shapes` and `get3d render`: what the other probes take, made again."""
    del inputs
    make_inputs(work / "inputs")
    return read_folder(work / "inputs")


def make_inputs(folder: Path) -> None:
    """Make the shapes and the training images that all probes take."""
    for category, split, num, place in (
        ("vessel", "train", 4, "."),
        ("vessel", "test", 4, "."),
        ("chair", "train", 4, "chair"),
        ("vehicle", "train", 1, "vehicle"),
    ):
        options = ["--num", num, "--split", split, "--texture-size", 128, "--workers", 1]
        run_command("shapes", category, "--out", folder / place, *map(str, options))
    options = ["--views", 4, "--size", 64, "--test-fraction", 0, "--workers", 1]
    options += ["--longest-side", 0.9]
    meshes = [folder / "train", folder / "chair" / "train", folder / "vehicle" / "train"]
    run_command("render", *meshes, "--out", folder / "images", *map(str, options))


def probe_glb(work: Path, inputs: Path) -> Record:
    """Bytes of GLB files of the bundled model."""
    del inputs

    record: Record = {}
    for index, shape in enumerate(get3d.load().generate(4, seed=0, texture_size=128)):
        path = work / f"{index}.glb"
        get3d.save(shape, str(path))
        record[f"shape-{index}"] = np.frombuffer(path.read_bytes(), np.uint8)
    return record


TRAINING = {
    "tiny-64": {"schedule.total_images": 40 * 8, "schedule.log_every_images": 8},
    "options": {
        "schedule.total_images": 8 * 8,
        "schedule.log_every_images": 8,
        "schedule.views_per_shape": 2,
        "schedule.accumulate": 2,
        "schedule.reuse_fakes": False,
        "schedule.coarse_images": 3 * 8,
        "discriminator.features": "imagenet",
        "discriminator.mbstd_group_size": 4,
        "imaging.light": "data",
        "imaging.detach_positions": False,
        "imaging.normal_smoothing": 2,
        "imaging.antialias_occlusions": True,
        "loss.roughness_weight": 1,
        "loss.r1_interval": 4,
        "generator.iso_surface": "flexicubes",
        "generator.grid_resolution": 32,
    },
}
"""Runs of the preset tiny-64: 40 steps as it is, 8 with what it leaves out."""


def probe_training(work: Path, inputs: Path) -> Record:
    """Logs, sample images and weights of two runs of `get3d train`."""
    printed = run_command("train", "tiny-64", "--help")
    found = {each.replace("-", "_") for each in re.findall(r"--([\w.-]+)", printed)}
    known = {each.replace(".no_", ".") for each in found}  # of flags that are on, help has the "no"
    flags = {name: to_flags(options, known) for name, options in TRAINING.items()}
    record: Record = {}
    for name, words in flags.items():
        place = ["--data", inputs / "images", "--out", work / name, "--device", "cpu"]
        run_command("train", "tiny-64", *place, *words)
        record |= {f"{name}/{key}": value for key, value in read_run(work / name).items()}
    return record


GENERATORS = {
    "unified": {"architecture": "unified", "subdivisions": 1},
    "separate": {"architecture": "separate"},
    "flexicubes": {"architecture": "unified", "iso_surface": "flexicubes"},
}
SMALL = {
    "z_dim": 16,
    "w_dim": 16,
    "plane_resolution": 32,
    "channel_base": 512,
    "channel_max": 32,
    "volume_resolution": 8,
    "volume_channel_base": 128,
    "volume_channel_max": 16,
    "volume_mlp_width": 16,
    "grid_resolution": 16,
    "sdf_base": "sphere",
}


def make_generator(**options: Any) -> tuple[Any, Any]:
    """Make a small generator at a fixed seed, and styles of two shapes."""
    torch.manual_seed(0)
    generator = get3d.Generator(make(get3d.GeneratorConfig, **(SMALL | options)))
    return generator, generator.map(*torch.randn(2, 2, SMALL["z_dim"]))


def probe_generators(work: Path, inputs: Path) -> Record:
    """Styles, fields and surfaces of fresh networks of each architecture."""
    del work, inputs

    record: Record = {}
    for name, options in GENERATORS.items():
        generator, styles = make_generator(**options)
        points = torch.rand(500, 3) - 0.5
        with torch.no_grad():
            fields = generator.fields(styles)
            results = {
                "styles": (styles.geo, styles.tex),
                "sdf": fields.sdf(points),
                "deformation": fields.deformation(points),
                "color": fields.color(points),
                "surface": [(mesh.verts, mesh.faces) for mesh in generator.surface(fields)],
            }
        record |= {f"{name}/{key}": value for key, value in flatten(results)}
    return record


EVALUATE = {
    "--metrics": "cd lfd fd",
    "--features": "shapes",
    "--num-images": 16,
    "--reference-views": 4,
    "--image-size": 64,
    "--texture-size": 64,
    "--supersample": 2,
    "--workers": 1,
    "--device": "cpu",
}


def probe_metrics(work: Path, inputs: Path) -> Record:
    """Scores that `get3d evaluate` gives, of files and of the bundled model, and the functions."""
    flags = [word for name, value in EVALUATE.items() for word in (name, *str(value).split())]
    record: Record = {}
    for name, which in (
        ("files", ["--meshes", inputs / "chair" / "train"]),
        ("model", ["--num-shapes", "4"]),
    ):
        run_command("evaluate", *which, "--data", inputs, "--out", work / name, *flags)
        content = json.loads((work / name / "scores.json").read_text(encoding="utf-8"))
        content = {choose(part, content): content[choose(part, content)] for part in PARTS}
        content["protocol"].pop("config", None)  # the settings, with words that may change
        record |= {f"evaluate/{name}/{key}": value for key, value in flatten(content)}
    return record | {f"functions/{key}": value for key, value in metric_functions()}


def metric_functions() -> Iterator[tuple[str, np.ndarray]]:
    """Evaluate the public functions of `get3d.metrics` on random points and two meshes."""
    rng = torch.Generator().manual_seed(0)
    metrics = {
        name: find("get3d.metrics", name)
        for name in (
            "chamfer_distance",
            "light_field_distance",
            "coverage",
            "minimum_matching_distance",
            "nearest_neighbour_accuracy",
            "frechet_distance",
        )
    }
    sets = torch.rand(2, 6, 200, 3, generator=rng)
    sets[0] *= 0.9
    between, own, other = (
        metrics["chamfer_distance"](sets[i][:, None], sets[j][None])
        for i, j in ((0, 1), (0, 0), (1, 1))
    )
    features = torch.rand(2, 40, 8, generator=rng).double().numpy()
    moments = [
        torch.from_numpy(each)
        for half in features
        for each in (half.mean(0), np.cov(half, rowvar=False))
    ]
    return flatten(
        {
            "chamfer_distance": between,
            "light_field_distance": metrics["light_field_distance"](fixed_mesh(), fixed_mesh(3)),
            "coverage": metrics["coverage"](between),
            "minimum_matching_distance": metrics["minimum_matching_distance"](between),
            "nearest_neighbour_accuracy": metrics["nearest_neighbour_accuracy"](
                between, own, other
            ),
            "frechet_distance": metrics["frechet_distance"](*moments),
        }
    )


def fixed_mesh(waves: int = 5) -> Any:
    """Make a torus whose tube swells and shrinks."""
    num = 24, 12
    u, v = (torch.arange(n, dtype=torch.float64) * (2 * math.pi / n) for n in num)
    u, v = u.repeat_interleave(num[1]), v.repeat(num[0])
    tube = 0.12 + 0.03 * (waves * u).sin()
    ring = 0.3 + tube * v.cos()
    verts = torch.stack([ring * u.cos(), tube * v.sin(), ring * u.sin()], 1).float()
    index = torch.arange(num[0] * num[1]).view(num)
    right, up = index.roll(-1, 0), index.roll(-1, 1)
    both = right.roll(-1, 1)
    faces = torch.stack(
        [torch.stack([index, up, both], -1), torch.stack([index, both, right], -1)], -2
    )
    return get3d.Mesh(verts, faces.reshape(-1, 3))


def fixed_cameras(num: int) -> Any:
    """Put cameras about the origin at heights of their own."""
    angles = torch.arange(num) * 1.3 + 0.4
    height = torch.linspace(-0.3, 0.9, num)
    back = torch.stack([angles.cos(), height, angles.sin()], 1)
    back = back / back.norm(dim=1, keepdim=True)
    right = torch.linalg.cross(torch.tensor([0.0, 1.0, 0.0]).expand(num, 3), back)
    right = right / right.norm(dim=1, keepdim=True)
    world_to_camera = torch.eye(4).repeat(num, 1, 1)
    world_to_camera[:, :3, :3] = torch.stack([right, torch.linalg.cross(back, right), back], 1)
    world_to_camera[:, 2, 3] = -1.2
    return get3d.Cameras(world_to_camera, torch.tensor([1.1, 1.1, 0.5, 0.5]).repeat(num, 1))


IMAGES = {
    "published": {},
    "antialiased": {"composite": "antialiased", "mask_supersample": 4},
    "lit": {
        "composite": "antialiased",
        "mask_supersample": 2,
        "detach_positions": False,
        "light": "data",
        "normal_smoothing": 2,
        "antialias_occlusions": True,
    },
}


def probe_images(work: Path, inputs: Path) -> Record:
    """Images of a fixed mesh, and training images with gradients."""
    del work, inputs

    mesh = fixed_mesh()
    mesh = dataclasses.replace(mesh, verts=mesh.verts.requires_grad_())
    seen = get3d.render.render_mesh(mesh, fixed_cameras(3), SIZE)
    (weigh(seen.mask) + weigh(seen.depth)).backward()
    results: dict[str, Any] = {
        "mesh": {"face_id": seen.face_id, "mask": seen.mask, "depth": seen.depth}
        | {"gradient": mesh.verts.grad}
    }
    generator, _ = make_generator()
    for name, options in IMAGES.items():
        generator.zero_grad()
        styles = generator.map(*torch.randn(2, 2, 16, generator=torch.Generator().manual_seed(1)))
        fields = generator.fields(styles)
        config = make(find("get3d.models", "ImagingConfig"), **options)
        light = get3d.render.Light() if "light" in options else None
        images = generator.render(
            fields, generator.surface(fields), fixed_cameras(4), SIZE, config=config, light=light
        )
        (weigh(images.rgb) + weigh(images.mask)).backward()
        gradients = {key: each.grad for key, each in generator.named_parameters()}
        results[name] = {"rgb": images.rgb, "mask": images.mask, "gradient": gradients}
    return dict(flatten(results))


def weigh(values: Any) -> Any:
    """Sum values under random weights, so that each has a gradient of its own."""
    rng = torch.Generator().manual_seed(0)
    return (values * torch.randn(values.shape, generator=rng)).sum()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--src", type=Path, required=True, help="where get3d has to come from")
    parser.add_argument("--inputs", type=Path, required=True, help="made if absent and needed")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("probes", nargs="+", choices=PROBES)
    args = parser.parse_args()

    found = Path(str(get3d.__file__)).resolve()
    if not found.is_relative_to(args.src.resolve()):
        sys.exit(f"get3d comes from {found}, not from {args.src}")
    torch.set_num_threads(1)
    is_first = not args.inputs.exists() and not NEEDS_INPUTS.isdisjoint(args.probes)
    if is_first:
        make_inputs(args.inputs)
    record: Record = {}
    for name in args.probes:
        start_s = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            try:
                is_made = is_first and name == "data"
                results = (
                    read_folder(args.inputs)
                    if is_made
                    else globals()[f"probe_{name}"](work, args.inputs)
                )
            except Exception:  # the other probes go on
                results = {"failed": np.array(traceback.format_exc()[-3000:])}
        record |= {f"{name}/{key}": value for key, value in results.items()}
        print(f"  {name}: {time.process_time() - start_s:.0f} s of CPU", flush=True)
    np.savez_compressed(args.out, **record)


if __name__ == "__main__":
    main()
