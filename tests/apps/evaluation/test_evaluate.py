import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import trimesh

from get3d.apps import Model, save_model
from get3d.apps.evaluation import (
    Evaluation,
    EvaluationConfig,
    evaluate,
    make_plan,
    measure,
    save_images,
    save_report,
    summarize,
)
from get3d.apps.evaluation.measure import ShapeRecord
from get3d.apps.evaluation.page import page, read_scores, table
from get3d.apps.evaluation.plan import Collection
from get3d.core import Mesh, MeshError
from get3d.geometry import CameraDistribution
from get3d.metrics import FeatureExtractor
from get3d.models import Generator

SHAPES = EvaluationConfig(metrics=("cd", "lfd"))
CD = EvaluationConfig(metrics=("cd",))
IMAGES = EvaluationConfig(
    metrics=("fd",), num_images=40, reference_views=8, image_size=32, features="shapes"
)


def _evaluate(
    data: Path, tmp_path: Path, config: EvaluationConfig = CD, **options: object
) -> Evaluation:
    options = {"meshes": data / "test"} | options
    return evaluate(data, work=tmp_path / "work", config=config, workers=1, **options)


def report_of(
    data: Path, tmp_path: Path, config: EvaluationConfig, **options: object
) -> dict[str, Any]:
    return summarize(_evaluate(data, tmp_path, config, **options), name="x")


def _copy(data: Path, split: str, to: Path) -> Path:
    shutil.copytree(data / split, to)
    return to


def test_references_as_meshes_get_perfect_scores(data: Path, measured: Path) -> None:
    evaluation = _evaluate(data, measured, SHAPES)
    scores = evaluation.rows[0].scores
    assert scores["cov_cd"] == scores["cov_lfd"] == 1
    assert scores["mmd_lfd"] == 0
    assert scores["one_nna_cd"] == scores["one_nna_lfd"] == 0
    training = evaluation.rows[1].scores
    assert scores["mmd_cd"] < 0.5 * training["mmd_cd"]  # what drawing other points costs


def test_training_shapes_as_meshes_are_found_as_copies(data: Path, measured: Path) -> None:
    copied = _evaluate(data, measured, meshes=data / "train")
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


@pytest.mark.slow
def test_invalid_shapes_count_as_the_worst_and_are_named(
    data: Path, tmp_path: Path, measured: Path, mean_colors: FeatureExtractor
) -> None:
    meshes = _copy(data, "test", tmp_path / "meshes")
    config = replace(IMAGES, metrics=("cd", "lfd", "fd"))
    whole = _evaluate(data, measured, config, meshes=meshes).rows[0].scores
    (meshes / "test-0.glb").write_bytes(b"no mesh")
    (meshes / "test-1.glb").unlink()
    (meshes / "test-1.off").write_text("OFF\n3 1 0\n0 0 0\n1 0 0\nnan 1 0\n3 0 1 2\n")
    evaluation = _evaluate(data, measured, config, meshes=meshes)
    invalid = {record.name for record in evaluation.generated if record.invalid}
    assert invalid == {"test-0", "test-1"}
    scores = evaluation.rows[0].scores
    assert scores["cov_cd"] == scores["cov_lfd"] == 0.6
    assert scores["one_nna_cd"] == pytest.approx((2 + 2) / 10)
    assert scores["mmd_cd"] > whole["mmd_cd"]
    assert scores["fd_shapes_3d"] > whole["fd_shapes_3d"]
    content = summarize(evaluation, name="some invalid")
    assert {one["name"] for one in content["invalid"]["generated"]} == invalid
    assert "2 of 5 generated shapes are invalid" in " ".join(content["notes"])
    assert content["soundness"]["generated"]["without_floaters"] == 0.6


def _raise(error: Exception) -> Callable[..., object]:
    def fail(*args: object, **options: object) -> object:
        raise error

    return fail


@pytest.mark.parametrize("name", ["sample_points", "measure_soundness", "render_textured"])
def test_a_bug_in_a_metric_or_in_rendering_ends_the_evaluation(
    name: str,
    data: Path,
    tmp_path: Path,
    mean_colors: FeatureExtractor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bug that counted as an invalid shape would change COV and MMD silently."""
    monkeypatch.setattr(measure, name, _raise(ValueError("shapes do not match")))
    with pytest.raises(ValueError, match="shapes do not match"):
        _evaluate(data, tmp_path, replace(IMAGES, metrics=("cd", "fd")))


def test_a_generated_mesh_without_faces_is_invalid_and_one_without_texture_is_named(
    data: Path,
    tmp_path: Path,
    model: Model,
    mean_colors: FeatureExtractor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    save_model(model, tmp_path / "model")
    config = replace(IMAGES, metrics=("cd", "fd"), num_shapes=5, texture_size=16)
    options = {"meshes": None, "model": tmp_path / "model"}
    with monkeypatch.context() as patch:
        patch.setattr(Model, "texture", _raise(MeshError("too many charts")))
        evaluation = _evaluate(data, tmp_path / "untextured", config, **options)
    assert [record.untextured for record in evaluation.generated] == ["too many charts"] * 5
    assert not any(record.invalid for record in evaluation.generated)
    assert len(summarize(evaluation, name="x")["invalid"]["generated"]) == 5
    empty = Mesh(torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.int64))
    monkeypatch.setattr(Model, "surface", lambda self, fields: empty)
    evaluation = _evaluate(data, tmp_path / "empty", config, **options)
    assert [record.invalid for record in evaluation.generated] == ["the mesh has no faces"] * 5
    assert evaluation.rows[0].scores["cov_cd"] == 0


def test_scores_of_only_invalid_shapes(data: Path, tmp_path: Path, measured: Path) -> None:
    meshes = tmp_path / "meshes"
    meshes.mkdir()
    for index in range(5):
        (meshes / f"{index}.glb").write_bytes(b"no mesh")
    evaluation = _evaluate(data, measured, SHAPES, meshes=meshes)
    scores = evaluation.rows[0].scores
    assert (scores["cov_cd"], scores["mmd_cd"], scores["one_nna_cd"]) == (0, torch.inf, 1)
    out = tmp_path / "out"
    content = summarize(evaluation, name="nothing")
    save_report(content, out)
    saved = json.loads((out / "scores.json").read_text())
    assert saved["rows"][0]["scores"]["mmd_cd"] is None
    assert {path.name for path in save_images(evaluation, out)} == {"samples.png"}


def test_invalid_reference_raises(own_data: Path, tmp_path: Path) -> None:
    (own_data / "test" / "test-3.glb").write_bytes(b"no mesh")
    with pytest.raises(ValueError, match=r"1 of 5 reference shapes cannot be measured \(test-3"):
        _evaluate(own_data, tmp_path, meshes=own_data / "train")


def test_invalid_training_shapes_are_left_out_and_named(own_data: Path, tmp_path: Path) -> None:
    (own_data / "train" / "train-103.glb").write_bytes(b"no mesh")
    content = summarize(_evaluate(own_data, tmp_path), name="x")
    assert "1 of 11 training shapes are invalid and left out" in content["notes"]


def test_references_in_the_training_set_raise(own_data: Path, tmp_path: Path) -> None:
    shutil.copy(own_data / "test" / "test-2.glb", own_data / "train" / "renamed.glb")
    with pytest.raises(ValueError, match=r"1 of 5 reference shapes .*test-2 is renamed"):
        _evaluate(own_data, tmp_path)
    kept = _evaluate(own_data, tmp_path, keep_duplicates=True)
    assert "test-2 is renamed" in " ".join(summarize(kept, name="x")["notes"])


def test_hollowness_of_each_collection(data: Path, tmp_path: Path, measured: Path) -> None:
    """The references are ellipsoids; two of five generated shapes are tori, one is open."""
    meshes = _copy(data, "test", tmp_path / "meshes")
    torus = trimesh.creation.torus(1.0, 0.25)
    for name in ("test-0.glb", "test-1.glb"):
        torus.export(meshes / name)
    ball = trimesh.load(meshes / "test-2.glb", force="mesh")
    ball.update_faces([index > 0 for index in range(len(ball.faces))])
    ball.export(meshes / "test-2.glb")
    content = report_of(data, measured, CD, meshes=meshes)
    found = content["hollowness"]["volume_over_hull"]
    assert set(found) == {"generated", "reference", "training"}
    assert (found["generated"]["measured"], found["generated"]["unmeasured"]) == (4, 1)
    ratio = torus.volume / torus.convex_hull.volume
    assert found["generated"]["quantiles"]["10"] == pytest.approx(ratio, abs=1e-3)
    assert found["generated"]["quantiles"]["50"] == pytest.approx((1 + ratio) / 2, abs=1e-3)
    assert found["training"]["quantiles"]["25"] == pytest.approx(1, abs=1e-3)
    difference = content["hollowness"]["difference_of_medians"]
    assert difference == pytest.approx((1 - ratio) / 2, abs=1e-3)
    assert "## Hollowness" in page(content)
    assert f"differ by {difference:.2f}" in page(content)


def test_hollowness_is_none_without_watertight_shapes(
    data: Path, tmp_path: Path, measured: Path
) -> None:
    meshes = tmp_path / "meshes"
    meshes.mkdir()
    for index in range(5):
        (meshes / f"{index}.glb").write_bytes(b"no mesh")
    content = report_of(data, measured, CD, meshes=meshes)
    generated = content["hollowness"]["volume_over_hull"]["generated"]
    assert generated == {"measured": 0, "unmeasured": 5, "quantiles": None}
    assert content["hollowness"]["difference_of_medians"] is None
    save_report(content, tmp_path / "out")
    assert "| generated | - | - |" in (tmp_path / "out" / "report.md").read_text()


def test_shards_of_an_earlier_format_are_measured_again(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(measure, "FORMAT", measure.FORMAT - 1)
        _evaluate(data, tmp_path)
    folders = set((tmp_path / "work").iterdir())
    _evaluate(data, tmp_path)
    assert len(set((tmp_path / "work").iterdir()) - folders) == len(folders) == 4


def _write_labels(data: Path, **kinds: str) -> None:
    shapes = [
        {"file": f"{name}.glb", "labels": {"kind": kind}}
        for name, kind in ((n.replace("_", "-"), k) for n, k in kinds.items())
    ]
    (data / "test" / "shapes.json").write_text(json.dumps({"shapes": shapes}))


def test_matches_are_counted_by_label(own_data: Path, tmp_path: Path) -> None:
    _write_labels(own_data, test_0="mug", test_1="bowl", test_3="mug", test_4="mug")
    meshes = _copy(own_data, "train", tmp_path / "meshes")
    shutil.copy(own_data / "test" / "test-1.glb", meshes / "train-100.glb")  # the only bowl
    evaluation = _evaluate(own_data, tmp_path, meshes=meshes)
    content = summarize(evaluation, name="x")
    by_label = content["matching_by_label"]
    assert (by_label["label"], by_label["unlabelled"]) == ("kind", 1)
    bowl, mug = by_label["values"]
    assert (bowl["value"], bowl["num"], mug["value"], mug["num"]) == ("bowl", 1, "mug", 3)
    assert evaluation.rows[0].chamfer is not None
    nearest = evaluation.rows[0].chamfer.amin(0)
    assert mug["generated"] == pytest.approx(float(nearest[[0, 3, 4]].double().mean()))
    assert bowl["generated"] == pytest.approx(float(nearest[1]))
    assert bowl["ratio"] == pytest.approx(bowl["generated"] / bowl["training"])
    assert bowl["ratio"] < 0.9
    assert "## MMD (CD) by kind" in page(content)
    assert "1 of 5 references have no such label" in page(content)


def test_without_labels_there_are_no_matches_by_label(own_data: Path, tmp_path: Path) -> None:
    content = report_of(own_data, tmp_path, CD)
    assert content["matching_by_label"] is None
    assert "## MMD" not in page(content)
    _write_labels(own_data, test_0="mug")
    shutil.rmtree(own_data / "train")
    (mug,) = report_of(own_data, tmp_path, CD)["matching_by_label"]["values"]
    assert (mug["training"], mug["ratio"]) == (None, None)


@pytest.mark.slow
def test_a_stopped_run_goes_on_and_damaged_shards_are_measured_again(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []
    real = measure.measure_shape

    def count(collection: Collection, index: int) -> ShapeRecord:
        measured.append(measure.shape_name(collection, index))
        return real(collection, index)

    monkeypatch.setattr(measure, "measure_shape", count)
    first = _evaluate(data, tmp_path, SHAPES)
    assert len(measured) == 5 + 5 + 11
    measured.clear()
    (shard,) = (tmp_path / "work").glob("reference-*/*.npz")
    for damaged in (shard.read_bytes()[:100], b""):
        measured.clear()
        shard.write_bytes(damaged)
        again = _evaluate(data, tmp_path, SHAPES)
        assert measured == [f"test-{index}" for index in range(5)]
        assert again.rows == first.rows
    measured.clear()
    _evaluate(data, tmp_path, replace(SHAPES, seed=1))
    assert len(measured) == 5 + 5 + 11  # other points: nothing of the first run may be used


def test_a_model_is_evaluated_by_field_and_by_mesh(
    data: Path, tmp_path: Path, measured: Path, model: Model, mean_colors: FeatureExtractor
) -> None:
    save_model(model, tmp_path / "model")
    config = replace(IMAGES, metrics=("cd", "fd"), num_shapes=6, texture_size=64)
    options = {"meshes": None, "model": tmp_path / "model"}
    evaluation = _evaluate(data, measured, config, **options)
    scores = evaluation.rows[0].scores
    assert scores.keys() >= {"cov_cd", "fd_shapes_ori", "kd_shapes_ori", "fd_shapes_3d"}
    assert len(evaluation.generated) == 6
    for record in evaluation.generated:
        assert record.field_features is not None
        assert record.mesh_features is not None
        # The exported mesh looks like the field it was made from.
        gap = abs(record.field_features.mean(0) - record.mesh_features.mean(0)).max()
        assert gap < 0.1 * abs(record.field_features).max()
        assert record.soundness is not None
    content = summarize(evaluation, name="tiny")
    assert content["protocol"]["images"]["num_generated"] == 6 * 7
    assert content["protocol"]["images"]["extractor"] == "mean-colors"
    assert set(content["ratios"]) >= {"cov_cd", "mmd_cd", "fd_shapes_ori", "fd_shapes_3d"}
    longer = _evaluate(data, measured, replace(config, num_shapes=8), **options)
    for before, after in zip(evaluation.generated[:6], longer.generated[:6], strict=True):
        assert (before.points == after.points).all()


def test_image_scores_of_identical_sets(
    data: Path, measured: Path, mean_colors: FeatureExtractor
) -> None:
    config = replace(IMAGES, generated_light="studio", num_images=40)
    scores = _evaluate(data, measured, config).rows[0].scores
    oracle = _evaluate(data, measured, config).rows[1].scores
    assert scores["fd_shapes_3d"] < 0.2 * oracle["fd_shapes_3d"]
    assert scores["precision_3d"] > 0.8


def test_field_of_one_sign_is_an_invalid_shape(
    data: Path, tmp_path: Path, measured: Path, model: Model
) -> None:
    """The fallback surface of training does not count as a shape."""
    solid = Generator(replace(model.generator.config, sdf_base_radius=9.0))
    save_model(Model(solid, model.info), tmp_path / "model")
    options = {"meshes": None, "model": tmp_path / "model"}
    evaluation = _evaluate(data, measured, replace(CD, num_shapes=5), **options)
    assert all("have no surface" in record.invalid for record in evaluation.generated)
    assert evaluation.rows[0].scores["cov_cd"] == 0


def test_changed_model_is_measured_again_or_raises(
    data: Path, tmp_path: Path, model: Model
) -> None:
    config, options = replace(CD, num_shapes=5), {"meshes": None, "model": tmp_path / "model"}
    save_model(model, tmp_path / "model")
    first = _evaluate(data, tmp_path, config, **options)
    larger = Generator(replace(model.generator.config, sdf_base_radius=0.25))
    larger.load_state_dict(model.generator.state_dict())
    save_model(Model(larger, model.info), tmp_path / "model")
    second = _evaluate(data, tmp_path, config, **options)
    assert (first.generated[0].points != second.generated[0].points).any()
    stale = replace(second.plan.generated, fingerprint="of another model")
    with pytest.raises(ValueError, match="changed while they were measured"):
        measure.measure_collection(
            stale, tmp_path / "else", workers=1, on_progress=lambda label, done, total: None
        )


def test_files_are_placed_as_for_training(data: Path, tmp_path: Path, measured: Path) -> None:
    """Position, unit and up axis of files are normalised."""
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in (data / "test").iterdir():
        mesh = trimesh.load(path, force="mesh")
        mesh.apply_transform(trimesh.transformations.rotation_matrix(math.pi / 2, [1, 0, 0]))
        mesh.apply_scale(7)
        mesh.apply_translation([0, 0, -mesh.bounds[0, 2]])
        mesh.export(moved / path.name)
    lying = _evaluate(data, measured, meshes=moved).rows[0].scores["mmd_cd"]
    config = replace(CD, generated_up_axis="z")
    upright = _evaluate(data, measured, config, meshes=moved).rows[0].scores["mmd_cd"]
    same = _evaluate(data, measured).rows[0].scores["mmd_cd"]
    assert upright == pytest.approx(same, rel=0.3)
    assert lying > 3 * same


@pytest.mark.slow
def test_several_processes_measure_the_same(
    data: Path, tmp_path: Path, ellipsoid: Callable[[Path, int], Path]
) -> None:
    meshes = tmp_path / "meshes"
    for seed in range(33):
        ellipsoid(meshes / f"{seed}.glb", seed)
    one = _evaluate(data, tmp_path / "one", meshes=meshes)
    two = evaluate(data, work=tmp_path / "two", config=CD, meshes=meshes, workers=2)
    assert two.rows == one.rows


@pytest.mark.slow
def test_light_changes_images_and_full_images_are_allowed(
    data: Path, measured: Path, mean_colors: FeatureExtractor
) -> None:
    near = replace(IMAGES, cameras=CameraDistribution(radius=0.6, fovy_deg=40.0))
    dark = _evaluate(data, measured, near)
    lit = _evaluate(data, measured, replace(near, generated_light="studio"))
    assert not any(record.untextured for record in (*dark.generated, *dark.reference))
    assert lit.rows[0].scores["fd_shapes_3d"] < dark.rows[0].scores["fd_shapes_3d"]


def test_truncation_and_style_mixing_change_shapes(
    data: Path, tmp_path: Path, measured: Path, model: Model
) -> None:
    save_model(model, tmp_path / "model")
    options = {"meshes": None, "model": tmp_path / "model"}
    configs = [
        replace(CD, num_shapes=5, style_mixing=0.0),
        replace(CD, num_shapes=5, style_mixing=1.0),
        replace(CD, num_shapes=5, style_mixing=0.0, truncation=0.5),
    ]
    clouds = [_evaluate(data, measured, c, **options).generated[0].points for c in configs]
    assert (clouds[0] != clouds[1]).any()
    assert (clouds[0] != clouds[2]).any()


def test_ratios_are_of_scores_that_have_one(
    data: Path, measured: Path, mean_colors: FeatureExtractor
) -> None:
    config = replace(IMAGES, metrics=("cd", "fd"))
    content = report_of(data, measured, config)
    assert {"cov_cd", "mmd_cd", "fd_shapes_3d", "precision_3d"} <= set(content["ratios"])
    assert not any("nna" in name or "kd_" in name for name in content["ratios"])


def test_cameras_are_part_of_the_protocol(
    data: Path, measured: Path, mean_colors: FeatureExtractor
) -> None:
    far = replace(IMAGES, cameras=CameraDistribution(radius=3.0, fovy_deg=49.0))
    evaluation = _evaluate(data, measured, far)
    assert summarize(evaluation, name="x")["protocol"]["config"]["cameras"]["radius"] == 3.0
    near = _evaluate(data, measured, IMAGES)
    assert (
        evaluation.generated[0].mesh_features.mean() < 0.5 * near.generated[0].mesh_features.mean()
    )


def test_without_training_shapes_there_is_no_oracle(own_data: Path, tmp_path: Path) -> None:
    shutil.rmtree(own_data / "train")
    evaluation = _evaluate(own_data, tmp_path)
    content = summarize(evaluation, name="x")
    assert [row["name"] for row in content["rows"]] == ["generated"]
    assert content["ratios"] == {}
    assert content["copying"] is None
    assert "no training shapes" in content["notes"][0]


def test_deviations_from_the_published_protocol_are_listed(data: Path, measured: Path) -> None:
    content = summarize(_evaluate(data, measured), name="x")
    assert content["deviations"] == ["5 generated shapes for 5 references (published: 5 for each)"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metrics": ()}, "name at least one of cd, lfd, fd"),
        ({"num_images": 0}, "num_images must be at least 8"),
        ({"truncation": float("nan")}, "truncation must lie in"),
        ({"longest_side": float("inf")}, "longest_side must be positive"),
        ({"num_shapes": 1}, "num_shapes must be at least 2"),
        ({"style_mixing": 2.0}, r"style_mixing must lie in \[0, 1\]"),
        ({"seed": -1}, "seed must not be negative"),
        ({"longest_side": 0.0}, "longest_side must be positive"),
    ],
)
def test_config_out_of_range_raises(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(EvaluationConfig(), **change)


def test_too_few_shapes_raise(own_data: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"num_shapes is 9, but .* holds 5 shapes; make more"):
        _evaluate(own_data, tmp_path, replace(CD, num_shapes=9))
    with pytest.raises(ValueError, match="2 shapes are too few to evaluate"):
        _evaluate(own_data, tmp_path, replace(CD, num_shapes=2))
    for name in ("test-0.glb", "test-1.glb"):
        (own_data / "test" / name).unlink()
    with pytest.raises(ValueError, match="holds 3 shapes, too few to compare with"):
        _evaluate(own_data, tmp_path, meshes=own_data / "train")


def test_missing_folders_and_weights_are_named(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))
    with pytest.raises(FileNotFoundError, match="Inception weights of the FID are not on this"):
        _evaluate(data, tmp_path, EvaluationConfig(metrics=("fd",)))
    with pytest.raises(FileNotFoundError, match=r"no such folder; .* must hold one"):
        _evaluate(tmp_path / "nowhere", tmp_path, meshes=data / "test")
    with pytest.raises(FileNotFoundError, match="nothing"):
        _evaluate(data, tmp_path, meshes=tmp_path / "nothing")
    assert not (tmp_path / "work").exists()


def test_table_cells_are_escaped() -> None:
    lines = table(["label"], [["a|b\n\x1b[31mc"]]).splitlines()
    assert lines == ["| label |", "| --- |", r"| a\|b [31mc |"]


def test_unknown_label_raises(tmp_path: Path) -> None:
    entries = [{"file": f"{index}.glb", "labels": {"kind": "cup"}} for index in range(4)]
    (tmp_path / "test").mkdir()
    for entry in entries:
        (tmp_path / "test" / str(entry["file"])).touch()
    (tmp_path / "test" / "shapes.json").write_text(json.dumps({"shapes": entries}))
    config = EvaluationConfig(label="sort")
    with pytest.raises(ValueError, match="no reference has the label 'sort'; known: kind"):
        make_plan(tmp_path, config, model=None, meshes=None, device="cpu")


def test_scores_of_an_earlier_version_are_read(tmp_path: Path) -> None:
    former = {
        "name": 'a "broken": b',
        "soundness": {"generated": {"broken": 1, "largest_piece_over_99_percent": 0.5}},
        "protocol": {"pictures": {}},
        "broken": {"generated": []},
    }
    (tmp_path / "scores.json").write_text(json.dumps(former))
    assert read_scores(tmp_path / "scores.json") == {
        "name": 'a "broken": b',
        "soundness": {"generated": {"invalid": 1, "largest_component_over_99_percent": 0.5}},
        "protocol": {"images": {}},
        "invalid": {"generated": []},
    }
