import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script in a checkout of its own, with pip replaced by a list of calls."""
    for name in ("start.py", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    spec = importlib.util.spec_from_file_location("start", tmp_path / "start.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "installed", [], raising=False)

    def check_call(command: list[str], **_options: Any) -> None:
        module.installed.append(command[-1])  # type: ignore[attr-defined]

    monkeypatch.setattr(module.subprocess, "check_call", check_call)  # type: ignore[attr-defined]
    monkeypatch.setattr(module.subprocess, "call", lambda *_args, **_options: 0)  # type: ignore[attr-defined]
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/Scripts").mkdir()
    (tmp_path / ".venv/bin/python").touch()
    (tmp_path / ".venv/Scripts/python.exe").touch()
    return module


def test_installs_once_until_the_recipe_changes(start: Any, tmp_path: Path) -> None:
    assert [start.main(["demo"]), start.main(["demo"])] == [0, 0]
    assert start.installed == ["."]
    assert [start.main(["test"]), start.main(["test"]), start.main(["demo"])] == [0, 0, 0]
    assert start.installed == [".", ".[dev]"]
    (tmp_path / "constraints.txt").write_text("")
    assert start.main(["demo"]) == 0
    assert start.installed == [".", ".[dev]", "."]


def test_a_failed_install_is_tried_again(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: Any, **_options: Any) -> None:
        raise subprocess.CalledProcessError(1, "pip")

    with monkeypatch.context() as patch:
        patch.setattr(start.subprocess, "check_call", fail)
        assert start.main(["demo"]) == 1
    assert start.main(["demo"]) == 0
    assert start.installed == ["."]


@pytest.mark.parametrize(("args", "code"), [([], 2), (["dance"], 2), (["--help"], 0)])
def test_explains_itself(args: list[str], code: int) -> None:
    command = [sys.executable, str(ROOT / "start.py"), *args]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert "start.py demo" in done.stdout
