"""From a command line to a command's dataclass."""

import contextlib
import io
import re
import sys
from collections.abc import Sequence
from typing import TypeVar

import tyro

T = TypeVar("T")

# Its upper side, with a heading, rules, and its lower side; drawn in lines or, in a poor terminal,
# in dashes.
_FRAME = re.compile(r"\W*([A-Z][a-z ]+ )?[-─]{5,}\W*$|[╭╰]")

# What the parser says, and how a person would.
_PLAINER = (
    (r"\.? ?For full helptext, (run|see):? ", "; see "),
    (r" Argument helptext: .*(?=; see )", ""),
    (
        r"Error parsing (--[\w.-]+): .*invalid literal for int\(\) .*: ('.*')",
        r"\1 must be a whole number, got \2",
    ),
    (
        r"Error parsing (--[\w.-]+): .*could not convert string to float: ('.*')",
        r"\1 must be a number, got \2",
    ),
    (r"Error parsing [\w.]+: ", ""),  # dataclasses, which mean nothing to users
    (r"Missing value for argument '(--[\w.-]+)'\. Expected 1 values\.?", r"\1 needs a value"),
)


def parse(command: type[T], name: str, args: Sequence[str]) -> T:
    """Parse a command line; wrong ones, after one line that says why, and `--help` exit.

    Args:
        command: Dataclass of the command; its docstring and its fields' are the help.
        name: Of the sub-command.
        args: Command line behind the sub-command.

    Returns:
        The options.

    Raises:
        SystemExit: With code 2 if the command line is wrong, 0 after the help.
    """
    markers = (tyro.conf.PositionalMetavarFromFieldName, tyro.conf.FlagCreatePairsOff)
    box = io.StringIO()
    try:
        with contextlib.redirect_stderr(box):
            return tyro.cli(command, prog=f"get3d {name}", args=args, config=markers)
    except SystemExit as request:
        if request.code:
            print(f"get3d {name}: {one_line(box.getvalue())}", file=sys.stderr)
        raise


def one_line(box: str) -> str:
    r"""Read the message out of the frame that tyro draws around it.

    Example:
        >>> one_line("╭─ Value error ─╮\n│ no such   │\n│ flag      │\n╰───────────╯")
        'no such flag'
        >>> one_line("Error parsing --seed: invalid literal for int() with base 10: 'x'")
        "--seed must be a whole number, got 'x'"
    """
    plain = re.sub(r"\x1b\[[0-9;]*m", "", box)
    lines = [line.strip("│| ") for line in plain.splitlines() if not _FRAME.match(line)]
    text = " ".join(" ".join(lines).split())
    for pattern, said in _PLAINER:
        text = re.sub(pattern, said, text)
    before, mark, meant = text.partition(" Perhaps you meant: ")
    if mark:  # the names will do; what they mean is in the help
        end = meant.partition("; see ")[2]
        names = ", ".join(dict.fromkeys(re.findall(r"--[\w.-]+(?= [A-Z{])", meant)[:3]))
        text = f"{before}; perhaps you meant {names}; see {end}"
    return text
