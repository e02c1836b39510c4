import pytest
import torch
from torch import Tensor

from get3d.core.errors import ConfigError
from get3d.render import rasterize

BACKENDS = ["numba", "torch"]
pytestmark = pytest.mark.parametrize("backend", BACKENDS)


def on_screen(points_px: Tensor, size: tuple[int, int], z: float = 0.0) -> Tensor:
    """Clip coordinates of (column, row) positions in pixels."""
    extent = torch.tensor([size[1], size[0]], dtype=torch.float64)
    xy = points_px.double() / extent * 2 - 1
    return torch.cat([xy, torch.full_like(xy[:, :1], z), torch.ones_like(xy[:, :1])], 1)


def ray_oracle(clip: Tensor, size: tuple[int, int]) -> Tensor:
    """Find the pixel centres that a triangle covers by solving for the point on each ray."""
    height, width = size
    x = (torch.arange(width, dtype=torch.float64) + 0.5) / width * 2 - 1
    y = (torch.arange(height, dtype=torch.float64) + 0.5) / height * 2 - 1
    y, x = torch.meshgrid(y, x, indexing="ij")
    # p = sum_i b_i c_i with p.x = x p.w, p.y = y p.w and sum b = 1
    px = clip[:, 0] - x[..., None] * clip[:, 3]
    py = clip[:, 1] - y[..., None] * clip[:, 3]
    system = torch.stack([px, py, torch.ones_like(px)], -2)
    weights = torch.linalg.solve(system, torch.tensor([0.0, 0, 1]).double().expand_as(px))
    z, w = (weights * clip[:, 2]).sum(-1), (weights * clip[:, 3]).sum(-1)
    return (weights >= 0).all(-1) & (w > 0) & (z.abs() <= w)


def test_pixel_centres_and_row_zero_at_the_top(backend: str) -> None:
    size = (3, 5)
    for row in range(3):
        for column in range(5):
            centre = torch.tensor([[column + 0.5, row + 0.5]])
            offsets = torch.tensor([[-0.02, -0.01], [0.03, -0.01], [0.0, 0.02]])
            clip = on_screen(centre + offsets, size)
            ids = rasterize(clip, torch.tensor([[0, 1, 2]]), size, backend=backend)
            expected = torch.full(size, -1)
            expected[row, column] = 0
            assert torch.equal(ids, expected)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 2, 0]])
def test_both_windings_are_drawn_alike(backend: str, order: list[int]) -> None:
    clip = on_screen(torch.tensor([[1.0, 1], [9, 2], [3, 8.5]]), (10, 10))
    expected = rasterize(clip, torch.tensor([[0, 1, 2]]), 10, backend=backend)
    assert (expected == 0).sum() > 20
    assert torch.equal(rasterize(clip, torch.tensor([order]), 10, backend=backend), expected)


@pytest.mark.parametrize("seed", range(4))
def test_a_triangulated_square_covers_each_pixel_exactly_once(backend: str, seed: int) -> None:
    spatial = pytest.importorskip("scipy.spatial")
    generator = torch.Generator().manual_seed(seed)
    corners = torch.tensor([[0.0, 0], [16, 0], [0, 16], [16, 16]])
    inner = torch.rand(40, 2, generator=generator) * 16
    # Half of the points lie on pixel centres and borders, where ties decide.
    inner[:30] = (inner[:30] * 2).round() / 2
    points = torch.cat([corners, inner.clamp(0.5, 15.5)]).unique(dim=0)
    # Delaunay leaves out faces of zero area only; all else tiles the square.
    faces = torch.tensor(spatial.Delaunay(points.numpy()).simplices).long()
    clip = on_screen(points, (16, 16))
    counts = sum((rasterize(clip, face[None], 16, backend=backend) == 0).long() for face in faces)
    assert torch.equal(counts, torch.ones(16, 16, dtype=torch.int64))


def test_nearest_wins_and_the_lower_index_wins_ties(backend: str) -> None:
    shape = torch.tensor([[0.3, 0.2], [7.9, 1.0], [2.0, 7.7]])
    near, far = on_screen(shape, (8, 8), -0.5), on_screen(shape, (8, 8), 0.5)
    tilted = near.clone()
    tilted[:, 2] = torch.tensor([-0.3, 0.1, 0.77])
    clip = torch.cat([far, near, tilted])
    covered = rasterize(clip, torch.tensor([[0, 1, 2]]), 8, backend=backend) == 0
    ids = rasterize(clip, torch.tensor([[0, 1, 2], [3, 4, 5]]), 8, backend=backend)
    assert torch.equal(ids == 1, covered)
    # The same triangle, tilted in depth, in every order of its corners.
    orders = [[8, 7, 6], [6, 7, 8], [7, 8, 6], [8, 6, 7], [7, 6, 8], [6, 8, 7]]
    ids = rasterize(clip, torch.tensor(orders), 8, backend=backend)
    assert torch.equal(ids == 0, covered)
    assert ids.max() == 0


def test_depth_range_is_that_of_the_clip_volume(backend: str) -> None:
    shape = torch.tensor([[-9.0, -9], [30, -9], [-9, 30]])
    for z, is_drawn in ((-1.01, False), (-1.0, True), (0.0, True), (1.0, True), (1.01, False)):
        ids = rasterize(on_screen(shape, (4, 4), z), torch.tensor([[0, 1, 2]]), 4, backend=backend)
        assert bool((ids == 0).all()) == is_drawn
        assert bool((ids == -1).all()) != is_drawn


@pytest.mark.parametrize("kind", ["crossing", "huge", "thin"])
def test_triangles_across_the_near_plane_agree_with_rays(backend: str, kind: str) -> None:
    generator = torch.Generator().manual_seed(3)
    size, wrong, drawn = (24, 20), 0, 0
    for _ in range(60):
        clip = torch.randn(3, 4, generator=generator, dtype=torch.float64)
        if kind == "huge":
            clip[:, :2] *= 1e5
        if kind == "thin":
            clip[1] = clip[0] + 0.05 * clip[1]
        expected = ray_oracle(clip, size)
        ids = rasterize(clip, torch.tensor([[0, 1, 2]]), size, backend=backend)
        wrong += int(((ids == 0) != expected).sum())
        drawn += int(expected.sum())
    assert drawn > 80
    assert wrong <= 3  # centres within 1/4096 pixel of an edge may fall either way


def test_degenerate_and_invalid_faces_draw_nothing(backend: str) -> None:
    clip = on_screen(torch.tensor([[0.0, 0], [8, 8], [4, 4], [8, 0]]), (8, 8))
    faces = torch.tensor([[0, 1, 2], [0, 0, 1], [3, 3, 3]])
    assert (rasterize(clip, faces, 8, backend=backend) == -1).all()
    for bad in (torch.nan, torch.inf, -torch.inf):
        for axis in range(4):
            invalid = clip.clone()
            invalid[3, axis] = bad
            ids = rasterize(invalid, torch.tensor([[0, 1, 3], [0, 2, 3]]), 8, backend=backend)
            assert (ids == -1).all()
    assert (rasterize(torch.zeros(3, 4), torch.tensor([[0, 1, 2]]), 4, backend=backend) == -1).all()


def test_empty_meshes_draw_nothing(backend: str) -> None:
    no_faces = torch.zeros(0, 3, dtype=torch.int64)
    assert (rasterize(torch.zeros(0, 4), no_faces, (2, 3), backend=backend) == -1).all()
    assert rasterize(torch.zeros(2, 5, 4), no_faces, 3, backend=backend).shape == (2, 3, 3)
    assert rasterize(torch.zeros(0, 5, 4), no_faces, 3, backend=backend).shape == (0, 3, 3)


def test_batches_equal_loops(backend: str) -> None:
    generator = torch.Generator().manual_seed(0)
    clips, faces = [], []
    for num_verts, num_faces, num_views in ((9, 12, 2), (4, 0, 1), (30, 50, 3)):
        clip = torch.randn(num_views, num_verts, 4, generator=generator)
        clip[..., 3] += 2
        clips.append(clip)
        faces.append(torch.randint(0, num_verts, (num_faces, 3), generator=generator))
    packed = rasterize(clips, faces, (12, 17), backend=backend)
    alone = [
        rasterize(view, triangles, (12, 17), backend=backend)
        for clip, triangles in zip(clips, faces, strict=True)
        for view in clip
    ]
    assert torch.equal(packed, torch.stack(alone))
    assert torch.equal(packed[3:], rasterize(clips[2], faces[2], (12, 17), backend=backend))


@pytest.mark.parametrize(
    ("clip", "faces", "size", "message"),
    [
        (torch.zeros(3, 4), torch.tensor([[0, 1, 3]]), 4, "index the 3 vertices"),
        (torch.zeros(3, 4), torch.tensor([[0, 1, -1]]), 4, "index the 3 vertices"),
        (torch.zeros(3, 4), torch.tensor([[0, 1, 2]]), 0, "image_size"),
        (torch.zeros(3, 4), torch.tensor([[0, 1, 2]]), (4, 99999), "image_size"),
        ([torch.zeros(3, 4)], [], 4, "same meshes"),
        ([], [], 4, "same meshes"),
        ([torch.zeros(3, 4)], torch.tensor([[0, 1, 2]]), 4, "both be"),
    ],
)
def test_bad_input_is_named(backend: str, clip, faces, size, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rasterize(clip, faces, size, backend=backend)


def test_unknown_backend_and_wrong_device(backend: str) -> None:
    from get3d.render.rasterizer import choose_backend

    assert choose_backend(torch.device("cpu"), backend) is not None
    with pytest.raises(ConfigError, match="works on CPU"):
        choose_backend(torch.device("cuda"), "numba")
