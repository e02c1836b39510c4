"""Hostile command lines, configs, models and data: one line, exit code 1 or 2, no traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image

from get3d.apps import load
from get3d.apps.sources import bundled_folder, bundled_names
from get3d.cli import main
from get3d.core import ModelError
from tests.cli.test_train import config, data  # noqa: F401

SOURCE = Path(__file__).resolve().parents[2] / "src"


def refusal(args, capsys) -> str:
    """The one line that a command is refused with."""
    assert main([str(arg) for arg in args]) in (1, 2)
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1, captured.err
    return lines[0]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["generate", "--out", ""], "--out is empty"),
        (["generate", "--out="], "--out is empty"),
        (["generate", "", "--out", "o"], "an argument is empty"),
        (["validate", ""], "an argument is empty"),
        (["train", "", "--data", "d", "--out", "o"], "an argument is empty"),
        (["generate", "--out", "a\0b"], "--out holds a NUL"),
        (["train", "a\0b"], "an argument holds a NUL"),
        (["a\0b"], "unknown command"),
        (["generate", "--out", "o", "--truncation", "1e200"], "truncation must lie in -100 to 100"),
        (["generate", "--out", "o", "--num", "1000000000000"], "num must be at most"),
        (
            ["shapes", "chair", "--out", "o", "--num", "1000000000000"],
            "num must be at most 1000000",
        ),
        (["render", "x", "--out", "o", "--views", "1000000000"], "views must be at most"),
        (["render", "x", "--out", "o", "--image-size", "1000000"], "size must be at most"),
    ],
)
def test_command_lines(tmp_path, monkeypatch, capsys, args, message):
    monkeypatch.chdir(tmp_path)
    assert message in refusal(args, capsys)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("generator.mapping-layers", 1_000_000),
        ("generator.mlp-hidden-layers", 1_000_000),
        ("generator.z-dim", 2**70),
        ("generator.plane-resolution", 1 << 20),
        ("generator.channel-base", 2**70),
        ("discriminator.image-size", 1 << 20),
        ("discriminator.channel-max", 10**9),
        ("rendering.mask-supersample", 10**6),
        ("schedule.batch-size", 1_000_000),
        ("schedule.seed", 2**70),
        ("schedule.total-images", 2**70),
        ("loss.r1-interval", 2**70),
    ],
)
def test_sizes_are_bounded(tmp_path, capsys, config, data, flag, value):  # noqa: F811
    args = ["train", config, "--data", data, "--out", tmp_path / "run", f"--{flag}", value]
    line = refusal(args, capsys)
    assert flag.split(".")[1].replace("-", "_") in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("text", ["[" * 20_000, "{a: " * 5_000, "- " * 20_000])
def test_deep_yaml(tmp_path, capsys, data, text):  # noqa: F811
    path = tmp_path / "deep.yaml"
    path.write_text(text)
    line = refusal(["train", path, "--data", data, "--out", tmp_path / "run"], capsys)
    assert "deep.yaml is no valid YAML" in line


def test_training_refuses_what_validation_refuses(tmp_path, capsys, config, data):  # noqa: F811
    for path in data.glob("img/*/*/*.png"):
        Image.new("RGBA", (32, 32)).save(path)
    args = ["train", config, "--data", data, "--out", tmp_path / "run", "--device", "cpu"]
    assert main([str(arg) for arg in args]) == 1
    text = capsys.readouterr().err
    assert "discs/a/000.png: 8 of 8 images show no object" in text
    assert "Traceback" not in text
    assert not (tmp_path / "run").exists()


def test_weights_with_flipped_bytes_are_refused(model_folder, tmp_path):
    """Every byte of the file counts; a folder of an earlier version has no digest."""
    content = (model_folder / "model.safetensors").read_bytes()
    config_text = (model_folder / "config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(config_text)
    path = tmp_path / "model.safetensors"
    for position in range(0, len(content), len(content) // 40):
        flipped = bytearray(content)
        flipped[position] ^= 1
        path.write_bytes(flipped)
        with pytest.raises(ModelError, match=r"model.safetensors|do not belong together"):
            load(tmp_path)
    path.write_bytes(content)
    load(tmp_path)
    old = yaml.safe_load(config_text)
    assert len(old.pop("sha256")) == 64
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(old))
    load(tmp_path)


def test_the_bundled_models_have_a_digest():
    for name in bundled_names():
        content = yaml.safe_load((bundled_folder() / name / "config.yaml").read_text())
        assert len(content["sha256"]) == 64
        load(name)


def run_python(*args: str, **options) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    return subprocess.Popen(
        [sys.executable, *args], env=environment, stderr=subprocess.PIPE, **options
    )


@pytest.mark.skipif(os.name == "nt", reason="pipes differ")
def test_help_into_a_closed_pipe_is_silent():
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as out:
        process = run_python("-m", "get3d", "--help", stdout=out)
    assert process.communicate()[1] == b""


def test_a_source_folder_without_an_installation():
    """The package's metadata is absent there."""
    program = (
        "import importlib.metadata as m, sys\n"
        "real = m.distribution\n"
        "def absent(name):\n"
        "    if name == 'get3d': raise m.PackageNotFoundError(name)\n"
        "    return real(name)\n"
        "m.distribution = absent\n"
        "from get3d.cli import main\n"
        "assert main(['--version']) == 0\n"
        "sys.exit(main(['--help']))\n"
    )
    process = run_python("-c", program, stdout=subprocess.PIPE)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, b"")
    assert out.startswith(b"get3d ")
