"""Half-edges of triangle meshes, and connected components of graphs.

Half-edge `3 f + c` of a mesh runs from corner c of face f to the next corner.
"""

import torch
from jaxtyping import Int
from torch import Tensor


def half_edge_ends(
    faces: Int[Tensor, "faces 3"],
) -> tuple[Int[Tensor, " half_edges"], Int[Tensor, " half_edges"]]:
    """Return the vertices at which all half-edges start and end."""
    return faces.reshape(-1), faces.roll(-1, dims=1).reshape(-1)


def pair_keys(first: Int[Tensor, " pairs"], second: Int[Tensor, " pairs"]) -> Int[Tensor, " pairs"]:
    """Encode ordered pairs of indices below 2^31 as integers that sort by the first index."""
    return (first.long() << 32) | second


def count_keys(ordered: Int[Tensor, " keys"], wanted: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
    """Count how often each wanted key occurs among sorted keys."""
    return torch.searchsorted(ordered, wanted, right=True) - torch.searchsorted(ordered, wanted)


def next_half_edge(half_edge: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
    """Return the next half-edge of the same face."""
    return torch.where(half_edge % 3 == 2, half_edge - 2, half_edge + 1)


def opposite_half_edges(faces: Int[Tensor, "faces 3"]) -> Int[Tensor, " half_edges"]:
    """Find the opposite half-edge (same edge, opposite direction) of every half-edge.

    Args:
        faces: Vertex indices.

    Returns:
        Index of the opposite half-edge; -1 where an edge does not have exactly two faces, or their
        windings are inconsistent.
    """
    starts, ends = half_edge_ends(faces)
    forward, backward = pair_keys(starts, ends), pair_keys(ends, starts)
    ordered, order = forward.sort()
    is_single = (count_keys(ordered, forward) == 1) & (count_keys(ordered, backward) == 1)
    place = torch.searchsorted(ordered, backward).clamp(max=max(0, len(order) - 1))
    return torch.where(is_single & (starts != ends), order[place], -1)


def link_labels(links: Int[Tensor, "links 2"], num: int) -> Int[Tensor, " items"]:
    """Label the connected components of a graph by hooking roots and jumping pointers.

    Every item points to an item of lower index in its component, or to itself. Each round hooks the
    higher root of every link onto the lower one, then shortens all paths, until no link is left.

    Args:
        links: Pairs of connected items.
        num: Number of items.

    Returns:
        Label of each item: 0, 1, ... in order of each component's first item.
    """
    parent = torch.arange(num, device=links.device)
    while True:
        low, high = parent[links].aminmax(dim=1)
        apart = low != high
        if not apart.any():
            break
        links = links[apart]
        parent = parent.scatter_reduce(0, high[apart], low[apart], "amin")
        while not torch.equal(parent, grand := parent[parent]):
            parent = grand
    is_root = parent == torch.arange(num, device=links.device)
    return (is_root.cumsum(0) - 1)[parent]
