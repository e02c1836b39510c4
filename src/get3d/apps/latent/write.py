"""Writing of shapes and contact sheets into an output folder; stopped work is resumed."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import UInt8

from get3d.apps.latent.folder import SHEET_NAME, Entry, OutFolder
from get3d.apps.latent.shapes import LatentShape, generate_shape
from get3d.apps.latent.views import BACK_DEG, FRONT_DEG, portrait
from get3d.apps.model import Model
from get3d.core import ConfigError, MeshError, Styles, TexturedMesh, contact_sheet, save_png
from get3d.export import (
    JPEG_SUFFIXES,
    NONE_FOUND,
    AssetOptions,
    Placement,
    TextureSize,
    check_export_suffix,
    check_texture_size,
    clean_mesh,
    place,
    save,
)
from get3d.models import GridOptions

_LOG = logging.getLogger(__name__)
_SHAPE_GAP_PX = 32  # wider than the gap between views of one shape
OnProgress = Callable[[int, int], None]
Image = UInt8[np.ndarray, "h w c"]


@dataclass(frozen=True)
class Cell:
    """A cell of a contact sheet, and the file of the shape that it shows.

    Attributes:
        name: Name of the file, without suffix.
        label: Text under the image.
        styles: Computes the styles of the shape, when they are needed.
    """

    name: str
    label: str
    styles: Callable[[], Styles]


@dataclass(frozen=True, kw_only=True)
class SheetLayout:
    """Layout of contact sheets.

    Attributes:
        columns: Shapes per row.
        rows: Rows per sheet; more shapes take more sheets.
        rotations_deg: Rotation of the camera in each view of a shape, about +y.
        view_size: Width and height of each view, in pixels.
    """

    columns: int = 4
    rows: int = 16
    rotations_deg: tuple[float, ...] = (FRONT_DEG, BACK_DEG)
    view_size: int = 192


@dataclass(frozen=True, kw_only=True)
class ShapeFiles:
    """Format and options of the mesh files.

    Attributes:
        suffix: Suffix of the mesh files: ".glb", ".obj", ".ply" or ".usdz".
        texture_size: As for `Model.generate`.
        asset: Cleaning, normals, and texture or vertex colours; a ".ply" has vertex colours.
        grid: Resolution of the surfaces.
        placement: Pivot, up axis and size.
        jpeg_quality: JPEG quality of the textures in a ".glb" or ".usdz", 1 to 95; None: PNG.
    """

    suffix: str = ".glb"
    texture_size: TextureSize = "auto"
    asset: AssetOptions = field(default_factory=AssetOptions)
    grid: GridOptions = field(default_factory=GridOptions)
    placement: Placement = field(default_factory=Placement)
    jpeg_quality: int | None = None

    def __post_init__(self) -> None:
        """Validate the options; raise ConfigError."""
        check_export_suffix(self.suffix)
        if self.jpeg_quality is not None:
            if self.suffix not in JPEG_SUFFIXES or self.asset.colors == "vertices":
                raise ConfigError("jpeg is for the textures in glb and usdz files; leave it out")
            if not 1 <= self.jpeg_quality <= 95:
                raise ConfigError(f"jpeg must be from 1 to 95, got {self.jpeg_quality}")
        check_texture_size(self.texture_size, least=16, may_be_auto=True)
        if self.suffix == ".usdz" and self.placement.up == "z":
            raise ConfigError("up must be y in usdz files, which say so themselves; leave it out")


@dataclass
class WriteReport:
    """Result of `write_shapes`.

    Attributes:
        made: Mesh files written now.
        kept: Mesh files that already existed, complete.
        errors: Reasons of failed shapes, by file.
        sheets: Contact sheets, in order.
    """

    made: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    sheets: list[str] = field(default_factory=list)


def write_shapes(
    model: Model,
    cells: Sequence[Cell | None],
    folder: OutFolder,
    *,
    files: ShapeFiles,
    sheets: SheetLayout | None,
    on_progress: OnProgress | None = None,
) -> WriteReport:
    """Write a file for each shape, and contact sheets of all.

    Complete files of the folder's record are kept. A shape without a usable mesh (MeshError) does
    not stop the others.

    Args:
        model: The model that generates the shapes.
        cells: Cells in the order of the contact sheet; None leaves a cell empty.
        folder: Output folder, from `open_folder`.
        files: Format and options of the mesh files.
        sheets: Layout of the contact sheets; None: no contact sheets.
        on_progress: Called with the number of shapes done and of all.

    Raises:
        OSError: If a file cannot be written.
    """
    written = WriteReport()
    total = sum(cell is not None for cell in cells)
    page_size = sheets.columns * sheets.rows if sheets else max(len(cells), 1)
    done = 0
    try:
        for start in range(0, len(cells), page_size):
            page = cells[start : start + page_size]
            name = SHEET_NAME if start == 0 else SHEET_NAME.replace(".png", f"_{start:04d}.png")
            contents = [cell and cell.name for cell in page]
            is_drawn = sheets is None or (
                folder.images.get(name, {}).get("cells") == contents
                and folder.is_complete(folder.images, name)
            )
            images: list[Image | None] = []
            for cell in page:
                image = None
                if cell is not None:
                    shape = _write_shape(model, cell, folder, files, written, needed=not is_drawn)
                    if shape is not None and sheets is not None and not is_drawn:
                        rotations = sheets.rotations_deg
                        image = portrait(shape, sheets.view_size, rotations_deg=rotations)
                    folder.write_record(is_urgent=False)
                    done += 1
                    if on_progress is not None:
                        on_progress(done, total)
                images.append(image)
            if sheets is not None and any(image is not None for image in images):
                _draw_contact_sheet(folder, name, page, images, sheets)
            if folder.is_complete(folder.images, name):
                written.sheets.append(name)
    finally:
        folder.write_record()
    return written


def _write_shape(
    model: Model,
    cell: Cell,
    folder: OutFolder,
    files: ShapeFiles,
    written: WriteReport,
    *,
    needed: bool,
) -> LatentShape | None:
    """Write a shape unless its file exists; return it if `needed`, None if it failed."""
    name = cell.name + files.suffix
    is_kept = folder.is_complete(folder.shapes, name)
    if is_kept and name not in written.made + written.kept:
        written.kept.append(name)
    if is_kept and not needed:
        return None
    try:
        shape = generate_shape(model, cell.styles(), grid=files.grid)
        if is_kept:
            return replace(shape, mesh=clean_mesh(shape.mesh, files.asset).mesh)
        textured = shape.textured(files.texture_size, _asset_options(files))
        folder.shapes[name] = _save(textured, folder, name, files)
        written.made.append(name)
        done = [note for note in textured.notes if not note.endswith(NONE_FOUND)]
        if done:
            _LOG.info("%s: %s", cell.name, "; ".join(done))
    except MeshError as error:
        written.errors[name] = str(error)
        folder.shapes[name] = {"error": str(error)}
        return None
    return replace(shape, mesh=textured.mesh)


def _asset_options(files: ShapeFiles) -> AssetOptions:
    """Return the asset options; PLY files have no texture, so they get vertex colours."""
    return replace(files.asset, colors="vertices") if files.suffix == ".ply" else files.asset


def _save(textured: TexturedMesh, folder: OutFolder, name: str, files: ShapeFiles) -> Entry:
    """Write one shape; return its entry of the record."""
    path = folder.path / name
    placement = files.placement
    if placement.up is None and files.suffix == ".ply":
        placement = replace(placement, up="z")
    textured = place(textured, placement)
    save(textured, path, jpeg_quality=files.jpeg_quality)
    own = [name]
    if files.suffix == ".obj":
        beside = (".mtl", ".png") if len(textured.uvs) else (".mtl",)
        own += [path.with_suffix(suffix).name for suffix in beside]
    notes = {"notes": list(textured.notes)} if textured.notes else {}
    return {
        "verts": len(textured.mesh.verts),
        "faces": len(textured.mesh.faces),
        **notes,
        "files": folder.sizes(*own),
    }


def _draw_contact_sheet(
    folder: OutFolder,
    name: str,
    page: Sequence[Cell | None],
    images: Sequence[Image | None],
    sheets: SheetLayout,
) -> None:
    """Write one contact sheet; the cells of failed shapes are empty."""
    size = sheets.view_size
    empty = np.zeros((size, size * len(sheets.rotations_deg), 4), np.uint8)
    labels = [
        "" if cell is None else cell.label if image is not None else f"{cell.label}: failed"
        for cell, image in zip(page, images, strict=True)
    ]
    sheet = contact_sheet(
        [empty if image is None else image for image in images],
        columns=min(sheets.columns, len(page)),
        labels=labels,
        gap_px=_SHAPE_GAP_PX if len(sheets.rotations_deg) > 1 else 6,
    )
    save_png(folder.path / name, sheet, durable=False)
    contents = [cell and cell.name for cell in page]
    folder.images[name] = {"files": folder.sizes(name), "cells": contents}
