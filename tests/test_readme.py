"""What the documentation tells people to type exists."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

import get3d
from get3d.cli import COMMANDS, main
from tests.interop.released_files import write_checkpoint

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = re.compile(r"```(?:bash|sh)\n(.*?)```", re.DOTALL)
LINKS = re.compile(r"\]\(([^)#]+)\)")


def _commands() -> list[str]:
    lines = [
        line.split("  #")[0].strip()
        for page in PAGES
        for block in BLOCKS.findall(page.read_text(encoding="utf-8"))
        for line in block.splitlines()
    ]
    return [line for line in lines if line.startswith("get3d ")]


@pytest.mark.parametrize("command", _commands())
def test_commands_and_their_flags_exist(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    _, name, *rest = shlex.split(command)
    assert name in COMMANDS
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    missing = [flag for flag in rest if flag.startswith("--") and flag not in text]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = [link for link in LINKS.findall(page.read_text(encoding="utf-8")) if ":" not in link]
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert not missing


def test_the_readme_starts_with_the_two_commands() -> None:
    first = BLOCKS.findall((ROOT / "README.md").read_text(encoding="utf-8"))[0]
    assert [line.split("  ")[0] for line in first.strip().splitlines()] == [
        "python3 start.py demo",
        "python3 start.py test",
    ]


def _python(page: str) -> str:
    """All Python of a page, in its order."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))


@pytest.mark.slow
def test_the_python_of_the_latent_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = _python("latent.md").replace("256", "32").replace("textured(1024)", "textured(512)")
    exec(compile(code, "docs/latent.md", "exec"), {})
    files = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {
        "variant.glb",
        *(f"near_{i}.glb" for i in range(7)),
        "contact_sheet.png",
        "walk.gif",
        "generation.json",
    }


def test_the_python_of_the_models_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_checkpoint(tmp_path / "shapenet_chair.pt", "unified_small")
    names: dict[str, Any] = {"get3d": get3d}
    exec(compile(_python("models.md"), "docs/models.md", "exec"), names)
    assert names["model"].generator.config.scale == 0.8
