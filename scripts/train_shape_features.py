"""Train the feature network that ships with get3d on renders of procedural shapes.

    get3d shapes chair --num 4000 --out shapes/chair
    get3d shapes chair --num 400 --split validation --out shapes/chair
    ...
    python scripts/train_shape_features.py shapes/chair shapes/vessel shapes/vehicle

Images are taken by all cores and kept in memory; nothing but the weights and a card with the
accuracies of the validation shapes is written. The seed decides everything but rounding.
"""

import hashlib
import json
import time
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import tyro
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from get3d.cli.device import pick_device
from get3d.cli.progress import progress_bar
from get3d.core.contact_sheet import contact_sheet, images_to_u8, save_png
from get3d.core.files import write_text
from get3d.core.processes import run_in_processes
from get3d.data import RenderConfig, load_mesh, normalize_mesh
from get3d.geometry.cameras import sample_cameras
from get3d.metrics.shape_features import (
    IMAGE_SIZE,
    SHAPE_FEATURES_NAME,
    Heads,
    ShapeNetwork,
    load_shape_network,
    save_shape_network,
    shipped_weights,
)
from get3d.render import Light, render_textured

NO_LABEL = -100  # of attributes that a shape does not have
VIEWS_PER_LIGHT = 3
SHEET_IMAGES = 64


@dataclass(frozen=True)
class Args:
    """Train the feature network."""

    shapes: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of `get3d shapes`, one per category, each with train/ and validation/."""

    out: Path = shipped_weights().parent
    """Folder for the weights and their card."""

    views: int = 12
    """Images of each shape."""

    epochs: int = 20
    """Passes over all images."""

    batch: int = 512
    """Batch size."""

    learning_rate: float = 2e-3
    """Peak learning rate; warm-up, then cosine decay to 0."""

    weight_decay: float = 0.05
    """Weight decay of AdamW."""

    seed: int = 0
    """Random seed of cameras, lights, weights, order and augmentation."""

    workers: int | None = None
    """Processes that render; None takes one per core."""

    device: str = "auto"
    """auto, cpu, cuda."""

    sheet: Path | None = None
    """PNG file for a contact sheet of augmented training images."""


@dataclass(frozen=True)
class Split:
    """Images of a split, on the device.

    Attributes:
        images_u8: Channels last.
        labels: Index of the value of each attribute, or NO_LABEL.
    """

    images_u8: UInt8[Tensor, "n size size 3"]
    labels: Int[Tensor, "n heads"]


Entry = tuple[Path, dict[str, str]]  # a mesh file, and its value of each attribute


def read_entries(folders: tuple[Path, ...], split: str) -> list[Entry]:
    """List the shapes of a split with "category" and "category/attribute" labels."""
    if not folders:
        raise SystemExit("no folders of shapes given; get3d shapes CATEGORY --out FOLDER makes one")
    entries: list[Entry] = []
    for folder in folders:
        index = read_index(folder, split)
        category = index["category"]
        for shape in index["shapes"]:
            labels = {f"{category}/{name}": str(value) for name, value in shape["labels"].items()}
            entries.append((folder / split / shape["file"], {"category": category} | labels))
    return entries


def read_index(folder: Path, split: str) -> dict[str, Any]:
    """Read what `get3d shapes` wrote about a split."""
    path = folder / split / "shapes.json"
    if not path.is_file():
        raise SystemExit(
            f"{path} is missing; make it with: get3d shapes CATEGORY --split {split} --out {folder}"
        )
    index: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return index


def find_heads(entries: list[Entry]) -> Heads:
    """List the attributes that differ among shapes, with their values."""
    values: dict[str, set[str]] = {}
    for _, labels in entries:
        for name, value in labels.items():
            values.setdefault(name, set()).add(value)
    return {name: tuple(sorted(seen)) for name, seen in sorted(values.items()) if len(seen) > 1}


def label_indices(entries: list[Entry], heads: Heads) -> Int[Tensor, "shapes heads"]:
    rows = [
        [
            values.index(labels[name]) if labels.get(name) in values else NO_LABEL
            for name, values in heads.items()
        ]
        for _, labels in entries
    ]
    return torch.tensor(rows)


def render_views(
    job: tuple[int, Path], views: int, seed: int
) -> tuple[int, UInt8[np.ndarray, "views size size 3"]]:
    """Render a shape on black from random cameras, in several sizes and lights."""
    index, path = job
    digest = hashlib.sha256(f"{seed}/{path.parent.name}/{path.name}".encode()).digest()
    rng = np.random.default_rng(list(digest))
    generator = torch.Generator().manual_seed(int(rng.integers(1 << 31)))
    distribution = RenderConfig().distribution
    mesh = load_mesh(path)
    images = []
    for start in range(0, views, VIEWS_PER_LIGHT):
        cameras = sample_cameras(
            distribution, min(VIEWS_PER_LIGHT, views - start), generator=generator
        )
        light = Light(
            sky=rng.uniform(0.5, 0.8), ground=rng.uniform(0.2, 0.5), camera=rng.uniform(0.3, 0.7)
        )
        sized = normalize_mesh(mesh, longest_side=rng.uniform(0.7, 0.95))
        rgba = render_textured(sized, cameras, IMAGE_SIZE, light=light, supersample=2)
        images.append(rgba[..., :3] * rgba[..., 3:])
    return index, images_to_u8(torch.cat(images).permute(0, 3, 1, 2), low=0.0)


def render_split(
    entries: list[Entry], heads: Heads, args: Args, views: int, device: torch.device
) -> Split:
    """Render all shapes on all cores."""
    images = np.zeros((len(entries), views, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
    jobs = [(index, path) for index, (path, _) in enumerate(entries)]
    task = partial(render_views, views=views, seed=args.seed)
    with progress_bar("images") as progress:
        bar = progress.add_task("", total=len(jobs))
        # The first one in this process, so that others read its compiled code from disk.
        images[0] = task(jobs[0])[1]
        for index, rendered in run_in_processes(task, jobs[1:], workers=args.workers):
            images[index] = rendered
            progress.advance(bar)
    labels = label_indices(entries, heads).repeat_interleave(views, 0)
    return Split(torch.from_numpy(images).flatten(0, 1).to(device), labels.to(device))


def augment(
    images_u8: UInt8[Tensor, "b size size 3"], generator: torch.Generator
) -> Float[Tensor, "b 3 size size"]:
    """Mirror, zoom and shift; brightness, contrast, blur and noise; in [-1, 1].

    Hues stay, because colours are labels; all of it is mild, because features that are invariant to
    blur and noise would not score these.
    """
    images = images_u8.permute(0, 3, 1, 2).float() / 255.0
    num, device = len(images), images.device

    def uniform(low: float, high: float) -> Float[Tensor, "b 1 1 1"]:
        drawn = torch.rand(num, 1, 1, 1, generator=generator, device=device)
        return low + (high - low) * drawn

    def sometimes(chance: float) -> Float[Tensor, "b 1 1 1"]:
        return (uniform(0, 1) < chance).float()

    mirror, zoom = 1.0 - 2.0 * sometimes(0.5), uniform(0.88, 1.14)
    zero = torch.zeros_like(zoom)
    rows = [[zoom * mirror, zero, uniform(-0.1, 0.1)], [zero, zoom, uniform(-0.1, 0.1)]]
    theta = torch.stack([torch.cat([v.view(num, 1) for v in row], 1) for row in rows], 1)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    images = F.grid_sample(images, grid, mode="bilinear", align_corners=False)
    images = (images * uniform(0.8, 1.2)).clamp(0.0, 1.0) ** uniform(0.8, 1.25)
    kernel = torch.tensor([1.0, 2.0, 1.0], device=device) / 4.0
    kernel = (kernel[:, None] * kernel).expand(3, 1, 3, 3)
    blurred = F.conv2d(images, kernel, padding=1, groups=3)
    images = images + sometimes(0.3) * uniform(0.0, 1.0) * (blurred - images)
    noise = torch.randn(images.shape, generator=generator, device=device)
    images = images + sometimes(0.3) * uniform(0.0, 0.03) * noise
    images = images.clamp(0.0, 1.0) * 2.0 - 1.0
    return images.contiguous(memory_format=torch.channels_last)


def loss_of(network: ShapeNetwork, images: Tensor, labels: Int[Tensor, "b heads"]) -> Tensor:
    """Cross-entropy, averaged over all labels that there are."""
    logits = network.classify(network.encode(images))
    total = sum(
        F.cross_entropy(scores.float(), labels[:, head], ignore_index=NO_LABEL, reduction="sum")
        for head, scores in enumerate(logits.values())
    )
    return total / (labels != NO_LABEL).sum()


def train(split: Split, heads: Heads, args: Args, device: torch.device) -> ShapeNetwork:
    """Train the network from random weights."""
    torch.manual_seed(args.seed)
    torch.backends.cudnn.deterministic = True
    network = ShapeNetwork(heads).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=args.learning_rate, weight_decay=args.weight_decay
    )
    num = len(split.images_u8)
    batch = min(args.batch, num)
    steps = num // batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        args.learning_rate,
        total_steps=args.epochs * steps,
        pct_start=0.1,
        cycle_momentum=False,
    )
    generator = torch.Generator(device).manual_seed(args.seed)
    is_cuda = device.type == "cuda"
    for epoch in range(args.epochs):
        start, total = time.monotonic(), torch.zeros((), device=device)
        order = torch.randperm(num, generator=generator, device=device)
        for picked in order[: steps * batch].view(steps, batch):
            images = augment(split.images_u8[picked], generator)
            if args.sheet is not None and schedule.last_epoch == 0:
                augmented = images_to_u8(images[:SHEET_IMAGES])
                save_png(args.sheet, contact_sheet(augmented))
            with torch.autocast(device.type, torch.bfloat16, enabled=is_cuda):
                loss = loss_of(network, images, split.labels[picked])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.detach()
        seconds = time.monotonic() - start
        print(f"epoch {epoch + 1}/{args.epochs}: loss {total / steps:.4f}, {seconds:.1f} s")
    return network.eval()


@torch.no_grad()
def accuracies(network: ShapeNetwork, split: Split, heads: Heads) -> dict[str, dict[str, float]]:
    """Compute the accuracy of each attribute, and that of its most frequent value."""
    logits: dict[str, list[Tensor]] = {name: [] for name in heads}
    for part in split.images_u8.split(256):
        for name, scores in network.classify(network(part.permute(0, 3, 1, 2))).items():
            logits[name].append(scores)
    result = {}
    for head, (name, parts) in enumerate(logits.items()):
        labels = split.labels[:, head]
        known = labels != NO_LABEL
        if known.any():
            right = (torch.cat(parts).argmax(1) == labels)[known].float().mean().item()
            most = Counter(labels[known].tolist()).most_common(1)[0][1] / int(known.sum())
            result[name] = {"accuracy": round(right, 4), "most_frequent": round(most, 4)}
    return result


def write_card(
    path: Path,
    args: Args,
    network: ShapeNetwork,
    scores: dict[str, dict[str, float]],
    facts: dict[str, object],
) -> None:
    settings = {
        name: value
        for name, value in asdict(args).items()
        if name not in ("shapes", "out", "sheet", "workers", "device")
    }
    card = {
        "name": SHAPE_FEATURES_NAME,
        "date": datetime.now(UTC).date().isoformat(),
        "weights": sum(weight.numel() for weight in network.parameters()),
        "image_size": IMAGE_SIZE,
        "settings": settings,
        **facts,
        "torch": torch.__version__,
        "validation": scores,
        "heads": network.heads,
    }
    write_text(path, json.dumps(card, indent=1) + "\n")


def main(args: Args) -> None:
    """Render, train, test, write."""
    device = pick_device(args.device)
    entries = {split: read_entries(args.shapes, split) for split in ("train", "validation")}
    heads = find_heads(entries["train"])
    start = time.monotonic()
    data = {
        split: render_split(some, heads, args, args.views if split == "train" else 4, device)
        for split, some in entries.items()
    }
    rendered = time.monotonic()
    print(f"{len(data['train'].images_u8)} images in {rendered - start:.0f} s")
    network = train(data["train"], heads, args, device)
    trained = time.monotonic()
    weights = args.out / f"{SHAPE_FEATURES_NAME}.safetensors"
    save_shape_network(network, weights)
    network = load_shape_network(weights, device=device)  # as rounded for the file
    scores = accuracies(network, data["validation"], heads)
    is_cuda = device.type == "cuda"
    facts: dict[str, object] = {
        "shapes": {split: len(some) for split, some in entries.items()},
        "generator_version": read_index(args.shapes[0], "train").get("generator_version"),
        "device": torch.cuda.get_device_name(device) if is_cuda else "cpu",
        "seconds": {"images": round(rendered - start), "training": round(trained - rendered)},
    }
    write_card(weights.with_suffix(".json"), args, network, scores, facts)
    print(f"trained in {trained - rendered:.0f} s; validation accuracy (most frequent value):")
    for name, score in scores.items():
        print(f"  {name:32} {score['accuracy']:6.1%} ({score['most_frequent']:.1%})")
    print(f"wrote {weights} ({weights.stat().st_size / 1e6:.1f} MB) and its card")


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
