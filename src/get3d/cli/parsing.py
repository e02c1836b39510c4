"""From a command line to a command's dataclass."""

import contextlib
import io
import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import TypeVar

import tyro

T = TypeVar("T")

# Its upper side, with a heading, rules, and its lower side; drawn in lines or, in a poor terminal,
# in dashes.
_FRAME = re.compile(r"\W*([A-Z][a-z ]+ )?[-─]{5,}\W*$|[╭╰]")
# The heading of a frame whose upper side is no more than a line of dashes (a terminal of ASCII).
_HEADING = re.compile(r"\A\s*[A-Z][a-z ]+\n\s*-{5,}")

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
    (
        r"Error parsing (--[\w.-]+): Could not find valid parse for arguments: \[(.*)\]",
        r"\1 takes other values, got \2",
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

    def read() -> T:
        with contextlib.redirect_stderr(box):
            return tyro.cli(command, prog=f"get3d {name}", args=args, config=markers)

    try:
        return read()
    except SystemExit as request:
        if request.code:
            box.seek(0)
            box.truncate()
            with _wide_terminal(), contextlib.suppress(SystemExit):
                read()  # once more, so that no line of the message is broken
            print(f"get3d {name}: {read_frame(box.getvalue())}", file=sys.stderr)
        raise


@contextlib.contextmanager
def _wide_terminal() -> Iterator[None]:
    """Have the parser write long lines."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "10000"
    try:
        yield
    finally:
        del os.environ["COLUMNS"]
        if before is not None:
            os.environ["COLUMNS"] = before


def read_frame(box: str) -> str:
    r"""Read the message out of the frame that tyro draws around it.

    Example:
        >>> read_frame("╭─ Value error ─╮\n│ no such   │\n│ flag      │\n╰───────────╯")
        'no such flag'
        >>> read_frame("Error parsing --seed: invalid literal for int() with base 10: 'x'")
        "--seed must be a whole number, got 'x'"
    """
    plain = _HEADING.sub("", re.sub(r"\x1b\[[0-9;]*m", "", box))
    lines = [line.strip("│| ") for line in plain.splitlines() if not _FRAME.match(line)]
    text = " ".join(" ".join(lines).split())
    for pattern, said in _PLAINER:
        text = re.sub(pattern, said, text)
    missing = re.search(r"Missing from get3d [\w-]+: (.*?)(?= Unrecognized options|; see )", text)
    if missing and (names := re.findall(r"--[\w.-]+(?= [A-Z{])", missing[1])):
        text = f"{' and '.join(names)} must be given;" + text[missing.end() :].removeprefix(";")
    before, mark, meant = text.partition(" Perhaps you meant: ")
    if mark:  # the names will do; what they mean is in the help
        end = meant.partition("; see ")[2]
        near = ", ".join(dict.fromkeys(re.findall(r"--[\w.-]+(?= [A-Z{])", meant)[:3]))
        text = f"{before}; perhaps you meant {near}; see {end}"
    return text
