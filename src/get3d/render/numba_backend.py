"""The CPU backend: compiled loops, threads over images and bands of rows.

Threads are ours, not numba's: its pools abort the process when two threads enter at once or when a
process forks after use, and both happen in ordinary data loading. `torch.set_num_threads` decides
how many there are.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from get3d.render import numba_kernels as kernels
from get3d.render.snapping import ScreenTriangles, cut_faces, gather_corners
from get3d.render.views import Views

Result = TypeVar("Result")


def rasterize(views: Views, image_size: tuple[int, int]) -> Int[Tensor, "n h w"]:
    """Find the nearest face of every pixel; the contract is that of `get3d.render.rasterize`."""
    height, width = image_size
    face_id = torch.empty((len(views), height, width), dtype=torch.int64)
    keys = face_id.view(len(views), -1).numpy()
    meshes = _split(views)

    def draw(image: int, part: int, parts: int) -> np.ndarray:
        begin, end = height * part // parts, height * (part + 1) // parts
        band = keys[image, begin * width : end * width]
        band.fill(kernels.MAX_KEY)
        needs_cut = kernels.draw_faces(keys[image], *meshes[image], begin, end, height, width)
        if not needs_cut.size:
            kernels.keys_to_faces(band)
        return needs_cut

    results = _run(draw, len(views))
    for image, needs_cut in enumerate(results):
        if needs_cut.size:
            cut = _cut(views, image, needs_cut, image_size)
            kernels.draw_triangles(
                keys[image],
                *(each.numpy() for each in (cut.x, cut.y, cut.z, cut.face)),
                height,
                width,
            )
            kernels.keys_to_faces(keys[image])
    return face_id


def silhouette(
    views: Views, face_id: Int[Tensor, "n h w"]
) -> tuple[Int[Tensor, "n h w"], Int[Tensor, "n h w"]]:
    """Find the outermost side between a covered and an empty neighbour; see `coverage.py`."""
    num, height, width = face_id.shape
    across, down = torch.full_like(face_id, -1), torch.full_like(face_id, -1)
    seen = face_id.reshape(num, -1).numpy()
    keys_across, keys_down = across.view(num, -1).numpy(), down.view(num, -1).numpy()
    meshes = _split(views)

    def search(image: int, part: int, parts: int) -> np.ndarray:
        rows = (height * part // parts, height * (part + 1) // parts)
        columns = (width * part // parts, width * (part + 1) // parts)
        return kernels.search_faces(
            keys_across[image], keys_down[image], seen[image], *meshes[image],
            rows, columns, height, width,
        )  # fmt: skip

    for image, needs_cut in enumerate(_run(search, num)):
        if needs_cut.size:
            cut = _cut(views, image, needs_cut, (height, width))
            kernels.search_triangles(
                keys_across[image], keys_down[image], seen[image],
                *(each.numpy() for each in (cut.x, cut.y, cut.opposite, cut.face)),
                height, width,
            )  # fmt: skip
    return across, down


def _split(views: Views) -> list[tuple[np.ndarray, np.ndarray]]:
    """Clip-space vertices and faces of each image, as arrays that share memory."""
    clip = views.clip.detach().contiguous().numpy()
    faces = views.faces.contiguous().numpy()
    spans = views.spans.tolist()
    ends = [first for first, *_ in spans[1:]] + [clip.shape[0]]
    return [
        (clip[first:end], faces[first_face : first_face + num_faces])
        for (first, first_face, num_faces, _), end in zip(spans, ends, strict=True)
    ]


def _cut(
    views: Views, image: int, needs_cut: np.ndarray, image_size: tuple[int, int]
) -> ScreenTriangles:
    face = torch.from_numpy(needs_cut).nonzero().squeeze(1)
    images = torch.full_like(face, image)
    return cut_faces(gather_corners(views, images, face), images, face, image_size)


def _run(task: Callable[[int, int, int], Result], num: int) -> list[Result]:
    """Do `task(image, part, parts)` for all images on all threads; return the first parts' results."""
    threads = torch.get_num_threads()
    parts = max(1, -(-threads // max(num, 1)))
    jobs = [(image, part, parts) for part in range(parts) for image in range(num)]
    if threads == 1 or len(jobs) < 2:
        return [task(*job) for job in jobs][:num]
    pool = _pool(os.getpid(), threads - 1)
    share = -(-len(jobs) // threads)
    futures = [
        pool.submit(lambda part: [task(*job) for job in part], jobs[i : i + share])
        for i in range(share, len(jobs), share)
    ]
    results = [task(*job) for job in jobs[:share]]
    for future in futures:
        results += future.result()
    return results[:num]


@lru_cache(maxsize=4)
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Threads of this process; a forked child makes its own."""
    return ThreadPoolExecutor(threads, thread_name_prefix=f"rasterize-{process}")
