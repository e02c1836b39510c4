"""Primitive solids: plates and cushions, boxes, surfaces of revolution, sweeps, shells.

All are upright (y up) at the origin, in metres; `Solid.moved` and others place them.
"""

import manifold3d
import numpy as np
from jaxtyping import Float

from get3d_shapes.curves import (
    Number,
    Outline,
    counter_clockwise,
    ellipse,
    inset,
    lengths,
    middle,
    rectangle,
    subdivided,
)
from get3d_shapes.solids import Patch, Solid

Rings = Float[np.ndarray, "_ _ 3"]


def plate(
    outline: Outline,
    thickness: Number,
    *,
    bevel: Number = 0.0,
    rounds: int = 1,
    crown: Number = 0.0,
    sag: Number = 0.0,
    rings: int = 0,
) -> Solid:
    """Extrude an outline of the (x, -z) plane along y, from 0 to `thickness`: boards, cushions.

    Args:
        outline: Corners; the second axis points to -z, so an outline drawn with its front at the
            bottom lies with its front towards +z.
        thickness: Along y.
        bevel: Width of the bevels of the edges.
        rounds: Facets of each bevel; several make it round.
        crown: How far the middle of the top swells; negative: a dish. The outline must then be
            star-shaped about its middle.
        sag: The same of the bottom, downwards.
        rings: Rows of points inside top and bottom, so that the plate can be bent.
    """
    outline = counter_clockwise(outline)
    bevel = min(bevel, 0.49 * thickness)
    low = [(outline, 0.0)]
    if bevel > 0:
        angles = np.linspace(0, np.pi / 2, rounds + 1)
        low = [(inset(outline, bevel * (1 - np.sin(a))), bevel * (1 - np.cos(a))) for a in angles]
    wall = low + [(ring, thickness - y) for ring, y in reversed(low)]
    return Solid(
        (
            _lid(wall[0][0], 0.0, -sag, rings, up=False),
            _lid(wall[-1][0], thickness, crown, rings, up=True),
            _wall(np.stack([_lift(ring, y) for ring, y in wall])),
        )
    )


def box(width: Number, height: Number, depth: Number, bevel: Number = 0.004) -> Solid:
    """Stand a box on y = 0, with all edges bevelled."""
    return plate(rectangle(width, depth, bevel, 1), height, bevel=bevel)


def board(
    width: Number,
    height: Number,
    thickness: Number,
    *,
    radius: Number = 0.012,
    bevel: Number = 0.006,
    rounds: int = 1,
    crown: Number = 0.0,
) -> Solid:
    """Stand a `panel` on y = 0: a rectangle with round corners, fine enough to bend."""
    outline = subdivided(rectangle(width, height, radius, 4), max(width, height) / 7)
    solid = panel(outline, thickness, bevel=bevel, rounds=rounds, crown=crown)
    return solid.moved(0, height / 2, 0)


def panel(
    outline: Outline,
    thickness: Number,
    *,
    bevel: Number = 0.006,
    rounds: int = 1,
    crown: Number = 0.0,
    rings: int = 3,
) -> Solid:
    """Make an upright plate from its outline seen from the front (x, y), about z = 0."""
    lying = plate(
        outline, thickness, bevel=bevel, rounds=rounds, crown=crown, sag=crown, rings=rings
    )
    return lying.moved(0, -thickness / 2, 0).turned("x", np.pi / 2)


def panel_in_place(
    outline: Outline, thickness: Number, *, bevel: Number = 0.0, rounds: int = 1, rings: int = 3
) -> Solid:
    """Make a `panel` whose middle lies where its outline lies."""
    x, y = middle(outline)
    solid = panel(outline - (x, y), thickness, bevel=bevel, rounds=rounds, rings=rings)
    return solid.moved(x, y, 0)


def lathe(profile: Float[np.ndarray, "rows 2"], segments: int = 20) -> Solid:
    """Revolve a profile of (radius, y) about the y axis.

    The profile may double back (walls of a mug). Its ends are closed by flat caps where their
    radius is not 0. Flat coordinates: (angle from +x towards -z times the largest radius, length
    along the profile).
    """
    radius, y = profile.T
    circle = ellipse(2.0, 2.0, segments)
    rings = _lift(circle[None] * radius[:, None, None], y)
    wide = max(float(radius.max()), 1e-6)
    around = np.arange(segments + 1) * (2 * np.pi / segments * wide)
    patches = [_wall(rings, around, lengths(profile))]
    for row, side in ((0, "bottom"), (-1, "top")):
        if radius[row] > 0:
            patches.append(_cap(rings[row], circle * radius[row], side))
    return Solid(tuple(patches)).outward()


def sweep(
    path: Float[np.ndarray, "points 3"],
    sections: Float[np.ndarray, "*points around 2"],
    *,
    up: tuple[Number, Number, Number] | None = None,
) -> Solid:
    """Move a section along a path: rails, arms, handles.

    Args:
        path: At least two points; smooth, as sharp corners pinch the section.
        sections: One outline, or one for each point.
        up: Direction that the section's second axis follows as the path allows; the path must not
            run along it. None: any, kept from twisting.
    """
    path = np.asarray(path, float)
    sections = np.broadcast_to(sections, (len(path), *np.shape(sections)[-2:]))
    side, over = _frames(path, up)
    rings = path[:, None] + sections[..., :1] * side[:, None] + sections[..., 1:] * over[:, None]
    section = sections[len(path) // 2]
    wall = _wall(rings, lengths(np.concatenate([section, section[:1]])), lengths(path))
    start = _cap(rings[0], np.array(sections[0]), "bottom")
    return Solid((wall, start, _cap(rings[-1], np.array(sections[-1]), "top"))).outward()


def tube(
    path: Float[np.ndarray, "points 3"],
    radius: Number | Float[np.ndarray, " points"],
    *,
    segments: int = 10,
) -> Solid:
    """Sweep a circle, of one radius or of one for each point."""
    radii = np.broadcast_to(np.asarray(radius, float), (len(path),))
    return sweep(path, ellipse(2.0, 2.0, segments) * radii[:, None, None])


def bar(
    start: Float[np.ndarray, "3"] | tuple[Number, Number, Number],
    end: Float[np.ndarray, "3"] | tuple[Number, Number, Number],
    size: Number | tuple[Number, Number],
    end_size: Number | tuple[Number, Number] | None = None,
    *,
    is_round: bool = False,
    steps: int = 2,
) -> Solid:
    """Make a straight member between two points.

    Args:
        start: Middle of its first end.
        end: Middle of its last end.
        size: Size of the section at the start: along x (or z, if it runs along x), and across.
        end_size: At the end; None: the same.
        is_round: Whether the section is an ellipse, or else a rectangle with bevelled edges.
        steps: Points along it; more let it be bent.
    """
    path = np.linspace(start, end, steps)
    shape = ellipse(1.0, 1.0, 12) if is_round else rectangle(1.0, 1.0, 0.12, 1)
    end_size = size if end_size is None else end_size
    sizes = np.linspace(np.broadcast_to(size, 2), np.broadcast_to(end_size, 2), steps)
    run = np.abs(path[-1] - path[0])
    up = (0.0, 0.0, 1.0) if run[2] < 0.8 * np.linalg.norm(run) else (0.0, 1.0, 0.0)
    return sweep(path, shape * sizes[:, None, :], up=up)


def shell(points: Rings, thickness: Number) -> Solid:
    """Thicken an open surface to a closed solid: bucket seats, bent plywood, fenders.

    Args:
        points: Points of the mid-surface, row by row.
        thickness: Thickness, small against the radius of curvature.
    """
    across = np.gradient(points, axis=1)
    along = np.gradient(points, axis=0)
    normal = np.cross(across, along)
    normal /= np.linalg.norm(normal, axis=2, keepdims=True)
    front, back = points + normal * thickness / 2, points - normal * thickness / 2
    rim = [
        np.concatenate([side[0, :-1], side[:-1, -1], side[-1, :0:-1], side[:0:-1, 0]])
        for side in (back, front)
    ]
    column = points.shape[1] // 2
    u = np.stack([lengths(row) for row in points])
    v = lengths(points[:, column])[:, None]
    flat = np.stack(np.broadcast_arrays(u - u[:, column : column + 1], v), -1)
    front_patch, back_patch = _grid(front, flat, "top"), _grid(back, flat, "bottom").flipped()
    return Solid((front_patch, back_patch, _wall(np.stack(rim)))).outward()


def _wall(
    rings: Rings,
    around: Float[np.ndarray, " n"] | None = None,
    along: Float[np.ndarray, " rows"] | None = None,
) -> Patch:
    """Triangulate closed rings of equal size; flat coordinates that are None are measured."""
    rings = np.concatenate([rings, rings[:, :1]], 1)
    around = lengths(rings[len(rings) // 2]) if around is None else around
    along = lengths(rings[:, 0]) if along is None else along
    flat = np.stack(np.broadcast_arrays(around[None, :], along[:, None]), -1)
    return _grid(rings, flat, "wall")


def _grid(points: Rings, flat: Float[np.ndarray, "rows around 2"], side: str) -> Patch:
    """Triangulate rows of equal size."""
    rows, columns = points.shape[:2]
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    faces = np.stack([np.stack([a, b, c], -1), np.stack([a, c, d], -1)], 2).reshape(-1, 3)
    return Patch(points.reshape(-1, 3), faces, flat.reshape(-1, 2), side)


def _lift(
    outlines: Float[np.ndarray, "*rows around 2"], y: Number | Float[np.ndarray, " rows"]
) -> Float[np.ndarray, "*rows around 3"]:
    """Place outlines of the (x, -z) plane at heights y."""
    height = np.broadcast_to(np.asarray(y)[..., None], outlines.shape[:-1])
    return np.stack([outlines[..., 0], height, -outlines[..., 1]], -1)


def _cap(ring: Float[np.ndarray, "around 3"], flat: Outline, side: str) -> Patch:
    """Close a ring whose outline in its plane is `flat`; "top" faces follow the outline."""
    faces = np.array(manifold3d.triangulate([flat.astype(np.float64)]), np.int64).reshape(-1, 3)
    return Patch(ring.copy(), faces if side == "top" else faces[:, ::-1], flat.copy(), side)


def _lid(outline: Outline, y: Number, swell: Number, rings: int, *, up: bool) -> Patch:
    """Close a plate: flat, or with rings of points that can swell and be bent."""
    side = "top" if up else "bottom"
    rings = max(rings, 3 if swell else 0)
    if not rings:
        return _cap(_lift(outline, y), outline, side)
    fractions = np.linspace(1, 0, rings + 1) ** 0.85
    rows = middle(outline) + (outline - middle(outline)) * fractions[:, None, None]
    points = _lift(rows, y + swell * (1 - fractions**2.5))
    points = np.concatenate([points, points[:, :1]], 1)
    flat = np.concatenate([rows, rows[:, :1]], 1)
    patch = _grid(points, flat, side)
    return patch if up else patch.flipped()


def _frames(
    path: Float[np.ndarray, "n 3"], up: tuple[Number, Number, Number] | None
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """Compute two unit vectors across a path at each of its points."""
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    if up is not None:
        side = np.cross(np.broadcast_to(np.array(up, float), tangent.shape), tangent)
    else:  # carried along by parallel transport
        side = np.zeros_like(path)
        current = np.eye(3)[np.abs(tangent[0]).argmin()]
        for row, direction in enumerate(tangent):
            current = current - direction * (current @ direction)
            current /= np.linalg.norm(current)
            side[row] = current
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    return side, np.cross(tangent, side)
