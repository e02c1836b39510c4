"""Dataclasses passed between the packages, errors, and helpers that import no other package."""

from get3d.core.colors import linear_to_srgb, srgb_to_linear
from get3d.core.config_io import (
    FORMERLY,
    check_bounds,
    check_literals,
    from_dict,
    read_yaml,
    shorten,
    to_dict,
)
from get3d.core.contact_sheet import contact_sheet, images_to_u8, save_png
from get3d.core.errors import (
    ConfigError,
    DataError,
    Get3DError,
    MeshError,
    MissingDependencyError,
    ModelError,
    is_out_of_memory,
)
from get3d.core.files import atomic_path, is_plain_name, remove_leftovers, write_text
from get3d.core.jit import compiled
from get3d.core.presets import find_config, preset_folder, preset_names
from get3d.core.processes import num_cores, run_in_processes
from get3d.core.textures import EncodedTexture, Sampler, Wrap, image_problem
from get3d.core.threads import run_jobs
from get3d.core.torch_files import read_torch_file
from get3d.core.types import (
    Appearance,
    Cameras,
    Condition,
    DiscriminatorOutput,
    GBuffer,
    ImageBatch,
    Images,
    Material,
    Mesh,
    Styles,
    TexturedMesh,
    split_channels,
)
from get3d.core.video import VIDEO_SUFFIXES, Frame, check_video, save_video

__all__ = [
    "FORMERLY",
    "VIDEO_SUFFIXES",
    "Appearance",
    "Cameras",
    "Condition",
    "ConfigError",
    "DataError",
    "DiscriminatorOutput",
    "EncodedTexture",
    "Frame",
    "GBuffer",
    "Get3DError",
    "ImageBatch",
    "Images",
    "Material",
    "Mesh",
    "MeshError",
    "MissingDependencyError",
    "ModelError",
    "Sampler",
    "Styles",
    "TexturedMesh",
    "Wrap",
    "atomic_path",
    "check_bounds",
    "check_literals",
    "check_video",
    "compiled",
    "contact_sheet",
    "find_config",
    "from_dict",
    "image_problem",
    "images_to_u8",
    "is_out_of_memory",
    "is_plain_name",
    "linear_to_srgb",
    "num_cores",
    "preset_folder",
    "preset_names",
    "read_torch_file",
    "read_yaml",
    "remove_leftovers",
    "run_in_processes",
    "run_jobs",
    "save_png",
    "save_video",
    "shorten",
    "split_channels",
    "srgb_to_linear",
    "to_dict",
    "write_text",
]
