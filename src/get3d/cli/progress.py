"""Progress bar on the standard error stream, so that standard output has the results alone."""

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
    """Make a progress bar; it is hidden where standard error is not a terminal.

    Args:
        unit: What is counted, in the plural.

    Returns:
        A context manager that clears the bar at the end; descriptions of its tasks are shown last.
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
