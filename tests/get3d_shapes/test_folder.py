import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from get3d.core.types import Mesh
from get3d.data import load_mesh
from get3d.data.shape_labels import INDEX_NAME, read_labels
from get3d.geometry import euler_number, is_manifold
from get3d_shapes import ShapesConfig, build_shape, write_shape_folder
from get3d_shapes.folder import SHEET_NAME

SMALL = ShapesConfig(category="chair", num=3, seed=4, texture_size=128)


def _write(out: Path, config: ShapesConfig = SMALL, **changes: object) -> Path:
    values = vars(config) | changes
    return write_shape_folder(ShapesConfig(**values), out, workers=1).folder


def _index(folder: Path) -> dict:
    return json.loads((folder / INDEX_NAME).read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _write(tmp_path_factory.mktemp("shapes"))


def test_index_lists_every_file(folder: Path) -> None:
    index = _index(folder)
    assert folder.name == "train"
    assert (index["category"], index["seed"], index["split"]) == ("chair", 4, "train")
    names = [shape["file"] for shape in index["shapes"]]
    assert names == [f"chair-{number:06d}.glb" for number in range(3)]
    assert {path.name for path in folder.iterdir()} == {*names, INDEX_NAME, SHEET_NAME}
    for shape in index["shapes"]:
        made = build_shape("chair", shape["seed"], texture_size=128)
        assert shape["caption"] == made.caption
        assert shape["labels"] == made.labels
        assert shape["parts"] == list(dict.fromkeys(made.part_names))
    labels = read_labels([folder / name for name in names[::-1]])
    assert labels == [shape["labels"] for shape in index["shapes"][::-1]]
    with Image.open(folder / SHEET_NAME) as sheet:
        assert np.asarray(sheet).std() > 5


def test_files_hold_the_shapes(folder: Path) -> None:
    """Positions are the same to the bit, the surface is still closed, and colours are close."""
    shape = _index(folder)["shapes"][0]
    made = build_shape("chair", shape["seed"], texture_size=128).mesh
    read = load_mesh(folder / shape["file"])
    torch.testing.assert_close(
        read.mesh.verts[read.mesh.faces], made.mesh.verts[made.mesh.faces], rtol=0, atol=0
    )
    torch.testing.assert_close(read.uvs[read.uv_faces], made.uvs[made.uv_faces])
    points, index = np.unique(read.mesh.verts.numpy(), axis=0, return_inverse=True)
    welded = Mesh(
        torch.from_numpy(points), torch.from_numpy(index.reshape(-1)[read.mesh.faces.numpy()])
    )
    assert is_manifold(welded)
    assert euler_number(welded) == euler_number(made.mesh)
    first, second = read.materials[0].decoded().texture, made.materials[0].texture
    assert first is not None
    assert second is not None
    assert (first - second).abs().mean() < 0.02


def test_goes_on_and_adds(tmp_path: Path) -> None:
    folder = _write(tmp_path, num=2)
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.glb")}
    (folder / "chair-000001.glb").unlink()
    calls: list[tuple[int, int]] = []
    report = write_shape_folder(
        SMALL, tmp_path, workers=1, on_progress=lambda done, total: calls.append((done, total))
    )
    assert (report.num_made, report.num_kept) == (2, 1)
    assert calls == [(1, 3), (2, 3), (3, 3)]
    kept = folder / "chair-000000.glb"
    assert kept.stat().st_mtime_ns == before[kept]
    assert len(_index(folder)["shapes"]) == 3


def test_a_stopped_run_keeps_its_index(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shape_folder(SMALL, tmp_path, workers=1, on_progress=stop)
    assert len(_index(tmp_path / "train")["shapes"]) == 1


def test_splits_lie_beside_each_other(tmp_path: Path) -> None:
    seeds = [
        shape["seed"]
        for split in ("train", "validation", "test")
        for shape in _index(_write(tmp_path, split=split, num=1))["shapes"]
    ]
    assert len(set(seeds)) == 3


@pytest.mark.slow
def test_processes_make_the_same_files(folder: Path, tmp_path: Path) -> None:
    config = ShapesConfig(**(vars(SMALL) | {"num": 5}))
    other = write_shape_folder(config, tmp_path, workers=2).folder
    for path in folder.glob("*.glb"):
        assert path.read_bytes() == (other / path.name).read_bytes()


def test_other_folders_raise(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"other settings.*seed 4, now 5"):
        _write(folder.parent, seed=5)
    with pytest.raises(ValueError, match="texture_size 128, now 256"):
        _write(folder.parent, texture_size=256)
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "letter.txt").write_text("dear")
    with pytest.raises(ValueError, match=r"not empty and without shapes\.json"):
        _write(tmp_path)
    (tmp_path / "train" / INDEX_NAME).write_text("{")
    with pytest.raises(ValueError, match="damaged"):
        _write(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"category": "chiar"}, "unknown category 'chiar'; known are .*chair"),
        ({"split": "val"}, "split must be one of train, validation, test"),
        ({"num": 0}, "num must be at least 1, got 0"),
        ({"seed": -1}, "seed must not be negative"),
        ({"texture_size": 16}, "texture_size must lie in 128 to 4096"),
    ],
)
def test_config_out_of_range_raises(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ShapesConfig(**(vars(SMALL) | changes))
