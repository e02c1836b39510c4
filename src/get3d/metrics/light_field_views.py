"""Views of light fields, and silhouettes in them.

The cameras of one light field are orthographic, at the 20 corners of a regular dodecahedron. The
images of opposite cameras are mirrored and have equal descriptors, so that ten axes remain (Chen et
al. 2003). A rotation of the dodecahedron onto itself permutes them.
"""

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from get3d.core import Mesh
from get3d.geometry import check_surface
from get3d.render import pack_views, rasterize_views

NUM_AXES = 10
"""Images of one light field."""
NUM_LIGHT_FIELDS = 10
MARGIN_PX = 2
_NUM_CANDIDATES = 4096


def dodecahedron() -> Float[np.ndarray, "20 3"]:
    """Compute the corners of a regular dodecahedron of radius 1; `i + 10` is opposite `i`."""
    golden = (1 + 5**0.5) / 2
    half = [(1.0, y, z) for y in (-1.0, 1.0) for z in (-1.0, 1.0)]
    for sign in (-1.0, 1.0):
        rectangle = (1 / golden, sign * golden, 0.0)
        half += [tuple(np.roll(rectangle, shift)) for shift in range(3)]
    return np.concatenate([half, np.negative(half)]) / 3**0.5


@lru_cache(maxsize=1)
def dodecahedron_rotations() -> Float[np.ndarray, "60 3 3"]:
    """Compute the rotations that map the dodecahedron onto itself, the identity first.

    A rotation is determined by the images of one corner and one of its three neighbours.
    """
    corners = dodecahedron()
    nearness = corners @ corners.T
    neighbours = np.argsort(-nearness, axis=1, kind="stable")[:, 1:4]
    edges = [_edge_frame(corners[i], corners[j]) for i in range(20) for j in neighbours[i]]
    return np.stack([edge @ edges[0].T for edge in edges])


@lru_cache(maxsize=1)
def alignments() -> Int[np.ndarray, "60 axes"]:
    """Compute the permutation of the axes by each rotation of the dodecahedron."""
    axes = dodecahedron()[:NUM_AXES]
    turned = np.einsum("rxy,ay->rax", dodecahedron_rotations(), axes)
    return np.abs(turned @ axes.T).argmax(-1)


@lru_cache(maxsize=1)
def light_field_rotations() -> Float[np.ndarray, "light_fields 3 3"]:
    """Compute the rotation of each light field's dodecahedron, spread evenly.

    Farthest point sampling of evenly spread candidates, up to rotations of the dodecahedron onto
    itself. The first is generic, so that a flat surface in a coordinate plane is not seen edge-on.
    """
    candidates = _spread_quaternions(_NUM_CANDIDATES)
    group = _quaternions(dodecahedron_rotations())
    chosen = [0]
    closeness = np.zeros(len(candidates))
    while len(chosen) < NUM_LIGHT_FIELDS:
        same = _multiply(candidates[chosen[-1]], group)
        closeness = np.maximum(closeness, np.abs(candidates @ same.T).max(1))
        chosen.append(int(closeness.argmin()))
    return _matrices(candidates[chosen])


@lru_cache(maxsize=1)
def image_frames() -> Float[np.ndarray, "light_fields axes 2 3"]:
    """Compute the directions to the right and up in every image."""
    axes = dodecahedron()[:NUM_AXES]
    helper = np.eye(3)[np.abs(axes).argmin(1)]
    right = np.cross(helper, axes)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    frames = np.stack([right, np.cross(axes, right)], axis=1)
    return np.einsum("lxy,aiy->laix", light_field_rotations(), frames)


def visible_surface(mesh: Mesh) -> Mesh:
    """Prepare a mesh for rendering: used vertices only, centred on their bounding box.

    On the CPU, in float64, so that no precision is lost far from the origin.

    Raises:
        MeshError: If the mesh has no faces or no area, or a face a corner that is not finite.
    """
    check_surface(mesh)
    used, faces = mesh.faces.cpu().unique(return_inverse=True)
    corners = mesh.verts.detach().cpu().double()[used]
    corners = corners - (corners.amax(0) + corners.amin(0)) / 2
    return Mesh(corners, faces)


def draw_silhouettes(
    surface: Mesh, frames: Float[np.ndarray, "images 2 3"], *, image_size: int
) -> Bool[np.ndarray, "images h w"]:
    """Render silhouettes in orthographic projection, each scaled to its image but for a margin.

    A pixel is covered if its centre is. A silhouette that covers no centre (a flat surface seen
    edge-on) becomes a bar one pixel thick, across the image.

    Args:
        surface: Mesh from `visible_surface`.
        frames: Directions to the right and up in every image.
        image_size: Width and height of the images, in pixels.
    """
    flat = (frames.reshape(-1, 3) @ surface.verts.numpy().T).reshape(len(frames), 2, -1)
    low, high = flat.min(2), flat.max(2)
    reach = np.maximum((high - low).max(1) / 2, np.finfo(np.float64).tiny)
    clip = np.zeros((len(frames), flat.shape[2], 4), np.float32)
    scale = (1 - 2 * MARGIN_PX / image_size) / reach
    for axis in range(2):
        middle = (low[:, axis] + high[:, axis]) / 2
        clip[:, :, axis] = (flat[:, axis] - middle[:, None]) * scale[:, None]
    clip[:, :, 3] = 1
    views = pack_views([torch.from_numpy(clip)], [surface.faces])
    is_covered = (rasterize_views(views, image_size) >= 0).numpy()
    is_empty = ~is_covered.any((1, 2))
    is_covered[is_empty, image_size // 2, MARGIN_PX:-MARGIN_PX] = True
    return is_covered


def _edge_frame(
    corner: Float[np.ndarray, " 3"], neighbour: Float[np.ndarray, " 3"]
) -> Float[np.ndarray, "3 3"]:
    """Compute right-handed axes (columns) of a corner and an edge at it."""
    across = np.cross(corner, neighbour)
    across /= np.linalg.norm(across)
    return np.stack([corner, across, np.cross(corner, across)], axis=1)


def _spread_quaternions(num: int) -> Float[np.ndarray, "num 4"]:
    """Spread rotations evenly: Shoemake's map of a three-dimensional additive sequence."""
    root = 1.22074408460575947536  # of x^4 = x + 1: Roberts' generalised golden ratio
    steps = root ** -np.arange(1.0, 4.0)
    u, v, w = ((0.5 + np.arange(1, num + 1)[:, None] * steps) % 1).T
    v, w = 2 * np.pi * v, 2 * np.pi * w
    near, far = np.sqrt(1 - u), np.sqrt(u)
    return np.stack([far * np.cos(w), near * np.sin(v), near * np.cos(v), far * np.sin(w)], axis=1)


def _quaternions(matrices: Float[np.ndarray, "n 3 3"]) -> Float[np.ndarray, "n 4"]:
    """Convert rotation matrices to unit quaternions (real part first, either sign)."""
    outer = np.empty((len(matrices), 4, 4))  # four times the products of the parts
    trace = np.trace(matrices, axis1=1, axis2=2)
    outer[:, 0, 0] = 1 + trace
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        outer[:, i + 1, i + 1] = 1 + 2 * matrices[:, i, i] - trace
        outer[:, 0, i + 1] = outer[:, i + 1, 0] = matrices[:, k, j] - matrices[:, j, k]
        outer[:, i + 1, j + 1] = outer[:, j + 1, i + 1] = matrices[:, i, j] + matrices[:, j, i]
    largest = np.diagonal(outer, axis1=1, axis2=2).argmax(1)
    parts = outer[np.arange(len(outer)), largest]
    return parts / np.linalg.norm(parts, axis=1, keepdims=True)


def _matrices(quaternions: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 3 3"]:
    """Convert unit quaternions to rotation matrices."""
    units = np.eye(3)
    w, xyz = quaternions[:, :1], quaternions[:, 1:]
    columns = [
        units[i] + 2 * np.cross(xyz, np.cross(xyz, units[i]) + w * units[i]) for i in range(3)
    ]
    return np.stack(columns, axis=2)


def _multiply(
    left: Float[np.ndarray, " 4"], right: Float[np.ndarray, "n 4"]
) -> Float[np.ndarray, "n 4"]:
    """Multiply quaternions: rotation by `right`, then by `left`."""
    real = left[0] * right[:, 0] - right[:, 1:] @ left[1:]
    rest = left[0] * right[:, 1:] + right[:, :1] * left[1:] + np.cross(left[1:], right[:, 1:])
    return np.concatenate([real[:, None], rest], axis=1)
