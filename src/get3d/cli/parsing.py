"""From a command line to a command's dataclass."""

from collections.abc import Sequence
from typing import TypeVar

import tyro

T = TypeVar("T")


def parse(command: type[T], name: str, args: Sequence[str]) -> T:
    """Parse a command line; wrong ones and `--help` end in SystemExit.

    Args:
        command: Dataclass of the command; its docstring and its fields' are the help.
        name: Of the sub-command.
        args: Command line behind the sub-command.

    Returns:
        The options.
    """
    markers = (tyro.conf.PositionalMetavarFromFieldName, tyro.conf.FlagCreatePairsOff)
    return tyro.cli(command, prog=f"get3d {name}", args=args, config=markers)
