"""The loops behind `packing.py`: masks of charts, and the lowest free place of a mask."""

from typing import no_type_check

import numpy as np

from get3d.core import compiled

_WORD = 64
NUDGE = 1e-3
"""Distance of charts from the borders of their masks, so that none ends on the line of a cell."""


@compiled
@no_type_check
def turn_to_least_boxes(corners, starts, num_angles):
    """Turn each chart so that its box is small, in place, and move its lower corner to zero.

    Args:
        corners: [faces, 3, 2] flat positions, chart by chart.
        starts: [charts + 1] where each chart's faces start.
        num_angles: Angles between 0 and 90 degrees that are tried.

    Returns:
        [charts, 2] sizes of the boxes.
    """
    sizes = np.zeros((len(starts) - 1, 2))
    low, high = np.empty((num_angles, 2)), np.empty((num_angles, 2))
    cosines, sines = np.empty(num_angles), np.empty(num_angles)
    for i in range(num_angles):
        angle = i * (np.pi / 2) / num_angles
        cosines[i], sines[i] = np.cos(angle), np.sin(angle)
    for chart in range(len(starts) - 1):
        low[:], high[:] = np.inf, -np.inf
        for face in range(starts[chart], starts[chart + 1]):
            for c in range(3):
                x, y = corners[face, c, 0], corners[face, c, 1]
                for i in range(num_angles):
                    right = x * cosines[i] + y * sines[i]
                    up = y * cosines[i] - x * sines[i]
                    low[i, 0], high[i, 0] = min(low[i, 0], right), max(high[i, 0], right)
                    low[i, 1], high[i, 1] = min(low[i, 1], up), max(high[i, 1], up)
        best, least = 0, np.inf
        for i in range(num_angles):
            area = (high[i, 0] - low[i, 0]) * (high[i, 1] - low[i, 1])
            if area < least * (1 - 1e-9):
                best, least = i, area
        for axis in range(2):
            sizes[chart, axis] = high[best, axis] - low[best, axis]
        for face in range(starts[chart], starts[chart + 1]):
            for c in range(3):
                x, y = corners[face, c, 0], corners[face, c, 1]
                corners[face, c, 0] = x * cosines[best] + y * sines[best] - low[best, 0]
                corners[face, c, 1] = y * cosines[best] - x * sines[best] - low[best, 1]
    return sizes


@compiled
@no_type_check
def chart_mask(corners, first, last, scale, border, offset, height, width):
    """Mark the cells that a chart, widened by a border on all sides, touches.

    Args:
        corners: [faces, 3, 2] flat positions from zero on.
        first: First face of the chart.
        last: The face after its last one.
        scale: Cells in a unit of the corners.
        border: Width of the border, in cells.
        offset: Where the origin of the corners lies along both axes, in cells.
        height: Rows of the mask.
        width: Columns of the mask.
    """
    mask = np.zeros((height, width), np.bool_)
    xs, ys = np.empty(3), np.empty(3)
    for face in range(first, last):
        for c in range(3):
            xs[c] = corners[face, c, 0] * scale + offset
            ys[c] = corners[face, c, 1] * scale + offset
        top = max(0, int(np.floor(ys.min() - border)))
        bottom = min(height - 1, int(np.floor(ys.max() + border)))
        for row in range(top, bottom + 1):
            # The part of the triangle within the border of this row.
            low, high = row - border, row + 1 + border
            left, right = np.inf, -np.inf
            for c in range(3):
                sx, sy, ex, ey = xs[c], ys[c], xs[(c + 1) % 3], ys[(c + 1) % 3]
                if low <= sy <= high:
                    left, right = min(left, sx), max(right, sx)
                for line in (low, high):
                    if (sy < line) != (ey < line):
                        x = sx + (ex - sx) * ((line - sy) / (ey - sy))
                        left, right = min(left, x), max(right, x)
            if left <= right:
                start = max(0, int(np.floor(left - border)))
                mask[row, start : min(width - 1, int(np.floor(right + border))) + 1] = True
    return mask


@compiled
@no_type_check
def mask_runs(mask):
    """List the runs of marked cells in the rows of a mask, the longest ones first.

    Returns:
        [runs, 3] row, first column, and the column after the last one.
    """
    height, width = mask.shape
    runs = np.empty((height * (width // 2 + 1), 3), np.int64)
    count = 0
    for row in range(height):
        column = 0
        while column < width:
            if not mask[row, column]:
                column += 1
                continue
            start = column
            while column < width and mask[row, column]:
                column += 1
            runs[count, 0], runs[count, 1], runs[count, 2] = row, start, column
            count += 1
    runs = runs[:count]
    return runs[np.argsort(runs[:, 1] - runs[:, 2], kind="mergesort")]


@compiled
@no_type_check
def lowest_place(taken, runs, height, width, flips, columns, first_row, last_row):
    """Find the lowest place, and there the leftmost, at which a mask meets no taken cell.

    Args:
        taken: [levels, rows, words] bit x of level n: whether one of the 2^n cells from x on is.
        runs: Of the mask, from `mask_runs`.
        height: Rows of the mask.
        width: Columns of the mask.
        flips: Whether rows and columns of the mask are counted backwards.
        columns: Columns of the grid.
        first_row: The first row that is looked at.
        last_row: The last row that is looked at.

    Returns:
        Row and column; a row of -1 if there is no place.
    """
    places = columns - width + 1
    num_words = (places + _WORD - 1) // _WORD
    blocked = np.zeros(max(num_words, 1), np.uint64)
    ones = ~np.uint64(0)
    past = ones << np.uint64(places % _WORD) if places % _WORD else np.uint64(0)
    for row in range(first_row, last_row + 1):
        blocked[:] = 0
        blocked[num_words - 1] = past
        is_full = False
        for i in range(len(runs)):
            here, start, end = runs[i]
            if flips[0]:
                here = height - 1 - here
            if flips[1]:
                start, end = width - end, width - start
            level = 0
            while 2 << level <= end - start:
                level += 1
            line = taken[level, row + here]
            common = ones
            for shift in (start, end - (1 << level)):
                word, bit = shift // _WORD, shift % _WORD
                common = ones
                if bit == 0:
                    for k in range(num_words):
                        blocked[k] |= line[k + word]
                        common &= blocked[k]
                else:
                    up, down = np.uint64(bit), np.uint64(_WORD - bit)
                    for k in range(num_words):
                        blocked[k] |= (line[k + word] >> up) | (line[k + word + 1] << down)
                        common &= blocked[k]
            if common == ones:
                is_full = True
                break
        if is_full:
            continue
        for k in range(num_words):
            if blocked[k] != ones:
                free = 0
                while (blocked[k] >> np.uint64(free)) & np.uint64(1):
                    free += 1
                return row, k * _WORD + free
    return -1, -1


@compiled
@no_type_check
def take(taken, runs, height, width, flips, row, column):
    """Mark the cells of a mask as taken, on all levels of `lowest_place`."""
    levels, _, num_words = taken.shape
    for i in range(len(runs)):
        here, start, end = runs[i]
        if flips[0]:
            here = height - 1 - here
        if flips[1]:
            start, end = width - end, width - start
        line = taken[0, row + here]
        for x in range(column + start, column + end):
            line[x // _WORD] |= np.uint64(1) << np.uint64(x % _WORD)
    for here in range(row, row + height):
        for level in range(1, levels):
            shift = 1 << (level - 1)
            word, up = shift // _WORD, np.uint64(shift % _WORD)
            down = np.uint64(_WORD - shift % _WORD)
            for k in range(num_words):
                bits = taken[level - 1, here, k]
                if k + word < num_words:
                    shifted = taken[level - 1, here, k + word]
                    if shift % _WORD:
                        shifted >>= up
                        if k + word + 1 < num_words:
                            shifted |= taken[level - 1, here, k + word + 1] << down
                    bits |= shifted
                taken[level, here, k] = bits


@compiled
@no_type_check
def place_charts(corners, starts, sizes, order, scale, border, columns, rows):
    """Place charts one after the other, each as low as it can be, in eight orientations.

    Args:
        corners: [faces, 3, 2] flat positions, chart by chart, from zero on.
        starts: [charts + 1] where each chart's faces start.
        sizes: [charts, 2] of the charts' boxes.
        order: Charts in the order of placing.
        scale: [charts] cells in a unit of the corners.
        border: Empty border around each chart, in cells.
        columns: Columns of the grid.
        rows: Rows of the grid.

    Returns:
        [charts, 5] whether the chart's axes are swapped, the flips of (rows, columns) after that,
        its row and its column; and the rows in use, or more than `rows` if a chart has no place.
    """
    levels = 1
    while 1 << levels <= columns:
        levels += 1
    num_words = columns // _WORD + 1
    # Words beyond the grid are read, and always empty.
    taken = np.zeros((levels, rows, 2 * num_words + 2), np.uint64)
    places = np.zeros((len(starts) - 1, 5), np.int64)
    started = np.zeros((32, 32), np.int64)
    flips, best_flips = np.zeros(2, np.bool_), np.zeros(2, np.bool_)
    used = 0
    for i in range(len(order)):
        chart = order[i]
        offset = border + NUDGE
        w = int(np.floor(sizes[chart, 0] * scale[chart] + 2 * offset)) + 1
        h = int(np.floor(sizes[chart, 1] * scale[chart] + 2 * offset)) + 1
        if min(w, h) > columns or max(w, h) > rows:
            return places, rows + 1
        first, last = starts[chart], starts[chart + 1]
        mask = chart_mask(corners, first, last, scale[chart], border, offset, h, w)
        best_runs = mask_runs(mask)
        best_top, best_row, best_column, best_swap = rows + 1, -1, -1, False
        for swap in (False, True):
            runs = mask_runs(np.ascontiguousarray(mask.T)) if swap else best_runs
            height, width = (w, h) if swap else (h, w)
            if width > columns:
                continue
            for flip in range(4):
                flips[0], flips[1] = flip // 2 == 1, flip % 2 == 1
                key_h, key_w = min(height, 31), min(width, 31)
                is_small = height < 31 and width < 31
                start = started[key_h, key_w] if is_small else 0
                row, column = lowest_place(
                    taken, runs, height, width, flips, columns, start, best_top - 1 - height
                )
                if row >= 0:
                    best_top, best_row, best_column, best_swap = row + height, row, column, swap
                    best_flips[:] = flips
        if best_row < 0:
            return places, rows + 1
        runs = mask_runs(np.ascontiguousarray(mask.T)) if best_swap else best_runs
        height, width = (w, h) if best_swap else (h, w)
        if height < 31 and width < 31:
            started[height, width] = best_row
            started[width, height] = best_row
        take(taken, runs, height, width, best_flips, best_row, best_column)
        places[chart, 0] = best_swap
        places[chart, 1:3] = best_flips
        places[chart, 3], places[chart, 4] = best_row, best_column
        used = max(used, best_row + height)
    return places, used
