"""The dataclasses that flow through the house, and helpers that know nothing of it."""

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
    "DiscriminatorOutput",
    "GBuffer",
    "Images",
    "Material",
    "Mesh",
    "Styles",
    "TexturedMesh",
]
