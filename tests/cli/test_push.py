from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from get3d.apps import Model, ModelInfo, save_model, sharing
from get3d.apps.imported import RELEASE_LICENCE
from get3d.cli import main
from get3d.models import Generator, GeneratorConfig
from tests.tiny import TINY

Save = Callable[[str], Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Write a model folder with some licence."""

    def write(licence: str) -> Path:
        with torch.random.fork_rng(devices=[]):
            generator = Generator(GeneratorConfig(**TINY))
            model = Model(generator, ModelInfo(name="chairs", licence=licence))
        save_model(model, tmp_path / "chairs")
        return tmp_path / "chairs"

    return write


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What would have gone to the hub."""
    calls: list[tuple[Any, ...]] = []

    def send_folder(*args: Any, **options: Any) -> str:
        calls.append((*args, options))
        return "https://huggingface.co/maker/chairs/commit/1"

    monkeypatch.setattr(sharing, "send_folder", send_folder)
    return calls


def test_sends_and_says_what_comes_next(
    save: Save, sent: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save("MIT")
    flags = ["--private", "--message", "First"]
    assert main(["push", str(folder), "maker/chairs@v1", *flags]) == 0
    [(name, where, files, options)] = sent
    assert (str(name), where) == ("hf://maker/chairs@v1", folder)
    assert files == ["README.md", "config.yaml", "model.safetensors"]
    assert options == {"message": "First", "is_private": True}
    text = capsys.readouterr().out
    assert "-> maker/chairs (private), branch v1\n" in text
    assert "sent: https://huggingface.co/maker/chairs/commit/1" in text
    assert "get3d generate hf://maker/chairs@v1 " in text
    assert "note" not in text


def test_dry_run_sends_nothing(
    save: Save, sent: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["push", str(save("MIT")), "maker/chairs/small", "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert "-> maker/chairs (public), branch main, folder small\n" in text
    for file in ("README.md", "config.yaml", "model.safetensors"):
        assert f"  {file}" in text
    assert "licence of the weights: MIT" in text
    assert text.endswith("dry run: nothing was sent\n")
    assert not sent


@pytest.mark.parametrize(
    ("licence", "note"),
    [
        ("unknown", "note: nobody may use it then; name one in config.yaml"),
        (RELEASE_LICENCE, "note: check that its terms let you share it at all"),
    ],
)
def test_licences_with_a_note(
    save: Save,
    licence: str,
    note: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["push", str(save(licence)), "maker/chairs", "--dry-run"]) == 0
    assert note in capsys.readouterr().out


def test_an_unknown_licence_needs_a_flag(
    save: Save, sent: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["push", str(save("unknown")), "maker/chairs"]
    assert main(command) == 1
    error = capsys.readouterr().err
    assert "has no licence, so nobody may use it; write one into config.yaml (info: lic" in error
    assert error.count("\n") == 1
    assert not sent
    assert main([*command, "--allow-unknown-licence"]) == 0
    assert len(sent) == 1


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nowhere", "maker/chairs"], "no model folder nowhere"),
        (["FOLDER", "chairs"], "chairs must be hf://owner/name"),
    ],
)
def test_bad_arguments_are_one_line(
    save: Save,
    sent: list[tuple[Any, ...]],
    args: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = str(save("MIT"))
    assert main(["push", *(arg.replace("FOLDER", folder) for arg in args)]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not sent
