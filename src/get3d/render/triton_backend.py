"""The CUDA backend: kernels that Triton compiles on first use, without host synchronisation.

Only `silhouette` synchronises once, for the number of pairs it found.
"""

import torch
from jaxtyping import Int
from torch import Tensor

from get3d.render import triton_kernels as kernels
from get3d.render.fixed_point import MAX_KEY, NO_EDGE
from get3d.render.views import PackedViews

FACES_PER_PROGRAM = 128
PIXELS_PER_ROUND = 256
LINES_PER_ROUND = 128
PIXELS_PER_PART = 1 << 16
"""Image pixels per program that rasterises a part of a large face."""
OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}


def rasterize(views: PackedViews, image_size: tuple[int, int]) -> Int[Tensor, "n h w"]:
    """Find the nearest face of every pixel; the contract is that of `get3d.render.rasterize`."""
    height, width = image_size
    keys = torch.full((len(views) * height * width,), MAX_KEY, device=views.clip.device)
    num_faces = views.spans[:, 2].tolist()
    if sum(num_faces) and views.clip.shape[0]:
        blocks = -(-max(num_faces) // FACES_PER_PROGRAM)
        mesh, work = _arguments(views), _work_list(views, sum(num_faces))
        parts = min(max(height * width // PIXELS_PER_PART, 1), 16)
        with torch.cuda.device_of(keys):
            kernels.draw_faces[(len(views) * blocks,)](
                keys, *work, *mesh, blocks, height, width, BLOCK=FACES_PER_PROGRAM, **OPTIONS
            )
            kernels.draw_listed[(_num_programs(keys.device), parts)](
                keys, *work, *mesh, height, width, BLOCK=PIXELS_PER_ROUND, **OPTIONS
            )
    # The lower half of a key is the face index; that of MAX_KEY, as a signed integer, is -1.
    return keys.int().long().view(len(views), height, width)


def silhouette(views: PackedViews, face_id: Int[Tensor, "n h w"]) -> Int[Tensor, "2 c"]:
    """Find the outermost edge between covered and empty neighbours; see `torch_backend`."""
    num, height, width = face_id.shape
    keys = torch.full((2, num * height * width), -1, device=views.clip.device)
    num_faces = views.spans[:, 2].tolist()
    if sum(num_faces) and views.clip.shape[0]:
        blocks = -(-max(num_faces) // FACES_PER_PROGRAM)
        mesh, work = _arguments(views), _work_list(views, sum(num_faces))
        drawn = (*keys, face_id.contiguous())
        with torch.cuda.device_of(keys):
            kernels.search_faces[(num * blocks,)](
                *drawn, *work, *mesh, blocks, height, width, BLOCK=FACES_PER_PROGRAM, **OPTIONS
            )
            kernels.search_listed[(_num_programs(keys.device),)](
                *drawn, *work, *mesh, height, width, BLOCK=LINES_PER_ROUND, **OPTIONS
            )
    keys = keys.flatten()
    found = ((keys >= 0) & (keys & 3 != NO_EDGE)).nonzero().squeeze(1)
    return torch.stack([found, keys[found]])


def _arguments(views: PackedViews) -> tuple[Tensor, Tensor, Tensor, int]:
    """Return the kernel arguments that describe the meshes."""
    clip = views.clip.detach().contiguous()
    return clip, views.faces.contiguous(), views.device_spans, clip.shape[0]


def _work_list(views: PackedViews, num_faces: int) -> tuple[Tensor, Tensor]:
    """Allocate the list of faces for the second round, and its counter."""
    device = views.clip.device
    return (
        torch.empty(num_faces, dtype=torch.int64, device=device),
        torch.zeros(1, dtype=torch.int32, device=device),
    )


def _num_programs(device: torch.device) -> int:
    """Choose a number of programs that fills the device, for a list of unknown length."""
    if device.type != "cuda":  # the interpreter, for tests
        return 2
    return 16 * torch.cuda.get_device_properties(device).multi_processor_count
