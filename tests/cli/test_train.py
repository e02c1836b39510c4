import numpy as np
import pytest
import torch
import yaml
from PIL import Image, ImageDraw

from get3d.cli import main
from get3d.training import Trainer

TINY = {
    "generator": {
        "z_dim": 8,
        "w_dim": 8,
        "mapping_layers": 2,
        "plane_resolution": 8,
        "channel_base": 64,
        "channel_max": 8,
        "mlp_width": 8,
        "grid_resolution": 8,
        "sdf_base": "sphere",
    },
    "discriminator": {"image_size": 16, "channel_base": 64, "channel_max": 8},
    "imaging": {"composite": "antialiased", "mask_supersample": 2},
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
    path.write_text(yaml.safe_dump(TINY))
    return path


def test_trains_resumes_and_leaves_a_model(tmp_path, data, config, capsys):
    run = tmp_path / "run"
    command = ["train", str(config), "--data", str(data), "--out", str(run), "--device", "cpu"]
    assert main(command) == 0
    assert "8 pictures" in capsys.readouterr().out
    assert (run / "model" / "model.safetensors").is_file()
    assert yaml.safe_load((run / "model" / "config.yaml").read_text())["info"]["is_unlit"] is False
    assert main([*command, "--schedule.total-images", "12"]) == 0
    out = capsys.readouterr().out
    assert "goes on at 8 images" in out
    assert "finished: 12 images" in out
    resolved = yaml.safe_load((run / "config.yaml").read_text())
    assert resolved["schedule"]["total_images"] == 12
    shapes = tmp_path / "shapes"
    assert (
        main(["generate", str(run), "--num", "1", "--texture-size", "64", "--out", str(shapes)])
        == 0
    )
    assert list(shapes.glob("*.glb"))


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


def test_the_model_says_whether_its_colours_hold_light(tmp_path, data, config):
    command = ["train", str(config), "--data", str(data), "--device", "cpu"]
    run = tmp_path / "run"
    command += ["--out", str(run), "--imaging.light", "learned"]
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


def test_a_config_behind_the_flags_is_refused_not_ignored(tmp_path, data, config, capsys):
    run = tmp_path / "run"
    assert main(["train", "--data", str(data), "--out", str(run), str(config)]) == 2
    error = capsys.readouterr().err
    assert "the configuration comes first" in error
    assert error.count("\n") == 1
    assert not run.exists()


def test_wrong_data_is_one_line(tmp_path, config, capsys):
    for place in ("nowhere", "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        arguments = ["--data", str(tmp_path / place), "--out", str(tmp_path / "run")]
        assert main(["train", str(config), *arguments]) == 1
        error = capsys.readouterr().err
        assert str(tmp_path / place) in error
        assert error.count("\n") == 1


def test_images_larger_than_the_data_are_refused(tmp_path, data, config, capsys):
    arguments = ["--data", str(data), "--out", str(tmp_path / "run")]
    assert main(["train", str(config), *arguments, "--discriminator.image-size", "64"]) == 1
    assert "image_size must lie between 1 and 32" in capsys.readouterr().err


def test_flags_that_are_no_numbers_are_refused(tmp_path, data, config, capsys):
    arguments = ["--data", str(data), "--out", str(tmp_path / "run")]
    assert main(["train", str(config), *arguments, "--loss.r1-gamma", "nan"]) == 1
    assert "loss.r1_gamma must be a finite number" in capsys.readouterr().err


def test_a_truncated_picture_is_named(tmp_path, data, config, capsys):
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
def test_what_does_not_fit_the_memory_is_one_line_and_nothing_is_lost(
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
        "schedule.batch_size (now 4), or raise schedule.accumulate (now 1), with another --out; "
        f"the last checkpoint is kept: {checkpoint}"
    )
    monkeypatch.setattr(Trainer, "step", steps)
    assert main(command) == 0
    assert "goes on at 4 images" in capsys.readouterr().out
