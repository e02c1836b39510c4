"""Held-out shapes stay out of training, whatever their names and folders."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh

from get3d.core import DataError
from get3d.data import RenderConfig, render_dataset, validate_dataset
from get3d.data.splits import folder_splits, split_objects
from get3d.geometry import CameraDistribution, uncropped_side

CONFIG = RenderConfig(views=2, size=16, supersample=1, test_fraction=0.0, workers=1)


def write_boxes(folder: Path, *names: str) -> None:
    """Write boxes of different shapes."""
    for index, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        trimesh.creation.box((1, 1 + 0.3 * index, 2)).export(path)


def splits_of(out: Path) -> dict[str, list[str]]:
    splits = json.loads((out / "dataset.json").read_text())["splits"]
    return {split: [name.split("/")[1] for name in names] for split, names in splits.items()}


def test_folders_called_train_val_and_test_keep_their_splits(tmp_path: Path) -> None:
    write_boxes(tmp_path / "m", "train/a.ply", "train/b.ply", "Validation/c.ply", "test/x/d.ply")
    report = render_dataset([tmp_path / "m"], tmp_path / "out", replace(CONFIG, test_fraction=0.5))
    expected = {"train": ["a", "b"], "val": ["c"], "test": ["d"]}
    assert splits_of(tmp_path / "out") == expected
    assert report.num_by_split == {"train": 2, "val": 1, "test": 1}
    # What was rendered keeps its split when more is added, which is for training.
    write_boxes(tmp_path / "more", "e.ply")
    trimesh.creation.icosphere(1).export(tmp_path / "more" / "e.ply")
    render_dataset([tmp_path / "more"], tmp_path / "out", CONFIG)
    assert splits_of(tmp_path / "out") == expected | {"train": ["a", "b", "e"]}


def test_a_copy_of_a_test_shape_leaves_training(tmp_path: Path) -> None:
    write_boxes(tmp_path / "m", "train/a.ply", "train/b.ply", "test/c.ply")
    copy = trimesh.load(tmp_path / "m" / "test" / "c.ply")
    copy.apply_scale(3.0)  # another size, position and format
    copy.apply_translation((5, 0, 1))
    copy.export(tmp_path / "m" / "train" / "recoloured.obj")
    report = render_dataset([tmp_path / "m"], tmp_path / "out", CONFIG)
    assert splits_of(tmp_path / "out") == {
        "train": ["a", "b"],
        "val": [],
        "test": ["c", "recoloured"],
    }
    assert "moved there from train" in report.notes["objects/recoloured"][-1]


def test_random_splits_keep_copies_together(tmp_path: Path) -> None:
    names = [f"o/{index:02d}" for index in range(20)]
    config = replace(CONFIG, test_fraction=0.4, val_fraction=0.2)
    signatures = {name: (float(index // 3), 1.0) for index, name in enumerate(names)}
    splits = split_objects(names, config, signatures=signatures)
    where = {name: split for split, members in splits.items() for name in members}
    assert sorted(where) == names
    for index in range(0, 18, 3):
        assert len({where[name] for name in names[index : index + 3]}) == 1
    assert all(splits.values())
    apart = {name: (float(index), 1.0) for index, name in enumerate(names)}
    assert split_objects(names, config, signatures=apart) == split_objects(names, config)
    same = dict.fromkeys(names, (1.0, 1.0))
    assert len(split_objects(names, config, signatures=same)["train"]) == 20


@pytest.mark.parametrize("folder", ["test", "val/test"])
def test_nothing_left_to_train_on(tmp_path: Path, folder: str) -> None:
    write_boxes(tmp_path / "m", f"{folder}/a.ply", f"{folder}/b.ply")
    with pytest.raises(DataError, match="nothing is left to train on; name such a folder itself"):
        render_dataset([tmp_path / "m"], tmp_path / "out", CONFIG)
    assert not (tmp_path / "out").exists()
    files = sorted((tmp_path / "m").rglob("*.ply"))
    assert folder_splits([tmp_path / "m" / folder], files) == {}


def test_all_of_training_is_held_out_too() -> None:
    given = {"o/a": "train", "o/b": "test"}
    signatures = dict.fromkeys(given, (1.0, 2.0))
    with pytest.raises(DataError, match="every surface for training is held out"):
        split_objects(list(given), CONFIG, given=given, signatures=signatures)


def test_a_split_that_does_not_exist_is_damage(tmp_path: Path) -> None:
    write_boxes(tmp_path / "m", "train/a.ply", "test/b.ply")
    render_dataset([tmp_path / "m"], tmp_path / "out", CONFIG)
    path = tmp_path / "out" / "dataset.json"
    path.write_text(path.read_text().replace('"split": "test"', '"split": "tset"'))
    with pytest.raises(DataError, match="damaged metadata"):
        render_dataset([tmp_path / "m"], tmp_path / "out", CONFIG)


def test_a_dataset_without_signatures_resumes(tmp_path: Path) -> None:
    write_boxes(tmp_path / "m", "a.ply", "b.ply")
    render_dataset([tmp_path / "m"], tmp_path / "out", CONFIG)
    for path in (tmp_path / "out" / "camera").rglob("signature.npy"):
        np.save(path, np.zeros((2, 2))) if "/a/" in path.as_posix() else path.unlink()
    report = render_dataset([tmp_path / "m"], tmp_path / "out", CONFIG)
    assert (report.num_kept, report.num_rendered) == (2, 0)


def test_no_corner_is_cut_unless_told(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    trimesh.creation.box((1, 1, 1)).export(folder / "cube.ply")
    config = replace(CONFIG, views=48, size=32, supersample=2)
    report = render_dataset([folder], tmp_path / "out", config)
    assert report.longest_side == uncropped_side(config.distribution) == config.side
    assert not [text for text in validate_dataset(tmp_path / "out").warnings if "cut off" in text]
    # The folder's own size is used when the command is given again, without the option too.
    render_dataset([folder], tmp_path / "told", replace(config, longest_side=0.9))
    assert [text for text in validate_dataset(tmp_path / "told").warnings if "cut off" in text]
    assert render_dataset([folder], tmp_path / "told", config).longest_side == 0.9


def test_wider_lenses_show_larger_objects() -> None:
    sides = [
        uncropped_side(CameraDistribution(radius=radius, fovy_deg=fovy_deg))
        for radius, fovy_deg in ((1.2, 30.0), (1.2, 60.0), (2.4, 60.0))
    ]
    assert sides == sorted(sides)
    assert sides[2] == pytest.approx(2 * sides[1], abs=0.002)
