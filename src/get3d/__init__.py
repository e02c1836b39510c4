"""GET3D: textured 3D meshes, learned from images alone."""

import importlib
from typing import TYPE_CHECKING, Any

from get3d.version import __version__

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
    from get3d.core import (
        Cameras,
        ConfigError,
        DataError,
        Get3DError,
        Material,
        Mesh,
        MeshError,
        MissingDependencyError,
        ModelError,
        TexturedMesh,
    )
    from get3d.export import save
    from get3d.models import DiscriminatorConfig, DiscriminatorPair, Generator, GeneratorConfig

# Imported on first use: `get3d --help` must not wait for PyTorch.
_MODULE_OF = {
    "Cameras": "get3d.core",
    "ConfigError": "get3d.core",
    "DataError": "get3d.core",
    "DiscriminatorPair": "get3d.models",
    "DiscriminatorConfig": "get3d.models",
    "Generator": "get3d.models",
    "GeneratorConfig": "get3d.models",
    "Get3DError": "get3d.core",
    "Material": "get3d.core",
    "Mesh": "get3d.core",
    "MeshError": "get3d.core",
    "MissingDependencyError": "get3d.core",
    "Model": "get3d.apps",
    "ModelError": "get3d.core",
    "ModelInfo": "get3d.apps",
    "TexturedMesh": "get3d.core",
    "load": "get3d.apps",
    "save": "get3d.export",
    "save_model": "get3d.apps",
}
_PACKAGES = (
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
    "ConfigError",
    "DataError",
    "DiscriminatorConfig",
    "DiscriminatorPair",
    "Generator",
    "GeneratorConfig",
    "Get3DError",
    "Material",
    "Mesh",
    "MeshError",
    "MissingDependencyError",
    "Model",
    "ModelError",
    "ModelInfo",
    "TexturedMesh",
    "__version__",
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
    """Import a public name or a package when it is first used."""
    if name in _PACKAGES:
        return importlib.import_module(f"get3d.{name}")
    if name in _MODULE_OF:
        value = getattr(importlib.import_module(_MODULE_OF[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'get3d' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
