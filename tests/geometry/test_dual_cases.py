"""The tables of dual marching cubes, against counts derived from geometry."""

import numpy as np
import pytest

from get3d.geometry.dual_cases import (
    AMBIGUOUS_FACE,
    CUBE_EDGES,
    CUBES_AROUND,
    EDGE_ORDER,
    EDGE_VERT,
    EDGES_AROUND,
    LAST_EDGES,
    NUM_VERTS,
)

INSIDE = (np.arange(256)[:, None] >> np.arange(8) & 1).astype(bool)  # case, corner
CROSSED = INSIDE[:, CUBE_EDGES[:, 0]] ^ INSIDE[:, CUBE_EDGES[:, 1]]


def components(corners: list[int]) -> int:
    """Count the edge-connected components of a set of corners."""
    count = 0
    left = set(corners)
    while left:
        count += 1
        stack = [left.pop()]
        while stack:
            corner = stack.pop()
            for axis in range(3):
                other = corner ^ 1 << axis
                if other in left:
                    left.remove(other)
                    stack.append(other)
    return count


def test_every_crossed_edge_has_a_vertex_and_no_other():
    for state in range(512):
        assert ((EDGE_VERT[state] >= 0) == CROSSED[state % 256]).all()
        listed = EDGE_ORDER[state][EDGE_ORDER[state] >= 0]
        assert sorted(listed) == np.flatnonzero(CROSSED[state % 256]).tolist()
        owners = EDGE_VERT[state][listed]
        assert (np.diff(owners) >= 0).all()  # vertex by vertex
        assert set(owners.tolist()) == set(range(NUM_VERTS[state]))
        assert all((owners == vert).sum() >= 3 for vert in range(NUM_VERTS[state]))


def test_inside_corners_are_separated():
    # If inside corners are separated on every face, each edge-connected component of them is
    # bounded by patches of its own.
    for case in range(256):
        owners = {}
        for edge in np.flatnonzero(CROSSED[case]):
            first, second = CUBE_EDGES[edge]
            corner = int(first if INSIDE[case, first] else second)
            owners.setdefault(int(EDGE_VERT[case, edge]), set()).add(corner)
        for corners in owners.values():
            inside = [c for c in range(8) if INSIDE[case, c]]
            if components(inside) > 1:
                assert components(sorted(corners | set(inside))) == components(inside)
    assert NUM_VERTS[0b10000001] == 2  # opposite corners of the cube
    assert NUM_VERTS[0b00001001] == 2  # of a face
    assert NUM_VERTS[0b11110110] == 1  # the same outside: its crossings are one ring
    assert NUM_VERTS[0b01101001] == 4
    assert NUM_VERTS[0] == NUM_VERTS[255] == 0


def test_the_other_state_exchanges_inside_and_outside():
    for case in range(256):
        assert (EDGE_VERT[case + 256] == EDGE_VERT[255 - case]).all()


def test_ambiguous_faces_are_the_two_cases_of_the_literature():
    is_ambiguous = np.flatnonzero(AMBIGUOUS_FACE >= 0)
    # 12 of six inside corners and two outside across a face, 24 with one more corner outside.
    assert sorted(INSIDE[is_ambiguous].sum(1).tolist()) == [5] * 24 + [6] * 12
    for case in is_ambiguous:
        axis, side = divmod(int(AMBIGUOUS_FACE[case]), 2)
        face = [c for c in range(8) if (c >> axis & 1) == side]
        loop = [INSIDE[case, c] for c in (face[0], face[1], face[3], face[2])]
        assert loop[0] != loop[1]
        assert loop[1] != loop[2]
        assert loop[2] != loop[3]
        assert NUM_VERTS[case] == 1
        assert NUM_VERTS[case + 256] == 2


@pytest.mark.parametrize("axis", range(3))
def test_four_cubes_around_an_edge(axis):
    ends = {tuple(np.ones(3, int) - np.eye(3, dtype=int)[axis]), (1, 1, 1)}
    for steps, edge in zip(CUBES_AROUND[axis], EDGES_AROUND[axis], strict=True):
        corners = [(c & 1, c >> 1 & 1, c >> 2) for c in CUBE_EDGES[edge]]
        assert {tuple(np.array(corner) + steps) for corner in corners} == ends
    assert EDGES_AROUND[axis][0] == LAST_EDGES[axis]
    middles = CUBES_AROUND[axis] + 0.5
    turn = np.cross(middles[1] - middles[0], middles[2] - middles[1])
    assert turn.tolist() == np.eye(3)[axis].tolist()  # counter-clockwise about the axis
