import importlib
import io
import shlex
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import tyro
import yaml

from get3d.cli.evaluate import EvaluateArgs
from get3d.cli.render import RenderArgs
from get3d.cli.shapes import ShapesArgs
from get3d.core import to_dict
from get3d_shapes import CATEGORIES

ROOT = Path(__file__).parent.parent
PRESET = "tiny-64"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """scripts/reproduce_model.py as a module."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("reproduce_model")


@pytest.fixture
def commands(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Command lines that the script runs, which do nothing here."""
    lines: list[list[str]] = []
    monkeypatch.setattr(script, "run_get3d", lambda *args: lines.append([*map(str, args)]))
    return lines


def save_config(script: ModuleType, out: Path, flags: Sequence[str] = ()) -> None:
    configure = importlib.import_module("variants").configure
    (out / "run").mkdir(parents=True)
    text = yaml.safe_dump(to_dict(configure(PRESET, flags)))
    (out / "run" / "config.yaml").write_text(text)


def read(command: type[Any], line: list[str]) -> Any:
    """What a command makes of its command line."""
    markers = (tyro.conf.PositionalMetavarFromFieldName, tyro.conf.FlagCreatePairsOff)
    with redirect_stdout(io.StringIO()):
        return tyro.cli(command, args=line[1:], config=markers)


def test_the_stages_are_commands_that_get3d_understands(
    script: ModuleType, commands: list[list[str]], tmp_path: Path
) -> None:
    save_config(script, tmp_path)
    script.main(script.Args(out=tmp_path, evaluate_flags="--metrics cd", workers=2))
    assert [line[0] for line in commands] == ["shapes", "shapes", "render", "train", "evaluate"]
    shapes = read(ShapesArgs, commands[0])
    assert (shapes.category, shapes.num, shapes.texture_size) == ("vessel", 2400, 256)
    rendered = read(RenderArgs, commands[2])
    evaluated = read(EvaluateArgs, commands[4])
    polar_deg = (30.0, 90.0)
    assert rendered.config.distribution.polar_deg == evaluated.config.cameras.polar_deg == polar_deg
    assert rendered.config.longest_side == evaluated.config.longest_side == 0.75
    assert evaluated.config.metrics == ("cd",)
    assert (evaluated.config.light, evaluated.config.texture_size) == ("studio", 256)


@pytest.mark.parametrize(
    ("category", "mirror", "expected"),
    [
        ("vessel", None, ["--schedule.no-mirror"]),
        ("vessel", True, []),
        ("chair", None, []),
        ("chair", False, ["--schedule.no-mirror"]),
        ("vehicle", None, []),
    ],
)
def test_symmetric_categories_are_mirrored(
    script: ModuleType,
    commands: list[list[str]],
    tmp_path: Path,
    category: str,
    mirror: bool | None,
    expected: list[str],
) -> None:
    flags = "--loss.mask-weight 4"
    script.main(
        script.Args(
            out=tmp_path, category=category, mirror=mirror, train_flags=flags, only=("train",)
        )
    )
    [line] = commands
    assert line[6:] == [*expected, *shlex.split(flags)]


def test_a_model_that_was_trained_with_light_is_evaluated_without(
    script: ModuleType, commands: list[list[str]], tmp_path: Path
) -> None:
    save_config(script, tmp_path, ["--rendering.light", "data"])
    script.main(script.Args(out=tmp_path, only=("evaluate",)))
    script.main(script.Args(out=tmp_path, only=("evaluate",), evaluate_light="studio"))
    assert [read(EvaluateArgs, line).config.light for line in commands] == ["none", "studio"]


def test_every_category_of_the_scripts_exists(script: ModuleType) -> None:
    assert set(script.CATEGORIES) <= set(CATEGORIES)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "nosuch"}, "no configuration nosuch"),
        ({"train_flags": '"open'}, "--train-flags: no closing quotation"),
        ({"evaluate_flags": '"open'}, "--evaluate-flags: no closing quotation"),
        ({"only": ("evaluate",)}, r"config\.yaml: no such file; train first"),
    ],
)
def test_wrong_options_are_one_line_before_any_work(
    script: ModuleType,
    commands: list[list[str]],
    tmp_path: Path,
    options: dict[str, Any],
    message: str,
) -> None:
    args = script.Args(out=tmp_path, **options)
    with pytest.raises(SystemExit, match=rf"reproduce_model: .*{message}") as caught:
        script.run_main("reproduce_model", lambda: script.main(args))
    assert "\n" not in str(caught.value)
    assert not commands


def test_bugs_of_a_script_keep_their_traceback(script: ModuleType) -> None:
    def fail() -> None:
        raise KeyError("a bug")

    with pytest.raises(KeyError, match="a bug"):
        script.run_main("reproduce_model", fail)
