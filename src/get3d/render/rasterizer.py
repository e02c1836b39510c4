"""Rasterisation: the visible face of every pixel, by the backend that suits the device."""

import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from get3d.core.errors import ConfigError
from get3d.core.jit import has_triton
from get3d.render import numba_backend, torch_backend
from get3d.render.views import PackedViews, pack_views, parse_image_size

Backend = Literal["torch", "numba", "triton"]


def rasterize(
    clip_verts: Float[Tensor, "*views verts 4"] | Sequence[Float[Tensor, "... 4"]],
    faces: Int[Tensor, "faces 3"] | Sequence[Int[Tensor, "_ 3"]],
    image_size: int | tuple[int, int],
    *,
    backend: Backend | None = None,
) -> Int[Tensor, "*n h w"]:
    """Find the visible face of every pixel.

    A pixel is covered where its centre lies in a triangle, with -1 <= z/w <= 1 and w > 0. There is
    no backface culling. A pixel centre on an edge shared by two triangles belongs to exactly one of
    them; for equal depths the lower face index wins. Degenerate faces and faces with non-finite
    corners cover nothing. Screen positions are rounded to 1/4096 pixel. Not differentiable.

    Args:
        clip_verts: Vertices in clip space: of one image, of several views of one mesh, or a list
            with one entry per mesh, each for one view or several.
        faces: Vertex indices; a list if `clip_verts` is one.
        image_size: In pixels, square or (height, width).
        backend: "numba" (CPU), "triton" (CUDA) or "torch" (any device), with identical results;
            None picks the fastest.

    Returns:
        Index of the nearest face within the image's mesh, -1 for background: `[h, w]` for one
        image, else `[n, h, w]`, for lists ordered by mesh, then by view.

    Raises:
        ConfigError: If the image size or the backend is not supported.
        ValueError: If shapes or devices do not match, or a vertex index is out of range.

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
    views: PackedViews, image_size: int | tuple[int, int], *, backend: Backend | None = None
) -> Int[Tensor, "n h w"]:
    """Find the visible face of every pixel of packed views; see `rasterize`.

    Raises:
        ConfigError: If the image size or the backend is not supported.
    """
    chosen = choose_backend(views.clip.device, backend)
    with torch.no_grad():
        return chosen.rasterize(views, parse_image_size(image_size))


def choose_backend(device: torch.device, backend: Backend | None) -> ModuleType:
    """Return the backend module for a device.

    Raises:
        ConfigError: If the backend is unknown or does not support the device.
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
            raise ConfigError(
                f"backend 'numba' works on CPU tensors, got {device}; use 'torch' or None"
            )
        case "triton" if device.type == "cuda":
            if not has_triton():
                raise ConfigError(
                    "backend 'triton' does not work here (is the package triton installed, and is "
                    "there a C compiler?); use 'torch' or None"
                )
            return _triton_backend()
        case "triton":
            raise ConfigError(
                f"backend 'triton' works on CUDA tensors, got {device}; use 'torch' or None"
            )
        case _:
            raise ConfigError(
                f"backend must be 'numba', 'triton', 'torch' or None, got {backend!r}"
            )


def _triton_backend() -> ModuleType:
    """Import the Triton backend, which requires the package triton."""
    return importlib.import_module("get3d.render.triton_backend")
