"""What is kept of one shape: points, silhouettes, features of its pictures, and how sound it is."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, UInt8

from get3d.apps.evaluation.config import EvaluationConfig
from get3d.apps.evaluation.sources import LoadedShape, Pictures, ShapeSource
from get3d.core.types import Cameras, Mesh
from get3d.geometry import sample_cameras
from get3d.geometry.measures import is_watertight
from get3d.geometry.pieces import face_pieces
from get3d.metrics import FeatureExtractor, PointProtocol, sample_points, volume_over_hull
from get3d.metrics.light_field import light_field_descriptor

_TWO_COLORS = 0.06
"""Difference of chromaticity (share of red, of green in the sum) that is another colour."""
_COVERED, _DARK = 8, 24  # sums of three bytes: of a pixel with anything, and of one with a hue


@dataclass(frozen=True, kw_only=True)
class Views:
    """How many pictures of a shape are looked at; 0 for none.

    Attributes:
        field: Of the network's colour field.
        mesh: Of the textured mesh.
    """

    field: int = 0
    mesh: int = 0


@dataclass(frozen=True, kw_only=True)
class Soundness:
    """How well the surface hangs together.

    Attributes:
        faces: Number of faces.
        floaters: Pieces beside the largest that enclose matter; hollows inside are none.
        largest_share: Of the area that belongs to the largest piece.
        is_watertight: Whether the surface is closed.
        volume_over_hull: Of the largest component: 1 is convex, hollow shapes are far below; nan
            where it is not closed or flat.
        second_color: Share of the covered pixels whose colour differs from the commonest; nan
            without pictures.
    """

    faces: int
    floaters: int
    largest_share: float
    is_watertight: bool
    volume_over_hull: float
    second_color: float = float("nan")


@dataclass(frozen=True, kw_only=True)
class ShapeRecord:
    """What is kept of a shape.

    Attributes:
        name: For reports.
        broken: Why it cannot be measured; empty if it can.
        untextured: Why the textured mesh could not be made; empty if it could.
        signature: Nearly equal for equal surfaces, see `surface_signature`.
        points: On the surface, by the point protocol; None if broken or not asked for.
        light_field: Its descriptor; likewise.
        field_features: Of pictures of the field; those of a broken shape are of black pictures.
        mesh_features: Of pictures of the textured mesh; likewise.
        soundness: None if broken.
    """

    name: str
    broken: str = ""
    untextured: str = ""
    signature: tuple[float, ...] = ()
    points: Float[np.ndarray, "n 3"] | None = None
    light_field: UInt8[np.ndarray, "light_fields axes features"] | None = None
    field_features: Float[np.ndarray, "views d"] | None = None
    mesh_features: Float[np.ndarray, "views d"] | None = None
    soundness: Soundness | None = None


def measure_shape(
    source: ShapeSource,
    index: int,
    *,
    config: EvaluationConfig,
    points: PointProtocol | None,
    wants_light_field: bool,
    extractor: FeatureExtractor | None,
    views: Views,
    stream: int,
) -> ShapeRecord:
    """Measure one shape of a collection; what is wrong with it becomes part of the record.

    Args:
        source: The collection.
        index: Which shape of it.
        config: For pictures.
        points: How points are drawn; None for none.
        wants_light_field: Whether silhouettes are described.
        extractor: Of features; None for none.
        views: How many pictures.
        stream: Number of the collection, so that no two share their random numbers.
    """
    name = source.name(index)
    camera_rng = _generator(config.seed, stream, index)
    drawn = sample_cameras(config.cameras, max(views.field, views.mesh), generator=camera_rng)
    cameras = [drawn[: views.field], drawn[: views.mesh]]  # the same, so that the two compare
    try:
        shape = source.load(index)
        _refuse_broken(shape.mesh)
        cloud = None
        if points is not None:
            # Streams are far apart, so that no two shapes of an evaluation share their draws.
            cloud = sample_points(shape.mesh, points, seed=(stream << 32) + index).cpu().numpy()
        field = light_field_descriptor(shape.mesh).numpy() if wants_light_field else None
        soundness, signature = measure_soundness(shape.mesh), surface_signature(shape.mesh)
    except ValueError as error:
        black = [_features(extractor, _black(len(c), config)) for c in cameras]
        return ShapeRecord(
            name=name, broken=str(error), field_features=black[0], mesh_features=black[1]
        )
    on_field, on_mesh, untextured = _take_pictures(shape, cameras, config)
    shown = on_mesh if on_mesh is not None and not untextured else on_field
    if shown is not None:
        soundness = replace(soundness, second_color=second_color_share(shown))
    return ShapeRecord(
        name=name,
        untextured=untextured,
        signature=signature,
        points=cloud,
        light_field=field,
        field_features=_features(extractor, on_field),
        mesh_features=_features(extractor, on_mesh),
        soundness=soundness,
    )


def surface_signature(mesh: Mesh) -> tuple[float, ...]:
    """Describe a surface by eleven numbers that copies of it share.

    Area, volume, and the first and second moments of the area, of the surface brought to a box that
    begins at 0 and whose longest side is 1. So place, size, order, names, materials and how faces
    are cut do not matter, nor rounding in a file; turning does.
    """
    corners = mesh.verts[mesh.faces].detach().cpu().double()
    low = corners.amin((0, 1))
    corners = (corners - low) / (corners.amax((0, 1)) - low).max()
    first, second, third = corners.unbind(1)
    crosses = torch.linalg.cross(second - first, third - first)
    areas = torch.linalg.vector_norm(crosses, dim=1) / 2
    volume = (first * crosses).sum() / 6
    mean = (corners.mean(1) * areas[:, None]).sum(0) / areas.sum()
    # The exact integral of x x^T over a triangle: corners and three times their middle, over 12.
    rays = corners - mean
    outer = torch.einsum("fki,fkj,f->ij", rays, rays, areas)
    middles = rays.mean(1)
    outer = (outer + 9 * torch.einsum("fi,fj,f->ij", middles, middles, areas)) / 12 / areas.sum()
    upper = outer[tuple(torch.triu_indices(3, 3))]
    return (float(areas.sum()), float(volume), *mean.tolist(), *upper.tolist())


def second_color_share(pictures: Pictures) -> float:
    """Share of the covered pixels that have another hue than the commonest; nan if none is covered.

    Light changes the brightness of a colour but not its chromaticity, so a shaded plain object has
    one colour. Black, grey and white are one colour here too: a lower bound.
    """
    pixels = pictures.permute(0, 2, 3, 1).reshape(-1, 3).float()
    total = pixels.sum(1)
    if not (total > _COVERED).any():
        return float("nan")
    hued = pixels[total > _DARK]
    if len(hued) == 0:
        return 0.0
    chroma = hued[:, :2] / hued.sum(1, keepdim=True)
    cells = (chroma / _TWO_COLORS).long()
    keys = cells[:, 0] * 64 + cells[:, 1]
    values, counts = keys.unique(return_counts=True)
    commonest = chroma[keys == values[counts.argmax()]].median(0).values
    return float(((chroma - commonest).abs().amax(1) > _TWO_COLORS).float().mean())


def measure_soundness(mesh: Mesh) -> Soundness:
    """Measure how a surface with faces and area hangs together.

    Vertices at one place are one: files repeat them along the seams of a texture.
    """
    verts, vert_ids = mesh.verts.detach().unique(dim=0, return_inverse=True)
    faces = vert_ids[mesh.faces]
    mesh = Mesh(verts, faces)
    piece = face_pieces(mesh)
    # About the middle, so that volumes of a distant mesh keep their precision.
    verts = verts.double() - verts.double().mean(0)
    first, second, third = verts[faces].unbind(1)
    crosses = torch.linalg.cross(second - first, third - first)
    areas = torch.zeros(int(piece.max()) + 1, dtype=verts.dtype).to(verts.device)
    volumes = torch.zeros_like(areas)
    areas.index_add_(0, piece, torch.linalg.vector_norm(crosses, dim=1) / 2)
    volumes.index_add_(0, piece, (first * crosses).sum(1) / 6)
    largest = areas.argmax()
    encloses = volumes > 0
    encloses[largest] = False
    return Soundness(
        faces=len(faces),
        floaters=int(encloses.sum()),
        largest_share=float(areas[largest] / areas.sum()),
        is_watertight=is_watertight(mesh),
        volume_over_hull=volume_over_hull(mesh),
    )


def _refuse_broken(mesh: Mesh) -> None:
    """Raise if there is no surface to measure."""
    if len(mesh.faces) == 0:
        raise ValueError("the mesh has no faces")
    corners = mesh.verts[mesh.faces].detach().double()
    if not corners.isfinite().all():
        raise ValueError("the mesh has NaN or infinity among the vertices of its faces")
    first, second, third = corners.unbind(1)
    if not torch.linalg.cross(second - first, third - first).any():
        raise ValueError("the mesh has no area")


def _take_pictures(
    shape: LoadedShape, cameras: list[Cameras], config: EvaluationConfig
) -> tuple[Pictures | None, Pictures | None, str]:
    """Pictures of the field, of the textured mesh, and why the latter are black if they are."""
    of_field, of_mesh = cameras
    on_field = None
    if shape.field_pictures is not None and len(of_field):
        on_field = shape.field_pictures(of_field)
    if len(of_mesh) == 0:
        return on_field, None, ""
    try:
        return on_field, shape.mesh_pictures(of_mesh), ""
    except ValueError as error:
        return on_field, _black(len(of_mesh), config), str(error)


def _black(num: int, config: EvaluationConfig) -> Pictures | None:
    size = config.image_size
    return torch.zeros(num, 3, size, size, dtype=torch.uint8) if num else None


def _features(
    extractor: FeatureExtractor | None, pictures: Pictures | None
) -> Float[np.ndarray, "views d"] | None:
    if extractor is None or pictures is None:
        return None
    return extractor(pictures).cpu().numpy()


def _generator(*entropy: int) -> torch.Generator:
    mixed = np.random.SeedSequence(entropy).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(mixed[0] >> np.uint64(1)))
