"""The bar that long work shows, on the error stream: the results go to the other one."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


def progress_bar(unit: str) -> Progress:
    """Make a bar that counts something.

    Args:
        unit: What is counted, in the plural.

    Returns:
        A context manager; the text of its tasks is shown last. It leaves nothing behind, and shows
        nothing where no one watches (in a file or a pipe).
    """
    console = Console(stderr=True)
    return Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
        console=console,
        refresh_per_second=4,
        transient=True,
        disable=not console.is_terminal,
    )
