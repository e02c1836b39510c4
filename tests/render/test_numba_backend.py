import threading

import pytest
import torch

from get3d.render import numba_backend, torch_backend
from get3d.render.views import pack_views


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "kind", ["plain", "crossing", "huge", "wide_range", "grid", "small", "bad"]
)
def test_agrees_with_the_reference_bit_for_bit(kind: str, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(len(kind))
    for size in ((21, 30), (3, 50)):
        clip = torch.randn(3, 400, 4, generator=generator, dtype=torch.float64)
        faces = torch.randint(0, 400, (100, 3), generator=generator)
        if kind == "small":  # neighbours in space, several per pixel
            clip = clip[:, :1] + 0.1 * clip
        if kind in ("plain", "small", "grid"):
            clip[..., 3] = 1 + clip[..., 3].abs()
        if kind == "huge":
            clip[..., :2] *= 1e5
        if kind == "wide_range":
            clip *= 10.0 ** (torch.rand(3, 400, 4, generator=generator) * 12 - 6)
        if kind == "grid":  # corners on pixel centres and equal depths: all kinds of ties
            clip[..., :3] = (clip[..., :3] * 8).round() / 8
            clip[..., 3] = 1
        if kind == "bad":
            clip[:, ::7, 2] = torch.nan
            clip[:, 1::11, 3] = torch.inf
            clip[:, 2::13] = 0
        views = pack_views([clip.to(dtype)], [faces])
        reference = torch_backend.rasterize(views, size)
        assert torch.equal(numba_backend.rasterize(views, size), reference)
        found = numba_backend.silhouette(views, reference)
        assert torch.equal(found, torch_backend.silhouette(views, reference))


def test_silhouette_finds_every_border_of_a_sphere(sphere, cameras) -> None:
    from get3d.render import project_meshes

    for level in (1, 4):
        views, _ = project_meshes([sphere(level)], cameras(2), views_per_mesh=2)
        face_id = numba_backend.rasterize(views, (40, 40))
        covered = face_id >= 0
        place, _ = numba_backend.silhouette(views, face_id)
        num_across = (place < face_id.numel()).sum()
        assert num_across == (covered[..., 1:] != covered[..., :-1]).sum() > 0
        assert len(place) - num_across == (covered[:, 1:] != covered[:, :-1]).sum() > 0


def test_many_threads_may_draw_at_once(sphere, cameras) -> None:
    from get3d.render import project_meshes

    views, _ = project_meshes([sphere(3)] * 4, cameras(4))
    expected = numba_backend.rasterize(views, (400, 400))
    results: list[bool] = []

    def draw() -> None:
        for _ in range(5):
            results.append(torch.equal(numba_backend.rasterize(views, (400, 400)), expected))

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 20
