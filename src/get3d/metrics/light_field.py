"""Light-field distance of two shapes: difference of their silhouettes (Chen et al. 2003).

The descriptor of a shape is of its silhouettes from ten dodecahedra of cameras. The distance is the
least over rotations of the cameras of one shape against those of the other; so it does not depend
on position, size or orientation. docs/metrics.md lists the choices that the paper leaves open.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from get3d.core import ConfigError, Mesh, run_jobs
from get3d.metrics.light_field_contours import circularity, fourier_descriptors, trace_contours
from get3d.metrics.light_field_matrix import light_field_matrix
from get3d.metrics.light_field_moments import eccentricity, measure_regions, zernike_moments
from get3d.metrics.light_field_views import draw_silhouettes, image_frames, visible_surface

_SMALLEST_IMAGE = 16


@dataclass(frozen=True, kw_only=True)
class LightFieldProtocol:
    """Protocol of light-field distances, saved with every score.

    Descriptors are quantized to bytes by their ranges; larger values become 255. So the ranges also
    weight the kinds of descriptors. Circularity and eccentricity have the range [0, 1].

    Attributes:
        image_size: Width and height of the silhouettes, in pixels.
        zernike_range: Value of 255 for Zernike moments, relative to the constant one.
        fourier_range: Value of 255 for Fourier descriptors, relative to the mean distance; those of
            a thin bar reach 0.405.
    """

    image_size: int = 256
    zernike_range: float = 2.5
    fourier_range: float = 0.4

    def __post_init__(self) -> None:
        """Validate the values; raise ConfigError."""
        if self.image_size < _SMALLEST_IMAGE:
            raise ConfigError(
                f"image_size must be at least {_SMALLEST_IMAGE} pixels, got {self.image_size}"
            )
        for name in ("zernike_range", "fourier_range"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ConfigError(f"{name} must be positive and finite, got {getattr(self, name)}")


DEFAULT_PROTOCOL = LightFieldProtocol()
"""Image size as published, and ranges that give values as large as published."""


def light_field_descriptor(
    mesh: Mesh, protocol: LightFieldProtocol = DEFAULT_PROTOCOL
) -> UInt8[Tensor, "light_fields axes features"]:
    """Compute the descriptor of a shape: 100 silhouettes, ten light fields of ten images.

    It is invariant to translation, scale, triangulation and winding. A rotation of the shape
    permutes and changes the values; the distance is nearly invariant to it.

    Args:
        mesh: Triangle mesh with area, not necessarily closed. Vertices in no face are ignored.
        protocol: Image size and ranges.

    Returns:
        35 Zernike moments, 10 Fourier descriptors, circularity and eccentricity of each image, as
        bytes, on the CPU.

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
    """Compute the light-field distance of two shapes.

    It is 0 for equal silhouettes and some thousands for shapes of different categories. To compare
    many shapes, use `light_field_descriptor` and `light_field_matrix`.

    Args:
        mesh_a: First triangle mesh.
        mesh_b: Second triangle mesh.
        protocol: Image size and ranges.

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
    """Compute the descriptors of silhouettes, each of which must cover a pixel.

    Args:
        silhouettes: Covered pixels of each image.
        protocol: Ranges of the descriptors.
    """
    regions, contours = measure_regions(silhouettes), trace_contours(silhouettes)
    fractions = [
        zernike_moments(regions) / protocol.zernike_range,
        fourier_descriptors(contours) / protocol.fourier_range,
        circularity(contours)[:, None],
        eccentricity(regions)[:, None],
    ]
    return np.rint(np.clip(np.concatenate(fractions, axis=1), 0, 1) * 255).astype(np.uint8)
