"""Make a data set of images with masks and cameras from meshes, and check it.

Give a folder of GLB, glTF, OBJ, PLY, STL or OFF files with `--meshes`. Without it, a few procedural
vessels stand in for your own models. The result is what `04_train.py` reads; the commands
`get3d render` and `get3d validate` do the same.

    python examples/03_own_data.py --meshes my_models --views 24 --size 128
"""

from pathlib import Path

import tyro

from get3d.data import RenderConfig, render_dataset, validate_dataset
from get3d_shapes import ShapesConfig, write_shape_folder


def main(
    out: Path = Path("out/examples/data"),
    meshes: Path | None = None,
    category: str = "vessel",
    num: int = 8,
    views: int = 8,
    size: int = 64,
    longest_side: float = 0.75,
) -> None:
    """Write `images/`, the data set, and `overlay.png`, which shows whether its cameras fit.

    Args:
        out: Folder for the files.
        meshes: Folder of your own meshes; procedural shapes if left out.
        category: Of the procedural shapes: chair, vehicle or vessel.
        num: Number of procedural shapes.
        views: Images of each shape.
        size: Side of the images, in pixels.
        longest_side: Of each object's bounding box, in scene units; 0.75 fits boxy objects.
    """
    if meshes is None:
        made = write_shape_folder(ShapesConfig(category=category, num=num), out / "meshes")
        meshes = made.folder
    # 90 degrees is the horizon. Views from high above are needed to see into a cup.
    config = RenderConfig(views=views, size=size, longest_side=longest_side)
    report = render_dataset([meshes], out / "images", config)
    for skipped in report.skipped:
        print(f"skipped {skipped.file}: {skipped.reason}")
    checked = validate_dataset(out / "images", overlay_path=out / "overlay.png")
    for name, value in checked.statistics.items():
        print(f"{name}: {value}")
    for text in (*checked.errors, *checked.warnings):
        print(f"note: {text}")
    print(f"wrote {report.num_images} images to {out / 'images'}")


if __name__ == "__main__":
    tyro.cli(main)
