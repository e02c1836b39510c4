"""Parsing of a command line into a command's dataclass."""

import contextlib
import io
import itertools
import os
import re
import sys
import textwrap
from collections.abc import Sequence
from typing import TypeVar

import tyro

from get3d.cli.flags import rename_former

T = TypeVar("T")

# Top of tyro's frame with a heading, rules, and the bottom: box-drawing characters or, in an ASCII
# terminal, dashes below the heading.
_RULE = re.compile(r"\W*([A-Z][a-z ]+ )?[-─]{5,}\W*$|[╭╰]")
_HEADING = re.compile(r"\A\s*[A-Z][a-z ]+\n(?=\s*-{5,})")

# Patterns of tyro's messages, and plainer ones.
_PLAINER = (
    (
        r"(--[\w.-]+): .*invalid literal for int\(\) .*: ('.*')",
        r"\1 must be a whole number, got \2",
    ),
    (r"(--[\w.-]+): .*could not convert string to float: ('.*')", r"\1 must be a number, got \2"),
    (r"(--[\w.-]+): Could not find valid parse .*: \[(.*)\]", r"\1 takes other values, got \2"),
    (r"Error parsing (?:[\w.]+: )?", ""),  # the names of dataclasses mean nothing to users
    (r"Missing value for argument '(--[\w.-]+)'\. Expected 1 values\.?", r"\1 needs a value"),
)


def parse(command: type[T], name: str, args: Sequence[str]) -> T:
    """Parse a command line.

    Args:
        command: Dataclass of the command; its docstring and those of its fields are the help.
        name: Name of the sub-command.
        args: Command line after the sub-command; former names of flags are understood.

    Raises:
        SystemExit: With code 2 if the command line is wrong, after one line that says why; with
            code 0 after `--help`.
    """
    args = rename_former(name, args)
    markers = (tyro.conf.PositionalMetavarFromFieldName, tyro.conf.FlagCreatePairsOff)
    box = io.StringIO()
    width = os.environ.get("COLUMNS")
    if not {"-h", "--help"} & set(args):
        os.environ["COLUMNS"] = "10000"  # so that no line of a message is broken
    try:
        with contextlib.redirect_stderr(box):
            return tyro.cli(command, prog=f"get3d {name}", args=args, config=markers)
    except SystemExit as request:
        if request.code:
            message = read_frame(box.getvalue())
            print(f"get3d {name}: {message}; see get3d {name} --help", file=sys.stderr)
        raise
    finally:
        os.environ.pop("COLUMNS", None)
        if width is not None:
            os.environ["COLUMNS"] = width


def read_frame(box: str) -> str:
    r"""Extract the message from the frame that tyro draws around it.

    Tyro has no public way to get the message itself. Lines that belong to another one are indented
    below it: names of options by four columns, their help by eight.

    Example:
        >>> read_frame("╭─ Value error ─╮\n│ no such   │\n│ flag      │\n╰───────────╯")
        'no such flag'
        >>> read_frame("Error parsing --seed: invalid literal for int() with base 10: 'x'")
        "--seed must be a whole number, got 'x'"
    """
    plain = _HEADING.sub("", re.sub(r"\x1b\[[0-9;]*m", "", box))
    rows = [re.sub(r"^[│|]|\s*[│|]?\s*$", "", row) for row in plain.splitlines()]
    said = []
    for is_rule, group in itertools.groupby(rows, lambda row: bool(_RULE.match(row))):
        lines = textwrap.dedent("\n".join(group)).splitlines()
        text = " ".join(line for line in lines if not line.startswith(" "))
        below = [line.strip() for line in lines if re.match(r" {4}\S", line)]
        names = [line.split()[0] for line in below]
        if text.startswith("Missing from"):
            said.append(f"{' and '.join(names)} must be given")
        elif text.startswith(("Perhaps you meant", "Arguments similar to")):
            said.append(f"perhaps you meant {', '.join(dict.fromkeys(names[:3]))}")
        elif not is_rule and not text.startswith(("Argument helptext", "For full helptext")):
            said.append(" ".join([text, *below]))
    message = "; ".join(filter(None, said))
    for pattern, plainer in _PLAINER:
        message = re.sub(pattern, plainer, message)
    return message.strip(" .")
