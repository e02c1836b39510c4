import json
import re
import signal
from typing import ClassVar

import numpy as np
import pytest
import torch
import trimesh
import yaml
from PIL import Image, ImageDraw
from safetensors.torch import save_file

from get3d.cli import main
from get3d.data import open_dataset
from get3d.render import Light
from get3d.training import Trainer
from tests.tiny import TINY

CONFIG = {
    "generator": TINY | {"grid_resolution": 8, "sdf_base": "sphere"},
    "discriminator": {"image_size": 16, "channel_base": 64, "channel_max": 8},
    "rendering": {"composite": "antialiased", "mask_supersample": 2},
    "schedule": {"total_images": 8, "batch_size": 4},
}


@pytest.fixture
def data(tmp_path):
    """Two red discs in the published layout, four views each."""
    root = tmp_path / "data"
    for name, radius in (("a", 8), ("b", 11)):
        views = root / "img" / "discs" / name
        views.mkdir(parents=True)
        image = Image.new("RGBA", (32, 32))
        box = (16 - radius, 16 - radius, 15 + radius, 15 + radius)
        ImageDraw.Draw(image).ellipse(box, fill=(200, 30, 30, 255))
        for index in range(4):
            image.save(views / f"{index:03d}.png")
        cameras = root / "camera" / "discs" / name
        cameras.mkdir(parents=True)
        np.save(cameras / "rotation.npy", np.linspace(0, 270, 4))
        np.save(cameras / "elevation.npy", np.full(4, 15.0))
    return root


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(CONFIG))
    return path


def test_trains_resumes_and_leaves_a_model(tmp_path, data, config, capsys):
    run = tmp_path / "run"
    command = ["train", str(config), "--data", str(data), "--out", str(run), "--device", "cpu"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "8 images" in said
    assert f"warning: {data}: only 8 images; below about 500" in said
    assert (run / "model" / "model.safetensors").is_file()
    assert yaml.safe_load((run / "model" / "config.yaml").read_text())["info"]["is_unlit"] is False
    assert main([*command, "--schedule.total-images", "12"]) == 0
    out = capsys.readouterr().out
    assert "goes on at 8 images" in out
    assert "finished: 12 images" in out
    resolved = yaml.safe_load((run / "config.yaml").read_text())
    assert resolved["schedule"]["total_images"] == 12
    shapes = tmp_path / "shapes"
    capsys.readouterr()
    assert (
        main(["generate", str(run), "--num", "1", "--texture-size", "64", "--out", str(shapes)])
        == 0
    )
    assert list(shapes.glob("*.glb"))
    said = capsys.readouterr().out
    assert f"model: run ({run}), 12 images seen, saved 20" in said
    assert " UTC\n" in said


def test_the_model_is_as_new_as_the_newest_sample(tmp_path, data, config, monkeypatch):
    run = tmp_path / "run"
    intervals = ["--schedule.sample-every-images", "8", "--schedule.checkpoint-every-images", "99"]
    intervals += ["--schedule.total-images", "12"]
    state_dict, seen_then = Trainer.state_dict, []

    def save(trainer):
        if trainer.seen_images:  # the last checkpoint, after the samples of image 8
            info = yaml.safe_load((run / "model" / "config.yaml").read_text())["info"]
            seen_then.append((info["seen_images"], info["description"]))
        return state_dict(trainer)

    monkeypatch.setattr(Trainer, "state_dict", save)
    command = ["train", str(config), "--data", str(data), "--out", str(run), "--device", "cpu"]
    assert main([*command, *intervals]) == 0
    assert seen_then == [(8, f"8 images of {data}")]
    assert sorted(path.name for path in (run / "samples").iterdir())[-1] == "images-000000012.png"
    info = yaml.safe_load((run / "model" / "config.yaml").read_text())["info"]
    assert info["seen_images"] == 12


@pytest.mark.slow
def test_a_licence_survives_the_next_checkpoint(tmp_path, data, config, capsys):
    run = tmp_path / "run"
    command = ["train", str(config), "--data", str(data), "--out", str(run), "--device", "cpu"]
    path = run / "model" / "config.yaml"
    total = [8]

    def train_on(**changes):
        content = yaml.safe_load(path.read_text())
        content["info"].update(changes)
        path.write_text(yaml.safe_dump(content))
        total.append(total[-1] + 4)
        assert main([*command, "--schedule.total-images", str(total[-1])]) == 0
        return yaml.safe_load(path.read_text())["info"]

    assert main(command) == 0
    info = train_on(licence="CC0-1.0", name="discs")
    assert (info["licence"], info["name"]) == ("CC0-1.0", "discs")
    assert info["description"] == f"12 images of {data}"
    assert "license: cc0-1.0" in (run / "model" / "README.md").read_text()
    assert train_on(description="8 red discs")["description"] == "8 red discs"
    path.write_text("info: [")
    assert main([*command, "--schedule.total-images", "24"]) == 0
    assert "is no valid YAML" in capsys.readouterr().out
    assert yaml.safe_load(path.read_text())["info"]["licence"] == "unknown"


def test_model_records_whether_it_is_unlit(tmp_path, data, config):
    command = ["train", str(config), "--data", str(data), "--device", "cpu"]
    run = tmp_path / "run"
    command += ["--out", str(run), "--rendering.light", "learned"]
    path = run / "model" / "config.yaml"
    assert main(command) == 0
    content = yaml.safe_load(path.read_text())
    assert content["info"]["is_unlit"] is True
    assert "hold no light" in (run / "model" / "README.md").read_text()
    # As an earlier get3d left it, with a description of the user's.
    content["info"] = {"description": "8 red discs", "licence": "CC0-1.0"}
    path.write_text(yaml.safe_dump(content))
    assert main([*command, "--schedule.total-images", "12"]) == 0
    info = yaml.safe_load(path.read_text())["info"]
    assert (info["description"], info["is_unlit"]) == ("8 red discs", True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"los": {}}, "unknown key los; did you mean loss?"),
        ({"loss": {"r1_gamma": "1e-3"}}, "loss.r1_gamma"),
        ({"loss": {"r1_interval": 0}}, "r1_interval must be at least 1"),
        ({"discriminator": {"image_size": 48}}, "image_size must be a power of two"),
        ({"schedule": {"coarse_images": [-4]}}, "coarse_images must be at least 1 each, got (-4,)"),
        ({"schedule": {"coarse_images": 4}}, "schedule.coarse_images"),
        ({"schedule": {"coarse_images": [4] * 8}}, "coarse_images must have 7 values or fewer"),
        ({"schedule": {"views_per_shape": 5}}, "views_per_shape must divide"),
        ({"rendering": {"light": "sun"}}, "rendering.light"),
    ],
)
def test_wrong_configs_are_one_line(tmp_path, data, capsys, change, message):
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(change))
    assert main(["train", str(path), "--data", str(data), "--out", str(tmp_path / "run")]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_all_newer_options_train_and_resume(tmp_path, data, config, capsys):
    run = tmp_path / "run"
    content = CONFIG | {
        "discriminator": CONFIG["discriminator"]
        | {"features": "imagenet", "feature_image_size": 32},
        "rendering": CONFIG["rendering"] | {"light": "learned", "antialias_occlusions": True},
        "schedule": CONFIG["schedule"] | {"coarse_images": [4], "views_per_shape": 2},
    }
    config.write_text(yaml.safe_dump(content))
    command = ["train", str(config), "--data", str(data), "--out", str(run), "--device", "cpu"]
    assert main(command) == 0
    assert main([*command, "--schedule.total-images", "12"]) == 0
    assert "finished: 12 images" in capsys.readouterr().out
    resolved = yaml.safe_load((run / "config.yaml").read_text())
    assert resolved["schedule"]["coarse_images"] == [4]
    assert "generator/feature_loss" in (run / "log.csv").read_text()
    assert main([*command, "--discriminator.feature-image-size", "64"]) == 1
    error = capsys.readouterr().err
    assert "another config (discriminator.feature_image_size: 32, now 64)" in error
    assert error.count("\n") == 1


def test_coarse_images_as_flags(tmp_path, data, config, capsys):
    run = tmp_path / "run"
    command = ["train", str(config), "--data", str(data), "--out", str(run), "--device", "cpu"]
    assert main([*command, "--schedule.coarse-images", "4", "--schedule.total-images", "4"]) == 0
    resolved = yaml.safe_load((run / "config.yaml").read_text())
    assert resolved["schedule"]["coarse_images"] == [4]
    wrong = [*command[:5], str(tmp_path / "other"), *command[6:]]
    for values, message in (
        (["4", "4"], "coarse_images must have 1 values or fewer"),
        (["0"], "coarse_images must be at least 1 each, got (0,)"),
    ):
        capsys.readouterr()
        assert main([*wrong, "--schedule.coarse-images", *values]) in (1, 2)
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--schedule.views-per-shape", "3"], "views_per_shape must divide batch_size"),
        (["--rendering.light", "data"], "nothing says how the data set was lit"),
        (["--discriminator.feature-image-size", "16"], "feature_image_size must be at least 32"),
        (
            ["--rendering.composite", "published", "--rendering.antialias-occlusions"],
            'antialias_occlusions needs the composite "antialiased"',
        ),
        (["--discriminator.features", "nowhere.safetensors"], "nowhere.safetensors: no such file"),
        (["--generator.sdf-base-limit", "-1"], "sdf_base_limit must not be negative"),
        (["--loss.feature-weight", "-1"], "feature_weight must not be negative"),
    ],
)
def test_wrong_options_are_one_line(tmp_path, data, config, capsys, flags, message):
    run = tmp_path / "run"
    arguments = ["--data", str(data), "--out", str(run), "--device", "cpu"]
    # 2 if a section of the config rejects the flag's value, 1 if the error shows later.
    assert main(["train", str(config), *arguments, *flags]) in (1, 2)
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not run.exists()


def test_wrong_feature_files_are_one_line(tmp_path, data, config, capsys):
    damaged, other = tmp_path / "damaged.safetensors", tmp_path / "other.safetensors"
    damaged.write_bytes(b"no tensors at all")
    save_file({"stem.weight": torch.zeros(2)}, other)
    for path, reason in ((damaged, "no weights of efficientnet-lite0"), (other, "is missing")):
        arguments = ["--data", str(data), "--out", str(tmp_path / "run"), "--device", "cpu"]
        assert main(["train", str(config), *arguments, "--discriminator.features", str(path)]) == 1
        error = capsys.readouterr().err
        assert str(path) in error
        assert reason in error
        assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("light", "expected"), [("studio", Light()), ("none", Light.unlit())])
def test_light_of_the_data(tmp_path, config, monkeypatch, light, expected):
    meshes, rendered = tmp_path / "meshes", tmp_path / "rendered"
    meshes.mkdir()
    trimesh.creation.icosphere(subdivisions=1).export(meshes / "ball.ply")
    flags = ["--views", "4", "--image-size", "16", "--supersample", "1", "--workers", "1"]
    assert main(["render", str(meshes), "--out", str(rendered), "--light", light, *flags]) == 0
    assert open_dataset(rendered).light == light
    lights = []
    step = Trainer.step
    monkeypatch.setattr(Trainer, "step", lambda self: lights.append(self.light) or step(self))
    arguments = ["--data", str(rendered), "--out", str(tmp_path / "run"), "--device", "cpu"]
    assert main(["train", str(config), *arguments, "--rendering.light", "data"]) == 0
    assert lights == [expected, expected]


def test_data_set_without_known_light_raises(tmp_path, data, config, capsys):
    """The published layout and NeRF's; and a dataset.json from before it said so."""
    assert open_dataset(data).light is None
    meshes, rendered = tmp_path / "meshes", tmp_path / "rendered"
    meshes.mkdir()
    trimesh.creation.box().export(meshes / "box.ply")
    flags = ["--views", "4", "--image-size", "16", "--supersample", "1", "--workers", "1"]
    assert main(["render", str(meshes), "--out", str(rendered), *flags]) == 0
    path = rendered / "dataset.json"
    content = json.loads(path.read_text())
    for change in ({"config": {}}, {"config": {"light": "sun"}}):
        path.write_text(json.dumps(content | change))
        assert open_dataset(rendered).light is None
    del content["config"]
    path.write_text(json.dumps(content))
    assert open_dataset(rendered).light is None
    capsys.readouterr()
    arguments = ["--data", str(rendered), "--out", str(tmp_path / "run"), "--device", "cpu"]
    assert main(["train", str(config), *arguments, "--rendering.light", "data"]) == 1
    error = capsys.readouterr().err
    assert 'use rendering.light "learned" or "none"' in error
    assert error.count("\n") == 1


def test_config_after_flags_is_an_error(tmp_path, data, config, capsys):
    run = tmp_path / "run"
    assert main(["train", "--data", str(data), "--out", str(run), str(config)]) == 2
    error = capsys.readouterr().err
    assert "the configuration comes first" in error
    assert error.count("\n") == 1
    assert not run.exists()


def test_resume_alone_goes_on(tmp_path, data, config, capsys):
    run = tmp_path / "run"
    command = ["train", str(config), "--data", str(data), "--out", str(run), "--device", "cpu"]
    assert main(command) == 0
    longer = ["--schedule.total-images", "12", "--device", "cpu"]
    assert main(["train", "--resume", str(run), *longer]) == 0
    assert "goes on at 8 images" in capsys.readouterr().out
    assert main(["train", "--device", "cpu", f"--resume={run}", "--data", str(data)]) == 0
    assert "finished: 12 images" in capsys.readouterr().out  # the longer config is the run's now
    for args, message in (
        (["--resume"], "--resume needs a run folder"),
        (["--resume", "--device", "cpu"], "--resume needs a run folder"),
        (["--resume", str(data)], "no training run to resume"),
        (["--resume", str(run), "--out", "other"], "leave --out and CONFIG out"),
        ([str(config), "--resume", str(run)], "leave --out and CONFIG out"),
    ):
        assert main(["train", *args]) == 1
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    (run / "run.json").unlink()
    assert main(["train", "--resume", str(run)]) == 1
    assert "does not say what it was trained on; name the data with" in capsys.readouterr().err


def test_progress_shows_a_rate_from_the_first_step_on(tmp_path, data, config, monkeypatch):
    class Bar:
        texts: ClassVar[list[str]] = []

        def __enter__(self):
            return self

        def __exit__(self, *args):
            return None

        def add_task(self, *args, **kwargs):
            return 0

        def update(self, task, *, completed, description="", total=None):
            self.texts += [description] if description else []  # none while data are checked

    monkeypatch.setattr("get3d.cli.train.progress_bar", lambda unit: Bar())
    arguments = ["--data", str(data), "--out", str(tmp_path / "run"), "--device", "cpu"]
    assert main(["train", str(config), *arguments]) == 0
    assert len(Bar.texts) == 2
    assert all(re.fullmatch(r"images/s \d+\.\d\d", text) for text in Bar.texts)


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path, data, config, capsys, monkeypatch):
    run = tmp_path / "run"
    step = Trainer.step

    def interrupted(trainer):
        signal.raise_signal(signal.SIGINT)
        return step(trainer)

    monkeypatch.setattr(Trainer, "step", interrupted)
    command = ["train", str(config), "--data", str(data), "--out", str(run), "--device", "cpu"]
    assert main(command) == 130
    assert f"saved at 4 images; get3d train --resume {run} goes on" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flag", "now"),
    [
        ("--schedule.accumulate", "--schedule.grad-accumulation-steps"),
        ("--imaging.light", "--rendering.light"),
        ("--imaging.mask_supersample", "--rendering.mask-supersample"),
    ],
)
def test_renamed_flags_get_a_hint(tmp_path, data, config, capsys, flag, now):
    arguments = ["--data", str(data), "--out", str(tmp_path / "run"), f"{flag}=2"]
    assert main(["train", str(config), *arguments]) == 2
    error = capsys.readouterr().err
    assert f" is now {now} (see" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_wrong_data_is_one_line(tmp_path, config, capsys):
    for place in ("nowhere", "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        arguments = ["--data", str(tmp_path / place), "--out", str(tmp_path / "run")]
        assert main(["train", str(config), *arguments]) == 1
        error = capsys.readouterr().err
        assert str(tmp_path / place) in error
        assert error.count("\n") == 1


def test_image_size_above_that_of_the_data_is_an_error(tmp_path, data, config, capsys):
    arguments = ["--data", str(data), "--out", str(tmp_path / "run")]
    assert main(["train", str(config), *arguments, "--discriminator.image-size", "64"]) == 1
    assert "image_size must lie between 1 and 32" in capsys.readouterr().err


def test_flags_that_are_no_numbers_are_an_error(tmp_path, data, config, capsys):
    arguments = ["--data", str(data), "--out", str(tmp_path / "run")]
    assert main(["train", str(config), *arguments, "--loss.r1-gamma", "nan"]) == 2
    assert "r1_gamma must be a finite number" in capsys.readouterr().err


def test_a_truncated_image_is_named(tmp_path, data, config, capsys):
    path = data / "img" / "discs" / "b" / "002.png"
    path.write_bytes(path.read_bytes()[:60])
    assert main(["train", str(config), "--data", str(data), "--out", str(tmp_path / "run")]) == 1
    assert "002.png" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to ..."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        MemoryError("Unable to allocate 3.00 GiB for an array"),
    ],
)
def test_out_of_memory_is_one_line_and_keeps_checkpoints(
    tmp_path, data, config, capsys, monkeypatch, error
):
    run = tmp_path / "run"
    command = ["train", str(config), "--data", str(data), "--out", str(run), "--device", "cpu"]

    def step(trainer):
        if trainer.seen_images == 4:
            raise error
        return steps(trainer)

    steps = Trainer.step
    monkeypatch.setattr(Trainer, "step", step)
    monkeypatch.setattr("get3d.cli.memory.memory_bytes", lambda device: 8 << 30)
    assert main([*command, "--schedule.checkpoint-every-images", "4"]) == 1
    checkpoint = run / "checkpoints" / "images-000000004.pt"
    *_, line = capsys.readouterr().err.splitlines()
    assert line == (
        f"get3d train: {config} does not fit the memory of cpu (8.0 GiB): lower "
        "schedule.batch_size (now 4), or raise schedule.grad_accumulation_steps (now 1), with "
        "another --out; "
        f"the last checkpoint is kept: {checkpoint}"
    )
    monkeypatch.setattr(Trainer, "step", steps)
    assert main(command) == 0
    assert "goes on at 4 images" in capsys.readouterr().out


def test_a_run_without_images_of_full_size_has_a_note(tmp_path, data, config, capsys):
    command = ["train", str(config), "--data", str(data), "--device", "cpu"]
    assert main([*command, "--out", str(tmp_path / "a"), "--schedule.coarse-images", "8"]) == 0
    assert "note: schedule.coarse_images (8 in all) leave nothing" in capsys.readouterr().out
    assert main([*command, "--out", str(tmp_path / "b"), "--schedule.coarse-images", "4"]) == 0
    assert "note:" not in capsys.readouterr().out
