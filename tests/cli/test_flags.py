"""One vocabulary: equal flags have equal help texts; former names are understood and not shown."""

import re
from collections import defaultdict

import pytest

from get3d.cli import COMMANDS, main
from get3d.cli.evaluate import EvaluateArgs
from get3d.cli.flags import rename_former
from get3d.cli.generate import GenerateArgs
from get3d.cli.mix import MixArgs
from get3d.cli.parsing import parse
from get3d.cli.perturb import PerturbArgs
from get3d.cli.render import RenderArgs

# Images for training, shapes for evaluation: one flag, as it is the same data set.
DIFFERENT = {"--data"}


def help_texts(command: str, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """The help of each flag of a command, without its default."""
    assert main([command, "--help"]) == 0
    texts: dict[str, str] = {}
    flag = ""
    for line in capsys.readouterr().out.splitlines():
        row = line[2:].rstrip(" │|")  # without the frame
        if match := re.match(r"(--[a-z][a-z-]*)(?: \S+)*?(?:  +(.*))?$", row):
            flag = match[1]
            texts[flag] = match[2] or ""
        elif row.startswith("  ") and flag:
            texts[flag] += f" {row.strip()}"
        else:
            flag = ""
    defaults = re.compile(r"\((default|required).*")
    return {name: defaults.sub("", text).strip() for name, text in texts.items()}


@pytest.fixture
def vocabulary(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> dict[str, dict[str, str]]:
    """Help texts by flag and command."""
    monkeypatch.setenv("COLUMNS", "160")
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for command in COMMANDS:
        for flag, text in help_texts(command, capsys).items():
            found[flag][command] = text
    return found


def test_equal_flags_have_equal_help_texts(vocabulary: dict[str, dict[str, str]]) -> None:
    different = {
        flag: texts
        for flag, texts in vocabulary.items()
        if len(set(texts.values())) > 1 and flag not in DIFFERENT
    }
    assert not different
    assert vocabulary.keys() >= DIFFERENT
    assert all(text for texts in vocabulary.values() for text in texts.values())


def test_commands_that_make_shapes_share_their_words(
    vocabulary: dict[str, dict[str, str]],
) -> None:
    commands = {flag: set(texts) for flag, texts in vocabulary.items()}
    named = {"generate", "interpolate", "perturb", "mix", "sweep", "turntable"}
    assert commands["--seeds"] == named
    assert commands["--texture"] == {"generate", "interpolate", "perturb", "swap", "turntable"}
    assert commands["--num"] == {"shapes", "generate", "perturb", "evaluate"}
    assert commands["--geometry"] == {"swap"}
    assert commands["--size"] == named - {"turntable"} | {"swap"}
    assert "render" in commands["--image-size"]
    assert not commands.keys() & {"--texture-seeds", "--rows", "--num-shapes"}


def test_former_names_are_understood() -> None:
    mixed = parse(MixArgs, "mix", ["--rows", "7.3", "8", "--columns=1", "--out", "o"])
    assert (mixed.rows, mixed.columns) == (("7.3", "8"), ("1",))
    variants = parse(PerturbArgs, "perturb", ["--seed=7", "--texture_seed", "9", "--out", "o"])
    assert (variants.seed, variants.texture_seed) == ("7", "9")
    made = parse(
        GenerateArgs,
        "generate",
        ["--seeds", "7", "--texture-seeds", "8", "--seed", "3", "--out", "o"],
    )
    assert (made.seeds, made.texture, made.seed) == (("7",), ("8",), 3)
    rendered = parse(RenderArgs, "render", ["x.obj", "--size", "64", "--out", "o"])
    assert rendered.config.size == 64
    for name in ("--num", "--num-shapes"):
        scored = parse(EvaluateArgs, "evaluate", [name, "9", "--out", "o"])
        assert scored.config.num_shapes == 9


def test_only_whole_flags_are_renamed() -> None:
    args = ["--rows-more", "1", "rows", "-rows", "--seed", "--columns=--rows"]
    assert rename_former("mix", args) == args
    assert rename_former("train", ["--rows"]) == ["--rows"]
