"""Input of the rasteriser: the clip-space meshes of all images, packed into flat tensors."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from get3d.core.errors import ConfigError
from get3d.core.types import Cameras, Mesh
from get3d.geometry.cameras import clip_matrices, to_clip

MAX_IMAGE_SIZE = 16384


@dataclass(frozen=True)
class PackedViews:
    """A batch of views to render: several meshes, each from one or more cameras.

    Attributes:
        clip: Homogeneous clip-space vertex positions of all images, concatenated.
        faces: Faces of all meshes, concatenated; indices start at 0 for each mesh.
        spans: Location of each image's data: (first row of `clip`, first row of `faces`, number of
            faces, first vertex of its mesh among the vertices of all meshes). On the CPU.
    """

    clip: Float[Tensor, "clip 4"]
    faces: Int[Tensor, "faces 3"]
    spans: Int[Tensor, "n 4"]

    def __len__(self) -> int:
        """Return the number of images."""
        return self.spans.shape[0]

    @cached_property
    def device_spans(self) -> Int[Tensor, "n 4"]:
        """The spans on the device of the vertices, copied once without synchronisation."""
        return self.spans.to(self.clip.device, non_blocking=True)


def pack_views(
    clip_verts: Sequence[Float[Tensor, "*_ 4"]], faces: Sequence[Int[Tensor, "_ 3"]]
) -> PackedViews:
    """Pack the views of several meshes; images are ordered by mesh, then by view.

    Args:
        clip_verts: Clip-space vertices of each mesh, for one view or several.
        faces: Vertex indices of each mesh.

    Raises:
        ValueError: If the lists are empty, differ in length, or mix devices; if a vertex index is
            out of range.
    """
    if not clip_verts or len(clip_verts) != len(faces):
        raise ValueError(
            f"clip_verts and faces must list the same meshes, at least one; got {len(clip_verts)} "
            f"and {len(faces)}"
        )
    for corners, triangles in zip(clip_verts, faces, strict=True):
        if corners.ndim not in (2, 3):
            raise ValueError(
                f"clip_verts must be [verts, 4] or [views, verts, 4], got {list(corners.shape)}"
            )
        if corners.device != triangles.device:
            raise ValueError(
                f"clip_verts and faces must share a device, got {corners.device} and "
                f"{triangles.device}"
            )
        _check_indices(triangles, corners.shape[-2])
    sizes = [(each.shape[0] if each.ndim == 3 else 1, each.shape[-2]) for each in clip_verts]
    return _pack([corners.reshape(-1, 4) for corners in clip_verts], faces, sizes)


def _pack(
    clip: Sequence[Float[Tensor, "_ 4"]],
    faces: Sequence[Int[Tensor, "_ 3"]],
    sizes: Sequence[tuple[int, int]],
) -> PackedViews:
    """Concatenate parts; `sizes` has the numbers of views and of vertices of each mesh."""
    spans, num_clip, num_faces, num_verts = [], 0, 0, 0
    for triangles, (num_views, verts) in zip(faces, sizes, strict=True):
        for _ in range(num_views):
            spans.append((num_clip, num_faces, triangles.shape[0], num_verts))
            num_clip += verts
        num_faces += triangles.shape[0]
        num_verts += verts
    indices = [each.long() for each in faces]
    return PackedViews(
        clip[0] if len(clip) == 1 else torch.cat(list(clip)),
        indices[0] if len(indices) == 1 else torch.cat(indices),
        torch.tensor(spans, dtype=torch.int64).reshape(-1, 4),
    )


def project_meshes(
    meshes: Sequence[Mesh], cameras: Cameras, *, views_per_mesh: int = 1
) -> tuple[PackedViews, Float[Tensor, "verts 3"]]:
    """Transform meshes to the clip space of their cameras; differentiable in the vertices.

    Args:
        meshes: Any number of meshes.
        cameras: `views_per_mesh` consecutive cameras for each mesh.
        views_per_mesh: Number of images of each mesh.

    Returns:
        The views, and the object-space vertices of all meshes, concatenated.

    Raises:
        ValueError: If the number of cameras does not match, or a vertex index is out of range
            (checked on the CPU only, to avoid GPU synchronisation).
    """
    if len(cameras) != len(meshes) * views_per_mesh:
        raise ValueError(
            f"cameras must number {len(meshes)} meshes x {views_per_mesh} views = "
            f"{len(meshes) * views_per_mesh}, got {len(cameras)}"
        )
    matrices, faces = clip_matrices(cameras), [mesh.faces for mesh in meshes]
    if all(mesh.verts.device.type == "cpu" for mesh in meshes):
        parts = zip(meshes, matrices.split(views_per_mesh), strict=True)
        views = pack_views(
            [to_clip(mesh.verts, each.to(mesh.verts)) for mesh, each in parts], faces
        )
        return views, torch.cat([mesh.verts for mesh in meshes])
    verts = torch.cat([mesh.verts for mesh in meshes])
    corners = torch.cat([mesh.verts for mesh in meshes for _ in range(views_per_mesh)])
    sizes = [(views_per_mesh, mesh.verts.shape[0]) for mesh in meshes]
    clip = _to_clip_packed(corners, matrices.to(verts), sizes)
    return _pack([clip], faces, sizes), verts


def _to_clip_packed(
    points: Float[Tensor, "points 3"],
    matrices: Float[Tensor, "n 4 4"],
    sizes: Sequence[tuple[int, int]],
) -> Float[Tensor, "points 4"]:
    """Do `to_clip` for all images at once, in a few kernel launches.

    No matrix product, which a GPU may round to ten bits (TF32).
    """
    counts = torch.tensor([verts for num_views, verts in sizes for _ in range(num_views)])
    image = torch.arange(len(matrices), device=points.device).repeat_interleave(
        counts.to(points.device, non_blocking=True), output_size=len(points)
    )
    matrix = matrices.index_select(0, image)
    return (matrix[:, :, :3] * points[:, None]).sum(2) + matrix[:, :, 3]


def parse_image_size(image_size: int | tuple[int, int]) -> tuple[int, int]:
    """Return (height, width) of an image size that is an int (square) or a pair, in pixels.

    Raises:
        ConfigError: If height or width is not between 1 and 16384.
    """
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    if not (1 <= height <= MAX_IMAGE_SIZE and 1 <= width <= MAX_IMAGE_SIZE):
        raise ConfigError(
            f"image_size must be between 1 and {MAX_IMAGE_SIZE} pixels, got {image_size}"
        )
    return height, width


def _check_indices(faces: Int[Tensor, "_ 3"], num_verts: int) -> None:
    """Raise ValueError if a vertex index is out of range."""
    if faces.numel():
        # numpy on the CPU: torch would start threads that compete with the rasteriser's.
        indices = faces.numpy() if faces.device.type == "cpu" else faces
        low, high = indices.min(), indices.max()
        if low < 0 or high >= num_verts:
            raise ValueError(
                f"faces must index the {num_verts} vertices (0 to {num_verts - 1}), got indices "
                f"from {int(low)} to {int(high)}"
            )
