"""What is done with a trained network: a model that makes textured meshes, and its folder."""

from get3d.apps.model import Model, ModelInfo
from get3d.apps.model_folder import read_model, save_model
from get3d.apps.sources import load

__all__ = ["Model", "ModelInfo", "load", "read_model", "save_model"]
