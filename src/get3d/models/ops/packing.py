"""Conversion of packed lists of different lengths to a table with one padded row per list."""

import torch
from jaxtyping import Int, Shaped
from torch import Tensor


def row_slots(row: Int[Tensor, " n"], num_rows: int) -> tuple[Int[Tensor, " n"], int]:
    """Compute the positions of packed items in a table that is as wide as its longest row.

    Args:
        row: Index of the row that each item belongs to, ascending.
        num_rows: Number of rows.

    Returns:
        The index of each item in the flattened table, and the table's width.
    """
    # Not `bincount`, which synchronizes with the GPU.
    counts = torch.zeros(num_rows, dtype=torch.int64, device=row.device)
    counts.index_add_(0, row, torch.ones_like(row))
    width = int(counts.max())
    starts = counts.cumsum(0) - counts
    shift = torch.arange(num_rows, device=row.device) * width - starts
    return torch.arange(len(row), device=row.device) + shift[row], width


def to_rows(
    items: Shaped[Tensor, "n *c"], slots: Int[Tensor, " n"], *, num_rows: int, width: int
) -> Shaped[Tensor, "rows width *c"]:
    """Scatter packed items to rows, padded with zeros.

    Args:
        items: Packed items.
        slots: Index of each item in the flattened table, from `row_slots`.
        num_rows: Number of rows.
        width: Width of the table.
    """
    table = items.new_zeros(num_rows * width, *items.shape[1:])
    return table.index_put((slots,), items).unflatten(0, (num_rows, width))
