"""Moves through the latent space of a model, and what is made of them: meshes, sheets, videos."""

from get3d.apps.latent.folder import RECORD_NAME, SHEET_NAME, OutFolder, open_folder
from get3d.apps.latent.names import ShapeName, parse_name, split_styles, stack_styles, styles_of
from get3d.apps.latent.operations import Interpolation, Vary, mix, perturb, swap, sweep, walk
from get3d.apps.latent.shapes import (
    LatentShape,
    MeshSubject,
    Subject,
    make_shape,
    read_subject,
)
from get3d.apps.latent.video import write_contact_sheet, write_video
from get3d.apps.latent.views import Stage, check_polar, portrait, turn_deg
from get3d.apps.latent.write import Cell, ShapeFiles, Sheets, Written, write_shapes

__all__ = [
    "RECORD_NAME",
    "SHEET_NAME",
    "Cell",
    "Interpolation",
    "LatentShape",
    "MeshSubject",
    "OutFolder",
    "ShapeFiles",
    "ShapeName",
    "Sheets",
    "Stage",
    "Subject",
    "Vary",
    "Written",
    "check_polar",
    "make_shape",
    "mix",
    "open_folder",
    "parse_name",
    "perturb",
    "portrait",
    "read_subject",
    "split_styles",
    "stack_styles",
    "styles_of",
    "swap",
    "sweep",
    "turn_deg",
    "walk",
    "write_contact_sheet",
    "write_shapes",
    "write_video",
]
