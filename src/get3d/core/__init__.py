"""The dataclasses that flow through the package, its errors, and helpers."""

from get3d.core.errors import ConfigError, DataError, Get3DError, MeshError, ModelError
from get3d.core.types import (
    Cameras,
    DiscriminatorOutput,
    GBuffer,
    Images,
    Material,
    Mesh,
    Styles,
    TexturedMesh,
)

__all__ = [
    "Cameras",
    "ConfigError",
    "DataError",
    "DiscriminatorOutput",
    "GBuffer",
    "Get3DError",
    "Images",
    "Material",
    "Mesh",
    "MeshError",
    "ModelError",
    "Styles",
    "TexturedMesh",
]
