"""Put a trained and evaluated model where get3d ships it: weights, card, pictures, results.

    python scripts/bundle_model.py runs/bundled --about "two cores of an Intel Xeon" --hours 2

Takes the folder of scripts/reproduce_model.py, and ends with the results page.
"""

import csv
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib
import tyro
from matplotlib import pyplot
from PIL import Image

from get3d.apps import ModelInfo, load, save_model
from get3d.apps.evaluation.page import read_scores, score_table, shape_sections
from get3d.core.files import atomic_path, write_text

matplotlib.use("Agg")
ROOT = Path(__file__).resolve().parent.parent
BUNDLED, IMAGES, RESULTS = ROOT / "src/get3d/bundled", ROOT / "docs/images", ROOT / "results"
PICTURES = {
    "samples": "results-samples",
    "nearest_training": "results-nearest-training",
    "best_matches": "results-best",
    "worst_matches": "results-worst",
}
PANELS = {
    "losses": ("generator/rgb_loss", "generator/mask_loss", "discriminator/rgb_loss"),
    "logits": ("real/rgb_logit", "fake/rgb_logit", "real/mask_logit", "fake/mask_logit"),
    "R1": ("discriminator/rgb_r1", "discriminator/mask_r1"),
    "share of the picture covered": ("generator/coverage",),
}


@dataclass(frozen=True)
class Args:
    """Put a trained and evaluated model where get3d ships it."""

    folder: tyro.conf.Positional[Path]
    """Of scripts/reproduce_model.py."""

    about: str = tyro.MISSING
    """The machine it was trained on."""

    hours: float = tyro.MISSING
    """How long that took."""

    name: str = "vessels-64"
    """Of the model."""

    limits: str = ""
    """What to know before use, in a sentence or two."""


def draw_curves(log: Path, path: Path) -> int:
    """Draw the training log; return how many images were shown."""
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


def copy_picture(source: Path, path: Path) -> None:
    """Copy a picture with 256 colours: a third of the size, and no one sees it."""
    with Image.open(source) as image, atomic_path(path) as temp_path:
        image.convert("RGB").quantize(256).save(temp_path, optimize=True)


def card(args: Args, num_images: int, content: dict[str, Any], *, is_unlit: bool) -> str:
    """Write the model card.

    Args:
        args: What is known of the training.
        num_images: How many images were shown.
        content: Of scores.json.
        is_unlit: Whether the textures hold no light.
    """
    light = (
        "The textures are base colours and hold no light."
        if is_unlit
        else "The texture holds the light of the pictures (a sky above, a lamp at the\ncamera)."
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

# {args.name}

Cups, mugs, jugs, teapots, vases, bottles, bowls, goblets and amphorae with painted patterns: learnt
by `get3d` from pictures of its own procedural shapes alone. Nothing else went in, so the weights
are in the public domain (CC0).

![Samples](../../../docs/images/results-samples.png)

**Made by** the stages of `scripts/reproduce_model.py`, run one by one (shapes, pictures, training,
evaluation; the length of the training was changed on the way from 120,000 images; the config
of the run is [run-config.yaml](run-config.yaml)): 2,400 vessels, 10 pictures of 64 pixels of each;
{num_images:,} images shown to the judges, {args.hours:g} hours on {args.about}.
One run; the weights are the moving average of its last checkpoint.

![Curves](../../../docs/images/results-curves.png)

**Scores**, against 100 vessels it never saw (more in
[docs/results.md](../../../docs/results.md)):

{scores}

**Limits.** {args.limits or "Single run."} {light} Fine patterns are beyond
64 pixels. Truncation 0.7 (the default of `get3d generate`) gives calmer shapes than the scores' 1.

```sh
get3d generate --num 16 --out shapes        # the bundled model is the default
```
"""


def main(args: Args) -> None:
    """Do it."""
    run, scores = args.folder / "run", args.folder / "scores"
    model = load(run)
    info = ModelInfo(
        name=args.name,
        description="Vessels, from pictures of 64 pixels.",
        licence="CC0-1.0",
        is_unlit=model.info.is_unlit,
    )
    save_model(replace(model, info=info), BUNDLED)
    shutil.copyfile(run / "config.yaml", BUNDLED / "run-config.yaml")
    num_images = draw_curves(run / "log.csv", IMAGES / "results-curves.png")
    for name, target in PICTURES.items():
        copy_picture(scores / f"{name}.png", IMAGES / f"{target}.png")
    content = read_scores(scores / "scores.json")
    content["name"] = f"the bundled model, {args.name}"
    write_text(RESULTS / "bundled.json", json.dumps(content, indent=1) + "\n")
    text = card(args, num_images, content, is_unlit=info.is_unlit)
    write_text(BUNDLED / "README.md", text)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
