"""Shapes and settings of an evaluation from a rendered dataset and from a run folder."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from get3d.apps import Model, save_model
from get3d.apps.evaluation import (
    EvaluationConfig,
    evaluate,
    make_plan,
    measure,
    report,
    summarize,
)
from get3d.apps.evaluation.measure import load_shape
from get3d.apps.evaluation.plan import Collection
from get3d.apps.evaluation.shapes import find_shapes, settings_of
from get3d.apps.run_folder import RUN_NAME, read_run_data, write_run_data
from get3d.core import DataError
from get3d.data import RenderConfig, render_dataset
from get3d.geometry import CameraDistribution, orbit_cameras
from tests.data.gltf.files import Gltf

CD = EvaluationConfig(metrics=("cd",), num_shapes=4)


@pytest.fixture
def data(data: Path, tmp_path: Path) -> Path:
    """A copy of the shapes that a test may change."""
    return Path(shutil.copytree(data, tmp_path / "data"))


@pytest.fixture
def dataset(data: Path, tmp_path: Path) -> Path:
    """A rendered dataset of the meshes, whose folders are splits."""
    cameras = CameraDistribution(radius=2.0, fovy_deg=40.0, polar_deg=(50.0, 70.0))
    config = RenderConfig(
        views=1, size=8, supersample=1, light="none", distribution=cameras, workers=1
    )
    render_dataset([data], tmp_path / "images", config)
    return tmp_path / "images"


@pytest.fixture
def run(dataset: Path, model: Model, tmp_path: Path) -> Path:
    """A run folder with a model that was trained on the dataset."""
    save_model(model, tmp_path / "run" / "model")
    write_run_data(tmp_path / "run", dataset)
    return tmp_path / "run"


def test_backfaces_are_culled_as_in_the_images_of_the_dataset(data: Path, tmp_path: Path) -> None:
    """A shell whose faces look inwards hides what is behind it, unless it is culled."""
    render = RenderConfig(views=1, size=8, supersample=1, workers=1, cull_backfaces=True)
    render_dataset([data], tmp_path / "images", render)
    assert settings_of(tmp_path / "images").cull_backfaces
    gltf = Gltf()
    indices = gltf.accessor([2, 1, 0, 3, 2, 0], "u2")
    gltf.node(gltf.square(material=gltf.material([0, 0, 1, 1]), indices=indices))
    square = replace(CD, image_size=8)
    cameras = orbit_cameras(
        torch.tensor([math.pi]), torch.tensor([math.pi / 2]), radius=1.2, fovy_rad=0.8
    )
    shapes = {
        cull: Collection(
            role="reference",
            num=1,
            files=(gltf.glb(tmp_path / "a.glb"),),
            config=replace(square, cull_backfaces=cull),
            metrics=(),
        )
        for cull in (True, False)
    }
    assert load_shape(shapes[False], 0).mesh_images(cameras)[0, 2].max() == 255
    assert load_shape(shapes[True], 0).mesh_images(cameras).max() == 0
    assert measure._identity(shapes[True]) != measure._identity(shapes[False])


def names(files: object) -> list[str]:
    assert isinstance(files, list | tuple)
    return sorted(Path(file).name for file in files)


def test_a_dataset_gives_shapes_and_settings(data: Path, dataset: Path) -> None:
    config = settings_of(dataset)
    assert config.cameras.radius == 2.0
    assert config.light == "none"
    assert (
        config.longest_side
        == json.loads((dataset / "dataset.json").read_text())["config"]["longest_side"]
    )
    assert settings_of(data) == EvaluationConfig()
    plan = make_plan(dataset, CD, model=None, meshes=data / "train", device="cpu")
    assert names(plan.reference.files) == [f"test-{index}.glb" for index in range(5)]
    assert plan.training is not None
    assert plan.more_training is not None
    found = [*plan.training.files, *plan.more_training.files]
    assert names(found) == names(list((data / "train").iterdir()))


def test_a_run_is_compared_with_what_it_was_trained_on(
    data: Path, dataset: Path, run: Path, tmp_path: Path
) -> None:
    assert read_run_data(run) == read_run_data(run / "model") == dataset.resolve()
    assert read_run_data(data) is None
    assert read_run_data(None) is None
    # Other data, which name a training shape of the run a test shape.
    other = tmp_path / "other"
    shutil.copytree(data / "test", other / "test")
    shutil.copy(data / "train" / "train-104.glb", other / "test" / "new.glb")
    with pytest.raises(DataError, match=r"1 of 6 reference shapes are in the training set too"):
        evaluate(other, work=tmp_path / "work", config=CD, model=run, workers=1)
    # Its own data hold no leak; with other meshes the run plays no part.
    plan = make_plan(other, CD, model=run, meshes=data / "test", device="cpu")
    assert plan.training is None
    assert plan.notes == ()


def test_training_shapes_that_are_gone_are_noted(data: Path, run: Path, tmp_path: Path) -> None:
    shutil.copytree(data / "test", tmp_path / "other" / "test")
    shutil.rmtree(data)
    plan = make_plan(tmp_path / "other", CD, model=run, meshes=None, device="cpu")
    assert "whether the model was trained on references is not known" in plan.notes[0]
    assert "mesh files of train are gone" in plan.notes[0]


def test_splits_that_cannot_be_used(dataset: Path, data: Path) -> None:
    path = dataset / "dataset.json"
    content = json.loads(path.read_text())
    with pytest.raises(DataError, match=r"no objects in val; its splits are train \(11\), val \(0"):
        find_shapes(dataset, "val")
    (data / "test" / "test-3.glb").unlink()
    with pytest.raises(DataError, match=r"1 of 5 mesh files of test are gone, such as .*test-3"):
        find_shapes(dataset, "test")
    for change in ({"splits": []}, {"objects": [{}]}, {"objects": 3}):
        path.write_text(json.dumps(content | change))
        with pytest.raises(DataError, match="damaged metadata"):
            find_shapes(dataset, "test")
    path.write_text(json.dumps(content | {"config": {"sizze": 3}}))
    with pytest.raises(DataError, match="damaged metadata"):
        settings_of(dataset)
    for item in content["objects"]:
        item["source"] = "/etc/hostname"
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="mesh files of test are gone"):
        find_shapes(dataset, "test")


@pytest.mark.parametrize("text", ["{", "[]", '{"data": 3}', "{}"])
def test_a_damaged_note_of_the_data(run: Path, text: str) -> None:
    (run / RUN_NAME).write_text(text)
    with pytest.raises(DataError, match=r"run\.json is damaged"):
        read_run_data(run)


def test_ratios_of_few_references_are_withheld(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "FEWEST_FOR_RATIOS", 6)
    config = replace(CD, num_shapes=None)
    found = evaluate(data, work=tmp_path / "w", config=config, meshes=data / "train", workers=1)
    content = summarize(found, name="x")
    assert content["ratios"] == {}
    assert "no ratios to training shapes: with 5 references" in " ".join(content["notes"])
