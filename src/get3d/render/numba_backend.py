"""The CPU backend: compiled loops, with threads over images and bands of rows.

It does not use numba's thread pools, which abort the process when two threads enter at once or when
a process forks after use; both happen in data loading. `torch.set_num_threads` sets their number.
"""

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from get3d.core.threads import run_jobs
from get3d.render import numba_kernels as kernels
from get3d.render.fixed_point import NO_EDGE, ScreenTriangles, classify, cut_faces, gather_corners
from get3d.render.views import PackedViews

MIN_WORK_NS = 3_000_000
"""Estimated work below which one thread is faster than several."""


def rasterize(views: PackedViews, image_size: tuple[int, int]) -> Int[Tensor, "n h w"]:
    """Find the nearest face of every pixel; the contract is that of `get3d.render.rasterize`."""
    height, width = image_size
    face_id = torch.empty((len(views), height, width), dtype=torch.int64)
    keys = face_id.view(len(views), height * width).numpy()
    meshes = split_views(views)
    threads = _threads(views, image_size)
    parts = -(-threads // max(len(views), 1))

    def draw(job: tuple[int, int]) -> int:
        image, part = job
        begin, end = height * part // parts, height * (part + 1) // parts
        band = keys[image, begin * width : end * width]
        band.fill(kernels.MAX_KEY)
        num_to_cut = kernels.draw_faces(keys[image], *meshes[image], begin, end, height, width)
        if not num_to_cut:
            kernels.keys_to_faces(band)
        return num_to_cut

    jobs = [(image, part) for part in range(parts) for image in range(len(views))]
    for image, num_to_cut in enumerate(run_jobs(draw, jobs, threads=threads)[: len(views)]):
        if num_to_cut:
            cut = _cut(views, image, image_size)
            corners = (each.numpy() for each in (cut.x, cut.y, cut.z, cut.face))
            kernels.draw_triangles(keys[image], *corners, height, width)
            kernels.keys_to_faces(keys[image])
    return face_id


def silhouette(views: PackedViews, face_id: Int[Tensor, "n h w"]) -> Int[Tensor, "2 c"]:
    """Find the outermost edge between covered and empty neighbours; see `torch_backend`."""
    num, height, width = face_id.shape
    seen = face_id.reshape(num, height * width).numpy()
    meshes = split_views(views)
    shift = max(0, (max(height, width) - 1).bit_length() - 7)  # some 128 tiles each way

    def search(image: int) -> list[np.ndarray]:
        across, down = np.empty(height * width, np.int64), np.empty(height * width, np.int64)
        *pairs, tiles = kernels.find_border(seen[image], across, down, height, width, shift)
        if kernels.search_faces(
            across, down, seen[image], *meshes[image], tiles, shift, height, width
        ):
            cut = _cut(views, image, (height, width))
            corners = (each.numpy() for each in (cut.x, cut.y, cut.opposite, cut.face))
            kernels.search_triangles(across, down, seen[image], *corners, height, width)
        found = []
        for pair, keys in zip(pairs, (across, down), strict=True):
            key = keys[pair]
            is_found = (key >= 0) & (key & 3 != NO_EDGE)
            found.append(np.stack([pair[is_found] + image * height * width, key[is_found]]))
        return found

    none = [np.zeros((2, 0), np.int64)] * 2
    searched = [none, *run_jobs(search, range(num), threads=_threads(views, (height, width)))]
    across, down = (np.concatenate(each, 1) for each in zip(*searched, strict=True))
    down[0] += face_id.numel()
    return torch.from_numpy(np.concatenate([across, down], 1))


def split_views(views: PackedViews) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the clip-space vertices and faces of each image, as arrays that share memory."""
    clip = views.clip.detach().contiguous().numpy()
    faces = views.faces.contiguous().numpy()
    spans = views.spans.tolist()
    ends = [*(first for first, *_ in spans[1:]), clip.shape[0]][: len(spans)]
    return [
        (clip[first:end], faces[first_face : first_face + num_faces])
        for (first, first_face, num_faces, _), end in zip(spans, ends, strict=True)
    ]


def _cut(views: PackedViews, image: int, image_size: tuple[int, int]) -> ScreenTriangles:
    """Clip the faces of one image that cannot be rasterised directly."""
    face = torch.arange(int(views.spans[image, 2]))
    images = torch.full_like(face, image)
    clip = gather_corners(views, images, face)
    _, is_hard = classify(clip, image_size)
    return cut_faces(clip[is_hard], images[is_hard], face[is_hard], image_size)


def _threads(views: PackedViews, image_size: tuple[int, int]) -> int:
    """Choose the number of threads by an estimate of the work."""
    work_ns = 15 * int(views.spans[:, 2].sum()) + 4 * len(views) * image_size[0] * image_size[1]
    return torch.get_num_threads() if work_ns > MIN_WORK_NS else 1
