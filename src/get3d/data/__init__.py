"""Meshes from files, pictures from meshes, and datasets of pictures for training."""

from get3d.data.dataset import ImageDataset, Sample, open_dataset
from get3d.data.layouts import DatasetError
from get3d.data.mesh_files import MeshFileError, find_meshes, load_mesh, normalize_mesh
from get3d.data.sampler import ShuffledSampler

__all__ = [
    "DatasetError",
    "ImageDataset",
    "MeshFileError",
    "Sample",
    "ShuffledSampler",
    "find_meshes",
    "load_mesh",
    "normalize_mesh",
    "open_dataset",
]
