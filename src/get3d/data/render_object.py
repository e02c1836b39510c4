"""Taking the images of one object and writing them where the published layout has them."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from get3d.core.contact_sheet import images_to_u8, save_png
from get3d.core.files import atomic_path, remove_leftovers
from get3d.core.types import Cameras, Mesh, TexturedMesh
from get3d.data.layouts import image_name
from get3d.data.mesh_files import MeshFileError, load_mesh, normalize_mesh
from get3d.data.mesh_notes import appearance_notes
from get3d.data.render_config import RenderConfig
from get3d.geometry.cameras import camera_angles, sample_cameras
from get3d.render import Light, render_textured

_PNG_END = b"IEND\xaeB`\x82"


@dataclass(frozen=True)
class RenderJob:
    """One object to take images of.

    Attributes:
        name: `category/object`.
        source: The mesh file.
    """

    name: str
    source: Path


@dataclass(frozen=True, kw_only=True)
class RenderOutcome:
    """What became of one object.

    Attributes:
        job: The object.
        reason: Why its file could not be used; None if its images are written.
        notes: What of its look was lost.
    """

    job: RenderJob
    reason: str | None = None
    notes: tuple[str, ...] = ()


def object_cameras(name: str, config: RenderConfig) -> Cameras:
    """Draw the cameras of one object; they depend on the seed and its name alone.

    Args:
        name: `category/object`.
        config: Views, distribution and seed.

    Returns:
        One camera a view, the same whenever they are asked for.
    """
    digest = hashlib.sha256(f"{config.seed}/{name}".encode()).digest()
    # torch's CPU generator keeps 32 bits of a seed.
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:4], "big"))
    return sample_cameras(config.distribution, config.views, generator=generator)


def is_rendered(out: Path, name: str, num_views: int) -> bool:
    """Say whether all files of an object are on the disk, whole.

    Args:
        out: The dataset's folder.
        name: `category/object`.
        num_views: How many images it must have.

    Returns:
        True if nothing is missing or cut off.
    """
    angles = [out / "camera" / name / f"{kind}.npy" for kind in ("rotation", "elevation")]
    images = [out / "img" / name / image_name(index) for index in range(num_views)]
    return all(path.is_file() and path.stat().st_size > 0 for path in angles) and all(
        _is_whole_png(path) for path in images
    )


def render_object(job: RenderJob, out: Path, config: RenderConfig) -> RenderOutcome:
    """Load a mesh, take its images and write them with their angles.

    The angle files come last, so an object that was interrupted is not taken for a finished one.

    Args:
        job: The object.
        out: The dataset's folder.
        config: Settings.

    Returns:
        The outcome; a file that cannot be used is told in it, not raised.

    Raises:
        OSError: If an image cannot be written.
    """
    cameras = object_cameras(job.name, config)
    try:
        textured_mesh = turn_upright(load_mesh(job.source, dtype=torch.float64), config.up_axis)
        textured_mesh = normalize_mesh(textured_mesh, longest_side=config.longest_side)
        mesh = Mesh(textured_mesh.mesh.verts.float(), textured_mesh.mesh.faces)
        images_u8 = take_images(replace(textured_mesh, mesh=mesh), cameras, config)
        notes = tuple(appearance_notes(job.source))
    except MeshFileError as error:
        return RenderOutcome(job=job, reason=error.reason)
    except Exception as error:  # one odd file must not stop the other thousand
        return RenderOutcome(
            job=job, reason=f"cannot be rendered ({type(error).__name__}: {error})"
        )
    if not images_u8[..., 3].any():
        return RenderOutcome(job=job, reason="no view shows anything of it")
    _write_object(out, job.name, images_u8, cameras)
    return RenderOutcome(job=job, notes=notes)


def take_images(
    textured_mesh: TexturedMesh, cameras: Cameras, config: RenderConfig
) -> UInt8[np.ndarray, "views h w 4"]:
    """Render a mesh from every camera.

    Args:
        textured_mesh: Already centred and scaled.
        cameras: One an image.
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
    )
    images_u8 = images_to_u8(rgba.permute(0, 3, 1, 2), low=0.0)
    return images_u8 * (images_u8[..., 3:] > 0)


def turn_upright(textured_mesh: TexturedMesh, up_axis: str) -> TexturedMesh:
    """Turn a mesh whose z axis points up, so that y does."""
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
    out: Path, name: str, images_u8: UInt8[np.ndarray, "views h w 4"], cameras: Cameras
) -> None:
    """Write the images, then the angles."""
    image_folder, camera_folder = out / "img" / name, out / "camera" / name
    remove_leftovers(image_folder)
    remove_leftovers(camera_folder)
    for index, image in enumerate(images_u8):
        save_png(image_folder / image_name(index), image, durable=False)
    rotation_deg, polar_deg = torch.rad2deg(camera_angles(cameras).double()).numpy().T
    for kind, angles in (("elevation", 90.0 - polar_deg), ("rotation", rotation_deg)):
        with atomic_path(camera_folder / f"{kind}.npy", durable=False) as temp_path:
            np.save(temp_path, angles)


def _is_whole_png(path: Path) -> bool:
    """Say whether a file ends as a PNG file does."""
    try:
        with path.open("rb") as file:
            file.seek(-len(_PNG_END), 2)
            return file.read() == _PNG_END
    except OSError:
        return False
