"""`get3d generate`: textured meshes from a trained model."""

import json
import math
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
import tyro
from jaxtyping import UInt8

from get3d.apps import Model, load
from get3d.cli.device import pick_device
from get3d.cli.parsing import parse
from get3d.cli.progress import progress_bar
from get3d.core.files import write_text
from get3d.core.pictures import contact_sheet, images_to_u8, save_png
from get3d.core.types import TexturedMesh
from get3d.export import AssetOptions, save
from get3d.geometry import orbit_cameras
from get3d.render import Light, render_textured

RECORD_NAME = "generation.json"
SHEET_NAME = "contact_sheet.png"
_SHEET_COLUMNS = 4
_VIEW_SIZE_PX = 192
_VIEW_ROTATIONS_DEG = (150.0, 330.0)
_VIEW_POLAR_DEG = 65.0
_VIEW_FOVY_DEG = 35.0


@dataclass(frozen=True)
class GenerateArgs:
    """Make textured meshes with a trained model, and a contact sheet of all of them.

    The same options give the same files. A folder that holds the files of other options is left
    alone unless --overwrite is given.
    """

    model: Annotated[str | None, tyro.conf.Positional] = None
    """Model folder or run folder; the model that ships with get3d if left out."""

    out: Path = tyro.MISSING
    """Folder for the files; made if absent."""

    num: int = 16
    """How many shapes."""

    seed: int = 0
    """Another number gives other shapes."""

    truncation: float = 0.7
    """1 shows all the variety the model learnt; smaller values stay nearer to its average shape."""

    texture_size: int = 1024
    """Side of the square textures, in pixels."""

    format: Literal["glb", "obj", "ply"] = "glb"
    """glb is one file with its texture; obj has its material and texture beside it; ply has colours
    at the vertices."""

    jpeg: int | None = None
    """Textures in glb files as JPEG of this quality, 1 to 95; PNG if left out."""

    asset: Annotated[AssetOptions, tyro.conf.arg(name="")] = field(default_factory=AssetOptions)
    """Cleaning, normals and vertex colours."""

    device: str = "auto"
    """auto (a GPU if there is one), cpu, cuda, or one GPU such as cuda:1."""

    overwrite: bool = False
    """Replace the files of another command."""


def run(args: list[str]) -> int:
    """Generate as the command line says.

    Args:
        args: Command line behind `get3d generate`.

    Returns:
        Exit code: 0 if every shape was made, else 1.
    """
    parsed = parse(GenerateArgs, "generate", args)
    if parsed.num < 1:
        raise ValueError(f"num must be at least 1, got {parsed.num}")
    _check_jpeg(parsed)
    _refuse_foreign_files(parsed)
    former = _recorded_shapes(parsed.out)
    record: dict[str, Any] = {
        "get3d": version("get3d"),
        "torch": torch.__version__,
        "settings": _settings(parsed),
        "shapes": {},
    }
    model = load(parsed.model, device=pick_device(parsed.device))
    num_made = _make_shapes(model, parsed, record)
    _write_record(parsed.out, record)
    for name in former - set(record["shapes"]):  # of the command that was overwritten
        _remove_shape(parsed.out / name)
    print(f"{num_made} shapes in {parsed.out}, all of them on {parsed.out / SHEET_NAME}")
    return 0 if num_made == parsed.num else 1


def _make_shapes(model: Model, parsed: GenerateArgs, record: dict[str, Any]) -> int:
    """Write shapes one by one, then their sheet; a shape that fails does not stop the others."""
    shapes = model.iter_generate(
        parsed.num,
        seed=parsed.seed,
        truncation=parsed.truncation,
        texture_size=parsed.texture_size,
        options=_asset_options(parsed),
    )
    _write_record(parsed.out, record)  # first, so that the same command may go over its own files
    pictures = {}
    with progress_bar("shapes") as progress:
        for name in progress.track(_file_names(parsed)):
            try:
                shape = next(shapes)
            except ValueError as error:
                progress.console.print(f"{name}: {error}", markup=False, soft_wrap=True)
                record["shapes"][name] = {"error": str(error)}
                continue
            save(shape, parsed.out / name, jpeg_quality=parsed.jpeg)
            counts = {"verts": len(shape.mesh.verts), "faces": len(shape.mesh.faces)}
            record["shapes"][name] = counts | ({"notes": shape.notes} if shape.notes else {})
            pictures[name] = picture(shape)
    if pictures:
        sheet = contact_sheet(
            pictures.values(),
            columns=min(_SHEET_COLUMNS, len(pictures)),
            labels=list(pictures),
        )
        save_png(parsed.out / SHEET_NAME, sheet)
    return len(pictures)


def picture(shape: TexturedMesh) -> UInt8[np.ndarray, "h w 4"]:
    """Show a shape from its front and from its back, side by side.

    Args:
        shape: At any scale; it fills the picture.

    Returns:
        sRGB with alpha, twice as wide as high.
    """
    centred = shape.mesh.verts - (shape.mesh.verts.amax(0) + shape.mesh.verts.amin(0)) / 2
    bound = centred.norm(dim=-1).max().item()
    radius = 1.05 * bound / math.sin(math.radians(_VIEW_FOVY_DEG / 2))
    rotation_rad = torch.deg2rad(torch.tensor(_VIEW_ROTATIONS_DEG))
    polar_rad = torch.full_like(rotation_rad, math.radians(_VIEW_POLAR_DEG))
    cameras = orbit_cameras(
        rotation_rad, polar_rad, radius=radius, fovy_rad=math.radians(_VIEW_FOVY_DEG)
    )
    cameras = cameras.to(shape.mesh.verts.device)
    images = render_textured(shape, cameras, _VIEW_SIZE_PX, light=Light())
    images_u8 = images_to_u8(images.permute(0, 3, 1, 2), low=0.0)
    return np.concatenate(list(images_u8), axis=1)


def _asset_options(parsed: GenerateArgs) -> AssetOptions:
    """A ply file holds no texture, so its colours come straight from the field."""
    return replace(parsed.asset, colors="vertices") if parsed.format == "ply" else parsed.asset


def _check_jpeg(parsed: GenerateArgs) -> None:
    """Refuse, before the work starts, a quality that would be of no use."""
    if parsed.jpeg is None:
        return
    if parsed.format != "glb" or parsed.asset.colors == "vertices":
        raise ValueError("--jpeg is for the textures in glb files; leave it out")
    if not 1 <= parsed.jpeg <= 95:
        raise ValueError(f"jpeg must be from 1 to 95, got {parsed.jpeg}")


def _settings(parsed: GenerateArgs) -> dict[str, Any]:
    """What the files depend on; the device changes them by rounding at most."""
    return {
        name: str(value) if isinstance(value, Path) else value
        for name, value in asdict(parsed).items()
        if name not in ("out", "device", "overwrite")
    }


def _file_names(parsed: GenerateArgs) -> list[str]:
    return [f"shape_{index:04d}.{parsed.format}" for index in range(parsed.num)]


def _refuse_foreign_files(parsed: GenerateArgs) -> None:
    """Refuse to replace what this very command did not write."""
    names = [*_file_names(parsed), SHEET_NAME]
    present = [name for name in names if (parsed.out / name).exists()]
    if not present or parsed.overwrite:
        return
    try:
        record = json.loads((parsed.out / RECORD_NAME).read_text(encoding="utf-8"))
        is_ours = record["settings"] == _settings(parsed)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        is_ours = False
    if not is_ours:
        raise ValueError(
            f"{parsed.out} already holds {present[0]}, made with other options; choose another "
            "--out, or add --overwrite"
        )


def _recorded_shapes(folder: Path) -> set[str]:
    """Names of the shape files that an earlier command says it wrote."""
    try:
        shapes = json.loads((folder / RECORD_NAME).read_text(encoding="utf-8"))["shapes"]
        return {name for name in shapes if Path(name).name == name}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _remove_shape(path: Path) -> None:
    """Remove a shape file, and what stands beside it if it is an OBJ."""
    path.unlink(missing_ok=True)
    if path.suffix == ".obj":
        for beside in (
            *path.parent.glob(f"{path.stem}.mtl"),
            *path.parent.glob(f"{path.stem}*.png"),
        ):
            beside.unlink()


def _write_record(folder: Path, record: dict[str, Any]) -> None:
    write_text(folder / RECORD_NAME, json.dumps(record, indent=2) + "\n")
