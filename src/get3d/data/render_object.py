"""Rendering of one object's images, written in the published layout."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from get3d.core import (
    Cameras,
    Mesh,
    MeshError,
    TexturedMesh,
    atomic_path,
    images_to_u8,
    is_out_of_memory,
    remove_leftovers,
    save_png,
)
from get3d.data.layouts import image_name
from get3d.data.mesh_files import MeshFileError, load_mesh, normalize_mesh
from get3d.data.render_config import RenderConfig
from get3d.geometry import SIGNATURE_SIZE, Signature, surface_signature
from get3d.geometry.cameras import camera_angles, sample_cameras
from get3d.render import Light, render_textured

_SIGNATURE = "signature"
_PNG_END = b"IEND\xaeB`\x82"


@dataclass(frozen=True)
class RenderJob:
    """One object to render.

    Attributes:
        name: Name of the object, `category/object`.
        source: The mesh file.
        split: Its split, if its folder says so.
    """

    name: str
    source: Path
    split: str | None = None


@dataclass(frozen=True, kw_only=True)
class RenderOutcome:
    """Outcome of the rendering of one object.

    Attributes:
        job: The object.
        reason: Why its file could not be used; None if its images are written.
        notes: Features of its appearance that were ignored.
    """

    job: RenderJob
    reason: str | None = None
    notes: tuple[str, ...] = ()


def object_cameras(name: str, config: RenderConfig) -> Cameras:
    """Sample the cameras of one object; they depend on the seed and its name alone.

    Args:
        name: Name of the object, `category/object`.
        config: Views, distribution and seed.

    Returns:
        Cameras, one per view.
    """
    digest = hashlib.sha256(f"{config.seed}/{name}".encode()).digest()
    # torch's CPU generator keeps 32 bits of a seed.
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:4], "big"))
    return sample_cameras(config.distribution, config.views, generator=generator)


def is_rendered(out: Path, name: str, num_views: int) -> bool:
    """Return whether all files of an object exist and none is truncated.

    Args:
        out: The dataset's folder.
        name: Name of the object, `category/object`.
        num_views: Number of images of an object.
    """
    angles = [out / "camera" / name / f"{kind}.npy" for kind in ("rotation", "elevation")]
    images = [out / "img" / name / image_name(index) for index in range(num_views)]
    return all(path.is_file() and path.stat().st_size > 0 for path in angles) and all(
        _is_complete_png(path) for path in images
    )


def read_signature(out: Path, name: str) -> Signature | None:
    """Read the signature of an object's surface; None if an earlier version wrote none.

    Args:
        out: The dataset's folder.
        name: Name of the object, `category/object`.
    """
    try:
        values = np.load(out / "camera" / name / f"{_SIGNATURE}.npy", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    is_sound = values.dtype == np.float64 and values.shape == (SIGNATURE_SIZE,)
    return tuple(values.tolist()) if is_sound else None


def render_object(job: RenderJob, out: Path, config: RenderConfig) -> RenderOutcome:
    """Load a mesh, render its images and write them with their angles.

    The angle files are written last, so an interrupted object is not taken for a complete one.

    Args:
        job: The object.
        out: The dataset's folder.
        config: Settings.

    Returns:
        The outcome, with the reason if the mesh cannot be used or is too large for the memory.

    Raises:
        OSError: If an image cannot be written.
    """
    cameras = object_cameras(job.name, config)
    try:
        textured_mesh = turn_upright(load_mesh(job.source, dtype=torch.float64), config.up_axis)
        textured_mesh = normalize_mesh(textured_mesh, longest_side=config.side)
        mesh = Mesh(textured_mesh.mesh.verts.float(), textured_mesh.mesh.faces)
        images_u8 = render_views(replace(textured_mesh, mesh=mesh), cameras, config)
        notes = textured_mesh.losses
    except MeshError as error:
        reason = error.reason if isinstance(error, MeshFileError) else str(error)
        return RenderOutcome(job=job, reason=reason)
    except Exception as error:
        if is_out_of_memory(error):
            return RenderOutcome(job=job, reason="is too large for the memory; simplify it")
        error.add_note(f"while rendering {job.source}")
        raise
    if not images_u8[..., 3].any():
        return RenderOutcome(job=job, reason="no view shows anything of it")
    _write_object(out, job.name, images_u8, cameras, surface_signature(mesh))
    return RenderOutcome(job=job, notes=notes)


def render_views(
    textured_mesh: TexturedMesh, cameras: Cameras, config: RenderConfig
) -> UInt8[np.ndarray, "views h w 4"]:
    """Render a mesh from every camera.

    Args:
        textured_mesh: The mesh, already centred and scaled.
        cameras: Cameras, one per image.
        config: Size, light and supersampling.

    Returns:
        RGBA bytes with straight alpha; the colour is 0 where alpha is 0.
    """
    rgba = render_textured(
        textured_mesh,
        cameras,
        config.size,
        light=Light() if config.light == "studio" else None,
        supersample=config.supersample,
        cull_backfaces=config.cull_backfaces,
    )
    images_u8 = images_to_u8(rgba.permute(0, 3, 1, 2), low=0.0)
    return images_u8 * (images_u8[..., 3:] > 0)


def turn_upright(textured_mesh: TexturedMesh, up_axis: str) -> TexturedMesh:
    """Rotate a mesh whose up axis is z, so that it is y."""
    if up_axis == "y":
        return textured_mesh

    def turn(vectors: torch.Tensor) -> torch.Tensor:
        x, y, z = vectors.unbind(-1)
        return torch.stack([x, z, -y], dim=-1)

    normals = textured_mesh.normals
    return replace(
        textured_mesh,
        mesh=Mesh(turn(textured_mesh.mesh.verts), textured_mesh.mesh.faces),
        normals=None if normals is None else turn(normals),
    )


def _write_object(
    out: Path,
    name: str,
    images_u8: UInt8[np.ndarray, "views h w 4"],
    cameras: Cameras,
    signature: Signature,
) -> None:
    """Write the images, then the signature of the surface and the angles."""
    image_folder, camera_folder = out / "img" / name, out / "camera" / name
    remove_leftovers(image_folder)
    remove_leftovers(camera_folder)
    for index, image in enumerate(images_u8):
        save_png(image_folder / image_name(index), image, durable=False)
    rotation_deg, polar_deg = torch.rad2deg(camera_angles(cameras).double()).numpy().T
    for kind, values in (
        (_SIGNATURE, np.array(signature)),
        ("elevation", 90.0 - polar_deg),
        ("rotation", rotation_deg),
    ):
        with atomic_path(camera_folder / f"{kind}.npy", durable=False) as temp_path:
            np.save(temp_path, values)


def _is_complete_png(path: Path) -> bool:
    """Return whether a file ends with the last chunk of a PNG file."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            file.seek(-len(_PNG_END), 2)
            return file.read() == _PNG_END
    except OSError:
        return False
