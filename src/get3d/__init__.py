"""GET3D: textured 3D meshes, learned from images alone."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from get3d import (
        apps,
        core,
        data,
        export,
        geometry,
        interop,
        metrics,
        models,
        render,
        training,
    )
    from get3d.apps import Model, ModelInfo, load, save_model
    from get3d.core import Cameras, Material, Mesh, TexturedMesh
    from get3d.export import save
    from get3d.models import DiscriminatorConfig, DiscriminatorPair, Generator, GeneratorConfig

# Loaded when first asked for: `get3d --help` must not wait for PyTorch.
_HOMES = {
    "Cameras": "get3d.core",
    "DiscriminatorPair": "get3d.models",
    "DiscriminatorConfig": "get3d.models",
    "Generator": "get3d.models",
    "GeneratorConfig": "get3d.models",
    "Material": "get3d.core",
    "Mesh": "get3d.core",
    "Model": "get3d.apps",
    "ModelInfo": "get3d.apps",
    "TexturedMesh": "get3d.core",
    "load": "get3d.apps",
    "save": "get3d.export",
    "save_model": "get3d.apps",
}
_ROOMS = (
    "apps",
    "core",
    "data",
    "export",
    "geometry",
    "interop",
    "metrics",
    "models",
    "render",
    "training",
)

__all__ = [
    "Cameras",
    "DiscriminatorConfig",
    "DiscriminatorPair",
    "Generator",
    "GeneratorConfig",
    "Material",
    "Mesh",
    "Model",
    "ModelInfo",
    "TexturedMesh",
    "apps",
    "core",
    "data",
    "export",
    "geometry",
    "interop",
    "load",
    "metrics",
    "models",
    "render",
    "save",
    "save_model",
    "training",
]


def __getattr__(name: str) -> Any:
    """Import a public name or a room when it is first used."""
    if name in _ROOMS:
        return importlib.import_module(f"get3d.{name}")
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'get3d' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
