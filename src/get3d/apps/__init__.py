"""Applications of a trained network: models that generate textured meshes, and model folders."""

from get3d.apps.imported import ImportOptions, import_checkpoint
from get3d.apps.model import Model, ModelInfo, check_truncation
from get3d.apps.model_folder import read_model, save_model
from get3d.apps.sharing import Upload, plan_upload, send
from get3d.apps.sources import import_model, load

__all__ = [
    "ImportOptions",
    "Model",
    "ModelInfo",
    "Upload",
    "check_truncation",
    "import_checkpoint",
    "import_model",
    "load",
    "plan_upload",
    "read_model",
    "save_model",
    "send",
]
