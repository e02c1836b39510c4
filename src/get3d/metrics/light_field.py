"""Light-field distance: how alike two shapes look, from everywhere (Chen et al. 2003).

A shape is described by the silhouettes that ten dodecahedra of cameras see. Two shapes are compared
by turning the cameras of the one against those of the other, and keeping the best fit; so neither
place, size nor orientation matters. docs/metrics.md says what was chosen where the paper is silent.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from get3d.core.threads import run_jobs
from get3d.core.types import Mesh
from get3d.metrics.light_field_contours import circularity, fourier_descriptors, trace_contours
from get3d.metrics.light_field_matrix import light_field_matrix
from get3d.metrics.light_field_moments import eccentricity, measure_regions, zernike_moments
from get3d.metrics.light_field_views import draw_silhouettes, image_frames, visible_surface

_SMALLEST_IMAGE = 16


@dataclass(frozen=True, kw_only=True)
class LightFieldProtocol:
    """What decides the value of a light-field distance; saved with every score.

    A value becomes a byte by its share of the range; what is beyond the range becomes 255. So the
    ranges also decide how much each kind of descriptor counts. Circularity and eccentricity lie in
    [0, 1], and that is their range.

    Attributes:
        image_size: Side of the silhouettes, in pixels.
        zernike_range: Largest Zernike moment, relative to the constant one, that has its own byte.
        fourier_range: Largest Fourier descriptor, relative to the mean distance, that has its own
            byte; a thin bar's reach 0.405.
    """

    image_size: int = 256
    zernike_range: float = 2.5
    fourier_range: float = 0.4

    def __post_init__(self) -> None:
        """Refuse what gives no silhouette or no bytes."""
        if self.image_size < _SMALLEST_IMAGE:
            raise ValueError(
                f"image_size must be at least {_SMALLEST_IMAGE} pixels, got {self.image_size}"
            )
        for name in ("zernike_range", "fourier_range"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be positive and finite, got {getattr(self, name)}")


DEFAULT_PROTOCOL = LightFieldProtocol()
"""Silhouettes as large as published, and ranges that give values as large as published."""


def light_field_descriptor(
    mesh: Mesh, protocol: LightFieldProtocol = DEFAULT_PROTOCOL
) -> UInt8[Tensor, "light_fields axes features"]:
    """Describe a shape by 100 silhouettes: ten light fields of ten images.

    Place and size do not matter, nor how the surface is cut into triangles, nor which way they
    face; turning the shape permutes and changes the numbers, which the distance makes up for.

    Args:
        mesh: Any triangles with area; they need not be closed. Vertices in no face are ignored.
        protocol: Image size and ranges.

    Returns:
        35 Zernike moments, 10 Fourier descriptors, circularity and eccentricity, as bytes, on the
        CPU.

    Raises:
        MeshError: If the mesh has no faces or no area, or a face a corner that is not finite.
    """
    surface = visible_surface(mesh)

    def describe(frames: Float[np.ndarray, "axes 2 3"]) -> UInt8[np.ndarray, "axes features"]:
        silhouettes = draw_silhouettes(surface, frames, image_size=protocol.image_size)
        return describe_silhouettes(silhouettes, protocol)

    light_fields = run_jobs(describe, list(image_frames()), threads=torch.get_num_threads())
    return torch.from_numpy(np.stack(light_fields))


def light_field_distance(
    mesh_a: Mesh, mesh_b: Mesh, protocol: LightFieldProtocol = DEFAULT_PROTOCOL
) -> float:
    """Light-field distance of two shapes: 0 for equal silhouettes, thousands for other kinds.

    To compare many shapes, describe each once and use `light_field_matrix`.

    Raises:
        MeshError: If a mesh has no faces or no area, or a face a corner that is not finite.

    Example:
        >>> corners = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
        >>> faces = torch.tensor([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
        >>> light_field_distance(Mesh(corners, faces), Mesh(5 * corners + 1, faces))
        0.0
    """
    a, b = (light_field_descriptor(mesh, protocol)[None] for mesh in (mesh_a, mesh_b))
    return light_field_matrix(a, b).item()


def describe_silhouettes(
    silhouettes: Bool[np.ndarray, "images h w"], protocol: LightFieldProtocol = DEFAULT_PROTOCOL
) -> UInt8[np.ndarray, "images features"]:
    """Describe images by region and outline; each must cover a pixel."""
    regions, contours = measure_regions(silhouettes), trace_contours(silhouettes)
    shares = [
        zernike_moments(regions) / protocol.zernike_range,
        fourier_descriptors(contours) / protocol.fourier_range,
        circularity(contours)[:, None],
        eccentricity(regions)[:, None],
    ]
    return np.rint(np.clip(np.concatenate(shares, axis=1), 0, 1) * 255).astype(np.uint8)
