"""Cameras of light fields: the dodecahedron's rotations, evenly turned copies, and silhouettes."""

import numpy as np
import pytest
import torch

from get3d.core.errors import MeshError
from get3d.core.types import Mesh
from get3d.metrics.light_field_views import (
    MARGIN_PX,
    alignments,
    dodecahedron,
    dodecahedron_rotations,
    draw_silhouettes,
    image_frames,
    light_field_rotations,
    visible_surface,
)

SIZE = 64
FRONT = np.array([[[1.0, 0, 0], [0, 1, 0]]])


def open_surface() -> Mesh:
    corners = torch.tensor([[0.0, 0, 0], [4, 0, 0], [4, 1, 0], [0, 1, 0]])
    return Mesh(corners, torch.tensor([[0, 1, 2], [0, 2, 3]]))


def draw(mesh: Mesh, frames: np.ndarray = FRONT) -> np.ndarray:
    return draw_silhouettes(visible_surface(mesh), frames, image_size=SIZE)


def test_dodecahedron_is_regular() -> None:
    corners = dodecahedron()
    np.testing.assert_allclose(np.linalg.norm(corners, axis=1), 1)
    np.testing.assert_array_equal(corners[10:], -corners[:10])
    for row in np.sort(corners @ corners.T)[:, ::-1]:
        np.testing.assert_allclose(row[1:4], 5**0.5 / 3)  # three nearest corners


def test_rotations_are_the_group_of_the_dodecahedron() -> None:
    rotations = dodecahedron_rotations()
    assert rotations.shape == (60, 3, 3)
    np.testing.assert_allclose(rotations[0], np.eye(3), atol=1e-12)
    np.testing.assert_allclose(
        rotations @ rotations.transpose(0, 2, 1), np.tile(np.eye(3), (60, 1, 1)), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(rotations), 1)
    known = {tuple(each) for each in np.rint(rotations.reshape(60, 9) * 1e6).astype(int)}
    assert len(known) == 60
    products = np.einsum("aij,bjk->abik", rotations, rotations).reshape(-1, 9)
    assert {tuple(each) for each in np.rint(products * 1e6).astype(int)} == known
    corners = dodecahedron()
    nearest = (corners @ rotations.transpose(0, 2, 1) @ corners.T).max(2)
    np.testing.assert_allclose(nearest, 1)


def test_alignments_permute_the_axes_as_a_group() -> None:
    order = alignments()
    assert len({tuple(each) for each in order}) == 60
    np.testing.assert_array_equal(np.sort(order, axis=1), np.tile(np.arange(10), (60, 1)))
    np.testing.assert_array_equal(order[0], np.arange(10))
    products = order[:, order].reshape(-1, 10)
    assert {tuple(each) for each in products} == {tuple(each) for each in order}


def test_light_fields_are_turned_evenly() -> None:
    turns = light_field_rotations()
    assert turns.shape == (10, 3, 3)
    np.testing.assert_allclose(np.linalg.det(turns), 1)
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), [np.eye(3)] * 10, atol=1e-12)
    # Two light fields are as far apart as the least turn that takes one's axes to the other's.
    relative = np.einsum("aji,bjk->abik", turns, turns)
    traces = np.einsum("abik,gik->abg", relative, dodecahedron_rotations())
    angles_deg = np.degrees(np.arccos(np.clip((traces.max(2) - 1) / 2, -1, 1)))
    assert angles_deg[~np.eye(10, dtype=bool)].min() > 20


def test_frames_look_along_the_turned_axes() -> None:
    frames = image_frames()
    looks = np.cross(frames[:, :, 0], frames[:, :, 1])
    np.testing.assert_allclose(np.linalg.norm(frames, axis=-1), 1)
    expected = np.einsum("lij,aj->lai", light_field_rotations(), dodecahedron()[:10])
    np.testing.assert_allclose(looks, expected, atol=1e-12)


def test_silhouette_fills_the_image() -> None:
    (seen,) = draw(open_surface())
    rows, columns = seen.any(1).nonzero()[0], seen.any(0).nonzero()[0]
    assert (columns[0], columns[-1]) == (MARGIN_PX, SIZE - 1 - MARGIN_PX)
    assert len(rows) == (SIZE - 2 * MARGIN_PX) / 4
    assert seen.sum() == len(rows) * len(columns)


def test_place_and_size_do_not_matter() -> None:
    far = Mesh(1000 * open_surface().verts.double() + 1e6, open_surface().faces)
    frames = image_frames()[0]
    np.testing.assert_array_equal(draw(far, frames), draw(open_surface(), frames))


def test_open_surface_seen_edge_on_is_a_bar() -> None:
    (seen,) = draw(open_surface(), np.array([[[1.0, 0, 0], [0, 0, 1]]]))
    assert seen.sum() == SIZE - 2 * MARGIN_PX
    assert seen.any(1).sum() == 1


def test_unused_vertices_are_ignored() -> None:
    verts = torch.cat(
        [torch.full((1, 3), torch.nan), open_surface().verts, torch.full((1, 3), 99.0)]
    )
    np.testing.assert_array_equal(draw(Mesh(verts, open_surface().faces + 1)), draw(open_surface()))


def test_what_has_no_silhouette_raise() -> None:
    mesh = open_surface()
    with pytest.raises(MeshError, match="no faces"):
        visible_surface(Mesh(mesh.verts, mesh.faces[:0]))
    for bad in (torch.nan, torch.inf):
        verts = mesh.verts.clone()
        verts[2, 1] = bad
        with pytest.raises(MeshError, match="NaN or infinity"):
            visible_surface(Mesh(verts, mesh.faces))
    with pytest.raises(MeshError, match="no area"):
        visible_surface(Mesh(mesh.verts * torch.tensor([1.0, 0, 0]), mesh.faces))
