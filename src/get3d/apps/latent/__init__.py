"""Latent-space operations of a model, and their outputs: meshes, contact sheets, videos."""

from get3d.apps.latent.folder import RECORD_NAME, SHEET_NAME, OutFolder, open_folder
from get3d.apps.latent.names import ShapeName, parse_name, split_styles, stack_styles, styles_of
from get3d.apps.latent.operations import (
    Interpolation,
    Vary,
    interpolate_styles,
    mix,
    perturb,
    swap,
    sweep_truncations,
)
from get3d.apps.latent.shapes import (
    LatentShape,
    MeshSubject,
    Subject,
    generate_shape,
    read_subject,
)
from get3d.apps.latent.video import write_contact_sheet, write_video
from get3d.apps.latent.views import SceneBounds, check_polar, portrait, turn_deg
from get3d.apps.latent.write import Cell, ShapeFiles, SheetLayout, WriteReport, write_shapes

__all__ = [
    "RECORD_NAME",
    "SHEET_NAME",
    "Cell",
    "Interpolation",
    "LatentShape",
    "MeshSubject",
    "OutFolder",
    "SceneBounds",
    "ShapeFiles",
    "ShapeName",
    "SheetLayout",
    "Subject",
    "Vary",
    "WriteReport",
    "check_polar",
    "generate_shape",
    "interpolate_styles",
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
    "sweep_truncations",
    "turn_deg",
    "write_contact_sheet",
    "write_shapes",
    "write_video",
]
