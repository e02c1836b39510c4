"""Rendered images agree with their cameras; rendering resumes and reports skipped files."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from get3d.data.dataset import open_dataset
from get3d.data.layouts import DataError, angles_to_cameras
from get3d.data.render_config import RenderConfig
from get3d.data.render_dataset import RenderProgress, render_dataset
from get3d.data.render_object import object_cameras
from get3d.data.splits import split_objects
from get3d.data.validate import validate_dataset
from get3d.geometry.cameras import CameraDistribution

CONFIG = RenderConfig(
    views=6, size=32, longest_side=0.9, supersample=2, test_fraction=0.0, workers=1
)


def crooked_mesh() -> trimesh.Trimesh:
    """Three boxes without any symmetry."""
    parts = [
        trimesh.creation.box((1.0, 0.2, 0.2)),
        trimesh.creation.box((0.2, 0.9, 0.2)).apply_translation((0.5, 0.4, 0.0)),
        trimesh.creation.box((0.2, 0.2, 0.8)).apply_translation((-0.2, 0.2, 0.4)),
    ]
    return trimesh.util.concatenate(parts)


@pytest.fixture
def meshes(tmp_path: Path) -> Path:
    """A folder of three meshes, two of them with the same name."""
    folder = tmp_path / "meshes"
    (folder / "more").mkdir(parents=True)
    crooked_mesh().export(folder / "crooked.glb")
    trimesh.creation.box((1, 2, 1)).export(folder / "box.ply")
    trimesh.creation.box((1, 1, 2)).export(folder / "more" / "box.obj")
    return folder


def all_files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_dataset_is_complete_and_valid(tmp_path: Path, meshes: Path) -> None:
    out = tmp_path / "out"
    config = replace(CONFIG, views=24, size=64, longest_side=0.6)  # no image cuts them off
    report = render_dataset([meshes], out, config)
    assert (report.num_rendered, report.num_kept, report.num_images) == (3, 0, 72)
    assert report.skipped == ()
    dataset = open_dataset(out)
    assert len(dataset) == 72
    assert len({name.lower() for name in dataset.objects}) == 3
    assert dataset.image_size == 64
    assert dataset.distribution == config.distribution
    found = validate_dataset(out, overlay_path=tmp_path / "overlay.png")
    assert found.errors == ()
    assert float(found.statistics["silhouettes explained by their cameras"].rstrip("%")) > 95
    # A hull is never smaller than its object. How much larger depends on the cameras, and they on
    # the names: two objects of one name are named after their paths, which differ between machines.
    assert 0.58 < float(found.statistics["objects fit a cube of size"].split()[-1]) < 0.9
    with Image.open(out / "contact_sheet.png") as sheet:
        assert sheet.width > 64


def test_the_published_layout_alone_gives_the_same_cameras(tmp_path: Path, meshes: Path) -> None:
    out = tmp_path / "out"
    render_dataset([meshes], out, CONFIG)
    ours = open_dataset(out)
    (out / "dataset.json").unlink()
    published = open_dataset(out)
    assert published.objects == ours.objects
    assert torch.allclose(
        published.cameras.world_to_camera, ours.cameras.world_to_camera, atol=1e-5
    )
    assert torch.allclose(published.cameras.intrinsics, ours.cameras.intrinsics, atol=1e-4)


def test_metadata_holds_cameras_exactly_and_angles_in_degrees(tmp_path: Path, meshes: Path) -> None:
    out = tmp_path / "out"
    distribution = CameraDistribution(
        radius=1.5, fovy_deg=40.0, rotation_deg=(30.0, 60.0), polar_deg=(50.0, 70.0)
    )
    render_dataset([meshes / "crooked.glb"], out, replace(CONFIG, distribution=distribution))
    dataset = open_dataset(out)
    expected = object_cameras("objects/crooked", replace(CONFIG, distribution=distribution))
    assert torch.equal(dataset.cameras.world_to_camera, expected.world_to_camera)
    assert torch.equal(dataset.cameras.intrinsics, expected.intrinsics)
    rotation = np.load(out / "camera/objects/crooked/rotation.npy")
    elevation = np.load(out / "camera/objects/crooked/elevation.npy")
    assert rotation.shape == elevation.shape == (6,)
    assert ((rotation >= 30) & (rotation <= 60)).all()
    assert ((elevation >= 20) & (elevation <= 40)).all()
    rebuilt = angles_to_cameras(
        rotation.tolist(), elevation.tolist(), radius=1.5, fovy_rad=np.deg2rad(40.0)
    )
    assert torch.allclose(rebuilt.world_to_camera, expected.world_to_camera, atol=1e-5)
    metadata = json.loads((out / "dataset.json").read_text())
    assert metadata["objects"][0]["source"] == str((meshes / "crooked.glb").resolve())


def test_images_have_soft_edges_and_no_hidden_colour(tmp_path: Path, meshes: Path) -> None:
    render_dataset([meshes / "crooked.glb"], tmp_path / "out", replace(CONFIG, supersample=4))
    with Image.open(tmp_path / "out/img/objects/crooked/000.png") as image:
        assert image.mode == "RGBA"
        pixels = np.asarray(image)
    alpha = pixels[..., 3]
    assert ((alpha > 0) & (alpha < 255)).sum() > 20
    assert (pixels[alpha == 0] == 0).all()


def test_stopping_anywhere_and_going_on_gives_the_same_files(tmp_path: Path, meshes: Path) -> None:
    render_dataset([meshes], tmp_path / "whole", CONFIG)

    def stop(progress: RenderProgress) -> None:
        if progress.done == 2:
            raise KeyboardInterrupt

    out = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        render_dataset([meshes], out, CONFIG, on_progress=stop)
    with pytest.raises(DataError, match="did not finish"):
        open_dataset(out)
    # What a kill -9 in the middle of an object leaves behind.
    cut = next(iter(sorted((out / "img").rglob("003.png"))))
    cut.write_bytes(cut.read_bytes()[:-5])
    (cut.parent / ".004.get3d-tmp-00ff.png").write_bytes(b"x")
    seen: list[RenderProgress] = []
    report = render_dataset([meshes], out, CONFIG, on_progress=seen.append)
    assert (report.num_kept, report.num_rendered) == (1, 2)
    assert [progress.done for progress in seen] == [1, 2, 3]
    assert all_files(out) == all_files(tmp_path / "whole")


def test_doing_it_again_changes_nothing(tmp_path: Path, meshes: Path) -> None:
    out = tmp_path / "out"
    render_dataset([meshes], out, CONFIG)
    before = all_files(out)
    report = render_dataset([meshes], out, replace(CONFIG, workers=2))
    assert (report.num_kept, report.num_rendered) == (3, 0)
    metadata = json.loads((out / "dataset.json").read_text())
    assert metadata.pop("config").pop("workers") == 2
    assert {**before, "dataset.json": b""} == {**all_files(out), "dataset.json": b""}


def test_adding_meshes_keeps_the_names_of_the_others(tmp_path: Path, meshes: Path) -> None:
    out = tmp_path / "out"
    render_dataset([meshes / "box.ply"], out, CONFIG)
    assert open_dataset(out).objects == ("objects/box",)
    report = render_dataset([meshes / "more"], out, replace(CONFIG, category="others"))
    assert (report.num_kept, report.num_rendered) == (1, 1)
    names = open_dataset(out).objects
    assert names == ("objects/box", "others/box")


def test_other_settings_in_the_same_folder_raise(tmp_path: Path, meshes: Path) -> None:
    out = tmp_path / "out"
    render_dataset([meshes], out, CONFIG)
    before = all_files(out)
    with pytest.raises(DataError, match=r"size: 32, now 64\); use the same .* another folder"):
        render_dataset([meshes], out, replace(CONFIG, size=64))
    assert all_files(out) == before


def test_foreign_folders_are_left_alone(tmp_path: Path, meshes: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.txt").write_text("mine")
    with pytest.raises(DataError, match="not empty and not written by get3d"):
        render_dataset([meshes], tmp_path / "photos", CONFIG)
    with pytest.raises(DataError, match="not empty"):
        render_dataset([meshes], tmp_path / "photos" / "a.txt", CONFIG)
    (tmp_path / "photos" / "a.txt").rename(tmp_path / "photos" / "dataset.json")
    with pytest.raises(DataError, match="not valid JSON"):
        render_dataset([meshes], tmp_path / "photos", CONFIG)
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["dataset.json"]


def test_unusable_files_are_reported_and_the_rest_rendered(tmp_path: Path, meshes: Path) -> None:
    (meshes / "broken.glb").write_bytes(b"nothing")
    (meshes / "nan.off").write_text("OFF\n3 1 0\nnan 0 0\n1 0 0\n0 1 0\n3 0 1 2\n")
    report = render_dataset([meshes], tmp_path / "out", CONFIG)
    assert report.num_rendered == 3
    assert [Path(item.file).name for item in report.skipped] == ["broken.glb", "nan.off"]
    assert "not finite" in report.skipped[1].reason
    metadata = json.loads((tmp_path / "out/dataset.json").read_text())
    assert [item["reason"] for item in metadata["skipped"]] == [
        item.reason for item in report.skipped
    ]
    assert len(open_dataset(tmp_path / "out").objects) == 3


def test_nothing_usable_is_an_error_that_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "broken.glb").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"none of the 1 .*broken\.glb: cannot be read"):
        render_dataset([tmp_path / "broken.glb"], tmp_path / "out", CONFIG)
    assert not any((tmp_path / "out").iterdir())


def test_lost_images_are_noted(tmp_path: Path) -> None:
    (tmp_path / "a.obj").write_text("mtllib gone.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    report = render_dataset([tmp_path / "a.obj"], tmp_path / "out", CONFIG)
    assert report.notes == {"objects/a": ("material file gone.mtl is missing",)}


def test_z_up_files_stand_upright(tmp_path: Path) -> None:
    tower = trimesh.creation.box((0.2, 0.2, 1.0))
    tower.export(tmp_path / "tower.stl")
    render_dataset([tmp_path / "tower.stl"], tmp_path / "out", replace(CONFIG, up_axis="z"))
    mask = open_dataset(tmp_path / "out").load_all()[:, 3] > 127
    assert (mask.any(dim=2).sum(dim=1) > 2 * mask.any(dim=1).sum(dim=1)).all()


@pytest.mark.slow
def test_several_processes_give_the_same_files(tmp_path: Path) -> None:
    for index in range(8):
        trimesh.creation.box((1, 1 + index, 2)).export(tmp_path / f"box_{index}.ply")
    render_dataset([tmp_path], tmp_path / "out" / "one", CONFIG)
    render_dataset(
        sorted(tmp_path.glob("*.ply")), tmp_path / "out" / "two", replace(CONFIG, workers=2)
    )
    one, two = all_files(tmp_path / "out" / "one"), all_files(tmp_path / "out" / "two")
    del one["dataset.json"], two["dataset.json"]
    assert one == two


def test_splits_are_complete_and_depend_on_the_seed_alone() -> None:
    names = [f"objects/{index}" for index in range(20)]
    config = replace(CONFIG, val_fraction=0.1, test_fraction=0.2)
    splits = split_objects(names, config)
    assert {name: len(part) for name, part in splits.items()} == {"train": 14, "val": 2, "test": 4}
    assert sorted(name for part in splits.values() for name in part) == sorted(names)
    assert split_objects(names[::-1], config) == splits
    assert split_objects(names, replace(config, seed=1)) != splits
    assert split_objects(["objects/0"], config)["train"] == ["objects/0"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"views": 0}, "views must be at least 1"),
        ({"size": 7}, "size must be at least 8"),
        ({"longest_side": 2.0}, "radius must be at least"),
        ({"test_fraction": 1.0}, "must leave objects to train on"),
        ({"category": "a/b"}, "plain folder name"),
        ({"category": ""}, "plain folder name"),
        ({"workers": 0}, "workers must be at least 1"),
        ({"seed": -1}, "seed must not be negative"),
    ],
)
def test_config_out_of_range_raises(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RenderConfig(**change)


def test_a_mesh_too_large_for_the_memory_is_skipped(tmp_path, meshes, monkeypatch) -> None:
    def render_views(mesh, cameras, config):
        if len(mesh.mesh.faces) > 12:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")
        return np.full((len(cameras), 32, 32, 4), 255, np.uint8)

    monkeypatch.setattr("get3d.data.render_object.render_views", render_views)
    report = render_dataset([meshes], tmp_path / "out", CONFIG)
    assert [item.reason for item in report.skipped] == ["is too large for the memory; simplify it"]
    assert report.num_rendered == 2


def test_a_bug_in_rendering_stops_it_and_names_the_mesh(tmp_path, meshes, monkeypatch) -> None:
    def render_views(mesh, cameras, config):
        raise ZeroDivisionError

    monkeypatch.setattr("get3d.data.render_object.render_views", render_views)
    with pytest.raises(ZeroDivisionError) as caught:
        render_dataset([meshes], tmp_path / "out", CONFIG)
    assert "while rendering" in caught.value.__notes__[0]
