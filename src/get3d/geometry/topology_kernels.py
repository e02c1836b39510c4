"""Compiled loops that find crossings and triangles on CPUs.

The results are those of the tensor code in `topology.py`, in the same order, several times faster:
edges and tets that no surface crosses cost only a few byte lookups.
"""

import numpy as np

from get3d.core import compiled

_WORD = 8  # shapes per byte
_LOWEST_BIT = np.array([0] + [(i & -i).bit_length() - 1 for i in range(1, 256)])


@compiled
def pack_bits(occupied: np.ndarray) -> np.ndarray:
    """Pack groups of eight shapes into bytes: [shapes, verts] bool to [groups, verts] bytes."""
    num_shapes, num_verts = occupied.shape
    words = np.zeros(((num_shapes + _WORD - 1) // _WORD, num_verts), np.uint8)
    for shape in range(num_shapes):
        for vert in range(num_verts):
            words[shape // _WORD, vert] |= occupied[shape, vert] << (shape % _WORD)
    return words


@compiled
def find_crossed_edges(
    words: np.ndarray, edges: np.ndarray, num_shapes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List the edges with one end inside, by shape, then by edge.

    Args:
        words: [groups, verts] bytes; bit s of group g: the vertex is inside shape 8 g + s.
        edges: [edges, 2] vertex indices.
        num_shapes: Number of shapes.

    Returns:
        The shape and the edge of each crossing, and the number of crossings of each shape.
    """
    counts = np.zeros(num_shapes, np.int64)
    crossed = np.empty((len(words), len(edges)), np.uint8)
    for group in range(len(words)):
        word = words[group]
        for edge in range(len(edges)):
            left = np.int64(word[edges[edge, 0]] ^ word[edges[edge, 1]])
            crossed[group, edge] = left
            while left:
                counts[group * _WORD + _LOWEST_BIT[left]] += 1
                left &= left - 1
    places = np.cumsum(counts) - counts
    found_shape = np.empty(counts.sum(), np.int64)
    found_edge = np.empty(counts.sum(), np.int64)
    for group in range(len(words)):
        for edge in range(len(edges)):
            left = np.int64(crossed[group, edge])
            while left:
                shape = group * _WORD + _LOWEST_BIT[left]
                left &= left - 1
                found_shape[places[shape]] = shape
                found_edge[places[shape]] = edge
                places[shape] += 1
    return found_shape, found_edge, counts


@compiled
def find_cases(
    words: np.ndarray, tets: np.ndarray, num_triangles: np.ndarray, num_shapes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """List the tets that the surfaces cross, by shape, then by tet.

    Args:
        words: As in `find_crossed_edges`.
        tets: [tets, 4] vertex indices.
        num_triangles: [16] number of triangles of each case.
        num_shapes: Number of shapes.

    Returns:
        Index and case (bit c: corner c is inside) of each crossed tet; the numbers of crossed tets
        and of triangles of each shape.
    """
    counts, num_faces = np.zeros(num_shapes, np.int64), np.zeros(num_shapes, np.int64)
    mixed = np.empty((len(words), len(tets)), np.uint8)
    for group in range(len(words)):
        word = words[group]
        for tet in range(len(tets)):
            a, b = word[tets[tet, 0]], word[tets[tet, 1]]
            c, d = word[tets[tet, 2]], word[tets[tet, 3]]
            left = np.int64((a | b | c | d) ^ (a & b & c & d))
            mixed[group, tet] = left
            while left:
                counts[group * _WORD + _LOWEST_BIT[left]] += 1
                left &= left - 1
    places = np.cumsum(counts) - counts
    found_tet = np.empty(counts.sum(), np.int32)
    found_case = np.empty(counts.sum(), np.uint8)
    for group in range(len(words)):
        word = words[group]
        for tet in range(len(tets)):
            left = np.int64(mixed[group, tet])
            while left:
                shape = group * _WORD + _LOWEST_BIT[left]
                left &= left - 1
                case = 0
                for corner in range(4):
                    case |= (word[tets[tet, corner]] >> (shape % _WORD) & 1) << corner
                found_tet[places[shape]] = tet
                found_case[places[shape]] = case
                num_faces[shape] += num_triangles[case]
                places[shape] += 1
    return found_tet, found_case, counts, num_faces


@compiled
def join_triangles(
    cut: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    crossings: tuple[np.ndarray, np.ndarray],
    tables: tuple[np.ndarray, np.ndarray, np.ndarray],
    num_edges: int,
) -> np.ndarray:
    """List the triangles of all crossed tets, in their order.

    Args:
        cut: Result of `find_cases`.
        crossings: Edge of each crossing, and the number of crossings of each shape.
        tables: Number of triangles [16] of a case, their edges [16, 2, 3] within the tet, and the
            edges of the tets [tets, 6].
        num_edges: Number of grid edges.

    Returns:
        [faces, 3] indices of crossings.
    """
    tets, cases, num_cut, num_faces = cut
    edges, num_crossings = crossings
    num_triangles, triangles, tet_edges = tables
    faces = np.empty((num_faces.sum(), 3), np.int64)
    numbers = np.empty(num_edges, np.int32)  # for one shape at a time, so it fits in the cache
    place, first_cut, first_crossing = 0, 0, 0
    for shape in range(len(num_cut)):
        for i in range(first_crossing, first_crossing + num_crossings[shape]):
            numbers[edges[i]] = i
        for i in range(first_cut, first_cut + num_cut[shape]):
            for triangle in range(num_triangles[cases[i]]):
                for corner in range(3):
                    edge = tet_edges[tets[i], triangles[cases[i], triangle, corner]]
                    faces[place, corner] = numbers[edge]
                place += 1
        first_crossing += num_crossings[shape]
        first_cut += num_cut[shape]
    return faces


@compiled
def find_active(
    ends: np.ndarray, counts: np.ndarray, num_verts: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List the grid vertices at crossings, by shape, then by vertex.

    Args:
        ends: [crossings, 2] vertex indices, by shape.
        counts: Number of crossings of each shape.
        num_verts: Number of grid vertices.

    Returns:
        The active vertices, their shapes, and for both ends of each crossing [crossings, 2] the
        index among the active vertices.
    """
    is_active = np.zeros((len(counts), num_verts), np.bool_)
    first = 0
    for shape in range(len(counts)):
        for i in range(first, first + counts[shape]):
            is_active[shape, ends[i, 0]] = True
            is_active[shape, ends[i, 1]] = True
        first += counts[shape]
    verts = np.empty(is_active.sum(), np.int64)
    owners = np.empty(len(verts), np.int64)
    active = np.empty(ends.shape, np.int64)
    ranks = np.empty(num_verts, np.int32)
    place, first = 0, 0
    for shape in range(len(counts)):
        for vert in range(num_verts):
            if is_active[shape, vert]:
                verts[place], owners[place], ranks[vert] = vert, shape, place
                place += 1
        for i in range(first, first + counts[shape]):
            active[i, 0], active[i, 1] = ranks[ends[i, 0]], ranks[ends[i, 1]]
        first += counts[shape]
    return verts, owners, active
