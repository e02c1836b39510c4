"""Copy a trained and evaluated model to where get3d ships it: weights, card, images, results.

    python scripts/bundle_model.py runs/bundled --about "two cores of an Intel Xeon" --hours 2
    python scripts/bundle_model.py runs/chairs --category chair --about ... --hours 1

Takes the folder of scripts/reproduce_model.py, and ends with the results page.
"""

import csv
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import matplotlib
import tyro
import yaml
from matplotlib import pyplot
from PIL import Image
from stages import image_prefix

from get3d.apps import ModelInfo, load, save_model
from get3d.apps.evaluation.page import read_scores, score_table, shape_sections
from get3d.config import load_config
from get3d.core import atomic_path, to_dict, write_text

matplotlib.use("Agg")
ROOT = Path(__file__).resolve().parent.parent
BUNDLED, IMAGES, RESULTS = ROOT / "src/get3d/bundled", ROOT / "docs/images", ROOT / "results"
COPIED = {
    "samples": "samples",
    "nearest_training": "nearest-training",
    "best_matches": "best",
    "worst_matches": "worst",
}
CONTENTS = {
    "vessel": "Cups, mugs, jugs, teapots, vases, bottles, bowls, goblets and amphorae",
    "chair": "Chairs, stools, rocking chairs and armchairs",
    "vehicle": "Cars, estate cars and vans",
}
IMAGENET = """ A frozen EfficientNet-Lite0 (Apache-2.0, see NOTICE) scored
images in training; nothing of it is in the model."""
PANELS = {
    "losses": ("generator/rgb_loss", "generator/mask_loss", "discriminator/rgb_loss"),
    "logits": ("real/rgb_logit", "fake/rgb_logit", "real/mask_logit", "fake/mask_logit"),
    "R1": ("discriminator/rgb_r1", "discriminator/mask_r1"),
    "fraction of the image covered": ("generator/coverage",),
}


@dataclass(frozen=True)
class Args:
    """Copy a trained and evaluated model to where get3d ships it."""

    folder: tyro.conf.Positional[Path]
    """Output folder of scripts/reproduce_model.py."""

    about: str = tyro.MISSING
    """Machine that it was trained on."""

    hours: float = tyro.MISSING
    """Hours of training."""

    category: Literal["vessel", "chair", "vehicle"] = "vessel"
    """Procedural category; names the bundled model."""

    history: str = ""
    """Other facts about the training, in a sentence or two."""

    limits: str = ""
    """Limitations, in a sentence or two."""


def draw_curves(log: Path, path: Path) -> int:
    """Plot the training log; return the number of training images."""
    with log.open(encoding="utf-8") as file:
        rows = [{name: float(cell) for name, cell in row.items()} for row in csv.DictReader(file)]
    figure, axes = pyplot.subplots(1, len(PANELS), figsize=(15, 3.2), layout="constrained")
    for axis, (title, names) in zip(axes, PANELS.items(), strict=True):
        for name in names:
            axis.plot([row["images"] for row in rows], [row[name] for row in rows], lw=0.8)
        axis.set(title=title, xlabel="images shown")
        axis.legend(names, fontsize=7)
    with atomic_path(path) as temp_path:
        figure.savefig(temp_path, dpi=80)
    return int(rows[-1]["images"])


def copy_image(source: Path, path: Path) -> None:
    """Copy an image with 256 colours, at a third of the size."""
    with Image.open(source) as image, atomic_path(path) as temp_path:
        image.convert("RGB").quantize(256).save(temp_path, optimize=True)


def model_name(args: Args, image_size: int) -> str:
    """Return the name of the model, with the size of its training images."""
    return f"{args.category}s-{image_size}"


def card(
    args: Args,
    name: str,
    num_images: int,
    content: dict[str, Any],
    *,
    is_unlit: bool,
    uses_imagenet: bool,
) -> str:
    """Write the model card.

    Args:
        args: Facts about the training.
        name: Name of the model.
        num_images: Number of training images.
        content: Content of scores.json.
        is_unlit: Whether the textures are base colours.
        uses_imagenet: Whether there was a discriminator on frozen ImageNet features.
    """
    default = "   # vessel is the default" if args.category == "vessel" else ""
    light = (
        "The textures are base colours and hold no light."
        if is_unlit
        else "The texture holds the light of the images (a sky above, a lamp at the\ncamera)."
    )
    sections = [part.replace("## ", "### ") for part in shape_sections(content)]
    scores = "\n\n".join([score_table(content), *sections])
    return f"""---
library_name: get3d
license: CC0-1.0
tags:
- get3d
- 3d
- mesh
---

# {name}

{CONTENTS[args.category]}: learned by `get3d` from images of its own procedural shapes alone. The
weights are in the public domain (CC0).{IMAGENET if uses_imagenet else ""}

![Samples](../../../../docs/images/{image_prefix(args.category)}-samples.png)

**Made from** 2,400 {args.category}s, 10 images of each; {num_images:,} images shown to the
discriminators, {args.hours:g} hours on {args.about}. The config of the run is
[run-config.yaml](run-config.yaml); `get3d train` with it on such a data set trains one like it.
{args.history} One run; the weights are the moving average of its last checkpoint.

![Curves](../../../../docs/images/{image_prefix(args.category)}-curves.png)

**Scores**, against 100 {args.category}s it never saw (more in
[docs/results.md](../../../../docs/results.md)):

{scores}

**Limits.** {args.limits or "Single run."} {light} Fine patterns are beyond
64 pixels. Truncation 0.7 (the default of `get3d generate`) gives calmer shapes than the scores' 1.

```sh
get3d generate {args.category} --num 16 --out shapes{default}
```
"""


def main(args: Args) -> None:
    """Copy the files, and write the card and the results page."""
    run, scores = args.folder / "run", args.folder / "scores"
    model = load(args.folder / "model" if (args.folder / "model").is_dir() else run)
    folder, prefix = BUNDLED / args.category, image_prefix(args.category)
    config = load_config(run / "config.yaml")
    image_size = config.discriminator.image_size
    name = model_name(args, image_size)
    info = ModelInfo(
        name=name,
        description=f"{args.category.capitalize()}s, from images of {image_size} pixels.",
        licence="CC0-1.0",
        is_unlit=model.info.is_unlit,
    )
    save_model(replace(model, info=info), folder)
    text = yaml.safe_dump(to_dict(config), sort_keys=False)  # former names of keys are renewed
    write_text(folder / "run-config.yaml", text)
    num_images = draw_curves(run / "log.csv", IMAGES / f"{prefix}-curves.png")
    for source, target in COPIED.items():
        copy_image(scores / f"{source}.png", IMAGES / f"{prefix}-{target}.png")
    content = read_scores(scores / "scores.json")
    content["name"] = f"the bundled model, {name}"
    write_text(RESULTS / f"bundled-{args.category}.json", json.dumps(content, indent=1) + "\n")
    uses_imagenet = config.discriminator.features == "imagenet"
    text = card(
        args, name, num_images, content, is_unlit=info.is_unlit, uses_imagenet=uses_imagenet
    )
    write_text(folder / "README.md", text)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
