"""Evaluate a model against shapes that it was not trained on: COV, MMD and 1-NNA.

Coverage (COV) is the fraction of reference shapes that are nearest to some generated shape, MMD
the mean distance from each reference to the nearest generated shape, and 1-NNA how well the two
sets can be told apart (50 % is best). Training shapes in the model's place serve as the oracle.
The defaults are far too few shapes for a meaningful score; `get3d evaluate` has all options.

    python examples/05_evaluate.py --num-references 100 --num-generated 500
"""

from pathlib import Path

import tyro

from get3d.apps.evaluation import EvaluationConfig, evaluate, save_images, save_report, summarize
from get3d_shapes import ShapesConfig, write_shape_folder


def main(
    out: Path = Path("out/examples/evaluate"),
    model: str = "vessel",
    data: Path | None = None,
    num_references: int = 8,
    num_generated: int = 12,
    workers: int = 1,
) -> None:
    """Write `report.md`, `scores.json` and images.

    Args:
        out: Folder for the results.
        model: A name, a folder, or hf://owner/name.
        data: Folder with `test/` and `train/`; procedural vessels if left out.
        num_references: Number of procedural shapes in each of the two.
        num_generated: Number of shapes to generate.
        workers: Processes.
    """
    if data is None:
        data = out / "shapes"
        for split in ("train", "test"):
            shapes = ShapesConfig(category="vessel", num=num_references, split=split)
            write_shape_folder(shapes, data, workers=workers)
    # "fd" adds FID and KID, or fd_shapes and kd_shapes with features="shapes".
    config = EvaluationConfig(metrics=("cd", "lfd"), num_shapes=num_generated, texture_size=128)
    evaluation = evaluate(data, work=out / "work", config=config, model=model, workers=workers)
    content = summarize(evaluation, name=model)
    save_report(content, out, save_images(evaluation, out))
    for row in content["rows"]:
        print(row["name"], {name: round(value, 4) for name, value in row["scores"].items()})
    print(f"wrote {out / 'report.md'}")


if __name__ == "__main__":
    tyro.cli(main)
