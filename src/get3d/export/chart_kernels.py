"""The loops behind `charts.py`, compiled on first use; each takes time in step with the faces."""

from typing import no_type_check

import numpy as np

from get3d.core import compiled


@compiled
@no_type_check
def grow_charts(neighbours, normals, smooth, areas, chart_of, num_charts, cosines):
    """Grow charts from free faces over their neighbours, breadth first.

    Args:
        neighbours: [faces, 3] face across each edge, -1 for none.
        normals: [faces, 3] unit normals.
        smooth: [faces, 3] unit normals of the surroundings.
        areas: [faces].
        chart_of: [faces] chart of each face, -1: free, -2: left out; changed in place.
        num_charts: Charts there are.
        cosines: Least cosine to the axis of a face's normal, of its surroundings', and of its
            normal when the chart has grown.

    Returns:
        [new charts, 3] the direction that each new chart is looked at from.
    """
    first_chart = num_charts
    axes = np.zeros(((chart_of == -1).sum(), 3))
    order = np.empty(len(chart_of), np.int64)  # the faces of the chart that grows
    for seed in range(len(chart_of)):
        if chart_of[seed] != -1:
            continue
        axis = smooth[seed].copy()
        if (axis * normals[seed]).sum() < cosines[0]:
            axis = normals[seed].copy()
        total = axis * areas[seed]
        order[0], chart_of[seed] = seed, num_charts
        length, done = 1, 0
        while done < length:
            face = order[done]
            done += 1
            for side in range(3):
                other = neighbours[face, side]
                if other < 0 or chart_of[other] != -1:
                    continue
                if (normals[other] * axis).sum() < cosines[0]:
                    continue
                if (smooth[other] * axis).sum() < cosines[1]:
                    continue
                order[length], chart_of[other] = other, num_charts
                length += 1
                for c in range(3):
                    total[c] += smooth[other, c] * areas[other]
                size = np.sqrt((total * total).sum())
                if size > 0:
                    axis = total / size
        # The axis has moved since the first faces came: those now seen too flat go free again.
        for i in range(length):
            if (normals[order[i]] * axis).sum() < cosines[2]:
                chart_of[order[i]] = -1
        if chart_of[seed] == -1:  # it would not be passed again: a chart of its own
            axis = normals[seed].copy()
            for i in range(length):
                chart_of[order[i]] = -1
            chart_of[seed] = num_charts
        axes[num_charts - first_chart] = axis
        num_charts += 1
    return axes[: num_charts - first_chart]


@compiled
@no_type_check
def connected_charts(chart_of, neighbours):
    """Number charts anew by their first faces, so that each is connected over edges.

    Args:
        chart_of: [faces] chart of each face, negative for none.
        neighbours: As for `grow_charts`.

    Returns:
        [faces] the new numbers, -1 for none.
    """
    numbers = np.full(len(chart_of), -1)
    order = np.empty(len(chart_of), np.int64)
    num_charts = 0
    for seed in range(len(chart_of)):
        if chart_of[seed] < 0 or numbers[seed] >= 0:
            continue
        order[0], numbers[seed] = seed, num_charts
        length, done = 1, 0
        while done < length:
            face = order[done]
            done += 1
            for side in range(3):
                other = neighbours[face, side]
                if other >= 0 and numbers[other] < 0 and chart_of[other] == chart_of[seed]:
                    order[length], numbers[other] = other, num_charts
                    length += 1
        num_charts += 1
    return numbers


@compiled
@no_type_check
def free_overlaps(corners, order, starts, chart_of, cell, max_cells, max_rows):
    """Set faces free that lie over earlier ones of the same chart.

    Args:
        corners: [faces, 3, 2] flat positions; those of a chart wind counter-clockwise.
        order: Faces, chart by chart.
        starts: [charts + 1] where each chart's faces start in `order`.
        chart_of: Changed in place.
        cell: Side of the cells whose centres are looked at, in units of the corners.
        max_cells: Charts with more cells are looked at in larger ones.
        max_rows: And so are charts with a face over more rows of cells.

    Returns:
        How many faces were set free.
    """
    num_freed = 0
    taken = np.zeros(1, np.bool_)
    for chart in range(len(starts) - 1):
        low_x, low_y, high_x, high_y, tallest = np.inf, np.inf, -np.inf, -np.inf, 0.0
        for i in range(starts[chart], starts[chart + 1]):
            least, most = np.inf, -np.inf
            for c in range(3):
                x, y = corners[order[i], c]
                low_x, high_x = min(low_x, x), max(high_x, x)
                least, most = min(least, y), max(most, y)
            low_y, high_y, tallest = (
                min(low_y, least),
                max(high_y, most),
                max(tallest, most - least),
            )
        if starts[chart + 1] - starts[chart] < 2:
            continue
        size_x, size_y = high_x - low_x, high_y - low_y
        side = max(cell, np.sqrt(size_x * size_y / max_cells))
        side = max(side, size_x / max_cells, size_y / max_cells, tallest / max_rows)
        width, height = int(size_x / side) + 1, int(size_y / side) + 1
        if width * height > len(taken):
            taken = np.zeros(width * height, np.bool_)
        taken[: width * height] = False
        for i in range(starts[chart], starts[chart + 1]):
            face = order[i]
            ax, ay = (corners[face, 0, 0] - low_x) / side, (corners[face, 0, 1] - low_y) / side
            bx, by = (corners[face, 1, 0] - low_x) / side, (corners[face, 1, 1] - low_y) / side
            cx, cy = (corners[face, 2, 0] - low_x) / side, (corners[face, 2, 1] - low_y) / side
            top = max(0, int(np.ceil(min(ay, by, cy) - 0.5)))
            bottom = min(height - 1, int(np.floor(max(ay, by, cy) - 0.5)))
            # Edges belong to no face here: rounding must not make neighbours overlap.
            margin = 1e-6 * ((bx - ax) * (cy - ay) - (by - ay) * (cx - ax)) + 1e-9
            overlaps = False
            for row in range(top, bottom + 1):
                left, right = covered_columns(ax, ay, bx, by, cx, cy, margin, row + 0.5, width)
                for column in range(left, right + 1):
                    overlaps |= taken[row * width + column]
                if overlaps:
                    break
            if overlaps:
                chart_of[face] = -1
                num_freed += 1
                continue
            for row in range(top, bottom + 1):
                left, right = covered_columns(ax, ay, bx, by, cx, cy, margin, row + 0.5, width)
                for column in range(left, right + 1):
                    taken[row * width + column] = True
    return num_freed


@compiled
@no_type_check
def covered_columns(ax, ay, bx, by, cx, cy, margin, y, width):
    """Find the first and last of a row's cells whose centres lie in a triangle."""
    low, high = 0.0, float(width)
    for sx, sy, ex, ey in ((ax, ay, bx, by), (bx, by, cx, cy), (cx, cy, ax, ay)):
        # To the left of each edge: (ex - sx) (y - sy) - (ey - sy) (x - sx) > margin.
        inside = (ex - sx) * (y - sy) - margin
        if ey == sy:
            if inside <= 0:
                return 0, -1
        elif ey > sy:
            high = min(high, sx + inside / (ey - sy))
        else:
            low = max(low, sx + inside / (ey - sy))
    return max(0, int(np.ceil(low - 0.5))), min(width - 1, int(np.floor(high - 0.5)))
