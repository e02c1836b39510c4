"""From a command line to a command's dataclass."""

import contextlib
import io
import re
import sys
from collections.abc import Sequence
from typing import TypeVar

import tyro

T = TypeVar("T")


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
    """
    plain = re.sub(r"\x1b\[[0-9;]*m", "", box)
    lines = [line.strip("│ ") for line in plain.splitlines() if not line.startswith(("╭", "╰"))]
    text = " ".join(line for line in lines if line.strip("─ "))
    text = re.sub(r"Error parsing [\w.]+: ", "", text)  # dataclasses, which mean nothing to users
    return re.sub(r"\.? ?For full helptext, (run|see):? ", "; see ", " ".join(text.split()))
