import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from get3d.apps import Model, save_model
from get3d.apps.evaluation import (
    Evaluation,
    EvaluationConfig,
    collection,
    evaluate,
    save_pictures,
    save_report,
    summarize,
)
from get3d.geometry import CameraDistribution
from get3d.metrics import FeatureExtractor

SHAPES = EvaluationConfig(metrics=("cd", "lfd"))
CD = EvaluationConfig(metrics=("cd",))
PICTURES = EvaluationConfig(
    metrics=("fd",), num_images=40, reference_views=8, image_size=32, features="shapes"
)


def _judge(
    data: Path, tmp_path: Path, config: EvaluationConfig = CD, **options: object
) -> Evaluation:
    options = {"meshes": data / "test"} | options
    return evaluate(data, work=tmp_path / "work", config=config, workers=1, **options)


def _copy(data: Path, split: str, to: Path) -> Path:
    shutil.copytree(data / split, to)
    return to


def test_the_references_themselves_score_as_copies(data: Path, tmp_path: Path) -> None:
    evaluation = _judge(data, tmp_path, SHAPES)
    scores = evaluation.rows[0].scores
    assert scores["cov_cd"] == scores["cov_lfd"] == 1
    assert scores["mmd_lfd"] == 0
    assert scores["one_nna_cd"] == scores["one_nna_lfd"] == 0
    training = evaluation.rows[1].scores
    assert scores["mmd_cd"] < 0.5 * training["mmd_cd"]  # what drawing other points costs


def test_training_shapes_as_a_model_are_copies(data: Path, tmp_path: Path) -> None:
    copied = _judge(data, tmp_path, meshes=data / "train")
    rows = [(row.name, row.num_generated, row.num_reference) for row in copied.rows]
    assert rows == [
        ("generated", 11, 5),
        ("training shapes", 11, 5),
        ("half the training shapes, against the other half", 6, 5),
    ]
    assert copied.copying is not None
    found = summarize(copied, name="copies")["copying"]
    assert found["nearer_than_the_nearest_percent_of_references"] == 1
    assert found["median_distance"] < 0.5 * found["median_distance_of_references"]
    nearest = copied.copying.generated.argmin(1).tolist()
    names = [copied.training[copied.copying.training_ids[index]].name for index in nearest]
    assert names == [record.name for record in copied.generated]


def test_broken_shapes_count_as_the_worst_and_are_named(
    data: Path, tmp_path: Path, mean_colors: FeatureExtractor
) -> None:
    meshes = _copy(data, "test", tmp_path / "meshes")
    config = replace(PICTURES, metrics=("cd", "lfd", "fd"))
    whole = _judge(data, tmp_path, config, meshes=meshes).rows[0].scores
    (meshes / "test-0.glb").write_bytes(b"no mesh")
    (meshes / "test-1.glb").unlink()
    (meshes / "test-1.off").write_text("OFF\n3 1 0\n0 0 0\n1 0 0\nnan 1 0\n3 0 1 2\n")
    evaluation = _judge(data, tmp_path, config, meshes=meshes)
    assert [bool(record.broken) for record in evaluation.generated] == [True, True, *[False] * 3]
    scores = evaluation.rows[0].scores
    assert scores["cov_cd"] == scores["cov_lfd"] == 0.6
    assert scores["one_nna_cd"] == pytest.approx((2 + 2) / 10)
    assert scores["mmd_cd"] > whole["mmd_cd"]
    assert scores["fd_shapes_3d"] > whole["fd_shapes_3d"]
    content = summarize(evaluation, name="some broken")
    assert [one["name"] for one in content["broken"]["generated"]] == ["test-0", "test-1"]
    assert "2 of 5 generated shapes are broken" in " ".join(content["notes"])
    assert content["soundness"]["generated"]["without_floaters"] == 0.6


def test_all_broken_is_a_score_too(data: Path, tmp_path: Path) -> None:
    meshes = tmp_path / "meshes"
    meshes.mkdir()
    for index in range(5):
        (meshes / f"{index}.glb").write_bytes(b"no mesh")
    evaluation = _judge(data, tmp_path, SHAPES, meshes=meshes)
    scores = evaluation.rows[0].scores
    assert (scores["cov_cd"], scores["mmd_cd"], scores["one_nna_cd"]) == (0, torch.inf, 1)
    out = tmp_path / "out"
    content = summarize(evaluation, name="nothing")
    save_report(content, out)
    saved = json.loads((out / "scores.json").read_text())
    assert saved["rows"][0]["scores"]["mmd_cd"] is None
    assert {path.name for path in save_pictures(evaluation, out)} == {"samples.png"}


def test_a_broken_reference_is_refused(data: Path, tmp_path: Path) -> None:
    (data / "test" / "test-3.glb").write_bytes(b"no mesh")
    with pytest.raises(ValueError, match=r"1 of 5 reference shapes cannot be measured \(test-3"):
        _judge(data, tmp_path, meshes=data / "train")


def test_broken_training_shapes_are_left_out_and_told(data: Path, tmp_path: Path) -> None:
    (data / "train" / "train-103.glb").write_bytes(b"no mesh")
    content = summarize(_judge(data, tmp_path), name="x")
    assert "1 of 11 training shapes are broken and left out" in content["notes"]


def test_test_shapes_among_training_shapes_are_refused(data: Path, tmp_path: Path) -> None:
    shutil.copy(data / "test" / "test-2.glb", data / "train" / "renamed.glb")
    with pytest.raises(ValueError, match=r"1 of 5 reference shapes .*test-2 is renamed"):
        _judge(data, tmp_path)
    kept = _judge(data, tmp_path, keep_duplicates=True)
    assert "test-2 is renamed" in " ".join(summarize(kept, name="x")["notes"])


def test_a_stopped_run_goes_on_and_damaged_shards_are_measured_again(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []
    real = collection.measure_shape

    def count(source, index, **options):  # type: ignore[no-untyped-def]
        measured.append(source.name(index))
        return real(source, index, **options)

    monkeypatch.setattr(collection, "measure_shape", count)
    first = _judge(data, tmp_path, SHAPES)
    assert len(measured) == 5 + 5 + 11
    measured.clear()
    (shard,) = (tmp_path / "work").glob("reference-*/*.npz")
    shard.write_bytes(shard.read_bytes()[:100])
    again = _judge(data, tmp_path, SHAPES)
    assert measured == [f"test-{index}" for index in range(5)]
    assert again.rows == first.rows
    measured.clear()
    _judge(data, tmp_path, replace(SHAPES, seed=1))
    assert len(measured) == 5 + 5 + 11  # other points: nothing of the first run may be used


def test_a_model_is_judged_by_field_and_by_mesh(
    data: Path, tmp_path: Path, model: Model, mean_colors: FeatureExtractor
) -> None:
    save_model(model, tmp_path / "model")
    config = replace(PICTURES, metrics=("cd", "fd"), num_shapes=6, texture_size=64)
    options = {"meshes": None, "model": tmp_path / "model"}
    evaluation = _judge(data, tmp_path, config, **options)
    scores = evaluation.rows[0].scores
    assert scores.keys() >= {"cov_cd", "fd_shapes_ori", "kd_shapes_ori", "fd_shapes_3d"}
    assert len(evaluation.generated) == 6
    for record in evaluation.generated:
        assert record.field_features is not None
        assert record.mesh_features is not None
        # The exported mesh looks like the field it was made from.
        gap = abs(record.field_features.mean(0) - record.mesh_features.mean(0)).max()
        assert gap < 0.1 * abs(record.field_features).max()
    content = summarize(evaluation, name="tiny")
    assert content["protocol"]["pictures"]["num_generated"] == 6 * 7
    assert content["protocol"]["pictures"]["extractor"] == "mean-colors"
    assert set(content["ratios"]) >= {"cov_cd", "mmd_cd", "fd_shapes_ori", "fd_shapes_3d"}
    longer = _judge(data, tmp_path, replace(config, num_shapes=8), **options)
    for before, after in zip(evaluation.generated[:6], longer.generated[:6], strict=True):
        assert (before.points == after.points).all()


def test_pictures_agree_with_themselves(
    data: Path, tmp_path: Path, mean_colors: FeatureExtractor
) -> None:
    config = replace(PICTURES, generated_light="studio", num_images=40)
    scores = _judge(data, tmp_path, config).rows[0].scores
    oracle = _judge(data, tmp_path, config).rows[1].scores
    assert scores["fd_shapes_3d"] < 0.2 * oracle["fd_shapes_3d"]
    assert scores["precision_3d"] > 0.8


def test_cameras_are_part_of_the_protocol(data: Path, tmp_path: Path) -> None:
    near = replace(CD, cameras=CameraDistribution(radius=2.0, fovy_deg=30.0))
    assert summarize(_judge(data, tmp_path, near), name="x")["protocol"]["config"]["cameras"][
        "radius"
    ] == pytest.approx(2.0)


def test_without_training_shapes_there_is_no_oracle(data: Path, tmp_path: Path) -> None:
    shutil.rmtree(data / "train")
    evaluation = _judge(data, tmp_path)
    content = summarize(evaluation, name="x")
    assert [row["name"] for row in content["rows"]] == ["generated"]
    assert content["ratios"] == {}
    assert content["copying"] is None
    assert "no training shapes" in content["notes"][0]


def test_what_differs_from_the_published_protocol_is_said(data: Path, tmp_path: Path) -> None:
    content = summarize(_judge(data, tmp_path), name="x")
    assert content["deviations"] == ["5 generated shapes for 5 references (published: 5 for each)"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metrics": ()}, "name at least one of cd, lfd, fd"),
        ({"num_images": 0}, "num_images must be at least 1"),
        ({"num_shapes": 1}, "num_shapes must be at least 2"),
        ({"style_mixing": 2.0}, r"style_mixing must lie in \[0, 1\]"),
        ({"seed": -1}, "seed must not be negative"),
        ({"longest_side": 0.0}, "longest_side must be positive"),
    ],
)
def test_settings_without_meaning_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(EvaluationConfig(), **change)


def test_too_few_shapes_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"asks for 9 shapes, but .* holds 5; make more"):
        _judge(data, tmp_path, replace(CD, num_shapes=9))
    with pytest.raises(ValueError, match="2 shapes are too few to judge"):
        _judge(data, tmp_path, replace(CD, num_shapes=2))
    for name in ("test-0.glb", "test-1.glb"):
        (data / "test" / name).unlink()
    with pytest.raises(ValueError, match="holds 3 shapes, too few to compare with"):
        _judge(data, tmp_path, meshes=data / "train")


def test_missing_folders_and_weights_are_named(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))
    with pytest.raises(FileNotFoundError, match="Inception weights of the FID are not on this"):
        _judge(data, tmp_path, EvaluationConfig(metrics=("fd",)))
    with pytest.raises(FileNotFoundError, match=r"no such folder; .* must hold one"):
        _judge(tmp_path / "nowhere", tmp_path, meshes=data / "test")
    with pytest.raises(FileNotFoundError, match="nothing"):
        _judge(data, tmp_path, meshes=tmp_path / "nothing")
    assert not (tmp_path / "work").exists()
