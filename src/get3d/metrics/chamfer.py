"""Chamfer distance of point sets: exact, in bounded memory, on any device."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from get3d.core import run_jobs
from get3d.metrics import chamfer_kernels as kernels

_TILE = 256
"""Pairs of shapes in one job of a thread: about 50 ms."""

_CHUNK = 1 << 24
"""Point pairs in memory at once in tensor code, with three float32 values each."""


def chamfer_distance(
    points_a: Float[Tensor, "*a n 3"], points_b: Float[Tensor, "*b m 3"]
) -> Float[Tensor, "*batch"]:
    """Compute the mean squared distance to the nearest point of the other set, in both directions.

    The sum of both directions, as in GET3D and most generators of point clouds. Differences are
    squared, not expanded to a^2 + b^2 - 2ab, so that near points lose no precision. Differentiable.

    Args:
        points_a: Point sets, in scene units; leading axes broadcast against those of `points_b`.
        points_b: Point sets, in scene units; the sizes may differ.

    Returns:
        Squared scene units, one for each pair of the broadcast leading axes.

    Raises:
        ValueError: If a set is empty or not finite, or types or devices of the tensors differ.

    Example:
        >>> square = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
        >>> chamfer_distance(square, square + torch.tensor([0.0, 0.5, 0.0]))
        tensor(0.5000)
    """
    _check(points_a, points_b)
    batch = torch.broadcast_shapes(points_a.shape[:-2], points_b.shape[:-2])
    (flat_a, ids_a), (flat_b, ids_b) = _flatten(points_a, batch), _flatten(points_b, batch)
    needs_gradient = torch.is_grad_enabled() and (points_a.requires_grad or points_b.requires_grad)
    if points_a.device.type == "cpu" and points_a.dtype == torch.float32 and not needs_gradient:
        return _compiled_pairs(flat_a, flat_b, ids_a.tolist(), ids_b.tolist()).view(batch)
    pairs_at_once = max(1, _CHUNK // (flat_a.shape[1] * flat_b.shape[1]))
    parts = [
        _tensor_pairs(flat_a[of_a], flat_b[of_b])
        for of_a, of_b in zip(ids_a.split(pairs_at_once), ids_b.split(pairs_at_once), strict=True)
    ]
    return torch.cat(parts).view(batch)


def chamfer_matrix(
    points_a: Float[Tensor, "g n 3"],
    points_b: Float[Tensor, "r m 3"] | None = None,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> Float[Tensor, "g r"]:
    """Compute the Chamfer distances of all pairs of shapes of two sets, or within one set.

    Within one set it costs half as much. Compiled loops on a CPU (in `torch.get_num_threads`
    threads), tensor code elsewhere; memory beyond input and result is that of the input, or about
    200 MB.

    Args:
        points_a: Points of each shape of a set.
        points_b: Points of each shape of the other set; None: the same set.
        on_progress: Called repeatedly with the number of pairs done and of all pairs.

    Returns:
        `chamfer_distance` of each pair, computed and returned in float32.

    Raises:
        ValueError: If a shape has no points or is not finite, or types or devices differ.
    """
    _check(points_a, points_a if points_b is None else points_b)
    if points_a.device.type == "cpu":
        return _compiled_matrix(points_a, points_b, on_progress)
    return _tensor_matrix(points_a, points_b, on_progress)


@dataclass(frozen=True)
class _Leaves:
    """Shapes as leaves of k-d trees, for the compiled search."""

    coordinates: np.ndarray  # [shapes, leaves, 3, LEAF]
    boxes: np.ndarray  # [shapes, 6, leaves]
    num_points: int


def _compiled_matrix(
    points_a: Tensor, points_b: Tensor | None, on_progress: Callable[[int, int], None] | None
) -> Tensor:
    """Compute `chamfer_matrix` on the CPU."""
    a = _arrange(points_a)
    b = a if points_b is None else _arrange(points_b)
    distances = np.zeros((len(a.boxes), len(b.boxes)), np.float32)

    def compare(tile: tuple[int, int, int]) -> int:
        row, begin, end = tile
        _compare(a, row, b, slice(begin, end), distances[row, begin:end])
        return end - begin

    width = distances.shape[1]
    tiles = [
        (row, begin, min(begin + _TILE, width))
        for row in range(len(distances))
        for begin in range(row + 1 if points_b is None else 0, width, _TILE)
    ]
    total, done = sum(end - begin for _, begin, end in tiles), 0
    threads = torch.get_num_threads()
    for start in range(0, len(tiles), 16 * threads):
        done += sum(run_jobs(compare, tiles[start : start + 16 * threads], threads=threads))
        if on_progress:
            on_progress(done, total)
    if points_b is None:
        distances += distances.T
    return torch.from_numpy(distances)


def _compiled_pairs(a: Tensor, b: Tensor, ids_a: list[int], ids_b: list[int]) -> Tensor:
    """Compute the distances of a[ids_a[i]] and b[ids_b[i]] on the CPU."""
    leaves_a, leaves_b = _arrange(a), _arrange(b)
    distances = np.empty(len(ids_a), np.float32)

    def compare(pair: int) -> None:
        of_b = slice(ids_b[pair], ids_b[pair] + 1)
        _compare(leaves_a, ids_a[pair], leaves_b, of_b, distances[pair : pair + 1])

    run_jobs(compare, range(len(distances)), threads=torch.get_num_threads())
    return torch.from_numpy(distances)


def _compare(a: _Leaves, of_a: int, b: _Leaves, of_b: slice, out: np.ndarray) -> None:
    """Compute the distances of one shape to several into `out`."""
    one = a.coordinates[of_a], a.boxes[of_a], a.num_points
    kernels.chamfer(*one, b.coordinates[of_b], b.boxes[of_b], b.num_points, out)


def _arrange(points: Tensor) -> _Leaves:
    """Sort the points of each shape into leaves."""
    shapes = points.detach().float().contiguous().numpy()
    num_leaves = -(-shapes.shape[1] // kernels.LEAF)
    coordinates = np.empty((len(shapes), num_leaves, 3, kernels.LEAF), np.float32)
    boxes = np.empty((len(shapes), 6, num_leaves), np.float32)

    def task(shape: int) -> None:
        kernels.arrange(shapes[shape], coordinates[shape], boxes[shape])

    run_jobs(task, range(len(shapes)), threads=torch.get_num_threads())
    return _Leaves(coordinates, boxes, shapes.shape[1])


@torch.no_grad()
def _tensor_matrix(
    points_a: Tensor, points_b: Tensor | None, on_progress: Callable[[int, int], None] | None
) -> Tensor:
    """Compute `chamfer_matrix` on any device."""
    a = points_a.float()
    b = a if points_b is None else points_b.float()
    distances = a.new_zeros(len(a), len(b))
    pairs_at_once = max(1, _CHUNK // (a.shape[1] * b.shape[1]))
    total = len(a) * (len(a) - 1) // 2 if points_b is None else len(a) * len(b)
    done = 0
    for row in range(len(a)):
        for begin in range(row + 1 if points_b is None else 0, len(b), pairs_at_once):
            others = b[begin : begin + pairs_at_once]
            distances[row, begin : begin + len(others)] = _tensor_pairs(
                a[row].expand(len(others), -1, -1), others
            )
            done += len(others)
        if on_progress:
            on_progress(done, total)
    return distances + distances.T if points_b is None else distances


def _tensor_pairs(a: Float[Tensor, "p n 3"], b: Float[Tensor, "p m 3"]) -> Float[Tensor, " p"]:
    """Compute the distances of a[i] and b[i]; differentiable."""
    nearest_to_a, nearest_to_b = _nearest(a.detach(), b.detach())
    return _mean_squared(a, b, nearest_to_a) + _mean_squared(b, a, nearest_to_b)


def _mean_squared(
    a: Float[Tensor, "p n 3"], b: Float[Tensor, "p m 3"], nearest: Int[Tensor, "p n"]
) -> Float[Tensor, " p"]:
    """Compute the mean squared distances of a[i] to their nearest points of b[i]."""
    partners = b.gather(1, nearest[:, :, None].expand(-1, -1, 3))
    return (a - partners).square().sum(2).mean(1)


def _nearest(
    a: Float[Tensor, "p n 3"], b: Float[Tensor, "p m 3"]
) -> tuple[Int[Tensor, "p n"], Int[Tensor, "p m"]]:
    """Find the nearest point of the other set, for all points of both."""
    rows = max(1, _CHUNK // max(1, len(a) * b.shape[1]))
    to_a = []
    to_b = torch.zeros(b.shape[:2], dtype=torch.int64, device=b.device)
    least = torch.full_like(b[:, :, 0], torch.inf)
    for begin in range(0, a.shape[1], rows):
        squared = _squared_distances(a[:, begin : begin + rows], b)
        to_a.append(squared.argmin(2))
        here, where = squared.min(1)
        to_b = torch.where(here < least, where + begin, to_b)
        least = torch.minimum(least, here)
    return torch.cat(to_a, 1), to_b


def _squared_distances(
    a: Float[Tensor, "p n 3"], b: Float[Tensor, "p m 3"]
) -> Float[Tensor, "p n m"]:
    """Compute the squared distances of all pairs of points of a[i] and b[i]."""
    columns_a, columns_b = a.unbind(2), b.unbind(2)
    squared = (columns_a[0][:, :, None] - columns_b[0][:, None]).square_()
    for of_a, of_b in zip(columns_a[1:], columns_b[1:], strict=True):
        difference = of_a[:, :, None] - of_b[:, None]
        squared.addcmul_(difference, difference)
    return squared


def _flatten(
    points: Tensor, batch: torch.Size
) -> tuple[Float[Tensor, "p n 3"], Int[Tensor, " pairs"]]:
    """Flatten the leading axes to a list of sets; returns their indices in the broadcast axes."""
    own = points.shape[:-2]
    ids = torch.arange(own.numel(), device=points.device).view(own).expand(batch).reshape(-1)
    return points.reshape(own.numel(), *points.shape[-2:]), ids


def _check(points_a: Tensor, points_b: Tensor) -> None:
    """Raise ValueError if sets are empty or not finite, or their types or devices differ."""
    for name, points in (("points_a", points_a), ("points_b", points_b)):
        if points.dim() < 2 or points.shape[-1] != 3 or points.shape[-2] == 0:
            raise ValueError(
                f"{name} must be one or more points of 3 coordinates, got {tuple(points.shape)}"
            )
        is_finite = points.isfinite().flatten(-2).all(-1)
        if not is_finite.all():
            num_bad = int((~is_finite).sum())
            raise ValueError(
                f"{name} must be finite, but {num_bad} of {is_finite.numel()} shapes have NaN or "
                f"infinity, the first at {(~is_finite).nonzero()[0].tolist()}"
            )
    if points_a.device != points_b.device or points_a.dtype != points_b.dtype:
        raise ValueError(
            "points_a and points_b must have the same type and device, got "
            f"{points_a.dtype} on {points_a.device} and {points_b.dtype} on {points_b.device}"
        )
