"""What is done with a trained network: a model that makes textured meshes, on disk and in memory."""

from get3d.apps.sources import load
from get3d.apps.model import Model, ModelInfo
from get3d.apps.model_folder import read_model, save_model

__all__ = ["Model", "ModelInfo", "load", "read_model", "save_model"]
