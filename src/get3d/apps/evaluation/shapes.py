"""The shapes of an evaluation: folders of meshes, or the sources of a rendered dataset."""

from dataclasses import replace
from pathlib import Path

from get3d.apps.evaluation.config import EvaluationConfig
from get3d.core import ConfigError, DataError, from_dict
from get3d.data import MESH_SUFFIXES, RenderConfig, find_meshes
from get3d.data.layouts import METADATA_NAME, read_metadata


def settings_of(data: Path) -> EvaluationConfig:
    """Return the default settings for some data: those of its images, if it is a rendered dataset.

    Args:
        data: Dataset of `get3d render`, or a folder with folders of meshes.

    Raises:
        DataError: If the dataset's metadata is damaged.
    """
    config, found = EvaluationConfig(), render_settings(data)
    if found is None:
        return config
    return replace(
        config,
        longest_side=found.side,
        light=found.light,
        up_axis=found.up_axis,
        cull_backfaces=found.cull_backfaces,
        cameras=found.distribution,
    )


def render_settings(data: Path) -> RenderConfig | None:
    """Return the settings that a dataset was rendered with; None if it is no rendered dataset.

    Raises:
        DataError: If its metadata is damaged.
    """
    path = data / METADATA_NAME
    if not path.is_file():
        return None
    try:
        return from_dict(RenderConfig, read_metadata(path)["config"], path="config")
    except (KeyError, ConfigError) as error:
        raise DataError(f"{path}: damaged metadata ({error}); render the dataset again") from error


def find_shapes(data: Path, split: str) -> list[Path]:
    """List the mesh files of a split: the sources of a rendered dataset, or those in a folder.

    Args:
        data: Dataset of `get3d render`, or a folder with folders of meshes.
        split: Name of the split, or of the folder.

    Raises:
        FileNotFoundError: If there is no such folder.
        DataError: If the dataset has no such split, or a source is not there any more.
    """
    path = data / METADATA_NAME
    if not path.is_file():
        return _find_in_folder(data, split)
    metadata = read_metadata(path)
    if not metadata.get("complete", True):
        raise DataError(f"{path}: is not complete; give the same get3d render command again")
    try:
        names = set(metadata["splits"].get(split, ()))
        files = [Path(item["source"]) for item in metadata["objects"] if item["name"] in names]
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: damaged metadata ({error}); render the dataset again") from error
    if not files:
        known = ", ".join(f"{name} ({len(each)})" for name, each in metadata["splits"].items())
        raise DataError(
            f"{path}: no objects in {split}; its splits are {known}; render with a larger "
            "--test-fraction, or name a folder of meshes with --data"
        )
    usable = [file for file in files if file.suffix.lower() in MESH_SUFFIXES and file.is_file()]
    missing = sorted(set(files) - set(usable))
    if missing:
        raise DataError(
            f"{path}: {len(missing)} of {len(files)} mesh files of {split} are gone, such as "
            f"{missing[0]}; put them back, or name a folder of meshes with --data"
        )
    return sorted(files)


def _find_in_folder(data: Path, name: str) -> list[Path]:
    """List the mesh files in one of the folders."""
    folder = data / name
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder}: no such folder; {data} must hold one with the reference shapes (get3d "
            f"shapes CATEGORY --split {name} --out {data} makes procedural ones), or be a dataset "
            "of get3d render"
        )
    return find_meshes([folder])
