"""Compiled loops behind `charts.py` that cut loose charts and attach the faces of tiny ones."""

from typing import no_type_check

import numpy as np

from get3d.core import compiled
from get3d.export.chart_kernels import covered_columns

_LOOSE = 0.5  # charts that fill less of their boxes are halved
_MARGIN_CELLS = 32
_MOST_SCALE = 1.5  # of a length
# Heights of a face over the common edge that are tried, after the place of its third vertex.
_SQUEEZES = (0.0, 1.0, 0.55, 0.3)


@compiled
@no_type_check
def cut_loose(corners, starts, is_second, least_waste, gain, bins):
    """Cut charts that leave much of their box empty in two, where the two boxes are smallest.

    Each chart is cut at one of some lines across its box, each face as a whole by its centroid,
    like a node of a bounding volume hierarchy.

    Args:
        corners: [faces, 3, 2] flat positions from zero on, chart by chart.
        starts: [charts + 1] where each chart's faces start.
        is_second: [faces] set where a face belongs to the second part of its chart.
        least_waste: Least empty area of the boxes of charts that are cut.
        gain: Least fraction of the box's area that a cut saves.
        bins: Lines along each axis, plus one.

    Returns:
        How many charts are cut.
    """
    num_cut = 0
    low, high = np.empty((bins, 2)), np.empty((bins, 2))
    before = np.empty(bins)
    size = np.empty(2)
    for chart in range(len(starts) - 1):
        first, last = starts[chart], starts[chart + 1]
        size[:] = 0.0
        area = 0.0
        for face in range(first, last):
            ax, ay = corners[face, 1] - corners[face, 0]
            bx, by = corners[face, 2] - corners[face, 0]
            area += abs(ax * by - ay * bx) / 2
            for c in range(3):
                for d in range(2):
                    size[d] = max(size[d], corners[face, c, d])
        box = size[0] * size[1]
        if box - area < least_waste or box <= 0:
            continue
        least, axis, line = box * (1 - gain), -1, 0.0
        for d in range(2):
            low[:], high[:] = np.inf, -np.inf
            for face in range(first, last):
                along = corners[face, :, d].sum() / 3
                place = min(bins - 1, int(along / size[d] * bins))
                for c in range(3):
                    for e in range(2):
                        low[place, e] = min(low[place, e], corners[face, c, e])
                        high[place, e] = max(high[place, e], corners[face, c, e])
            for i in range(bins):
                if i > 0:
                    for e in range(2):
                        low[i, e] = min(low[i, e], low[i - 1, e])
                        high[i, e] = max(high[i, e], high[i - 1, e])
                before[i] = (high[i, 0] - low[i, 0]) * (high[i, 1] - low[i, 1])
            low[:], high[:] = np.inf, -np.inf
            for face in range(first, last):
                along = corners[face, :, d].sum() / 3
                place = min(bins - 1, int(along / size[d] * bins))
                for c in range(3):
                    for e in range(2):
                        low[place, e] = min(low[place, e], corners[face, c, e])
                        high[place, e] = max(high[place, e], corners[face, c, e])
            for i in range(bins - 1, 0, -1):
                if i < bins - 1:
                    for e in range(2):
                        low[i, e] = min(low[i, e], low[i + 1, e])
                        high[i, e] = max(high[i, e], high[i + 1, e])
                after = (high[i, 0] - low[i, 0]) * (high[i, 1] - low[i, 1])
                if before[i - 1] + after < least:  # infinite where a part is empty
                    least, axis, line = before[i - 1] + after, d, i * size[d] / bins
        if axis < 0 and area < _LOOSE * box:  # such as a ring, whose halves save nothing yet
            axis = 0 if size[0] > size[1] else 1
            line = size[axis] / 2
        if axis < 0:
            continue
        num_cut += 1
        for face in range(first, last):
            is_second[face] = corners[face, :, axis].sum() / 3 >= line
    return num_cut


@compiled
@no_type_check
def attach_scraps(
    verts, faces, neighbours, corners, chart_of, ranked, sizes, scrap, cell, max_cells, shrink
):
    """Attach faces of tiny charts to neighbouring charts, unfolded about the common edge.

    A face keeps its chart if it would cover another face there or be stretched too much.

    Args:
        verts: [verts, 3] positions.
        faces: [faces, 3] indices.
        neighbours: [faces, 3] face across each edge, -1 for none.
        corners: [faces, 3, 2] flat positions; changed in place.
        chart_of: [faces] chart of each face or -1; changed in place.
        ranked: Charts, those first that faces are attached to first.
        sizes: [charts] faces in each; changed in place.
        scrap: Charts of no more faces than this are tiny.
        cell: Side of the cells whose centres are compared for overlaps.
        max_cells: Charts with more cells are compared in larger ones.
        shrink: Least factor that a length or an area may have.

    Returns:
        How many faces are attached.
    """
    num_attached = 0
    rank = np.empty(len(ranked), np.int64)
    rank[ranked] = np.arange(len(ranked))
    chart_at = np.full(len(verts), -1)  # of each vertex, and its flat position there
    place = np.zeros((len(verts), 2))
    queue = np.empty((3 * len(faces), 2), np.int64)
    order = np.argsort(chart_of, kind="mergesort")
    starts = np.searchsorted(chart_of[order], np.arange(len(ranked) + 1))
    moved = np.empty(len(faces), np.int64)
    taken = np.zeros(1, np.bool_)
    triangle = np.empty((3, 2))
    for chart in ranked:
        waiting, done, num_moved = 0, 0, 0
        for i in range(starts[chart], starts[chart + 1]):
            face = order[i]
            if chart_of[face] != chart:
                continue
            for side in range(3):
                other = neighbours[face, side]
                if other >= 0 and may_move(other, chart, neighbours, chart_of, rank, sizes, scrap):
                    queue[waiting, 0], queue[waiting, 1] = face, side
                    waiting += 1
        if waiting == 0:
            continue
        low_x, low_y, high_x, high_y = np.inf, np.inf, -np.inf, -np.inf
        for i in range(starts[chart], starts[chart + 1]):
            face = order[i]
            if chart_of[face] != chart:
                continue
            for c in range(3):
                x, y = corners[face, c]
                low_x, high_x = min(low_x, x), max(high_x, x)
                low_y, high_y = min(low_y, y), max(high_y, y)
                chart_at[faces[face, c]] = chart
                place[faces[face, c], 0], place[faces[face, c], 1] = x, y
        size_x, size_y = high_x - low_x, high_y - low_y
        side_length = max(cell, np.sqrt(size_x * size_y / max_cells))
        side_length = max(side_length, size_x / max_cells, size_y / max_cells)
        low_x, low_y = low_x - _MARGIN_CELLS * side_length, low_y - _MARGIN_CELLS * side_length
        width = int(size_x / side_length) + 2 * _MARGIN_CELLS + 1
        height = int(size_y / side_length) + 2 * _MARGIN_CELLS + 1
        if width * height > len(taken):
            taken = np.zeros(width * height, np.bool_)
        taken[: width * height] = False
        for i in range(starts[chart], starts[chart + 1]):
            face = order[i]
            if chart_of[face] == chart:
                for c in range(3):
                    triangle[c, 0] = (corners[face, c, 0] - low_x) / side_length
                    triangle[c, 1] = (corners[face, c, 1] - low_y) / side_length
                covers(triangle, taken, width, height, True)
        while done < waiting:
            face, side = queue[done]
            done += 1
            other = neighbours[face, side]
            if not may_move(other, chart, neighbours, chart_of, rank, sizes, scrap):
                continue
            start, end = faces[face, side], faces[face, (side + 1) % 3]
            corner = -1
            for c in range(3):
                if faces[other, c] == end and faces[other, (c + 1) % 3] == start:
                    corner = c
            if corner < 0:
                continue
            tip = faces[other, (corner + 2) % 3]
            edge = verts[end] - verts[start]
            length = np.sqrt((edge * edge).sum())
            along = ((verts[tip] - verts[start]) * edge).sum() / length**2
            away = verts[tip] - verts[start] - along * edge
            height_3d = np.sqrt((away * away).sum())
            flat = corners[face, (side + 1) % 3] - corners[face, side]
            flat_length = np.sqrt((flat * flat).sum())
            if not (height_3d > 0 and flat_length > 0):
                continue
            foot_x = corners[face, side, 0] + along * flat[0]
            foot_y = corners[face, side, 1] + along * flat[1]
            fits = False
            is_joined = chart_at[tip] == chart
            for squeeze in _SQUEEZES:  # the face is to the right of the edge
                if squeeze == 0:  # to a vertex that the chart has
                    if not is_joined:
                        continue
                    tip_x, tip_y = place[tip]
                else:
                    tip_x = foot_x + flat[1] / flat_length * height_3d * squeeze
                    tip_y = foot_y - flat[0] / flat_length * height_3d * squeeze
                # The map from the face to the plane: its columns, and its singular values.
                ax, ay = flat[0] / length, flat[1] / length
                bx, by = (tip_x - foot_x) / height_3d, (tip_y - foot_y) / height_3d
                factor = ay * bx - ax * by
                half = (ax * ax + ay * ay + bx * bx + by * by) / 2
                largest = np.sqrt(half + np.sqrt(max(0.0, half * half - factor * factor)))
                if factor < shrink * max(1.0, largest) or largest > _MOST_SCALE:
                    continue
                for d in range(2):
                    low = low_x if d == 0 else low_y
                    triangle[0, d] = (corners[face, (side + 1) % 3, d] - low) / side_length
                    triangle[1, d] = (corners[face, side, d] - low) / side_length
                    triangle[2, d] = ((tip_x if d == 0 else tip_y) - low) / side_length
                if triangle.min() < 0 or triangle[2, 0] > width or triangle[2, 1] > height:
                    continue
                fits = not covers(triangle, taken, width, height, False)
                if fits:
                    break
            if not fits:
                continue
            covers(triangle, taken, width, height, True)
            corners[other, corner] = corners[face, (side + 1) % 3]
            corners[other, (corner + 1) % 3] = corners[face, side]
            corners[other, (corner + 2) % 3, 0] = tip_x
            corners[other, (corner + 2) % 3, 1] = tip_y
            if not is_joined:
                chart_at[tip] = chart
                place[tip, 0], place[tip, 1] = tip_x, tip_y
            sizes[chart_of[other]] -= 1
            moved[num_moved] = other
            num_moved += 1
            # Its size grows when all are attached: a tiny chart takes from smaller ones only.
            chart_of[other] = chart
            for side in range(3):
                beside = neighbours[other, side]
                if beside < 0 or waiting == len(queue):
                    continue
                if may_move(beside, chart, neighbours, chart_of, rank, sizes, scrap):
                    queue[waiting, 0], queue[waiting, 1] = other, side
                    waiting += 1
        sizes[chart] += num_moved
        num_attached += num_moved
    return num_attached


@compiled
@no_type_check
def may_move(face, target, neighbours, chart_of, rank, sizes, scrap):
    """Say whether a face is of a tiny chart, or has two edges with the target: a tooth."""
    chart = chart_of[face]
    if chart < 0 or chart == target:
        return False
    if sizes[chart] <= scrap and rank[chart] > rank[target]:
        return True
    common = 0
    for side in range(3):
        other = neighbours[face, side]
        common += other >= 0 and chart_of[other] == target
    return common >= 2


@compiled
@no_type_check
def covers(triangle, taken, width, height, takes):
    """Say whether a triangle covers the centre of a taken cell, or take the cells it covers.

    Args:
        triangle: [3, 2] corners in cells, counter-clockwise.
        taken: [cells] row by row.
        width: Columns.
        height: Rows.
        takes: Take the cells.
    """
    (ax, ay), (bx, by), (cx, cy) = triangle[0], triangle[1], triangle[2]
    # Edges belong to no face here: rounding must not make neighbours overlap.
    margin = 1e-6 * ((bx - ax) * (cy - ay) - (by - ay) * (cx - ax)) + 1e-9
    top = max(0, int(np.ceil(min(ay, by, cy) - 0.5)))
    bottom = min(height - 1, int(np.floor(max(ay, by, cy) - 0.5)))
    for row in range(top, bottom + 1):
        left, right = covered_columns(ax, ay, bx, by, cx, cy, margin, row + 0.5, width)
        for column in range(left, right + 1):
            if takes:
                taken[row * width + column] = True
            elif taken[row * width + column]:
                return True
    return False
