"""The 256 cases of dual marching cubes: crossed edges of a cube grouped into dual vertices.

A surface cuts each face of a cube in curves that join its crossed edges two by two. From face to
face the curves form closed loops, and each loop is one patch of the surface inside the cube: one
dual vertex, to which the loop's crossings belong (Nielson, "Dual marching cubes", 2004). The tables
here follow from that, edge by edge.

A face whose corners alternate is ambiguous: four crossings, which can be joined in two ways. Our
rule separates its inside corners, in both cubes at the face, so patches always match. But where
both curves on such a face belong to one patch in each of the two cubes, the two dual vertices would
be joined by two coincident edges, where four faces would meet. In those cases, 36 of 256, it is the
cube's only ambiguous face; so both cubes can join its crossings the other way without an effect on
other cubes, and the surface stays manifold (Wenger, "Isosurfaces", 2013).
"""

import numpy as np

# Corner c is at bits 0, 1, 2 of c along x, y, z. The edges are in the order of the weights.
_EDGES = (
    (0, 1),
    (1, 5),
    (4, 5),
    (0, 4),
    (2, 3),
    (3, 7),
    (6, 7),
    (2, 6),
    (0, 2),
    (1, 3),
    (5, 7),
    (4, 6),
)
_EDGE_NUMBER = {frozenset(pair): number for number, pair in enumerate(_EDGES)}


def edge_between(first: int, second: int) -> int:
    """Return the number of the edge between two corners."""
    return _EDGE_NUMBER[frozenset((first, second))]


def _face_loop(face: int) -> list[int]:
    """List the corners around a face; face 2 a + s is the low (s = 0) or high face along axis a."""
    axis, side = divmod(face, 2)
    across, along = (1 << other for other in range(3) if other != axis)
    start = side << axis
    return [start, start | across, start | across | along, start | along]


def _face_links(case: int, face: int, *, separates_inside: bool) -> list[tuple[int, int]]:
    """List the pairs of crossed edges that the curves on a face connect."""
    loop = _face_loop(face)
    inside = [bool(case >> corner & 1) for corner in loop]
    edges = [edge_between(loop[i - 1], loop[i]) for i in range(4)]  # edge i ends at corner i
    crossed = [i for i in range(4) if inside[i - 1] != inside[i]]
    if len(crossed) == 4:  # each curve separates one corner, between its two edges
        return [(edges[i], edges[(i + 1) % 4]) for i in range(4) if inside[i] == separates_inside]
    return [(edges[crossed[0]], edges[crossed[1]])] if crossed else []


def _groups(case: int, *, separates_inside: bool) -> list[list[int]]:
    """List the crossed edges of each patch, in order of the lowest edge."""
    groups: list[set[int]] = []
    for face in range(6):
        for link in _face_links(case, face, separates_inside=separates_inside):
            touched = [group for group in groups if not group.isdisjoint(link)]
            groups = [group for group in groups if group not in touched]
            groups.append(set(link).union(*touched))
    return sorted(sorted(group) for group in groups)


def _ambiguous_face(case: int) -> int:
    """Find the ambiguous face whose two curves belong to one patch; -1 if there is none."""
    groups = _groups(case, separates_inside=True)
    for face in range(6):
        links = _face_links(case, face, separates_inside=True)
        owners = [next(i for i, group in enumerate(groups) if a in group) for a, _ in links]
        if len(owners) == 2 and owners[0] == owners[1]:
            return face
    return -1


CUBE_EDGES = np.array(_EDGES)
"""[12, 2] the corners at the ends of each edge."""

# State s below 256 is case s (corner c inside if bit c is set); s + 256 is the same case with the
# crossings of its ambiguous faces joined the other way.
_STATES = [_groups(state % 256, separates_inside=state < 256) for state in range(512)]

NUM_VERTS = np.array([len(groups) for groups in _STATES])
"""[512] how many dual vertices a cube has."""

EDGE_VERT = np.array(
    [
        [next((i for i, group in enumerate(groups) if edge in group), -1) for edge in range(12)]
        for groups in _STATES
    ]
)
"""[512, 12] which of the cube's dual vertices each edge belongs to; -1 if it is not crossed."""

EDGE_ORDER = np.array(
    [([edge for group in groups for edge in group] + [-1] * 12)[:12] for groups in _STATES]
)
"""[512, 12] the crossed edges, dual vertex by dual vertex; -1 after the last."""

AMBIGUOUS_FACE = np.array([_ambiguous_face(case) for case in range(256)])
"""[256] the ambiguous face whose crossings may be joined the other way; -1 for most cases."""

LAST_EDGES = np.array([edge_between(7, 7 ^ 1 << axis) for axis in range(3)])
"""[3] the edge along each axis at a cube's last corner: inside the grid, four cubes share it."""

_LOOP = ((0, 0), (1, 0), (1, 1), (0, 1))  # counter-clockwise

CUBES_AROUND = np.array([[np.roll((0, *steps), axis) for steps in _LOOP] for axis in range(3)])
"""[3, 4, 3] steps along x, y, z from that cube to all four, counter-clockwise about the axis."""

_LOW_CORNERS = ((1 - CUBES_AROUND) @ (1, 2, 4) & [[6], [5], [3]]).tolist()

EDGES_AROUND = np.array(
    [[edge_between(low, low | 1 << axis) for low in _LOW_CORNERS[axis]] for axis in range(3)]
)
"""[3, 4] the number of the shared edge in each of the four cubes."""
