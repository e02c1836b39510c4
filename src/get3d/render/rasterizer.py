"""Which face does each pixel see? The one question of rendering that autograd cannot answer."""

import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from get3d.core.jit import has_triton
from get3d.render import numba_backend, torch_backend
from get3d.render.views import Views, pack_views, parse_image_size

Backend = Literal["torch", "numba", "triton"]


def rasterize(
    clip_verts: Float[Tensor, "*views verts 4"] | Sequence[Float[Tensor, "... 4"]],
    faces: Int[Tensor, "faces 3"] | Sequence[Int[Tensor, "_ 3"]],
    image_size: int | tuple[int, int],
    *,
    backend: Backend | None = None,
) -> Int[Tensor, "*n h w"]:
    """Find the face that each pixel sees.

    A pixel is drawn where its centre lies in a triangle, with -1 <= z/w <= 1 and w > 0. Both
    windings are drawn. A side shared by two triangles belongs to exactly one of them; equal depths
    go to the lower face index. Degenerate faces and faces with a corner that is not finite draw
    nothing. Screen positions are rounded to 1/4096 pixel. No gradient passes through.

    Args:
        clip_verts: Vertices in clip space: of one image, of several views of one mesh, or a list
            with one entry a mesh, each for one view or for several.
        faces: Vertex indices; a list if `clip_verts` is one.
        image_size: In pixels, square or (height, width).
        backend: "numba" (CPU), "triton" (CUDA) or "torch" (any device), which agree exactly; None
            picks the fastest.

    Returns:
        Index of the nearest face of the image's own mesh, -1 where there is none: `[h, w]` for one
        image, else `[n, h, w]`, for lists ordered by mesh, then by view.

    Raises:
        ValueError: If shapes, indices, size, or backend and device do not fit.

    Example:
        >>> corners = torch.tensor([[-1.0, -1, 0, 1], [3, -1, 0, 1], [-1, 3, 0, 1]])
        >>> rasterize(corners, torch.tensor([[0, 1, 2]]), 2)
        tensor([[0, 0],
                [0, 0]])
    """
    size = parse_image_size(image_size)
    if isinstance(clip_verts, Tensor) and isinstance(faces, Tensor):
        face_id = rasterize_views(pack_views([clip_verts], [faces]), size, backend=backend)
        return face_id[0] if clip_verts.ndim == 2 else face_id
    if isinstance(clip_verts, Tensor) or isinstance(faces, Tensor):
        raise ValueError("clip_verts and faces must both be tensors or both be lists")
    return rasterize_views(pack_views(clip_verts, faces), size, backend=backend)


def rasterize_views(
    views: Views, image_size: int | tuple[int, int], *, backend: Backend | None = None
) -> Int[Tensor, "n h w"]:
    """Do the same for views that are already packed.

    Raises:
        ValueError: If the backend is unknown or cannot work on the device.
    """
    chosen = choose_backend(views.clip.device, backend)
    with torch.no_grad():
        return chosen.rasterize(views, parse_image_size(image_size))


def choose_backend(device: torch.device, backend: Backend | None) -> ModuleType:
    """Find the implementation to use on a device.

    Raises:
        ValueError: If the backend is unknown or cannot work on the device.
    """
    match backend:
        case None if device.type == "cpu":
            return numba_backend
        case None:
            return _triton_backend() if device.type == "cuda" and has_triton() else torch_backend
        case "torch":
            return torch_backend
        case "numba" if device.type == "cpu":
            return numba_backend
        case "numba":
            raise ValueError(
                f"backend 'numba' works on CPU tensors, got {device}; use 'torch' or None"
            )
        case "triton" if device.type == "cuda":
            if not has_triton():
                raise ValueError(
                    "backend 'triton' does not work here (is the package triton installed, and is "
                    "there a C compiler?); use 'torch' or None"
                )
            return _triton_backend()
        case "triton":
            raise ValueError(
                f"backend 'triton' works on CUDA tensors, got {device}; use 'torch' or None"
            )
        case _:
            raise ValueError(f"backend must be 'numba', 'triton', 'torch' or None, got {backend!r}")


def _triton_backend() -> ModuleType:
    """Import the backend that Triton compiles."""
    return importlib.import_module("get3d.render.triton_backend")
