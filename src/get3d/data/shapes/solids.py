"""Closed solids made of patches, each with flat coordinates in metres for its texture."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import manifold3d
import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Patch:
    """A piece of surface that one rectangle of the atlas covers.

    Attributes:
        verts: [n, 3] positions, in metres.
        faces: [m, 3] vertex indices, counter-clockwise seen from outside.
        flat: [n, 2] where each vertex lies on the flattened patch, in metres; grain runs along the
            second axis.
    """

    verts: Array
    faces: Array
    flat: Array


@dataclass(frozen=True)
class Solid:
    """Patches whose borders meet exactly, so that together they are closed."""

    patches: tuple[Patch, ...]

    def warped(self, move: Callable[[Array], Array]) -> "Solid":
        """Move every vertex: `move` maps [n, 3] to [n, 3]."""
        return Solid(tuple(Patch(move(p.verts), p.faces, p.flat) for p in self.patches))

    def moved(self, *offset: float) -> "Solid":
        """Shift by x, y, z."""
        return self.warped(lambda verts: verts + np.array(offset))

    def turned(self, axis: str, angle_rad: float) -> "Solid":
        """Rotate about a coordinate axis through the origin."""
        return self.warped(lambda verts: verts @ rotation(axis, angle_rad).T)

    def mirrored(self) -> "Solid":
        """Mirror x to -x."""
        flip = np.array([-1.0, 1.0, 1.0])
        return Solid(tuple(Patch(p.verts * flip, p.faces[:, ::-1], p.flat) for p in self.patches))


def rotation(axis: str, angle_rad: float) -> Array:
    """Make the matrix of a rotation about a coordinate axis."""
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.eye(3)
    matrix[i, i], matrix[i, j], matrix[j, i], matrix[j, j] = c, -s, s, c
    return matrix


def sheet(points: Array, flat: Array) -> Patch:
    """Join a [rows, columns] grid of points by triangles; rows x columns turns outward."""
    rows, columns = points.shape[:2]
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    faces = np.stack([np.stack([a, b, c], -1), np.stack([a, c, d], -1)], 2).reshape(-1, 3)
    return Patch(points.reshape(-1, 3), faces, flat.reshape(-1, 2))


def lengths(points: Array) -> Array:
    """Length of a polyline up to each of its points."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    return np.concatenate([[0.0], np.cumsum(steps)])


def rectangle(width: float, depth: float, radius: float = 0.0, steps: int = 3) -> Array:
    """Outline of a rectangle about the origin, with rounded corners, counter-clockwise."""
    radius = min(radius, 0.499 * width, 0.499 * depth)
    if radius <= 0:
        x, y = width / 2, depth / 2
        return np.array([[x, -y], [x, y], [-x, y], [-x, -y]])
    angle = np.linspace(0, np.pi / 2, steps + 1)
    corner = np.stack([np.cos(angle), np.sin(angle)], 1) * radius
    x, y = width / 2 - radius, depth / 2 - radius
    parts = []
    for turn, (cx, cy) in enumerate([(x, y), (-x, y), (-x, -y), (x, -y)]):
        c, s = np.cos(turn * np.pi / 2), np.sin(turn * np.pi / 2)
        parts.append(corner @ np.array([[c, s], [-s, c]]) + (cx, cy))
    return np.concatenate(parts)


def ellipse(width: float, depth: float, segments: int = 20) -> Array:
    """Outline of an ellipse about the origin, counter-clockwise."""
    angle = np.arange(segments) * 2 * np.pi / segments
    return np.stack([np.cos(angle) * width / 2, np.sin(angle) * depth / 2], 1)


def inset(outline: Array, distance: float) -> Array:
    """Move a counter-clockwise outline inwards, vertex by vertex."""
    edge = np.roll(outline, -1, 0) - outline
    normal = np.stack([-edge[:, 1], edge[:, 0]], 1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
    before = np.roll(normal, 1, 0)
    corner = normal + before
    corner /= np.maximum((corner * normal).sum(1, keepdims=True), 0.3)
    return outline + corner * distance


def plate(
    outline: Array,
    thickness: float,
    *,
    bevel: float = 0.0,
    holes: Sequence[Array] = (),
    rounds: int = 1,
) -> Solid:
    """Extrude an outline in the x-z plane along y, from 0 to `thickness`.

    Args:
        outline: [n, 2] x and z, in either sense.
        thickness: Along y.
        bevel: Of the edges of the outline; holes have sharp edges.
        holes: Outlines that are cut through.
        rounds: Facets of each bevel.
    """
    outline = _counter_clockwise(outline)
    bevel = min(bevel, 0.49 * thickness)
    rings: list[tuple[Array, float]] = []
    if bevel > 0:
        angle = np.linspace(0, np.pi / 2, rounds + 1)
        for a in angle:
            rings.append((inset(outline, bevel * (1 - np.sin(a))), bevel * (1 - np.cos(a))))
        rings += [(ring, thickness - y) for ring, y in reversed(rings)]
    else:
        rings = [(outline, 0.0), (outline, thickness)]
    holes = [_counter_clockwise(hole)[::-1] for hole in holes]
    patches = [
        _cap(rings[0][0], holes, 0.0, up=False),
        _cap(rings[-1][0], holes, thickness, up=True),
    ]
    patches.append(_wall([(_lift(ring, y)) for ring, y in rings]))
    patches += [_wall([_lift(hole, 0.0), _lift(hole, thickness)]) for hole in holes]
    return Solid(tuple(patches))


def _counter_clockwise(outline: Array) -> Array:
    x, y = outline.T
    area = (x * np.roll(y, -1) - y * np.roll(x, -1)).sum()
    return outline if area > 0 else outline[::-1]


def _lift(outline: Array, y: float) -> Array:
    return np.stack([outline[:, 0], np.full(len(outline), y), -outline[:, 1]], 1)


def _cap(outline: Array, holes: Sequence[Array], y: float, *, up: bool) -> Patch:
    polygons = [outline, *holes]
    faces = np.array(manifold3d.triangulate([p.astype(np.float64) for p in polygons]), np.int64)
    points = np.concatenate(polygons)
    verts = _lift(points, y)
    return Patch(verts, faces if up else faces[:, ::-1], points.copy())


def _wall(rings: Sequence[Array]) -> Patch:
    points = np.stack([np.concatenate([ring, ring[:1]]) for ring in rings])  # [rows, n + 1, 3]
    around = lengths(points[len(points) // 2])
    up = lengths(points[:, 0])
    flat = np.stack(np.broadcast_arrays(around[None, :], up[:, None]), -1)
    return sheet(points, flat)


def box(width: float, height: float, depth: float, bevel: float = 0.004) -> Solid:
    """Make a box that stands on y = 0 about the origin."""
    return plate(rectangle(width, depth, bevel, 1), height, bevel=bevel)


def lathe(profile: Array, segments: int = 20) -> Solid:
    """Turn a profile [n, 2] of (radius, y), from the bottom to the top, about the y axis.

    The ends are closed by caps where their radius is not 0.
    """
    angle = np.arange(segments + 1) % segments * (2 * np.pi / segments)
    ring = np.stack([np.cos(angle), -np.sin(angle)], 1)
    radius, y = profile.T
    points = np.stack(
        np.broadcast_arrays(radius[:, None] * ring[:, 0], y[:, None], radius[:, None] * ring[:, 1]),
        -1,
    )
    flat = np.stack(
        np.broadcast_arrays(
            np.arange(segments + 1) * (2 * np.pi / segments) * max(radius.max(), 1e-6),
            lengths(profile)[:, None],
        ),
        -1,
    )
    patches = [sheet(points, flat)]
    for row, up in ((0, False), (-1, True)):
        if radius[row] > 0:
            outline = np.stack([points[row, :-1, 0], -points[row, :-1, 2]], 1)
            cap = _cap(outline, (), y[row], up=up)
            patches.append(Patch(points[row, :-1].copy(), cap.faces, cap.flat))
    return Solid(tuple(patches))


def sweep(path: Array, sections: Array, *, up: tuple[float, float, float] = (0, 0, 1)) -> Solid:
    """Move a section along a path; the ends are capped.

    Args:
        path: [n, 3] points.
        sections: [m, 2] outline, or [n, m, 2] one for each point; its first axis is kept as
            perpendicular to `up` as the path allows, its second follows `up`.
        up: A direction that the path does not run along.
    """
    path = np.asarray(path, float)
    sections = np.broadcast_to(sections, (len(path), *np.shape(sections)[-2:]))
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    side = np.cross(np.broadcast_to(np.array(up, float), tangent.shape), tangent)
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    over = np.cross(tangent, side)
    rings = path[:, None] + sections[..., :1] * side[:, None] + sections[..., 1:] * over[:, None]
    closed = np.concatenate([rings, rings[:, :1]], 1)
    middle = closed[len(closed) // 2]
    flat = np.stack(np.broadcast_arrays(lengths(middle)[None, :], lengths(path)[:, None]), -1)
    patches = [sheet(closed, flat)]
    for row, flipped in ((0, True), (-1, False)):
        faces = np.array(manifold3d.triangulate([sections[row].astype(np.float64)]), np.int64)
        patches.append(
            Patch(rings[row].copy(), faces[:, ::-1] if flipped else faces, sections[row].copy())
        )
    return Solid(tuple(patches))


def tube(path: Array, radius: float | Array, segments: int = 10, **kwargs) -> Solid:
    """Sweep a circle, of one radius or one for each point."""
    circle = ellipse(2, 2, segments)
    radii = np.broadcast_to(np.asarray(radius, float), (len(path),))
    return sweep(path, circle * radii[:, None, None], **kwargs)


def smooth(points: Sequence[Sequence[float]], steps: int = 6) -> Array:
    """Lay a Catmull-Rom curve through points."""
    p = np.asarray(points, float)
    p = np.concatenate([[2 * p[0] - p[1]], p, [2 * p[-1] - p[-2]]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    out = [
        0.5
        * (
            2 * b
            + (c - a) * t
            + (2 * a - 5 * b + 4 * c - d) * t**2
            + (3 * b - a - 3 * c + d) * t**3
        )
        for a, b, c, d in zip(p, p[1:], p[2:], p[3:])
    ]
    return np.concatenate([*out, p[-2:-1]])
