"""Between lists of different lengths laid end to end and one table with a row for each."""

import torch
from jaxtyping import Int, Shaped
from torch import Tensor


def row_slots(row: Int[Tensor, " n"], num_rows: int) -> tuple[Int[Tensor, " n"], int]:
    """Place packed items in a table that is as wide as its longest row.

    Args:
        row: Which row each item belongs to, ascending.
        num_rows: How many rows there are.

    Returns:
        The place of each item in the flattened table, and the table's width.
    """
    # Not `bincount`, which makes a GPU's host wait.
    counts = torch.zeros(num_rows, dtype=torch.int64, device=row.device)
    counts.index_add_(0, row, torch.ones_like(row))
    width = int(counts.max())
    starts = counts.cumsum(0) - counts
    shift = torch.arange(num_rows, device=row.device) * width - starts
    return torch.arange(len(row), device=row.device) + shift[row], width


def to_rows(
    items: Shaped[Tensor, "n *c"], slots: Int[Tensor, " n"], *, num_rows: int, width: int
) -> Shaped[Tensor, "rows width *c"]:
    """Lay packed items out in rows, padded with zeros."""
    table = items.new_zeros(num_rows * width, *items.shape[1:])
    return table.index_put((slots,), items).unflatten(0, (num_rows, width))
