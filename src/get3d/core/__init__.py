"""The dataclasses that flow between the packages, and helpers that import none of them."""

from get3d.core.types import (
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
)

__all__ = [
    "Cameras",
    "Condition",
    "DiscriminatorOutput",
    "GBuffer",
    "ImageBatch",
    "Images",
    "Material",
    "Mesh",
    "Styles",
    "TexturedMesh",
]
