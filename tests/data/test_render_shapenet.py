"""ShapeNet as downloaded: ids as names, images of the parent's folder, published splits."""

import json
from pathlib import Path

from PIL import Image

from get3d.data import RenderConfig, render_dataset

VERTS = "v 0 0 0\nv {} 0 0\nv 0 1 0\nv 0 0 1\nvt 0 0\nvt 1 0\nvt 0 1\nusemtl m\n"
FACES = "f 1/1 2/2 3/3\nf 1/1 4/2 2/3\nf 3/1 2/2 1/3\n"


def shapenet(root: Path) -> Path:
    for index, name in enumerate(("aaa1", "bbb2", "ccc3")):
        models = root / "02958343" / name / "models"
        (models.parent / "images").mkdir(parents=True)
        models.mkdir()
        color = [(255, 0, 0), (0, 255, 0), (0, 0, 255)][index]
        Image.new("RGB", (4, 4), color).save(models.parent / "images" / "texture0.jpg")
        image = ("../images/texture0.jpg", f"/home/x/{name}/images/texture0.jpg")[index % 2]
        (models / "model_normalized.mtl").write_text(f"newmtl m\nKd 1 1 1\nmap_Kd {image}\n")
        (models / "model_normalized.obj").write_text(
            f"mtllib model_normalized.mtl\n{VERTS.format(index + 1)}{FACES}"
        )
    (root / "02958343" / "screenshot.blend").write_bytes(b"")
    return root


def test_shapenet_with_published_splits(tmp_path: Path) -> None:
    root = shapenet(tmp_path / "ShapeNet")
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "train.txt").write_text("02958343/aaa1\n")
    (lists / "test.txt").write_text("bbb2\nccc3\n")
    config = RenderConfig(
        views=2, size=16, supersample=1, light="none", workers=1, split_lists=str(lists)
    )
    report = render_dataset([root], tmp_path / "out", config)
    assert report.notes == {}
    assert [file.name for file in report.unread] == ["screenshot.blend"]
    metadata = json.loads((tmp_path / "out" / "dataset.json").read_text())
    names = [entry["name"] for entry in metadata["objects"]]
    assert names == ["objects/aaa1", "objects/bbb2", "objects/ccc3"]
    assert metadata["splits"] == {"train": names[:1], "val": [], "test": names[1:]}
    for name, channel in zip(names, range(3), strict=True):
        with Image.open(tmp_path / "out" / "img" / name / "000.png") as image:
            colors = image.convert("RGBA").getcolors()
        (seen,) = [color for _, color in colors if color[3] == 255]
        assert seen[channel] > 250
        assert sum(seen[:3]) < 260
