"""Mesh files, rendering of training images, and datasets of training images."""

from get3d.data.dataset import ImageDataset, Sample, open_dataset
from get3d.data.mesh_files import (
    MESH_SUFFIXES,
    MeshFileError,
    find_meshes,
    load_mesh,
    normalize_mesh,
)
from get3d.data.render_config import RenderConfig
from get3d.data.render_dataset import (
    RenderProgress,
    RenderReport,
    SkippedFile,
    render_dataset,
)
from get3d.data.unread_files import describe_unread
from get3d.data.validate import ValidationReport, training_warnings, validate_dataset

__all__ = [
    "MESH_SUFFIXES",
    "ImageDataset",
    "MeshFileError",
    "RenderConfig",
    "RenderProgress",
    "RenderReport",
    "Sample",
    "SkippedFile",
    "ValidationReport",
    "describe_unread",
    "find_meshes",
    "load_mesh",
    "normalize_mesh",
    "open_dataset",
    "render_dataset",
    "training_warnings",
    "validate_dataset",
]
